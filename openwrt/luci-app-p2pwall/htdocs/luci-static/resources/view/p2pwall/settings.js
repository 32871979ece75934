// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require view';
'require form';
'require uci';
'require p2pwall.common as common';
'require p2pwall.protocols as protocols';
'require p2pwall.switches as switches';

/*
 * The checks equal those of the daemon: the daemon can load everything that this page saves.
 */

function isNumber(v, low, high) {
	return /^\d+$/.test(v) && +v >= low && +v <= high;
}

function isIPv4(v) {
	return /^(\d+\.){3}\d+$/.test(v) && v.split('.').every(function(x) { return /^(0|[1-9]\d{0,2})$/.test(x) && +x <= 255; });
}

/* The eight groups of an address, or null. */
function parseIPv6(v) {
	const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(v);
	if (tail) {
		if (!isIPv4(tail[2]))
			return null;
		const b = tail[2].split('.');
		v = tail[1] + (b[0] * 256 + +b[1]).toString(16) + ':' + (b[2] * 256 + +b[3]).toString(16);
	}
	const halves = v.split('::').map(function(h) { return h === '' ? [] : h.split(':'); });
	const left = halves[0], right = halves[1] || [], n = 8 - left.length - right.length;
	if (halves.length > 2 || (halves.length == 2 ? n < 1 : n != 0))
		return null;
	const all = left.concat(Array(n).fill('0'), right);
	return all.every(function(g) { return /^[0-9a-fA-F]{1,4}$/.test(g); }) ? all.map(function(g) { return parseInt(g, 16); }) : null;
}

function isMAC(v) {
	return /^[0-9a-fA-F]{2}([:-])([0-9a-fA-F]{2}\1){4}[0-9a-fA-F]{2}$/.test(v) && /[1-9a-fA-F]/.test(v);
}

function isHost(v) {
	const net = /^(.*)\/(0|[1-9]\d{0,2})$/.exec(v);
	const ip = net ? net[1] : v;
	if (isIPv4(ip))
		return !net || +net[2] <= 32;
	const groups = parseIPv6(ip);
	if (!groups)
		return !net && isMAC(v);
	/* ::ffff:0:0/96 (IPv4 within IPv6) is not accepted as a network. */
	return !net || (+net[2] <= 128 && groups.slice(0, 6).join() != '0,0,0,0,0,65535');
}

function isDevice(v) {
	return /^[0-9A-Za-z._@%=,~-]{1,15}$/.test(v) && v != '.' && v != '..' && v.charAt(0) != '-';
}

/* A mask with exactly three bits. */
function isMask(v) {
	return /^0x0*[0-9a-fA-F]{1,8}$/.test(v) && parseInt(v, 16).toString(2).replace(/0/g, '').length == 3;
}

function isNetwork(v) {
	return /^[A-Za-z0-9_.-]+$/.test(v);
}

/* A whole number, decimal or with 0x. Anything else gives NaN. */
function whole(v) {
	return /^(0|[1-9]\d*|0x[0-9a-f]+)$/i.test(v) ? Number(v) : NaN;
}

/* A mark, with an optional mask of the bits that are written. */
function isMarkAndMask(v) {
	const parts = v.split('/').map(whole), mask = parts[parts.length - 1];
	return v == 'off' || parts.length <= 2 && parts.every(function(n) { return n <= 0xffffffff; }) && mask != 0 && (parts[0] & ~mask) == 0;
}

/* A DNS name. "*." means all names below it, and "off" means none. */
function isDomain(v) {
	return v.length <= 253 && /^(\*\.)?([\w-]{1,63}\.)*[\w-]{1,63}\.?$/.test(v);
}

