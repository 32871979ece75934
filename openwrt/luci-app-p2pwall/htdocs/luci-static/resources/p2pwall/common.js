// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require rpc';
'require p2pwall.protocols as protocols';

/*
 * What the views share. Everything that comes from the daemon, the network or
 * the configuration reaches the page as text nodes only: LuCI's E() and
 * dom.content() take a plain string for HTML, so children are always arrays.
 */

const css = '\
.p2pw-sr{position:absolute;width:1px;height:1px;margin:-1px;overflow:hidden;clip:rect(0 0 0 0);white-space:nowrap}\
.p2pw-state{display:flex;flex-wrap:wrap;align-items:center;gap:.3em 1em}\
.p2pw-state>div{flex:1 1 16em}\
.p2pw-state p{margin:0}\
.p2pw-small{font-size:90%}\
.p2pw-mono{font-family:monospace;overflow-wrap:anywhere}\
.p2pw-hosts td{overflow-wrap:anywhere;vertical-align:top}\
.p2pw-hosts .ifacebadge{overflow-wrap:normal}\
.p2pw-fold{font:inherit;font-weight:bold;background:none;border:0;padding:.2em 0;color:inherit;cursor:pointer;text-align:start;box-shadow:none;height:auto;line-height:inherit;white-space:normal}\
.p2pw-fold::before{content:"\\25b8";display:inline-block;width:1.2em}\
.p2pw-fold[aria-expanded=true]::before{content:"\\25be"}\
.p2pw-bar{height:.6em;min-width:5em;border:1px solid currentColor;border-radius:.3em;overflow:hidden}\
.p2pw-bar>div{height:100%;background:#d9480f;transition:width 1s linear}\
.p2pw-peers{max-height:20em;overflow:auto}\
.p2pw-chart{margin:.8em 0}\
.p2pw-chart svg{display:block;width:100%;height:3.2em;border-bottom:1px solid currentColor}\
.p2pw-axis{display:flex;justify-content:space-between}\
.p2pw-tcp{fill:#d9480f}.p2pw-udp{fill:#1c7ed6}.p2pw-probes{fill:#2f9e44}\
.p2pw-old{opacity:.6}\
.p2pw-findings{list-style:none;margin:0;padding:0}\
.p2pw-findings p{margin:0}\
#p2pw-findings li:not(.alert-message),#p2pw-exempt li{color:inherit}\
.p2pw-filter{display:flex;flex-wrap:wrap;gap:.5em 1.5em;align-items:center;margin:.5em 0}\
@media (prefers-reduced-motion:reduce){.p2pw-bar>div{transition:none}}\
';

function declare(method, params) {
	/* With errors: true a refusal comes in words, not as a status of ubus. */
	return rpc.declare({ object: 'p2pwall', method: method, params: (params || []).concat('errors'), reject: true });
}

const calls = {
	page: declare('page', [ 'host' ]),
	peers: declare('peers', [ 'host' ]),
	check: declare('check'),
	events: declare('events', [ 'since' ]),
	exempt: declare('exempt', [ 'host', 'seconds' ])
};

/* The same reply without the start of a program, on routers whose rpcd can. */
const callDirect = rpc.declare({ object: 'luci.p2pwall', method: 'page', params: [ 'host' ], reject: true });
let direct = true;

function page(host, errors) {
	if (!direct)
		return calls.page(host, errors);
	return callDirect(host).catch(function(err) {
		/* Where there is no such object there will be none; any other failure is of
		 * the moment, and the program can say more. */
		direct = !/Object not found|Access denied/.test(err && err.message || err);
		return calls.page(host, errors);
	});
}

const callHints = rpc.declare({ object: 'luci-rpc', method: 'getHostHints', expect: { '': {} } });

/* Counts of what the daemon names; a missing or odd one is no reason to fail. */
function number(v) {
	return (typeof(v) == 'number' && isFinite(v)) ? v : 0;
}

