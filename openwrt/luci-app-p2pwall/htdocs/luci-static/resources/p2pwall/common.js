// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require rpc';
'require fs';
'require p2pwall.protocols as protocols';

/*
 * Functions that the views share. Everything from the daemon, the network or the
 * configuration becomes a text node, never HTML. LuCI's E() and dom.content() treat a plain
 * string as HTML, so children are always arrays. LuCI shows a null in such an array as "null".
 */

const css = '\
.p2pw-sr{position:absolute;width:1px;height:1px;margin:-1px;overflow:hidden;clip:rect(0 0 0 0);white-space:nowrap}\
.p2pw-state{display:flex;flex-wrap:wrap;align-items:center;gap:.3em 1em}\
.p2pw-state>div{flex:1 1 16em}\
.p2pw-state p{margin:0}\
.p2pw-say{font-size:115%;font-weight:bold}\
.p2pw-small{font-size:90%}\
.p2pw-mono{font-family:monospace;overflow-wrap:anywhere}\
.p2pw-list{list-style:none;margin:0;padding:0}\
.p2pw-list p{margin:0}\
.p2pw-list li:not(.alert-message),#p2pw-passed li{color:inherit}\
#p2pw-findings a{color:inherit;text-decoration:underline}\
.p2pw-host{display:grid;grid-template-columns:1fr auto;gap:.1em 1em;padding:.6em .8em;margin:.5em 0;border:1px solid;border-radius:.4em;overflow-wrap:anywhere}\
.p2pw-host>p,.p2pw-host>div{grid-column:1}\
.p2pw-host>.p2pw-do{grid-column:2;grid-row:1/4;align-self:start}\
.p2pw-host>.p2pw-inside{grid-column:1/3}\
.p2pw-name{font-weight:bold}\
.p2pw-host .ifacebadge{margin-inline-start:.6em}\
.p2pw-locked{border-inline-start:.4em solid #d9480f}\
.p2pw-fold{font:inherit;background:none;border:0;padding:.2em 0;margin-inline-end:1em;color:inherit;cursor:pointer;text-align:start;box-shadow:none;height:auto;line-height:inherit;white-space:normal}\
.p2pw-fold::before{content:"\\25b8";display:inline-block;width:1.2em}\
.p2pw-fold[aria-expanded=true]::before{content:"\\25be"}\
.p2pw-facts{display:grid;grid-template-columns:auto 1fr;gap:.1em 1em;margin:.5em 0}\
.p2pw-facts dd{margin:0}\
.p2pw-peers{max-height:20em;overflow:auto}\
.p2pw-table td{overflow-wrap:anywhere;vertical-align:top}\
.p2pw-chart{display:grid;grid-template-columns:auto 1fr;gap:.2em .5em;margin:.5em 0}\
.p2pw-chart svg{display:block;width:100%;height:8em;border-bottom:1px solid;border-inline-start:1px solid}\
[aria-pressed=true]{font-weight:bold;text-decoration:underline}\
.p2pw-scale,.p2pw-axis{display:flex;justify-content:space-between}\
.p2pw-scale{flex-direction:column;text-align:end}\
.p2pw-axis{grid-column:2}\
.p2pw-tcp{fill:#d9480f;background:#d9480f}.p2pw-udp{fill:#1c7ed6;background:#1c7ed6}\
.p2pw-key{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}\
.p2pw-days{display:block;width:100%;max-width:30em;height:1.4em;margin:.2em 0 1em}\
#p2pw-days div p{margin:0}\
.p2pw-choose{display:flex;flex-wrap:wrap;justify-content:flex-end;gap:.5em}\
.p2pw-days rect{fill:currentColor;fill-opacity:.12}\
.p2pw-days .p2pw-on{fill:#d9480f;fill-opacity:1}\
.p2pw-fields{margin:.5em 0}.p2pw-fields>summary{cursor:pointer;font-weight:bold;padding:.3em 0}\
.p2pw-old{opacity:.6}\
.p2pw-filter{display:flex;flex-wrap:wrap;gap:.5em 1.5em;align-items:center;margin:.5em 0}\
@media (max-width:700px){.p2pw-host:not(.p2pw-open)>.p2pw-more{display:none}.p2pw-host{padding:.4em .6em;grid-template-columns:1fr}.p2pw-host>p{font-size:90%}.p2pw-host>.p2pw-do,.p2pw-host>.p2pw-inside{grid-column:1;grid-row:auto}.p2pw-host:not(.p2pw-open) .p2pw-wide{display:none}}\
';

function declare(method, params) {
	/* With errors: true, an error comes as text, not as a ubus status. */
	return rpc.declare({ object: 'p2pwall', method: method, params: (params || []).concat('errors'), reject: true });
}

const calls = {
	page: declare('page', [ 'host' ]),
	peers: declare('peers', [ 'host' ]),
	check: declare('check'),
	history: declare('history', [ 'host' ]),
	events: declare('events', [ 'since' ]),
	exempt: declare('exempt', [ 'host', 'seconds' ]),
	pause: declare('pause', [ 'seconds' ]),
	notify: declare('notify')
};

/* The same replies directly from rpcd, without starting a program. Not every router's rpcd
 * has this object. */
const straight = {};
[ [ 'page', 'host' ], [ 'peers', 'host' ], [ 'history', 'host' ], [ 'events', 'since' ] ].forEach(function(m) {
	straight[m[0]] = rpc.declare({ object: 'luci.p2pwall', method: m[0], params: m.slice(1), reject: true });
});
let direct = true;

