// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require p2pwall.common as common';
'require p2pwall.reasons as reasons';

/*
 * The card of a computer that runs a P2P program: who it is, what runs, since when and why,
 * what that means, and what the user can do. Technical details are in the fold. The view has
 * title(), maker(), mode(), ago(), peers() and the button.
 */

let serial = 0;

function Card(view, c) {
	const id = 'p2pw-fold-' + (++serial);
	this.view = view;
	this.client = c;
	this.open = false;
	this.peers = {};
	this.name = E('span', { 'class': 'p2pw-name' }, []);
	this.program = E('span', { 'class': 'ifacebadge' }, []);
	this.state = E('span', {}, []);
	this.kept = E('span', { 'class': 'p2pw-wide' }, []);
	this.means = E('p', { 'class': 'p2pw-more' }, []);
	this.why = E('p', { 'class': 'p2pw-more p2pw-small' }, []);
	this.maker = E('p', { 'class': 'p2pw-more' }, []);
	this.toggle = E('button', { 'class': 'p2pw-fold', 'type': 'button', 'aria-expanded': 'false', 'aria-controls': id }, [ _('Details') ]);
	this.act = view.action(this);
	this.facts = E('dl', { 'class': 'p2pw-facts p2pw-small' }, []);
	this.peerCount = E('p', { 'class': 'p2pw-small' }, [ _('Looking …') ]);
	this.peerBody = E('tbody', {}, []);
	this.box = E('div', { 'class': 'p2pw-peers', 'role': 'region', 'tabindex': 0, 'style': 'display:none' }, [
		E('table', { 'class': 'table p2pw-table' }, [ common.head([ _('Peer'), _('Found'), _('Last seen'), _('Packets dropped') ]), this.peerBody ])
	]);
	this.inside = E('div', { 'id': id, 'class': 'p2pw-inside', 'style': 'display:none' }, [ this.facts, this.peerCount, this.box ]);
	this.node = E('li', { 'class': 'p2pw-host' }, [
		E('div', {}, [ this.name, this.program ]), E('p', {}, [ this.state, this.kept ]), this.means, this.why, this.maker,
		E('div', { 'class': 'p2pw-do' }, [ this.toggle ].concat(this.act || [])), this.inside
	]);
	this.toggle.addEventListener('click', function() {
		this.open = !this.open;
		common.attr(this.toggle, 'aria-expanded', this.open);
		this.inside.style.display = this.open ? '' : 'none';
		this.colour();
		if (this.open)
			view.peers(this);
	}.bind(this));
}

Card.prototype.colour = function() {
	common.attr(this.node, 'class', 'p2pw-host' + (this.client.locked === true ? ' p2pw-locked' : '') + (this.open ? ' p2pw-open' : ''));
};

Card.prototype.show = function(c) {
	const view = this.view, title = view.title(c), mode = view.mode(c), left = common.number(c.lock_remaining);
	const kept = view.calendar.today(c, view.now);
	this.client = c;
	this.colour();
	common.say(this.name, title);
	common.say(this.program, common.text(c.program) || common.protocol(c) || '?');
	common.say(this.state, c.locked === true && mode == 'mark' ? _('Marked while it runs, since %s.').format(view.since(c.first_seen)) :
		c.locked === true ? _('Stopped while it runs, since %s.').format(view.since(c.first_seen)) :
		mode == 'monitor' ? _('Runs since %s.').format(view.since(c.first_seen)) :
		_('Not stopped: the program was last heard of %s ago.').format(view.age(c.last_seen)));
	common.say(this.kept, kept ? ' ' + _('Connections kept away today: %d.').format(kept) : '');
	common.say(this.means, reasons.meaning(c, mode) + (c.policy ? ' ' + _('So says the policy %s.').format(common.text(c.policy)) : ''));
	common.say(this.why, common.capital(reasons.proof(c)));
	common.say(this.maker, view.maker(c));
	this.maker.style.display = this.maker.firstChild ? '' : 'none';
	common.attr(this.toggle, 'aria-label', _('Details') + ': ' + title);
	common.attr(this.box, 'aria-label', _('Peers of %s').format(title));
	if (this.act)
		common.attr(this.act, 'aria-label', _('Allow…') + ' ' + title);
	if (!this.open)
		return;
	const addresses = common.addresses(c);
	common.terms(this.facts, [
		[ _('Addresses'), addresses.concat(common.text(c.mac) || []).join(', ') ],
		[ _('Protocol'), common.protocol(c) ],
		[ _('Program'), common.text(c.program) ],
		[ _('Found'), c.found_reason && c.found_reason != c.reason ? common.capital(reasons.because(c, c.found_reason)) : '' ],
		[ c.locked === true ? _('Locked') : _('Noticed'), c.reason ? common.capital(reasons.because(c)) : '' ],
		[ _('Lock'), c.locked !== true ? '' : left ? _('for %d s, unless the program is heard of again').format(Math.round(left)) : _('locked') ],
		[ _('Locks so far'), common.number(c.locks) ],
		[ _('Packets dropped'), _('%d TCP, %d UDP').format(common.number(c.dropped_tcp), common.number(c.dropped_udp)) ],
		[ _('Last question'), view.ago(c.last_probe) ],
		[ _('Last answer'), view.ago(c.last_answer) ]
	]);
};

Card.prototype.showPeers = function(peers) {
	const seen = {}, view = this.view;
	let before = this.peerBody.firstChild;
	peers.forEach(function(p) {
		const port = common.number(p.port), address = common.text(p.address);
		const key = address.indexOf(':') != -1 && port ? '[' + address + ']:' + port : address + (port ? ':' + port : '');
		if (seen[key])
			return;
		seen[key] = true;
		let tr = this.peers[key];
		if (!tr) {
			tr = this.peers[key] = E('tr', { 'class': 'tr' }, [
				common.cell(_('Peer'), [ E('span', { 'class': 'p2pw-mono' }, [ key ]) ]),
				common.cell(_('Found')), common.cell(_('Last seen')), common.cell(_('Packets dropped'))
			]);
			this.peerBody.insertBefore(tr, before);
		}
		before = tr.nextSibling;
		common.say(tr.cells[1], view.ago(p.first_seen));
		common.say(tr.cells[2], view.ago(p.last_seen));
		common.say(tr.cells[3], common.number(p.dropped));
	}, this);
	for (let key in this.peers)
		if (!seen[key]) {
			this.peerBody.removeChild(this.peers[key]);
			delete this.peers[key];
		}
	this.box.style.display = peers.length ? '' : 'none';
	common.say(this.peerCount, peers.length ? _('Peers: %d').format(peers.length) : _('No peers are known.'));
};

return baseclass.extend({ Card: Card });
