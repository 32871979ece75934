// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require uci';
'require p2pwall.common as common';
'require p2pwall.protocols as protocols';
'require p2pwall.reasons as reasons';

/* The state of the wall in one sentence, and its problems. */

const NAMES = 3; // number of computers named in the sentence

/* The mode for a client's protocol: from a policy, the settings, or the preset. */
function mode(c) {
	const name = common.text(c.protocol);
	return common.text(c.mode) || uci.get('p2pwall', name, 'mode') || protocols.preset(name);
}

/* The protocols in a mode. */
function inMode(wanted) {
	return protocols.names().filter(function(p) { return mode({ protocol: p }) == wanted; });
}

return baseclass.extend({
	mode: mode,
	inMode: inMode,

	/* The sentence about the clients. title returns the name of one. A computer with two
	 * programs is named once. */
	sentence: function(clients, title) {
		const of = function(wanted) {
			const seen = {};
			return clients.filter(function(c) {
				const key = common.text(c.mac) + ' ' + common.text(c.address);
				return wanted(c) && !seen[key] && (seen[key] = true);
			});
		};
		const names = function(list) {
			const some = list.slice(0, NAMES).map(function(c) { return title(c) + ' (' + reasons.program(c) + ')'; }).join(', ');
			return list.length > NAMES ? _('%s and %d more').format(some, list.length - NAMES) : some;
		};
		const say = function(list, one, many) {
			return list.length == 1 ? one.format(title(list[0]), reasons.program(list[0])) : many.format(list.length, names(list));
		};
		const locked = of(function(c) { return c.locked === true && mode(c) != 'mark'; });
		if (locked.length)
			return say(locked, _('1 computer is kept from file sharing: %s runs %s.'), _('%d computers are kept from file sharing: %s.'));
		const marked = of(function(c) { return c.locked === true; });
		if (marked.length)
			return _('What these programs send is marked, and nothing is stopped: %s.').format(names(marked));
		const watched = of(function(c) { return mode(c) == 'monitor'; });
		if (watched.length)
			return say(watched, _('1 computer shares files and is only watched: %s runs %s.'), _('%d computers share files and are only watched: %s.'));
		return clients.length ? _('Nothing has to be stopped now: the programs that were found are not heard of any more.') :
			_('No file-sharing program has been found.');
	},

	/* The problem of a running daemon. whole: as long as the problem lasts, no other
	 * sentence is true. */
	trouble: function(s, faults, losing) {
		const say = function(level, whole, what, more, action) {
			return { level: level, whole: whole, what: what, more: more, action: action };
		};
		if (s.backend == 'starting')
			return say('warning', true, _('P2Pwall is starting.'), '');
		if (s.enabled === false)
			return say('warning', true, _('P2Pwall runs, but is switched off.'), _('Switch it on in the settings.'));
		if (common.number(s.paused))
			return say('warning', true, _('Paused: nothing is stopped until %s.').format(common.clock(Date.now() / 1000 + s.paused)),
				_('It goes on by itself.'), _('Go on now'));
		if (Array.isArray(s.devices) && !s.devices.length)
			return say('error', true, _('P2Pwall knows no network to watch: nothing is stopped.'), _('Choose your network in the settings.'));
		if (s.rules_ok === false)
			return say('error', true, _('The firewall rules are not in place: nothing is stopped.'),
				_('They are put back by themselves; if this stays, look at what is said below.'));
		if (losing || common.objects(s.queues).some(function(q) { return common.number(q.length) && common.number(q.waiting) >= q.length; }))
			return say('warning', false, _('More packets come than the router can look at.'), _('Some were not checked.'));
		if (faults.length)
			return say('warning', false, _('The configuration file has faults: P2Pwall goes on with the settings of before.'), faults.join(' '));
		if (common.list(s.restart).length)
			return say('warning', false, _('New settings wait for a restart.'), _('Options: %s.').format(s.restart.join(', ')), _('Restart'));
		/* A policy may block or mark even if no protocol does so for all computers. */
		const acts = function(p) { return p.mode == 'block' || p.mode == 'mark'; };
		if (!inMode('block').length && !inMode('mark').length && !common.objects(s.policies).some(acts))
			return inMode('monitor').length ?
				say('warning', false, _('P2Pwall watches, but stops nothing.'), _('Choose in the settings what to stop.')) :
				say('warning', false, _('P2Pwall runs, but looks for no program.'), _('Choose in the settings what to look for.'));
		return null;
	}
});
