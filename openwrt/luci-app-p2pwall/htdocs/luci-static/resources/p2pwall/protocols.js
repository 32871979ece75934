// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/*
 * The protocols that have a section in the configuration, by its name. The views
 * know them from here alone: each has a tab of its own in the settings, with its
 * mode and then what its options() adds.
 */

const table = {
	fasttrack: {
		title: 'FastTrack',
		programs: 'Kazaa, Kazaa Lite, iMesh, Grokster, giFT, MLDonkey',
		options: function(add) {
			add.flag('block_udp', _('Block UDP'), _('Drop the packets that look for others.'));
			add.choice('pong', [
				[ '0x28', _('Yes (0x28)') ], [ '0x29', _('Yes, the other kind (0x29)') ], [ 'off', _('No') ]
			], _('Answer'), _('Answer the program in the name of those it looks for, so that it goes on and gives away whom it knows.'),
			{ '1': '0x28', '0': 'off', '0x28': '0x28', '0x29': '0x29' });
			add.flag('probe', _('Probe by UDP'), _('Ask a locked computer whether the program is still there. Without it a program that waits patiently is released too early.'));
			add.flag('tcp_probe', _('Probe by TCP'), _('Ask by TCP as well, for programs that do without UDP.'));
			add.flag('http', _('Look at TCP'), _('Look at the beginning of TCP connections for file transfers.'));
		}
	}
};

return baseclass.extend({
	names: function() {
		return Object.keys(table);
	},

	get: function(name) {
		return table[name];
	},

	/* What users call it; a name that is not in the table is taken as it is. */
	title: function(name) {
		return table.hasOwnProperty(name) ? table[name].title : name;
	}
});
