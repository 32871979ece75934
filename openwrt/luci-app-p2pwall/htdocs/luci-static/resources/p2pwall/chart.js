// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require p2pwall.common as common';

/* The packets that were dropped, in stacked bars: TCP and UDP. Each was a try to reach
 * somebody, and the users' texts say so. */

const WIDTH = 600, HEIGHT = 100;

function svg(name, attr, children) {
	const e = document.createElementNS('http://www.w3.org/2000/svg', name);
	for (let k in attr)
		e.setAttribute(k, attr[k]);
	(children || []).forEach(function(c) { e.appendChild(c); });
	return e;
}

/* Rounds up to 2, 4, 6, 8 or 10 times a power of ten, so that half of it is a round number
 * too. */
function round(n) {
	for (let ten = 1; ; ten *= 10)
		for (let i = 2; i <= 10; i += 2)
			if (ten * i >= n)
				return ten * i;
}

function sum(values) {
	return values.reduce(function(a, b) { return a + b; }, 0);
}

const ranges = [
	{ name: 'hour', steps: 60, seconds: 60, title: _('1 hour'), unit: _('tries a minute') },
	{ name: 'day', steps: 24, seconds: 3600, title: _('24 hours'), unit: _('tries an hour') },
	{ name: 'week', steps: 168, seconds: 3600, title: _('7 days'), unit: _('tries an hour') }
];

function Chart() {
	this.range = ranges[0];
	this.data = {};
	this.buttons = ranges.map(function(r) {
		const b = E('button', { 'class': 'btn cbi-button', 'type': 'button', 'aria-pressed': 'false' }, [ r.title ]);
		b.addEventListener('click', function() {
			this.range = r;
			this.draw();
		}.bind(this));
		return b;
	}, this);
	this.scale = [ 0, 1, 2 ].map(function() { return E('span', {}, []); });
	this.axis = [ 0, 1, 2, 3, 4 ].map(function() { return E('span', {}, []); });
	this.unit = E('span', {}, []);
	this.bars = [];
	this.svg = svg('svg', { 'viewBox': '0 0 ' + WIDTH + ' ' + HEIGHT, 'preserveAspectRatio': 'none', 'role': 'img' }, [
		svg('path', { 'd': 'M0 50H600', 'stroke': 'currentColor', 'stroke-opacity': '.3', 'vector-effect': 'non-scaling-stroke' })
	]);
	this.words = E('p', { 'class': 'p2pw-small' }, []);
	this.node = E('div', { 'id': 'p2pw-chart' }, [
		E('div', { 'class': 'p2pw-filter' }, [ E('span', { 'role': 'group', 'aria-label': _('Time') }, this.buttons), this.unit,
			E('span', {}, [ E('span', { 'class': 'p2pw-key p2pw-tcp' }, []), 'TCP', E('span', { 'class': 'p2pw-key p2pw-udp' }, []), 'UDP' ]) ]),
		E('div', { 'class': 'p2pw-chart p2pw-small' }, [
			E('div', { 'class': 'p2pw-scale', 'aria-hidden': 'true' }, this.scale), this.svg,
			E('div', { 'class': 'p2pw-axis', 'aria-hidden': 'true' }, this.axis)
		]),
		this.words
	]);
}

/* Takes { hour, day, week }. Each is { tcp, udp } or missing. The chart is hidden if it is
 * empty. */
Chart.prototype.update = function(data, now) {
	this.data = {};
	this.now = now;
	let any = false;
	ranges.forEach(function(r, i) {
		const d = data[r.name];
		this.buttons[i].style.display = d ? '' : 'none';
		if (!d)
			return;
		const fit = function(v) {
			v = common.list(v).map(common.number).slice(-r.steps);
			return Array(r.steps - v.length).fill(0).concat(v);
		};
		this.data[r.name] = { tcp: fit(d.tcp), udp: fit(d.udp) };
		any = any || sum(this.data[r.name].tcp) + sum(this.data[r.name].udp) > 0;
	}, this);
	this.buttons[0].parentNode.style.display = this.data.day ? '' : 'none';
	if (!this.data[this.range.name])
		this.range = ranges[0];
	if (any)
		this.draw();
	return any;
};

Chart.prototype.draw = function() {
	const r = this.range, d = this.data[r.name], total = d.tcp.map(function(v, i) { return v + d.udp[i]; });
	const top = round(Math.max.apply(null, total)), width = WIDTH / r.steps;
	ranges.forEach(function(x, i) { common.attr(this.buttons[i], 'aria-pressed', x == r); }, this);
	while (this.bars.length < r.steps)
		this.bars.push([ 'p2pw-tcp', 'p2pw-udp' ].map(function(cls) {
			return this.svg.appendChild(svg('rect', { 'class': cls }, [ svg('title') ]));
		}, this));
	this.bars.forEach(function(bar, i) {
		let y = HEIGHT;
		const when = i < r.steps ? common.clock(this.now - (r.steps - 1 - i) * r.seconds) + ': ' + _('%d TCP, %d UDP').format(d.tcp[i], d.udp[i]) : '';
		[ d.tcp, d.udp ].forEach(function(values, k) {
			/* Even a small value must be visible. */
			const h = values[i] > 0 ? Math.max(2, values[i] / top * HEIGHT) : 0;
			y -= h;
			common.attr(bar[k], 'x', i * width + width * .1);
			common.attr(bar[k], 'width', width * .8);
			common.attr(bar[k], 'y', y);
			common.attr(bar[k], 'height', h);
			common.say(bar[k].firstChild, when);
		});
	}, this);
	this.scale.forEach(function(e, i) { common.say(e, top * (2 - i) / 2); });
	this.axis.forEach(function(e, i) {
		const t = this.now - r.steps * r.seconds * (4 - i) / 4;
		common.say(e, i == 4 ? _('now') : r.name == 'week' ? common.day(t) : common.clock(t).slice(-5));
	}, this);
	common.say(this.unit, r.unit);
	const words = _('%s: %d tries stopped, at most %d.').format(r.title, sum(total), Math.max.apply(null, total)) + ' ' + r.unit;
	common.attr(this.svg, 'aria-label', words);
	common.say(this.words, _('%d tries to reach somebody were stopped. A stopped program goes on trying.').format(sum(total)));
};

return baseclass.extend({
	Chart: Chart,
	svg: svg
});
