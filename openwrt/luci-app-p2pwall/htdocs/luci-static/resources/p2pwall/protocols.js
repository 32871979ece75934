// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/*
 * The protocols that have a section in the configuration, by its name. The views
 * know them from here alone: each has a tab of its own in the settings, with its
 * mode and then what its options() adds. The first of several choices is the one
 * that holds where nothing is said.
 */

function block() {
	return [ 'block', _('Block') ];
}

function monitor() {
	return [ 'monitor', _('Watch only') ];
}

function off() {
	return [ 'off', _('Off') ];
}

function strict() {
	return [ 'strict', _('All new TCP connections') ];
}

function selective() {
	return [ 'selective', _('Only the program itself') ];
}

function lock(add, choices) {
	add.choice('lock', choices, _('Blocked while locked'),
		_('What is cut of a locked computer. All new TCP connections: its user feels it as well. Only the program itself: its ports, its peers, and connections that begin as those of such a program do; everything else goes on.'));
}

/* What hardly anybody uses any more. It is recognised by how its TCP connections begin. */
function rare(add, names) {
	lock(add, [ strict(), selective() ]);
	add.flag('http', _('Look at TCP'), _('Look at the beginning of TCP connections for file transfers.'));
	add.domains('name', names);
}

const table = {
	fasttrack: {
		title: 'FastTrack',
		programs: 'Kazaa, Kazaa Lite, iMesh, Grokster, giFT, MLDonkey',
		modes: [ block(), monitor(), off() ],
		options: function(add) {
			lock(add, [ strict(), selective() ]);
			add.flag('block_udp', _('Block UDP'), _('Drop the packets that look for others.'));
			add.choice('pong', [
				[ '0x28', _('Yes (0x28)') ], [ '0x29', _('Yes, the other kind (0x29)') ], [ 'off', _('No') ]
			], _('Answer'), _('Answer the program in the name of those it looks for, so that it goes on and gives away whom it knows.'),
			{ '1': '0x28', '0': 'off', '0x28': '0x28', '0x29': '0x29' });
			add.flag('probe', _('Probe by UDP'), _('Ask a computer that may have the program, and a locked one, whether it is there. Without it a program that waits patiently is released too early.'));
			add.flag('tcp_probe', _('Probe by TCP'), _('Ask by TCP as well, for programs that do without UDP.'));
			add.flag('http', _('Look at TCP'), _('Look at the beginning of TCP connections for file transfers.'));
		}
	},

	bittorrent: {
		title: 'BitTorrent',
		programs: 'qBittorrent, Transmission, uTorrent, aria2, rTorrent, WebTorrent',
		modes: [ block(), monitor(), off() ],
		options: function(add) {
			lock(add, [ selective(), strict() ]);
			add.flag('block_udp', _('Block UDP'), _('Most transfers are UDP: without this they go on.'));
			add.flag('answer', _('Answer'), _('Answer the program in the name of those it looks for, so that it goes on looking in a way that can be recognised.'));
			add.flag('probe', _('Probe by UDP'), _('Ask a computer that may have such a program, and a locked one, whether it is there. Without it a program that says little is found late, and released too early.'));
			add.flag('tcp_probe', _('Probe by TCP'), _('Ask by TCP as well, for programs that do without UDP.'));
			add.flag('http', _('Look at TCP'), _('Look at the beginning of TCP connections. Without it no connection is recognised: of TCP only the ports of the program and the peers that are known are cut.'));
			add.flag('reset_encrypted', _('Refuse encryption'), _('Refuse the encrypted connections of the program at once while its computer is locked, so that it tries again in clear and can be recognised.'));
			add.domains('name', [
				'router.bittorrent.com', 'router.utorrent.com', 'dht.transmissionbt.com', 'dht.libtorrent.org',
				'dht.aelitis.com', 'router.bittorrent.cloud', 'router.silotis.us', 'dht.anacrolix.link',
				'router.bt.ouinet.work', 'tracker.openwebtorrent.com', 'tracker.webtorrent.dev', 'tracker.btorrent.xyz',
				'tracker.files.fm'
			]);
		}
	},

	winmx: {
		title: 'WinMX',
		programs: 'WinMX',
		modes: [ off(), monitor(), block() ],
		options: function(add) {
			rare(add, [ '*.winmx.com', '*.winmxgroup.com', '*.winmxgroup.net' ]);
		}
	},

	opennap: {
		title: 'OpenNAP',
		programs: 'Napster, Lopster, XNap, TekNap',
		modes: [ off(), monitor(), block() ],
		options: function(add) {
			rare(add, [ 'server.napster.com', '*.napigator.com' ]);
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

	/* The mode that holds where the configuration names none. */
	preset: function(name) {
		return table.hasOwnProperty(name) ? table[name].modes[0][0] : 'block';
	},

	/* What users call it; a name that is not in the table is taken as it is. */
	title: function(name) {
		return table.hasOwnProperty(name) ? table[name].title : name;
	}
});
