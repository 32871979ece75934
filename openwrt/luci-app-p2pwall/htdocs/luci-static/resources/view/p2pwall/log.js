// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require view';
'require poll';
'require p2pwall.common as common';
'require p2pwall.reasons as reasons';

const KEPT = 512;   // the daemon keeps the same number
const INTERVAL = 3; // seconds
const NO_PEERS = '-peer'; // no class has this name

function className(c) {
	return {
		client: _('Host'), peer: _('Peer'), lock: _('Lock'), probe: _('Probe'), table: _('Table'),
		packet: _('Packet'), rules: _('Firewall rules'), system: _('System')
	}[c] || c;
}

/* The event in the user's language, or the daemon's own text. */
function sentence(ev) {
	const peer = common.text(ev.peer), protocol = common.protocol(ev);
	switch (ev['class'] + ' ' + ev.event) {
	case 'client found': return ev.reason == 'probe' ? _('%s found, it answered our question').format(protocol) :
		ev.reason == 'handshake' ? _('%s found, it went on with our key').format(protocol) : peer ? _('%s found, it went to %s').format(protocol, peer) : _('%s found').format(protocol);
	case 'client locked': return ev.reason ? _('locked because %s').format(reasons.because(ev)) : _('locked');
	case 'client released': return _('the program is gone, released');
	case 'client forgotten': return _('forgotten');
	case 'client unlocked': return _('unlocked by hand');
	case 'client exempted': return _('exempted by hand');
	case 'client watched': return _('watched again by hand');
	case 'peer found': return _('knows the peer %s').format(peer);
	case 'peer cut': return _('connection with %s cut').format(peer);
	case 'probe sent': return _('asked whether the program is still there');
	case 'probe answered': return _('the program is still there, lock held');
	case 'system rules': return _('the firewall rules were gone or changed: put back');
	}
	return common.text(ev.text) || common.text(ev.event);
}

