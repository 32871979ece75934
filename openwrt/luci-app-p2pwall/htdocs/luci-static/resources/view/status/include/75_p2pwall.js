// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require uci';
'require p2pwall.common as common';
'require p2pwall.summary as summary';

/* The box on LuCI's overview page. It shows the sentence of the status page. */

const EVERY = 30; // seconds; the overview itself asks every few seconds

return baseclass.extend({
	title: 'P2Pwall',

	load: function() {
		const now = Date.now() / 1000;
		if (this.next > now)
			return this.known;
		this.next = now + EVERY;
		return this.known = Promise.all([
			common.ask('page', '').catch(function(err) { return { err: err }; }), common.loadHints(), L.resolveDefault(uci.load('p2pwall'))
		]);
	},

	/* Without the right to read the status, there is no box: null. */
	render: function(data) {
		const reply = data[0], hints = data[1];
		if (reply.err && !reply.err.daemon)
			return null;
		let words = _('P2Pwall does not run: nothing is stopped.');
		if (!reply.err) {
			const clients = common.objects(reply.clients), trouble = summary.trouble(reply.status || {}, common.list(reply.faults), false);
			words = trouble && (trouble.whole || !clients.length) ? trouble.what : summary.sentence(clients, function(c) {
				return hints.name(c.mac, common.addresses(c)) || common.text(c.address);
			}) + (trouble ? ' ' + trouble.what : '');
		}
		return E('p', {}, [ words, ' ', E('a', { 'href': L.url('admin/services/p2pwall/status') }, [ _('Status') ]) ]);
	}
});