function call(method, args) {
	const program = function() { return calls[method].apply(null, args.concat(true)); };
	if (!direct || !straight[method])
		return program();
	return straight[method].apply(null, args).catch(function(err) {
		/* If the object does not exist, do not try it again. Any other failure may be
		 * temporary, and the program can give a better reason. */
		direct = !/Object not found|ubus code 3|Access denied/.test(err && err.message || err);
		return program();
	});
}

const callHints = rpc.declare({ object: 'luci-rpc', method: 'getHostHints', expect: { '': {} } });

const makers = {}; // the first half of a hardware address -> name of the maker, '' for unknown

/* The daemon's number. A missing or bad one becomes 0 and is no error. */
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

	/* Asks the daemon. An error in its answer rejects the promise. It can be told apart
	 * from errors on the way to the daemon. */
	ask: function(method /*, ... */) {
		return call(method, Array.prototype.slice.call(arguments, 1)).then(function(reply) {
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

	/* The first line of an error: LuCI appends a stack to the message. */
	reason: function(err) {
		return text(err && err.message || err).split('\n')[0];
	},

	/* Starts a text of the daemon with a capital letter. The names of programs and files
	 * stay unchanged. */
	capital: function(s) {
		const word = (/^([a-z]+)[\s,:]/.exec(s + ' ') || [])[1];
		return word && [ 'uci', 'sysctl', 'modprobe', 'nft', 'ipset', 'iptables', 'service' ].indexOf(word) == -1 ?
			s.charAt(0).toUpperCase() + s.substr(1) : s;
	},

	/* Changes the text of a node only if it differs. So it does not disturb a selection or
	 * a screen reader. */
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

	/* Fills a list of terms, [ [ term, description ] ]. Terms with an empty description are
	 * left out. */
	terms: function(dl, pairs) {
		let at = dl.firstChild;
		pairs.forEach(function(p) {
			if (p[1] === '')
				return;
			if (!at)
				at = dl.appendChild(E('dt', {}, [])), dl.appendChild(E('dd', {}, []));
			this.say(at, p[0]);
			this.say(at.nextSibling, p[1]);
			at = at.nextSibling.nextSibling;
		}, this);
		while (at) {
			const next = at.nextSibling;
			dl.removeChild(at);
			at = next;
		}
	},

	addresses: function(c) {
		const all = list(c.addresses).map(text);
		return all.length ? all : [ text(c.address) ];
	},

	loadHints: function() {
		return L.resolveDefault(callHints(), {}).then(function(hints) {
			const byMAC = {}, byAddress = {};
			for (let mac in hints) {
				const h = hints[mac];
				if (h == null || typeof(h) != 'object' || !text(h.name))
					continue;
				byMAC[mac.toLowerCase()] = text(h.name);
				/* Older releases have ipv4 and ipv6. */
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

	/* Who made a computer, for one that has no name: a sentence, or ''. The names are in lists
	 * of other packages, if such a package is installed. The answer comes later. */
	maker: function(mac) {
		if (/^.[26ae]:/i.test(mac))
			return _('It has no name, and a private (random) hardware address, as telephones have.');
		const prefix = mac.replace(/:/g, '').slice(0, 6).toUpperCase();
		if (makers[prefix] == null && /^[0-9A-F]{6}$/.test(prefix)) {
			makers[prefix] = '';
			[ '/usr/share/arp-scan/ieee-oui.txt', '/usr/share/nmap/nmap-mac-prefixes' ].forEach(function(file) {
				L.resolveDefault(fs.exec('/bin/grep', [ '-m1', '^' + prefix, file ]), {}).then(function(r) {
					makers[prefix] = text(r && r.stdout).slice(6).trim() || makers[prefix];
				});
			});
		}
		return makers[prefix] ? _('It has no name. Maker of its network card: %s').format(makers[prefix]) : '';
	},

	/* The users' name for the protocol of a client, a suspect or an event. */
	protocol: function(x) {
		return text(x.title) || protocols.title(text(x.protocol));
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
		const hour = this.hour(t, seconds), d = new Date(number(t) * 1000);
		return (d.toDateString() == new Date().toDateString()) ? hour : this.day(t) + ' ' + hour;
	},

	hour: function(t, seconds) {
		const d = new Date(number(t) * 1000);
		return pad(d.getHours()) + ':' + pad(d.getMinutes()) + (seconds ? ':' + pad(d.getSeconds()) : '');
	},

	day: function(t) {
		const d = new Date(number(t) * 1000);
		return d.getFullYear() + '-' + pad(d.getMonth() + 1) + '-' + pad(d.getDate());
	},

	/* Makes the browser save a table. A cell that a spreadsheet would read as a formula
	 * gets an apostrophe. */
	save: function(name, rows) {
		const cell = function(v) {
			v = text(v);
			return '"' + (/^[=+@\t\r-]/.test(v) ? "'" : '') + v.replace(/"/g, '""') + '"';
		};
		const csv = rows.map(function(r) { return r.map(cell).join(','); }).join('\r\n') + '\r\n';
		const url = URL.createObjectURL(new Blob([ csv ], { type: 'text/csv' }));
		const a = document.body.appendChild(E('a', { 'href': url, 'download': name, 'style': 'display:none' }, []));
		a.click();
		document.body.removeChild(a);
		window.setTimeout(function() { URL.revokeObjectURL(url); }, 1000);
	},

	/* A time as an element. If a Date cannot hold the time, the element has only the text. */
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

	/* Texts in this element are read aloud by a screen reader. */
	live: function() {
		return E('div', { 'class': 'p2pw-sr', 'role': 'status', 'aria-live': 'polite' }, []);
	}
});