return view.extend({
	handleSave: null,
	handleSaveApply: null,
	handleReset: null,

	load: function() {
		return common.loadHints();
	},

	render: function(hints) {
		this.hints = hints;
		this.events = []; // newest first: { ev, row, host, words }
		this.last = 0;

		this.host = E('input', { 'type': 'text', 'class': 'cbi-input-text', 'id': 'p2pw-host', 'autocomplete': 'off' });
		this.kind = E('select', { 'class': 'cbi-input-select', 'id': 'p2pw-class' }, [
			/* A program knows hundreds of peers. Their lines would hide all others. */
			E('option', { 'value': NO_PEERS }, [ _('All but peers') ]), E('option', { 'value': '' }, [ _('All') ])
		]);
		[ 'client', 'peer', 'probe', 'table', 'packet', 'system' ].forEach(this.offer, this);
		this.host.addEventListener('input', this.filter.bind(this));
		this.kind.addEventListener('change', this.filter.bind(this));

		const ask = E('button', { 'class': 'btn cbi-button', 'type': 'button' }, [ _('Why was this cut?') ]);
		ask.addEventListener('click', this.explain.bind(this));
		const save = E('button', { 'class': 'btn cbi-button', 'type': 'button' }, [ _('Save as CSV') ]);
		save.addEventListener('click', this.write.bind(this));
		this.answer = E('p', { 'id': 'p2pw-answer', 'role': 'status', 'aria-live': 'polite' }, []);
		this.count = E('span', { 'role': 'status', 'aria-live': 'polite' }, []);
		this.trouble = E('div', { 'class': 'alert-message warning', 'role': 'alert', 'style': 'display:none' }, []);
		this.since = E('p', { 'class': 'p2pw-small' }, []);
		this.body = E('tbody', {}, []);

		document.addEventListener('visibilitychange', this.update.bind(this));
		this.update();
		poll.add(this.update.bind(this), INTERVAL);

		return E('div', { 'class': 'cbi-map' }, [
			common.style(),
			E('h2', { 'name': 'content' }, [ _('Log') ]),
			this.trouble,
			E('div', { 'class': 'p2pw-filter' }, [
				E('span', {}, [ E('label', { 'for': 'p2pw-host' }, [ _('Computer or address') ]), ' ', this.host, ' ', ask ]),
				E('span', {}, [ E('label', { 'for': 'p2pw-class' }, [ _('Class') ]), ' ', this.kind ]),
				this.count, save
			]),
			this.answer,
			E('table', { 'class': 'table p2pw-table', 'aria-label': _('Events, newest first') }, [
				common.head([ _('Time'), _('Host'), _('Class'), _('Event') ]),
				this.body
			]),
			this.since
		]);
	},

	offer: function(c) {
		for (let i = 0; i < this.kind.options.length; i++)
			if (this.kind.options[i].value == c)
				return;
		this.kind.appendChild(E('option', { 'value': c }, [ className(c) ]));
	},

	update: function() {
		if (document.hidden || this.busy)
			return Promise.resolve();
		this.busy = true;
		return common.ask('events', this.last).then(function(reply) {
			this.trouble.style.display = 'none';
			this.add(common.objects(reply.events));
			common.say(this.since, common.number(reply.since) ? _('The log begins %s.').format(common.clock(reply.since)) : '');
		}.bind(this)).catch(function(err) {
			common.say(this.trouble, common.reason(err));
			this.trouble.style.display = '';
		}.bind(this)).then(function() {
			this.busy = false;
		}.bind(this));
	},

	/* Events come oldest first. If the number goes back, the daemon was restarted and
	 * counts anew. */
	add: function(events) {
		events.forEach(function(ev) {
			const seq = common.number(ev.seq);
			this.last = seq;
			const address = common.text(ev.client), mac = common.text(ev.mac);
			const name = this.hints.name(mac, [ address ]);
			const kind = common.text(ev['class']);
			this.offer(kind);
			const row = E('tr', { 'class': 'tr' }, [
				common.cell(_('Time'), [ common.time(ev.time, common.clock(ev.time, true)) ]),
				common.cell(_('Host'), [ name ? name + ' (' + address + ')' : address || '-' ]),
				common.cell(_('Class'), [ className(kind) ]),
				common.cell(_('Event'), [ common.capital(sentence(ev)) ])
			]);
			const entry = { row: row, kind: kind, ev: ev, name: name, words: [ name, address, mac, common.text(ev.peer) ].join(' ').toLowerCase() };
			this.show(entry);
			this.events.unshift(entry);
			this.body.insertBefore(row, this.body.firstChild);
		}, this);
		while (this.events.length > KEPT)
			this.body.removeChild(this.events.pop().row);
		this.tell();
	},

	show: function(entry) {
		const words = this.host.value.trim().toLowerCase();
		const kind = this.kind.value, fits = kind == NO_PEERS ? entry.kind != 'peer' : !kind || entry.kind == kind;
		entry.shown = fits && entry.words.indexOf(words) != -1;
		entry.row.style.display = entry.shown ? '' : 'none';
	},

	filter: function() {
		this.events.forEach(this.show, this);
		this.tell();
	},

	/* Shows what is known about the computer or address that was typed. */
	explain: function() {
		const q = this.host.value.trim().toLowerCase(), title = function(c) {
			const address = common.text(c.address), name = this.hints.name(c.mac, [ address ]);
			return name ? name + ' (' + address + ')' : address;
		}.bind(this);
		const is = function(c) {
			return [ this.hints.name(c.mac, [ c.address ]), c.mac ].concat(common.addresses(c)).some(function(x) { return common.text(x).toLowerCase() == q; });
		}.bind(this);
		if (!q)
			return common.say(this.answer, _('Type the name or the address of a computer, or the address to which it went.'));
		return Promise.all([ common.ask('page', ''), common.ask('peers', '') ]).then(function(r) {
			const clients = common.objects(r[0].clients), out = [];
			clients.filter(is).forEach(function(c) {
				out.push((c.locked === true ? _('%s is locked, for it runs %s: %s. Packets dropped so far: %d.') :
					_('%s runs %s: %s. It is not locked now. Packets dropped so far: %d.'))
					.format(title(c), reasons.program(c), reasons.proof(c) || reasons.because(c), common.number(c.dropped)));
			});
			common.objects(r[0].suspects).filter(is).forEach(function(s) {
				out.push(_('%s was looked at: %s. Nothing is proved, so only what was recognised was dropped: %d packets.')
					.format(title(s), reasons.why(s.reason), common.number(s.dropped)));
			});
			common.objects(r[1].peers).filter(function(p) { return common.text(p.address).toLowerCase() == q; }).forEach(function(p) {
				const c = clients.filter(function(c) { return common.addresses(c).indexOf(p.client) != -1; })[0] || { address: p.client };
				out.push(_('At %s there is a peer of the program on %s. Packets to it that were dropped: %d.')
					.format(common.text(p.address), title(c), common.number(p.dropped)));
			});
			common.say(this.answer, out.join(' ') || _('As far as is known, nothing of %s was cut. What is not heard of for an hour is forgotten; older events are below.').format(this.host.value.trim()));
		}.bind(this)).catch(function(err) { common.say(this.answer, common.reason(err)); }.bind(this));
	},

	write: function() {
		common.save('p2pwall-log.csv', [ [ _('Time'), _('Computer'), _('Address'), _('Class'), _('Event'), _('Peer') ] ].concat(
			this.events.filter(function(e) { return e.shown; }).map(function(e) {
				return [ new Date(common.number(e.ev.time) * 1000).toLocaleString(), e.name, e.ev.client, className(e.kind), sentence(e.ev), e.ev.peer ];
			})));
	},

	tell: function() {
		const shown = this.events.filter(function(e) { return e.shown; }).length;
		common.say(this.count, _('%d of %d events').format(shown, this.events.length));
	}
});
