// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require p2pwall.known as known';

/*
 * The protocols that have a section in the configuration, by its name, in the order in
 * which the settings show them. What there is to know of each is in known.js.
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

	/* What can be done about one. */
	modes: {
		block: _('Block'), mark: _('Mark only'), monitor: _('Watch only'), off: _('Off')
	},

	/* The mode that holds where the configuration names none. */
	preset: function(name) {
		return table.hasOwnProperty(name) ? table[name].mode : 'block';
	},

	/* What users call it; a name that is not in the table is taken as it is. */
	title: function(name) {
		return table.hasOwnProperty(name) ? table[name].title : name;
	}
});
