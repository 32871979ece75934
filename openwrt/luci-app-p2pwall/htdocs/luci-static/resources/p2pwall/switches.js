// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';

/*
 * The switches of the protocols, each with what breaks if it is off. An option with choices
 * is no switch: its first choice is the default.
 */
const table = {
	lock: {
		title: _('Blocked while locked'),
		help: _('What is cut of a locked computer. All new TCP connections: its user feels it as well. Only the program itself: its ports, its peers, and connections that begin as those of such a program do; everything else goes on.')
	},
	block_udp: {
		title: _('Block UDP'),
		help: _('Packets by UDP are dropped as well. Off: transfers by UDP go on, which with BitTorrent are most.')
	},
	answer: {
		title: _('Answer'),
		help: _('The program is answered in the name of those it looks for, so that it goes on looking in a way that can be recognised. Off: it tries other ways, is found later and released too early.')
	},
	pong: {
		title: _('Answer'),
		help: _('The program is answered in the name of those it looks for, so that it goes on and gives away whom it knows. No: it tries other ways, is found later and released too early.'),
		choices: [ [ '0x28', _('Yes (0x28)') ], [ '0x29', _('Yes, the other kind (0x29)') ], [ 'off', _('No') ] ],
		words: { '1': '0x28', '0': 'off', '0x28': '0x28', '0x29': '0x29' }
	},
	probe: {
		title: _('Ask by UDP'),
		help: _('A computer that may have such a program, and a locked one, is asked whether it is there. Off: a program that says little is found late, and released too early.')
	},
	tcp_probe: {
		title: _('Ask by TCP'),
		help: _('The same by TCP. Off: programs that do without UDP are found late, and released too early.')
	},
	http: {
		title: _('Look at TCP'),
		help: _('The beginning of TCP connections is looked at. Off: no connection is recognised. Of TCP only the ports of the program and the peers that are known are cut.')
	},
	reset_encrypted: {
		title: _('Refuse encryption'),
		help: _('Encrypted connections of the program are refused at once while its computer is locked, so that it tries again in clear. Off: more of them get through before they are recognised.')
	},
	name: {}
};

return baseclass.extend({
	get: function(name) { return table[name]; }
});
