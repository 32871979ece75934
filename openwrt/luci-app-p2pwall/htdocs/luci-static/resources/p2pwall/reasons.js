// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require p2pwall.common as common';

/* The daemon's short reasons about a computer, as sentences. */

const text = common.text;

return baseclass.extend({
	/* How the daemon last recognised a computer. x is a client or an event. */
	because: function(x, r) {
		r = text(r || x.reason);
		return {
			ping: _('it looked for peers'),
			pong: _('it answered a peer'),
			peer: _('it went to a known peer'), hello: _('it opened a session'), http: _('it transferred a file'),
			push: _('it transferred a file over a connection from outside'), probe: _('it answered our question'),
			announce: _('it asked a tracker for peers'), local: _('it looked for peers within your network'),
			encrypted: _('it opened encrypted connections as such a program does'),
			name: _('it asked for a name that such programs look up'),
			flow: _('it had a transfer going on'),
			mapping: _('it had the router open a port'), many: _('it spoke to many addresses from one port'),
			handshake: _('it went on with our key in an encrypted connection')
		}[r] || r;
	},

	/* What proved that a computer runs the program; '' if the daemon does not say. */
	proof: function(c) {
		const title = common.protocol(c), reason = text(c.found_reason) || text(c.reason);
		if (!text(c.proof))
			return '';
		if (reason == 'handshake')
			return _('it went on with our key in an encrypted connection, as only %s does').format(title);
		/* The daemon has another proof, but the computer may have answered since. */
		if (c.proof == 'answer' || reason == 'probe')
			return _('it answered our question, as %s does').format(title);
		switch (reason) {
		case 'ping': return _('it looked for peers at several addresses');
		case 'pong': return _('it answered several peers');
		case 'hello': return _('it opened sessions with several peers');
		case 'push': return _('it offered files to several peers');
		case 'encrypted': return _('it opened several encrypted connections as such a program does');
		case 'announce': return _('it asked several trackers for peers');
		case 'http': return _('it asked several addresses for files');
		}
		return _('it did at several addresses what only such a program does');
	},

	/* Why a computer is a suspect although nothing was proved. */
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

	/* The program of a client, as exactly as it is known. */
	program: function(c) {
		return text(c.program) || _('a program for %s').format(common.protocol(c) || '?');
	},

	/* What a lock, or a missing lock, means for the user of the computer. */
	meaning: function(c, mode) {
		if (mode == 'monitor')
			return _('It is only watched: nothing is stopped.');
		if (c.locked !== true)
			return _('Nothing of it is stopped now.');
		if (mode == 'mark')
			return _('It goes on. What it sends and gets is marked, for the router to slow it down or to route it.');
		return c.strict === false ? _('Only this program is stopped: web, calls and games go on.') :
			_('No new connection of this computer gets out until the program is ended: web pages do not open either.');
	}
});
