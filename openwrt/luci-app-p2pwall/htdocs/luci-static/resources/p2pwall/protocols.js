// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require p2pwall.known as known';

/*
 * The protocols that have a section in the configuration, by name, in the order of the
 * settings page. known.js has the data of each.
 */
const table = known.protocols;

function rank(name) {
	return name == 'bittorrent' ? 0 : table[name].old ? 2 : 1;
}

const names = Object.keys(table).sort(function(a, b) { return rank(a) - rank(b); });

return baseclass.extend({
	names: function() {
		return names;
	},

	get: function(name) {
		return table[name];
	},

	old: function(name) {
		return table[name].old === true;
	},

	/* The modes of a protocol. */
	modes: {
		block: _('Block'), mark: _('Mark only'), monitor: _('Watch only'), off: _('Off')
	},

	/* The mode if the configuration names none. */
	preset: function(name) {
		return table.hasOwnProperty(name) ? table[name].mode : 'block';
	},

	/* The users' name of a protocol. A name that is not in the table stays unchanged. */
	title: function(name) {
		return table.hasOwnProperty(name) ? table[name].title : name;
	}
});
