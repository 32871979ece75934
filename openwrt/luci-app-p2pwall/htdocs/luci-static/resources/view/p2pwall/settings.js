// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require view';
'require form';
'require uci';
'require p2pwall.common as common';
'require p2pwall.protocols as protocols';

/*
 * The checks are those of the daemon, no looser and no stricter: what this page
 * saves, the daemon loads.
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
	/* IPv4 within IPv6, ::ffff:0:0/96, is no network of its own. */
	return !net || (+net[2] <= 128 && groups.slice(0, 6).join() != '0,0,0,0,0,65535');
}

function isDevice(v) {
	return /^[0-9A-Za-z._@%=,~-]{1,15}$/.test(v) && v != '.' && v != '..' && v.charAt(0) != '-';
}

/* A mask of three bits. */
function isMask(v) {
	return /^0x0*[0-9a-fA-F]{1,8}$/.test(v) && parseInt(v, 16).toString(2).replace(/0/g, '').length == 3;
}

/* A DNS name, *. for all below one, or off for none. */
function isDomain(v) {
	return v.length <= 253 && /^(\*\.)?([\w-]{1,63}\.)*[\w-]{1,63}\.?$/.test(v);
}

const MAX_DOMAINS = 128;

const logClasses = [ 'clients', 'peers', 'tcp_dropped', 'udp_dropped', 'tcp_accepted', 'udp_accepted' ];
const logLetters = { c: 'clients', p: 'peers', t: 'tcp_dropped', u: 'udp_dropped', T: 'tcp_accepted', U: 'udp_accepted' };

