// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/*
 * What can be stopped, in the order in which the settings show it. Each has a section of
 * the configuration by its name. mode and lock hold where the configuration says nothing;
 * has names the options that the protocol has a use for; names are the presets of its
 * option "name"; old is what hardly anybody uses any more. A test compares this with what
 * the daemon knows.
 */
const table = {
	bittorrent: {
		title: 'BitTorrent', programs: 'qBittorrent, Transmission, uTorrent, aria2, rTorrent, WebTorrent',
		mode: 'block', lock: 'selective', has: 'block_udp answer probe tcp_probe http reset_encrypted name',
		names: [
			'router.bittorrent.com', 'router.utorrent.com', 'dht.transmissionbt.com', 'dht.libtorrent.org',
			'dht.aelitis.com', 'router.bittorrent.cloud', 'router.silotis.us', 'dht.anacrolix.link',
			'router.bt.ouinet.work', 'tracker.openwebtorrent.com', 'tracker.webtorrent.dev', 'tracker.btorrent.xyz',
			'tracker.files.fm'
		]
	},
	edonkey: {
		title: 'eDonkey', programs: 'eMule, aMule, MLDonkey, Shareaza',
		mode: 'off', lock: 'selective', has: 'block_udp probe tcp_probe http'
	},
	fasttrack: {
		title: 'FastTrack', programs: 'Kazaa, Kazaa Lite, iMesh, Grokster, giFT, MLDonkey',
		mode: 'block', lock: 'strict', has: 'block_udp pong probe tcp_probe http', old: true
	},
	winmx: {
		title: 'WinMX', programs: 'WinMX',
		mode: 'off', lock: 'strict', has: 'http name', old: true, names: [ '*.winmx.com', '*.winmxgroup.com', '*.winmxgroup.net' ]
	},
	opennap: {
		title: 'OpenNAP', programs: 'Napster, Lopster, XNap, TekNap',
		mode: 'off', lock: 'strict', has: 'http name', old: true, names: [ 'server.napster.com', '*.napigator.com' ]
	}
};

const modes = {
	block: _('Block'), mark: _('Mark only'), monitor: _('Watch only'), off: _('Off')
};

return baseclass.extend({
	names: function() {
		return Object.keys(table);
	},

	get: function(name) {
		return table[name];
	},

	modes: modes,

	/* The mode that holds where the configuration names none. */
	preset: function(name) {
		return table.hasOwnProperty(name) ? table[name].mode : 'block';
	},

	/* What users call it; a name that is not in the table is taken as it is. */
	title: function(name) {
		return table.hasOwnProperty(name) ? table[name].title : name;
	}
});