function text(v) {
	return (v == null || typeof(v) == 'object') ? '' : String(v);
}

function list(v) {
	return Array.isArray(v) ? v.filter(function(x) { return x != null; }) : [];
}

function objects(v) {
	return list(v).filter(function(x) { return typeof(x) == 'object'; });
}

function pad(n) {
	return (n < 10 ? '0' : '') + n;
}

return baseclass.extend({
	number: number,
	text: text,
	list: list,
	objects: objects,

	style: function() {
		return E('style', {}, [ css ]);
	},

	/* Asks the daemon; what it answers with an error rejects, and is told from
	 * errors on the way to it. */
	ask: function(method /*, ... */) {
		return (method == 'page' ? page : calls[method]).apply(null, Array.prototype.slice.call(arguments, 1).concat(true)).then(function(reply) {
			if (reply == null || typeof(reply) != 'object')
				throw new Error(_('No answer from the daemon'));
			if (reply.error) {
				const err = new Error(text(reply.error));
				err.daemon = true;
				throw err;
			}
			return reply;
		});
	},

	/* LuCI appends a stack to the message of its errors. */
	reason: function(err) {
		return text(err && err.message || err).split('\n')[0];
	},

	/* A text of the daemon as a sentence begins; the name of a program or a file
	 * stays as it is. */
	capital: function(s) {
		const word = (/^([a-z]+)[\s,:]/.exec(s + ' ') || [])[1];
		return word && [ 'uci', 'sysctl', 'modprobe', 'nft', 'ipset', 'iptables', 'service' ].indexOf(word) == -1 ?
			s.charAt(0).toUpperCase() + s.substr(1) : s;
	},

	/* Changes the text of a node only if it differs, so that a selection, or
	 * what a screen reader is about to say, is not disturbed. */
	say: function(node, s) {
		s = text(s);
		if (node.textContent !== s)
			node.textContent = s;
		return node;
	},

	attr: function(node, name, value) {
		if (value == null)
			node.removeAttribute(name);
		else if (node.getAttribute(name) !== String(value))
			node.setAttribute(name, value);
	},

	loadHints: function() {
		return L.resolveDefault(callHints(), {}).then(function(hints) {
			const byMAC = {}, byAddress = {};
			for (let mac in hints) {
				const h = hints[mac];
				if (h == null || typeof(h) != 'object' || !text(h.name))
					continue;
				byMAC[mac.toLowerCase()] = text(h.name);
				/* ipv4 and ipv6 are what older releases have. */
				list(h.ipaddrs).concat(list(h.ip6addrs), list([ h.ipv4, h.ipv6 ])).forEach(function(a) {
					byAddress[text(a)] = text(h.name);
				});
			}
			return {
				hosts: hints,
				name: function(mac, addresses) {
					let name = byMAC[text(mac).toLowerCase()];
					for (let i = 0; !name && i < addresses.length; i++)
						name = byAddress[addresses[i]];
					return name || '';
				}
			};
		});
	},

	protocol: function(name) {
		return protocols.title(text(name));
	},

	/* How a host gave itself away. */
	because: function(r) {
		r = text(r);
		return {
			ping: _('it pinged a peer'), pong: _('it answered a ping'), peer: _('it went to a known peer'),
			hello: _('it opened a session'), http: _('it transferred a file'),
			push: _('it transferred a file over a connection from outside'), probe: _('it answered a probe'),
			announce: _('it asked a tracker for peers'), local: _('it looked for peers within your network'),
			encrypted: _('it opened encrypted connections as such a program does'),
			name: _('it asked for a name that such programs look up'),
			flow: _('it had a transfer going on'),
			mapping: _('it had the router open a port'), many: _('it spoke to many addresses from one port'),
			handshake: _('it went on with our key in an encrypted connection')
		}[r] || r;
	},

	/* What proved that a host runs such a program; '' where nothing is said. */
	proof: function(c) {
		const protocol = text(c.protocol), title = text(c.title) || protocols.title(protocol);
		const reason = text(c.found_reason) || text(c.reason);
		if (!text(c.proof))
			return '';
		if (reason == 'handshake')
			return _('it went on with our key in an encrypted connection, as only %s does').format(title);
		/* One that was proved otherwise may have answered since. */
		if (c.proof == 'answer' || reason == 'probe')
			return _('it answered our question, as %s does').format(title);
		switch (reason) {
		case 'ping': return protocol == 'bittorrent' ? _('it looked for peers at several addresses') : _('it pinged several peers');
		case 'pong': return _('it answered several peers');
		case 'hello': return _('it opened sessions with several peers');
		case 'push': return _('it offered files to several peers');
		case 'encrypted': return _('it opened several encrypted connections as such a program does');
		case 'announce': return _('it asked several trackers for peers');
		case 'http': return protocol == 'fasttrack' ? _('it asked for a file by its hash') : _('it asked several addresses for files');
		}
		return _('it did at several addresses what only such a program does');
	},

	/* Why a host was looked at of which nothing was proved. */
	why: function(r) {
		return {
			ping: _('it sent what looks like a question to a peer'), pong: _('it sent what looks like an answer to a peer'),
			peer: _('it went to an address where a peer was known'), hello: _('it opened what looks like a session with a peer'),
			http: _('it asked for a file as such a program does'), push: _('it used a connection from outside as for a transfer'),
			announce: _('it sent what looks like a question to a tracker'),
			local: _('it looked for others in the network'), mapping: _('it had the router open a port'),
			many: _('it spoke to many addresses from one port, and nothing is known of what it said'),
			encrypted: _('it opened connections that look like nothing known'),
			name: _('it asked for a name that such programs look up'),
			flow: _('it had what looks like a transfer going on')
		}[text(r)] || _('it did something that such programs do as well');
	},

	duration: function(s) {
		s = Math.max(0, Math.round(number(s)));
		if (s < 60)
			return _('%d s').format(s);
		if (s < 3600)
			return _('%d min').format(Math.floor(s / 60));
		if (s < 86400)
			return _('%d h %d min').format(Math.floor(s / 3600), Math.floor(s % 3600 / 60));
		return _('%d d %d h').format(Math.floor(s / 86400), Math.floor(s % 86400 / 3600));
	},

	clock: function(t, seconds) {
		const d = new Date(number(t) * 1000), now = new Date();
		const hm = pad(d.getHours()) + ':' + pad(d.getMinutes()) + (seconds ? ':' + pad(d.getSeconds()) : '');
		const day = d.getFullYear() + '-' + pad(d.getMonth() + 1) + '-' + pad(d.getDate());
		return (d.toDateString() == now.toDateString()) ? hm : day + ' ' + hm;
	},

	/* A time as an element; beyond what a Date can hold it is only text. */
	time: function(t, label) {
		const d = new Date(number(t) * 1000);
		return E('time', isNaN(d) ? {} : { 'datetime': d.toISOString(), 'title': d.toLocaleString() }, [ label ]);
	},

	/* A table cell; LuCI's themes show data-title as a label on small screens. */
	cell: function(title, children) {
		return E('td', { 'class': 'td', 'data-title': title || null }, children || []);
	},

	head: function(titles) {
		return E('thead', {}, [ E('tr', { 'class': 'tr table-titles' }, titles.map(function(t) {
			return E('th', { 'class': 'th', 'scope': 'col' }, t ? [ t ] : [ E('span', { 'class': 'p2pw-sr' }, [ _('Actions') ]) ]);
		})) ]);
	},

	/* Speaks to users of a screen reader. */
	live: function() {
		return E('div', { 'class': 'p2pw-sr', 'role': 'status', 'aria-live': 'polite' }, []);
	}
});