const PRINTABLE = /^[ -~]{1,512}$/;
const ADDRESS = /^https?:\/\/[^\/@ "'<>\\^`{|}]+(\/[^ "'<>\\^`{|}]*)?$/;
const MAIL = /^[^@ "'<>()[\]\\,;:-][^@ "'<>()[\]\\,;:]*@[^@ "'<>()[\]\\,;:]+$/;

/* A time of day, such as 21:30 or 21:30:15. */
function isTime(v) {
	return /^([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?$/.test(v);
}

const MAX_DOMAINS = 128;

const logClasses = [ 'clients', 'peers', 'tcp_dropped', 'udp_dropped', 'tcp_accepted', 'udp_accepted' ];
const logLetters = { c: 'clients', p: 'peers', t: 'tcp_dropped', u: 'udp_dropped', T: 'tcp_accepted', U: 'udp_accepted' };

/* Turns names, letters, "all" and "none" into a list of names. */
function logNames(words) {
	const on = {};
	words.forEach(function(w) {
		if (w == 'all')
			logClasses.forEach(function(c) { on[c] = true; });
		else if (logClasses.indexOf(w) != -1)
			on[w] = true;
		else if (w != 'none')
			w.split('').forEach(function(x) { on[logLetters[x]] = true; });
	});
	return logClasses.filter(function(c) { return on[c]; });
}

return view.extend({
	load: function() {
		return Promise.all([
			common.loadHints(),
			L.resolveDefault(uci.load('network')),
			uci.load('p2pwall')
		]);
	},

	render: function(data) {
		this.hints = data[0];
		[ 'main' ].concat(protocols.names()).forEach(function(name) {
			if (!uci.get('p2pwall', name))
				uci.add('p2pwall', name == 'main' ? 'p2pwall' : 'protocol', name);
		});

		const m = this.map = new form.Map('p2pwall', _('Settings'),
			_('P2Pwall finds the computers in your network that run a file-sharing program, and keeps that program from reaching anybody outside.'));
		this.lists = [];
		this.folds = [];
		this.stop(m.section(form.NamedSection, 'main', 'p2pwall', _('What to stop'),
			_('Mark only: what would be stopped passes with a mark, by which the router can slow or route it. Watch only: it is found, counted and logged, and nothing is stopped.')));
		this.policies(m.section(form.GridSection, 'policy', _('Policies'),
			_('Another mode for some computers, some programs or some hours. The first one that fits counts; where none fits, it is what stands above.')));
		this.notify(m.section(form.GridSection, 'notify', _('Who is told'),
			_('When a program is found or gone, and when nothing can be stopped: of one computer once an hour at most.')));
		const s = m.section(form.NamedSection, 'main', 'p2pwall');
		s.tab('network', _('Networks'));
		s.tab('exempt', _('Allowed computers'));
		s.tab('log', _('Log'));
		s.tab('advanced', _('Advanced'));
		this.networks(s);
		this.exempt(s);
		this.log(s);
		this.advanced(s);
		protocols.names().forEach(function(p) { this.protocol(s, p); }, this);
		this.guard(m);
		return m.render();
	},

	/* ---- kinds of options ---- */

	/* An option of the main section or of a protocol. The names of a protocol's options get
	 * its name as a prefix, because several protocols have the same options. */
	option: function(s, tab, cls, protocol, name, title, help) {
		const full = protocol ? protocol + '_' + name : name;
		const o = tab ? s.taboption(tab, cls, full, title, help) : s.option(cls, full, title, help);
		o.ucisection = protocol || 'main';
		o.ucioption = name;
		return o;
	},

	/* A switch. It also reads the other UCI words that the daemon takes. */
	flag: function(s, tab, protocol, name, title, help) {
		const o = this.option(s, tab, form.Flag, protocol, name, title, help);
		o.default = '1';
		o.load = function() {
			const v = uci.get('p2pwall', this.ucisection, name);
			return (v == null || v === '') ? '1' : [ 'on', 'true', 'yes', 'enabled' ].indexOf(v) != -1 ? '1' :
				[ 'off', 'false', 'no', 'disabled' ].indexOf(v) != -1 ? '0' : v;
		};
	},

	count: function(s, tab, name, preset, low, high, title, help) {
		const o = this.option(s, tab, form.Value, null, name, title, help);
		o.placeholder = String(preset);
		o.validate = function(sid, v) {
			return v === '' || isNumber(v, low, high) || _('Expecting a whole number from %d to %d').format(low, high);
		};
	},

	/* A list of choices. The first is the default, which is not written if nothing is set.
	 * words has other words for some choices. */
	choice: function(s, tab, protocol, name, choices, title, help, words) {
		const o = this.option(s, tab, form.ListValue, protocol, name, title, help);
		choices.forEach(function(c) { o.value(c[0], c[1]); });
		o.default = choices[0][0];
		o.load = function() {
			const v = uci.get('p2pwall', this.ucisection, name);
			return v == null ? v : (words && words[v.toLowerCase()] || v);
		};
		o.write = function(sid, v) {
			if (v != this.default || uci.get('p2pwall', this.ucisection, name) != null)
				uci.set('p2pwall', this.ucisection, name, v);
		};
	},

	/* LuCI's tables show the word of the configuration. This one shows that of the choice. */
	worded: function(o) {
		o.textvalue = function(sid) {
			return this.vallist[this.keylist.indexOf(this.cfgvalue(sid))];
		};
	},

	names: function(s, tab, protocol, name, ok, expecting, title, help) {
		const o = this.option(s, tab, form.DynamicList, protocol, name, title, help);
		o.validate = function(sid, v) {
			return v === '' || ok(v) || expecting;
		};
		this.lists.push(o);
		return o;
	},

	/* ---- what to stop ---- */

	stop: function(s) {
		const old = [];
		this.flag(s, null, null, 'enabled', _('P2Pwall is on'));
		protocols.names().forEach(function(p) {
			const preset = protocols.preset(p), others = Object.keys(protocols.modes).filter(function(m) { return m != preset; });
			const choices = [ preset ].concat(others).map(function(m) { return [ m, protocols.modes[m] ]; });
			choices.sort(function(a, b) { return Object.keys(protocols.modes).indexOf(a[0]) - Object.keys(protocols.modes).indexOf(b[0]); });
			this.choice(s, null, p, 'mode', choices, protocols.get(p).title, protocols.get(p).programs);
			s.children[s.children.length - 1].default = preset;
			if (protocols.old(p))
				old.push(p + '_mode');
		}, this);
		this.folds.push([ _('Old networks'), old ]);
	},

	/* ---- policies ---- */

	policies: function(s) {
		s.addremove = true;
		s.anonymous = true;
		s.sortable = true;
		s.nodescriptions = true;
		s.modaltitle = _('Policy');
		let o = s.option(form.Value, 'name', _('Name'));
		o = s.option(form.Flag, 'enabled', _('On'));
		o.default = '1';
		o.editable = true;
		o = s.option(form.ListValue, 'mode', _('Mode'));
		Object.keys(protocols.modes).forEach(function(m) { o.value(m, protocols.modes[m]); });
		this.worded(o);
		const whom = function(name, ok, expecting, title, help) {
			o = s.option(form.DynamicList, name, title, help);
			o.modalonly = true;
			o.validate = function(sid, v) { return v === '' || ok(v) || expecting; };
			return o;
		};
		this.offerHosts(whom('mac', isMAC, _('Expecting a hardware address such as 02:00:00:12:34:56'), _('Computers'),
			_('By hardware address. Without any computer, address, name, network and device it is for all.')));
		whom('ip', function(v) { return isHost(v) && !isMAC(v); }, _('Expecting an address or a network such as 192.168.1.0/24'), _('Addresses'));
		whom('host', function(v) { return /^[\w.-]{1,253}$/.test(v); }, _('Expecting the name of a computer'), _('Names'),
			_('Names that computers have among the DHCP leases.'));
		this.offerNetworks(whom('network', isNetwork, _('Expecting the name of a network'), _('Networks')));
		whom('device', isDevice, _('Expecting the name of a device'), _('Devices'));
		o = s.option(form.MultiValue, 'protocol', _('Only for'), _('All if none is chosen.'));
		o.modalonly = true;
		protocols.names().forEach(function(p) { o.value(p, protocols.title(p)); });
		o = s.option(form.MultiValue, 'weekdays', _('Days'), _('Every day if none is chosen. Hours after midnight belong to the day on which they began.'));
		o.modalonly = true;
		[ [ 'mon', _('Monday') ], [ 'tue', _('Tuesday') ], [ 'wed', _('Wednesday') ], [ 'thu', _('Thursday') ], [ 'fri', _('Friday') ],
			[ 'sat', _('Saturday') ], [ 'sun', _('Sunday') ] ].forEach(function(d) { o.value(d[0], d[1]); });
		[ [ 'start_time', _('From'), '21:30', _('All day if neither is set.') ], [ 'stop_time', _('Until'), '6:00' ] ].forEach(function(t) {
			o = s.option(form.Value, t[0], t[1], t[3]);
			o.placeholder = t[2];
			o.validate = function(sid, v) { return v === '' || isTime(v) || _('Expecting a time such as 21:30'); };
		});
	},

	/* ---- notifications ---- */

	notify: function(s) {
		s.addremove = true;
		s.anonymous = true;
		s.nodescriptions = true;
		s.modaltitle = _('Who is told');
		let o = s.option(form.Flag, 'enabled', _('On'));
		o.default = '1';
		o.editable = true;
		o = s.option(form.ListValue, 'type', _('By'));
		o.value('ntfy', 'ntfy');
		o.value('webhook', 'Webhook (JSON)');
		o.value('mail', _('Mail'));
		this.worded(o);
		const value = function(name, title, ok, expecting, help) {
			o = s.option(form.Value, name, title, help);
			o.validate = function(sid, v) { return v === '' || PRINTABLE.test(v) && ok(v) || expecting; };
		};
		value('url', _('Address'), ADDRESS.test.bind(ADDRESS), _('Expecting an address such as https://ntfy.example.org/topic'), _('Of ntfy or the webhook.'));
		value('to', _('To'), MAIL.test.bind(MAIL), _('Expecting an address such as me@example.org'), _('Whom a mail is for.'));
		value('from', _('From'), MAIL.test.bind(MAIL), _('Expecting an address such as me@example.org'));
		o.modalonly = true;
		const any = function() { return true; }, plain = _('Expecting at most 512 characters of ASCII');
		value('token', _('Token'), any, plain, _('Sent as Authorization: Bearer.'));
		o.modalonly = o.password = true;
		value('user', _('User'), function(v) { return v.indexOf(':') == -1; }, plain);
		o.modalonly = true;
		value('password', _('Password'), any, plain);
		o.modalonly = o.password = true;
		o = s.option(form.MultiValue, 'event', _('Of what'), _('Of all if none is chosen.'));
		o.modalonly = true;
		[ [ 'found', _('A program was found') ], [ 'released', _('A program is gone') ], [ 'unprotected', _('Nothing can be stopped') ] ]
			.forEach(function(e) { o.value(e[0], e[1]); });
	},

	/* Sends a test message to all receivers, with the settings in force. */
	test: function(button, said) {
		if (button.getAttribute('aria-busy') == 'true')
			return;
		button.setAttribute('aria-busy', 'true');
		common.say(said, _('Sending …'));
		common.ask('notify').then(function(r) {
			return common.objects(r.notify).map(function(n) {
				return common.text(n.name) + ': ' + (n.ok === true ? _('sent') : common.text(n.error));
			}).join('; ');
		}, function(err) {
			const why = common.reason(err);
			return /^nobody is told/.test(why) ? _('Nobody is told yet: add a receiver above, then save and apply.') : why;
		}).then(function(words) {
			common.say(said, words);
			button.removeAttribute('aria-busy');
		});
	},

	/* ---- networks, computers, log ---- */

	/* Offers the router's networks, and returns the names of their devices. */
	offerNetworks: function(o) {
		const devices = {};
		uci.sections('network', 'interface').forEach(function(n) {
			if (n['.name'] == 'loopback')
				return;
			o.value(n['.name']);
			if (typeof(n.device) == 'string')
				devices[n.device] = true;
		});
		return devices;
	},

	/* Offers the computers that the router knows, by name. */
	offerHosts: function(o) {
		const hosts = this.hints.hosts, key = function(mac) {
			const name = common.text((hosts[mac] || {}).name);
			return (name ? '0' + name.toLowerCase() : '1') + ' ' + mac;
		};
		/* Those with a name come first. */
		Object.keys(hosts).sort(function(a, b) { return key(a) < key(b) ? -1 : 1; }).forEach(function(mac) {
			const h = hosts[mac] || {}, address = common.list(h.ipaddrs)[0];
			/* An entry with neither name nor address is mostly a port of the router. */
			if (isMAC(mac) && (h.name || address))
				o.value(mac.toLowerCase(), [ common.text(h.name), common.text(address), mac.toLowerCase() ]
					.filter(function(x) { return x; }).join(' – '));
		}, this);
	},

	networks: function(s) {
		let o = this.names(s, 'network', null, 'network', isNetwork, _('Expecting the name of a network'), _('Networks'),
			_('The networks to watch, with guest networks and VLANs. Traffic between them is not touched. If neither a network nor a device is named, it is lan.'));
		const devices = this.offerNetworks(o);
		uci.sections('network', 'device').forEach(function(d) {
			if (typeof(d.name) == 'string')
				devices[d.name] = true;
		});
		o = this.names(s, 'network', null, 'device', isDevice, _('Expecting the name of a device'), _('Devices'),
			_('Devices to watch that belong to no network above.'));
		Object.keys(devices).filter(isDevice).sort().forEach(function(d) { o.value(d); });
	},

	exempt: function(s) {
		const o = this.names(s, 'exempt', null, 'exempt', isHost,
			_('Expecting an address, a network such as 192.168.1.0/24, or a hardware address such as 02:00:00:12:34:56'), _('Allowed computers'),
			_('Computers that are left alone: address, network or hardware address (MAC).'));
		this.offerHosts(o);
	},

	log: function(s) {
		const o = this.option(s, 'log', form.MultiValue, null, 'log', _('System log'), _('What goes to the system log. The page Log has more.'));
		[ _('Computers: found, locked, gone'), _('Peers'), _('TCP dropped'), _('UDP dropped'), _('TCP accepted'), _('UDP accepted') ]
			.forEach(function(t, i) { o.value(logClasses[i], t); });
		o.load = function() {
			const v = uci.get('p2pwall', 'main', 'log');
			return v == null ? [ 'clients' ] : logNames(L.toArray(v));
		};
		o.write = function(sid, v) {
			uci.set('p2pwall', 'main', 'log', L.toArray(v));
		};
		/* An empty list must be written as "none": a missing option means the default. */
		o.remove = function() {
			uci.set('p2pwall', 'main', 'log', [ 'none' ]);
		};
		const kept = '/etc/p2pwall/history', other = uci.get('p2pwall', 'main', 'history_file');
		this.choice(s, 'log', null, 'history_file', [ [ '', _('In memory: lost when the router restarts') ], [ kept, _('On flash, written once a day') ] ]
			.concat(other && other != 'off' && other != kept ? [ [ other, other ] ] : []), _('History'), _('Where it is kept what ran on which computer in the last 30 days.'), { off: '' });
	},

	/* ---- advanced options ---- */

	advanced: function(s) {
		const tab = 'advanced';
		this.count(s, tab, 'timelock', 120, 0, 86400, _('Lock'),
			_('For how many seconds a computer is locked after its program has tried to reach somebody. Each further try begins it anew. What a lock blocks is said for each protocol. 0: never.'));
		this.count(s, tab, 'look_back', 30, 0, 3600, _('Look back'),
			_('When a program is found, the connections that it opened in the last so many seconds are cut as well.'));
		this.count(s, tab, 'forget', 3600, 1, 2592000, _('Forget'),
			_('After how many quiet seconds a computer that is not locked any more, and whom it knew, is forgotten.'));
		this.choice(s, tab, null, 'action', [
			[ 'drop', _('Drop: in silence') ], [ 'reset', _('Reset: refuse at once') ], [ 'reject', _('Reject: send an error message') ]
		], _('Blocked packets'), _('What happens to a connection that is blocked. Some programs answer a refusal with thousands of new connections.'));
		let o = this.option(s, tab, form.Value, null, 'dscp', _('DSCP'), _('In mode Mark only: the DSCP that packets get, le, cs0 to cs7, a number from 0 to 63, or off.'));
		o.placeholder = 'le';
		o.validate = function(sid, v) {
			return v === '' || v == 'off' || /^(le|cs[0-7])$/i.test(v) || whole(v) <= 63 || _('Expecting le, cs0 to cs7, off, or a number from 0 to 63');
		};
		o = this.option(s, tab, form.Value, null, 'ct_mark', _('Mark of connections'), _('In mode Mark only: the mark that connections get, and the mask of its bits.'));
		o.placeholder = 'off';
		o.validate = function(sid, v) {
			return v === '' || isMarkAndMask(v) || _('Expecting a mark and its mask, such as 0x00010000/0x00ff0000, or off');
		};
		this.choice(s, tab, null, 'backend', [ [ 'auto', _('automatic') ], [ 'nft', 'nftables' ], [ 'iptables', 'iptables' ] ],
			_('Firewall'), _('What puts the rules in place: nftables (OpenWrt 22.03 and later) or iptables (before).'));
		this.choice(s, tab, null, 'sets', [ [ 'auto', _('automatic') ], [ 'nft', 'nftables' ], [ 'ipset', 'ipset' ], [ 'off', _('Off') ] ],
			_('Sets'), _('Where the rules look up who is locked. Off: the program is asked about every packet.'));
		this.choice(s, tab, null, 'offload', [ [ 'hold', _('Hold back') ], [ 'leave', _('Leave alone') ] ],
			_('Flow offloading'), _('Offloading hides most packets from the program. Hold back: a connection is offloaded only when its beginning has been looked at.'));
		const later = ' ' + _('Takes effect with a restart, which the page Status offers.');
		this.flag(s, tab, null, 'fail_open', _('Let pass'), _('When the program does not keep up or is not there, everything passes. Otherwise nothing passes that would have been looked at.') + later);
		this.count(s, tab, 'max_clients', 64, 1, 1024, _('Computers'), _('How many computers can be followed at once. The memory for all of them is taken at the start.') + later);
		this.count(s, tab, 'queue', 214, 0, 65535, _('Queue number'), _('The number of the kernel queue that brings packets to the program. Change it if another program uses it.') + later);
		this.count(s, tab, 'queues', 1, 1, 16, _('Queues'), _('Take more than one only if the router has processors to spare.') + later);
		this.count(s, tab, 'queue_length', 1024, 1, 65535, _('Queue length'), _('How many packets may wait.') + later);
		this.count(s, tab, 'copy_range', 2048, 128, 65535, _('Bytes of a packet'), _('How many bytes of each packet are looked at.') + later);
		o = this.option(s, tab, form.Value, null, 'mark', _('Mark'), _('The bits that the program uses of the marks of packets and connections: a mask of three bits. Change it if another program uses one of them; the check says so.') + later);
		o.placeholder = '0x0200c000';
		o.validate = function(sid, v) {
			return v === '' || isMask(v) || _('Expecting a mask of three bits, such as 0x0200c000');
		};
	},

	/* The switches of a protocol in a fold, each with what breaks if it is off. */
	protocol: function(s, p) {
		const about = protocols.get(p);
		const locks = [ [ 'selective', _('Only the program itself') ], [ 'strict', _('All new TCP connections') ] ];
		about.options.forEach(function(name) {
			const x = switches.get(name);
			if (name == 'lock')
				return this.choice(s, 'advanced', p, name, about.lock == 'strict' ? locks.reverse() : locks, x.title, x.help);
			if (name == 'name')
				return this.domains(s, p, about.names);
			if (x.choices)
				return this.choice(s, 'advanced', p, name, x.choices, x.title, x.help, x.words);
			return this.flag(s, 'advanced', p, name, x.title, x.help);
		}, this);
		const fold = about.options.map(function(name) { return p + '_' + name; });
		this.folds.push([ about.title, fold ]);
	},

	/* An empty list must be written as "off": a missing option means the preset. */
	domains: function(s, p, preset) {
		const o = this.names(s, 'advanced', p, 'name', isDomain, _('Expecting a name such as tracker.example.org, or *.example.org for all below it'), _('Names'),
			_('DNS names that such programs look up. A computer that asks for one is looked at more closely, and nothing of it is blocked for that. *.example.org stands for all names below example.org.'));
		o.most = MAX_DOMAINS;
		o.load = function() {
			const v = uci.get('p2pwall', p, 'name');
			return v == null ? preset : L.toArray(v).filter(function(x) { return x != 'off'; });
		};
		o.remove = function() {
			uci.set('p2pwall', p, 'name', [ 'off' ]);
		};
	},

	/* ---- the page as a whole ---- */

	/* Checks options that depend on each other, and values that a list had before. */
	wrong: function() {
		const value = function(name) {
			const found = this.map.lookupOption(name, 'main');
			return found ? found[0].formvalue('main') : null;
		}.bind(this);
		if (+(value('queue') || 214) + +(value('queues') || 1) > 65536)
			return _('Queue number and queues together go beyond 65535');
		if (value('backend') == 'nft' && value('sets') == 'ipset')
			return _('The firewall nftables cannot use ipset');
		for (let i = 0; i < this.lists.length; i++) {
			const o = this.lists[i], all = L.toArray(value(o.option));
			const bad = all.filter(function(v) { return o.validate('main', v) !== true; });
			if (all.length > o.most)
				return _('%s: more than %d').format(o.title, o.most);
			if (bad.length)
				return o.title + ': ' + bad[0] + ': ' + o.validate('main', bad[0]);
		}
		return null;
	},

	guard: function(m) {
		const parse = m.parse, renderContents = m.renderContents;
		m.parse = function() {
			const why = this.wrong();
			return why ? Promise.reject(new TypeError(why)) : parse.apply(m, arguments);
		}.bind(this);
		m.renderContents = function() {
			return Promise.resolve(renderContents.apply(m, arguments)).then(function(root) {
				root.querySelectorAll('.cbi-value').forEach(this.label);
				this.folds.forEach(this.fold.bind(this, root));
				this.testButton(root);
				root.insertBefore(common.style(), root.firstChild);
				return root;
			}.bind(this));
		}.bind(this);
	},

	/* LuCI gives no label to widgets that consist of several elements. */
	label: function(field) {
		const title = field.querySelector('.cbi-value-title');
		if (!title)
			return;
		field.querySelectorAll('input[data-widget-id], .create-item-input').forEach(function(e) {
			e.setAttribute('aria-label', title.textContent);
		});
		field.querySelectorAll('.cbi-dropdown, .cbi-dynlist').forEach(function(e) {
			e.setAttribute('role', 'group');
			e.setAttribute('aria-label', title.textContent);
		});
	},

	testButton: function(root) {
		const section = root.querySelector('#cbi-p2pwall-notify');
		if (!section || this.map.readonly)
			return;
		const said = E('span', { 'role': 'status', 'aria-live': 'polite' }, []);
		const button = E('button', { 'class': 'btn cbi-button', 'type': 'button' }, [ _('Send a test message') ]);
		button.addEventListener('click', this.test.bind(this, button, said));
		section.appendChild(E('p', {}, [ button, ' ', said ]));
	},

	/* Moves the fields of some options into a fold, at the place of the first. */
	fold: function(root, f) {
		const box = E('details', { 'class': 'p2pw-fields' }, [ E('summary', {}, [ f[0] ]) ]);
		f[1].forEach(function(name, i) {
			const field = root.querySelector('.cbi-value[data-name="' + name + '"]');
			if (!field)
				return;
			if (!box.parentNode)
				field.parentNode.insertBefore(box, field);
			box.appendChild(field);
		});
	}
});
