// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/*
 * What the daemon knows of its protocols: the mode and the lock that hold where the
 * configuration says nothing, the options that a protocol has a use for, and the presets of
 * its option "name". This file is written by
 * go test ./openwrt/config -run TestPage -update
 */

return baseclass.extend({
	protocols: {
		fasttrack: {"title":"FastTrack","programs":"Kazaa, Kazaa Lite, iMesh, Grokster, giFT, MLDonkey","mode":"block","lock":"strict","options":["lock","block_udp","pong","probe","tcp_probe","http"],"old":true},
		bittorrent: {"title":"BitTorrent","programs":"qBittorrent, Transmission, uTorrent, aria2, rTorrent, WebTorrent","mode":"block","lock":"selective","options":["lock","block_udp","answer","probe","tcp_probe","http","reset_encrypted","name"],"names":["router.bittorrent.com","router.utorrent.com","dht.transmissionbt.com","dht.libtorrent.org","dht.aelitis.com","router.bittorrent.cloud","router.silotis.us","dht.anacrolix.link","router.bt.ouinet.work","tracker.openwebtorrent.com","tracker.webtorrent.dev","tracker.btorrent.xyz","tracker.files.fm"]},
		winmx: {"title":"WinMX","programs":"WinMX","mode":"off","lock":"strict","options":["lock","http","name"],"old":true,"names":["*.winmx.com","*.winmxgroup.com","*.winmxgroup.net"]},
		opennap: {"title":"OpenNAP","programs":"Napster, Lopster, XNap, TekNap","mode":"off","lock":"strict","options":["lock","http","name"],"old":true,"names":["server.napster.com","*.napigator.com"]},
		edonkey: {"title":"eDonkey","programs":"eMule, aMule, MLDonkey, Shareaza","mode":"block","lock":"selective","options":["lock","block_udp","probe","tcp_probe","http","reset_encrypted","name"],"names":["*.emule-security.org"]},
		soulseek: {"title":"Soulseek","programs":"SoulseekQt, Nicotine+, slskd, Seeker, MLDonkey","mode":"block","lock":"selective","options":["lock","tcp_probe","http","name"],"names":["server.slsknet.org","vps.slsknet.org"]},
		directconnect: {"title":"Direct Connect","programs":"DC++, EiskaltDC++, AirDC++, ncdc","mode":"block","lock":"selective","options":["lock","block_udp","tcp_probe","http","name"],"names":["te-home.net","www.te-home.net","dchublist.org","dchublist.biz","dchublist.ru","dchublist.com","www.hublista.hu"]},
		gnutella: {"title":"Gnutella","programs":"Shareaza, gtk-gnutella, WireShare, MLDonkey","mode":"block","lock":"selective","options":["lock","block_udp","answer","probe","tcp_probe","http","name"],"names":["*.gnutella.dyslexicfish.net","*.uhc.gtk-gnutella.nl","*.gtkgnutella.com","cache.trillinux.org","dkac.trillinux.org","cache.ce3c.be","cache.ibel.de","ping.pongwar.com","p2p.findclan.net","p2p.findclan.org","gwc.gallaxial.com","gwc.centrump2p.com"]},
		ipfs: {"title":"IPFS (libp2p)","programs":"Kubo, IPFS Desktop","mode":"monitor","lock":"selective","options":["lock","tcp_probe","http","name"],"names":["*.bootstrap.libp2p.io","bootstrap.libp2p.io"]},
		xunlei: {"title":"Xunlei","programs":"Xunlei, Thunder","mode":"monitor","lock":"selective","options":["lock","http"]},
		ares: {"title":"Ares","programs":"Ares Galaxy, giFT","mode":"monitor","lock":"selective","options":["lock","http"],"old":true},
		applejuice: {"title":"appleJuice","programs":"appleJuice","mode":"monitor","lock":"selective","options":["lock","http"],"old":true},
		mute: {"title":"MUTE","programs":"MUTE, Kommute","mode":"monitor","lock":"selective","options":["lock","http"],"old":true}
	}
});
