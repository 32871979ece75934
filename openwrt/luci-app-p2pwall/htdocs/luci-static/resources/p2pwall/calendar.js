// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require p2pwall.common as common';
'require p2pwall.reasons as reasons';
'require p2pwall.chart as chart';

/* Which programs ran on which computers in the last days: a strip of days for each
 * computer. */

const DAYS = 30;
const DAY = 24 * 3600;

function megabytes(n) {
	return (common.number(n) / 1e6).toFixed(1);
}

/* The key of a computer's records on all days. The MAC comes first, because the address
 * may change. */
function key(r) {
	return common.text(r.mac) || common.text(r.address);
}

function Calendar(view) {
	this.view = view;
	this.days = [];
	this.list = E('div', {}, []);
	this.save = E('button', { 'class': 'btn cbi-button', 'type': 'button' }, [ _('Save as CSV') ]);
	this.save.addEventListener('click', this.write.bind(this));
	this.node = E('div', { 'class': 'cbi-section', 'id': 'p2pw-days', 'style': 'display:none' }, [
		E('h3', {}, [ _('Last %d days').format(DAYS) ]), this.list, E('p', {}, [ this.save ])
	]);
}

Calendar.prototype.update = function(records, now) {
	const strips = {}, order = [];
	this.days = records;
	records.forEach(function(r) {
		const k = key(r);
		if (!strips[k]) {
			strips[k] = { last: r, days: {} };
			order.push(k);
		}
		const s = strips[k], d = s.days[r.day] = s.days[r.day] || { locked: 0, connections: 0 };
		d.locked += common.number(r.locked);
		d.connections += common.number(r.connections);
		if (common.number(r.last_seen) >= common.number(s.last.last_seen))
			s.last = r;
	});
	this.node.style.display = order.length ? '' : 'none';
	L.dom.content(this.list, order.map(function(k) {
		const s = strips[k], on = Object.keys(s.days).length;
		const words = (on == 1 ? _('%s: 1 day, last %s, %s').format(this.view.title(s.last), common.text(s.last.day), reasons.program(s.last)) :
			_('%s: %d days, last %s, %s').format(this.view.title(s.last), on, common.text(s.last.day), reasons.program(s.last)));
		const days = [];
		for (let i = 0; i < DAYS; i++) {
			const name = common.day(now - (DAYS - 1 - i) * DAY), d = s.days[name];
			const e = chart.svg('title');
			common.say(e, name + (d ? ': ' + _('locked for %s, %d connections kept away').format(common.duration(d.locked), d.connections) : ''));
			days.push(chart.svg('rect', { 'x': i * 10, 'y': 0, 'width': 9, 'height': 10, 'class': d ? 'p2pw-on' : '' }, [ e ]));
		}
		return E('div', {}, [ E('p', {}, [ words ]), chart.svg('svg', {
			'class': 'p2pw-days', 'viewBox': '0 0 300 10', 'preserveAspectRatio': 'none', 'role': 'img', 'aria-label': words
		}, days) ]);
	}, this));
};

/* The number of a computer's connections that were cut today, or 0 if unknown. */
Calendar.prototype.today = function(c, now) {
	return this.days.reduce(function(n, r) {
		return n + (key(r) == key(c) && r.day == common.day(now) ? common.number(r.connections) : 0);
	}, 0);
};

Calendar.prototype.write = function() {
	common.save('p2pwall.csv', [ [ _('Day'), _('Computer'), _('Address'), _('Hardware address'), _('Protocol'), _('Program'), _('Why'),
		_('First seen'), _('Last seen'), _('Locked (s)'), _('Connections kept away'), _('MB kept away') ] ].concat(this.days.map(function(r) {
		return [ r.day, this.view.title(r), r.address, r.mac, common.protocol(r), r.program, reasons.proof(r),
			common.clock(r.first_seen, true), common.clock(r.last_seen, true), r.locked, r.connections, megabytes(r.bytes) ];
	}, this)));
};

return baseclass.extend({ Calendar: Calendar });