/* Names, letters, "all" and "none" as a list of names. */
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
		const hints = data[0];
		[ 'main' ].concat(protocols.names()).forEach(function(name) {
			if (!uci.get('p2pwall', name))
				uci.add('p2pwall', name == 'main' ? 'p2pwall' : 'protocol', name);
		});

		const m = new form.Map('p2pwall', _('Settings'),
			_('P2Pwall finds the computers in your network that run a file-sharing program, and keeps that program from reaching anybody outside.'));
		const s = m.section(form.NamedSection, 'main', 'p2pwall');
		s.tab('general', _('General'));
		protocols.names().forEach(function(p) { s.tab(p, protocols.get(p).title); });
		s.tab('exempt', _('Exempt hosts'));
		s.tab('log', _('Log'));
		s.tab('advanced', _('Advanced'));
		const lists = [];

		/* Options of different protocols have the same names, so that here they
		 * have the protocol's before it. */
		function option(tab, cls, name, title, help) {
			const own = protocols.get(tab);
			const o = s.taboption(tab, cls, own ? tab + '_' + name : name, title, help);
			o.ucisection = own ? tab : 'main';
			o.ucioption = name;
			return o;
		}

		/* A switch; the daemon also takes the other words of UCI. */
		function flag(tab, name, title, help) {
			const o = option(tab, form.Flag, name, title, help);
			o.default = '1';
			o.load = function() {
				const v = uci.get('p2pwall', this.ucisection, name);
				return (v == null || v === '') ? '1' : [ 'on', 'true', 'yes', 'enabled' ].indexOf(v) != -1 ? '1' :
					[ 'off', 'false', 'no', 'disabled' ].indexOf(v) != -1 ? '0' : v;
			};
		}

		function count(tab, name, preset, low, high, title, help) {
			const o = option(tab, form.Value, name, title, help);
			o.placeholder = String(preset);
			o.validate = function(sid, v) {
				return v === '' || isNumber(v, low, high) || _('Expecting a whole number from %d to %d').format(low, high);
			};
		}

		function choice(tab, name, choices, title, help, words) {
			const o = option(tab, form.ListValue, name, title, help);
			choices.forEach(function(c) { o.value(c[0], c[1]); });
			o.default = choices[0][0];
			o.load = function() {
				const v = uci.get('p2pwall', this.ucisection, name);
				return v == null ? v : (words && words[v.toLowerCase()] || v);
			};
		}

		function names(tab, name, ok, expecting, title, help) {
			const o = option(tab, form.DynamicList, name, title, help);
			o.validate = function(sid, v) {
				return v === '' || ok(v) || expecting;
			};
			lists.push(o);
			return o;
		}

		/* No name at all has to be said: a missing option means the preset. */
		function domains(tab, name, preset) {
			const o = names(tab, name, isDomain, _('Expecting a name such as tracker.example.org, or *.example.org for all below it'), _('Names'),
				_('DNS names that such programs look up. A computer that asks for one is looked at more closely, and nothing of it is blocked for that. *.example.org stands for all names below example.org.'));
			o.most = MAX_DOMAINS;
			o.load = function() {
				const v = uci.get('p2pwall', this.ucisection, name);
				return v == null ? preset : L.toArray(v).filter(function(x) { return x != 'off'; });
			};
			o.remove = function() {
				uci.set('p2pwall', this.ucisection, name, [ 'off' ]);
			};
		}

		let o;
		flag('general', 'enabled', _('Enabled'));
		o = names('general', 'network', function(v) { return /^[A-Za-z0-9_.-]+$/.test(v); },
			_('Expecting the name of a network'), _('Networks'),
			_('The networks to watch, with guest networks and VLANs. Traffic between them is not touched. If neither a network nor a device is named, it is lan.'));
		const devices = {};
		uci.sections('network', 'interface').forEach(function(n) {
			if (n['.name'] == 'loopback')
				return;
			o.value(n['.name']);
			if (typeof(n.device) == 'string')
				devices[n.device] = true;
		});
		uci.sections('network', 'device').forEach(function(d) {
			if (typeof(d.name) == 'string')
				devices[d.name] = true;
		});
		o = names('general', 'device', isDevice, _('Expecting the name of a device'), _('Devices'),
			_('Devices to watch that belong to no network above.'));
		Object.keys(devices).filter(isDevice).sort().forEach(function(d) { o.value(d); });
		count('general', 'timelock', 120, 0, 86400, _('Lock'),
			_('For how many seconds a computer is locked after its program has tried to reach somebody. Each further try begins it anew. What a lock blocks is said for each protocol. 0: never.'));
		count('general', 'look_back', 30, 0, 3600, _('Look back'),
			_('When a program is found, the connections that it opened in the last so many seconds are cut as well.'));
		count('general', 'forget', 3600, 1, 2592000, _('Forget'),
			_('After how many quiet seconds a computer that is not locked any more, and whom it knew, is forgotten.'));
		choice('general', 'action', [
			[ 'drop', _('Drop: in silence') ], [ 'reset', _('Reset: refuse at once') ], [ 'reject', _('Reject: send an error message') ]
		], _('Blocked packets'), _('What happens to a connection that is blocked. Some programs answer a refusal with thousands of new connections.'));

		protocols.names().forEach(function(p) {
			const protocol = protocols.get(p);
			choice(p, 'mode', protocol.modes, _('Mode'), _('For %s. Watch only: find, count and log, but block nothing.').format(protocol.programs));
			protocol.options({
				flag: flag.bind(null, p), choice: choice.bind(null, p), domains: domains.bind(null, p)
			});
		});

		o = names('exempt', 'exempt', isHost,
			_('Expecting an address, a network such as 192.168.1.0/24, or a hardware address such as 02:00:00:12:34:56'), _('Exempt'),
			_('Computers that are left alone: address, network or hardware address (MAC).'));
		Object.keys(hints.hosts).sort().forEach(function(mac) {
			const h = hints.hosts[mac] || {}, address = common.list(h.ipaddrs)[0];
			/* What has neither name nor address is mostly a port of the router. */
			if (isMAC(mac) && (h.name || address))
				o.value(mac.toLowerCase(), [ common.text(h.name), common.text(address), mac.toLowerCase() ]
					.filter(function(x) { return x; }).join(' – '));
		});

		o = option('log', form.MultiValue, 'log', _('System log'), _('What goes to the system log. The page Log has more.'));
		[ _('Hosts: found, locked, gone'), _('Peers'), _('TCP dropped'), _('UDP dropped'), _('TCP accepted'), _('UDP accepted') ]
			.forEach(function(t, i) { o.value(logClasses[i], t); });
		o.load = function() {
			const v = uci.get('p2pwall', 'main', 'log');
			return v == null ? [ 'clients' ] : logNames(L.toArray(v));
		};
		o.write = function(sid, v) {
			uci.set('p2pwall', 'main', 'log', L.toArray(v));
		};
		/* No class at all has to be said: a missing option means the default. */
		o.remove = function() {
			uci.set('p2pwall', 'main', 'log', [ 'none' ]);
		};
		choice('advanced', 'backend', [ [ 'auto', _('automatic') ], [ 'nft', 'nftables' ], [ 'iptables', 'iptables' ] ],
			_('Firewall'), _('What puts the rules in place: nftables (OpenWrt 22.03 and later) or iptables (before).'));
		choice('advanced', 'sets', [ [ 'auto', _('automatic') ], [ 'nft', 'nftables' ], [ 'ipset', 'ipset' ], [ 'off', _('Off') ] ],
			_('Sets'), _('Where the rules look up who is locked. Off: the program is asked about every packet.'));
		choice('advanced', 'offload', [ [ 'hold', _('Hold back') ], [ 'leave', _('Leave alone') ] ],
			_('Flow offloading'), _('Offloading hides most packets from the program. Hold back: a connection is offloaded only when its beginning has been looked at.'));
		const later = ' ' + _('Takes effect with a restart, which the page Status offers.');
		flag('advanced', 'fail_open', _('Let pass'), _('When the program does not keep up or is not there, everything passes. Otherwise nothing passes that would have been looked at.') + later);
		count('advanced', 'max_clients', 64, 1, 1024, _('Computers'), _('How many computers can be followed at once. The memory for all of them is taken at the start.') + later);
		count('advanced', 'queue', 214, 0, 65535, _('Queue number'), _('The number of the kernel queue that brings packets to the program. Change it if another program uses it.') + later);
		count('advanced', 'queues', 1, 1, 16, _('Queues'), _('Take more than one only if the router has processors to spare.') + later);
		count('advanced', 'queue_length', 1024, 1, 65535, _('Queue length'), _('How many packets may wait.') + later);
		count('advanced', 'copy_range', 2048, 128, 65535, _('Bytes of a packet'), _('How many bytes of each packet are looked at.') + later);
		o = option('advanced', form.Value, 'mark', _('Mark'), _('The bits that the program uses of the marks of packets and connections: a mask of three bits. Change it if another program uses one of them; the check says so.') + later);
		o.placeholder = '0x0200c000';
		o.validate = function(sid, v) {
			return v === '' || isMask(v) || _('Expecting a mask of three bits, such as 0x0200c000');
		};

		/* What concerns several options, and what was in a list before. */
		const value = function(name) {
			const found = m.lookupOption(name, 'main');
			return found ? found[0].formvalue('main') : null;
		};
		const wrong = function() {
			if (+(value('queue') || 214) + +(value('queues') || 1) > 65536)
				return _('Queue number and queues together go beyond 65535');
			if (value('backend') == 'nft' && value('sets') == 'ipset')
				return _('The firewall nftables cannot use ipset');
			for (let i = 0; i < lists.length; i++) {
				const all = L.toArray(value(lists[i].option));
				const bad = all.filter(function(v) { return lists[i].validate('main', v) !== true; });
				if (all.length > lists[i].most)
					return _('%s: more than %d').format(lists[i].title, lists[i].most);
				if (bad.length)
					return lists[i].title + ': ' + bad[0] + ': ' + lists[i].validate('main', bad[0]);
			}
			return null;
		};
		const parse = m.parse;
		m.parse = function() {
			const why = wrong();
			return why ? Promise.reject(new TypeError(why)) : parse.apply(this, arguments);
		};

		/* LuCI leaves the widgets that it makes of several elements without a name. */
		const renderContents = m.renderContents;
		m.renderContents = function() {
			return Promise.resolve(renderContents.apply(this, arguments)).then(function(root) {
				root.querySelectorAll('.cbi-value').forEach(function(field) {
					const name = field.querySelector('.cbi-value-title').textContent;
					field.querySelectorAll('input[data-widget-id], .create-item-input').forEach(function(e) {
						e.setAttribute('aria-label', name);
					});
					field.querySelectorAll('.cbi-dropdown, .cbi-dynlist').forEach(function(e) {
						e.setAttribute('role', 'group');
						e.setAttribute('aria-label', name);
					});
				});
				return root;
			});
		};

		return m.render();
	}
});
