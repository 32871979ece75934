// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require view';
'require poll';
'require rpc';
'require fs';
'require uci';
'require ui';
'require p2pwall.common as common';
'require p2pwall.protocols as protocols';
'require p2pwall.findings as findings';
'require p2pwall.reasons as reasons';
'require p2pwall.summary as summary';
'require p2pwall.chart as chart';
'require p2pwall.calendar as calendar';
'require p2pwall.host as host';

const INTERVAL = 5;       // seconds between two requests to the daemon
const CHECK_EVERY = 300;  // seconds; `check` starts a program and asks the kernel for its rules
const HINTS_EVERY = 300;  // seconds
const HISTORY_EVERY = 300; // seconds
const START_TRIES = 15;   // once a second, before a start counts as failed

const MAC = /^(?!00:00:00:00:00:00)([0-9a-f]{2}:){5}[0-9a-f]{2}$/i;

const callCommit = rpc.declare({ object: 'uci', method: 'commit', params: [ 'config' ], reject: true });

return view.extend({
	handleSave: null,
	handleSaveApply: null,
	handleReset: null,

	load: function() {
		return Promise.all([
			common.loadHints(),
			L.resolveDefault(uci.load('p2pwall'))
		]);
	},

	render: function(data) {
		this.hints = data[0];
		this.readonly = !L.hasViewPermission();
		this.cards = {};
		this.due = {};
		this.first = true;
		this.findings = [];

		this.live = common.live();
		this.summary = E('p', { 'class': 'p2pw-say' }, []);
		this.detail = E('p', {}, []);
		this.start = E('button', { 'class': 'btn cbi-button cbi-button-apply', 'style': 'display:none' }, [ _('Start') ]);
		this.onClick(this.start, function() { return this.command == 'go-on' ? this.pause(0) : this.handleService(this.command); });
		this.wait = E('button', { 'class': 'btn cbi-button', 'style': 'display:none', 'aria-haspopup': 'dialog' }, [ _('Pause…') ]);
		this.onClick(this.wait, this.askPause);
		this.state = E('div', { 'class': 'alert-message p2pw-state', 'id': 'p2pw-state' },
			[ E('div', {}, [ this.summary, this.detail ]), this.start, this.wait ]);
		this.bad = E('ul', { 'class': 'p2pw-list', 'id': 'p2pw-findings' }, []);

		this.begin = E('div', { 'class': 'cbi-section', 'id': 'p2pw-begin', 'style': 'display:none' }, [
			E('h3', {}, [ _('What happens now') ]),
			E('p', {}, [ _('P2Pwall looks at how connections begin. When a computer of your network starts a file-sharing program, it is found within seconds to a few minutes, appears here, and the program reaches nobody any more.') ]),
			E('p', {}, [ _('To try it, start a program such as qBittorrent on any computer and add a torrent, of a Linux distribution for instance.') ])
		]);

		this.heading = E('h3', { 'tabindex': -1 }, [ _('Computers') ]);
		this.list = E('ul', { 'class': 'p2pw-list', 'id': 'p2pw-hosts' }, []);
		this.hosts = E('div', { 'class': 'cbi-section', 'style': 'display:none' }, [ this.heading, this.list ]);

		this.suspects = {};
		this.suspectBody = E('tbody', {}, []);
		this.suspectCount = E('summary', {}, []);
		this.suspectBox = E('details', { 'class': 'cbi-section', 'id': 'p2pw-suspects', 'style': 'display:none' }, [
			this.suspectCount,
			E('p', {}, [ _('These computers did something that file-sharing programs do as well. Nothing proves that such a program runs there, so they are not locked. Only what was recognised was dropped.') ]),
			E('table', { 'class': 'table p2pw-table', 'aria-label': _('Looked at, nothing found') }, [
				common.head([ _('Computer'), _('Protocol'), _('Why'), _('Questions'), _('Packets dropped'), _('Last seen') ]), this.suspectBody
			])
		]);

		this.spared = {};
		this.sparedList = E('ul', { 'class': 'p2pw-list' }, []);
		this.sparedBox = E('div', { 'class': 'cbi-section', 'id': 'p2pw-exempt', 'tabindex': -1, 'style': 'display:none' },
			[ E('h3', {}, [ _('Allowed computers') ]), this.sparedList ]);

		this.chart = new chart.Chart();
		this.chartBox = E('div', { 'class': 'cbi-section', 'style': 'display:none' }, [ E('h3', {}, [ _('Kept away') ]), this.chart.node ]);

		this.calendar = new calendar.Calendar(this);

		this.verdict = E('span', {}, []);
		this.passed = E('ul', { 'id': 'p2pw-passed' }, []);
		this.facts = E('dl', { 'class': 'p2pw-facts' }, []);
		const service = [ [ 'restart', _('Restart') ], [ 'stop', _('Stop') ] ].map(function(x) {
			const b = E('button', { 'class': 'btn cbi-button' }, [ x[1] ]);
			this.onClick(b, function() { return this.handleService(x[0]); });
			return b;
		}, this);
		this.toggle = E('details', { 'class': 'p2pw-small' }, [
			E('summary', {}, [ _('Details') ]), this.facts, this.passed
		].concat(this.readonly ? [] : E('p', {}, [ service[0], ' ', service[1] ])));
		const again = E('button', { 'class': 'btn cbi-button' }, [ _('Check again') ]);
		this.onClick(again, function() {
			return this.updateFindings().then(function() { this.announce(_('Checked')); }.bind(this));
		});
		this.check = E('div', { 'class': 'cbi-section', 'id': 'p2pw-check' },
			[ E('h3', {}, [ _('Check') ]), E('p', {}, [ this.verdict, ' ', again ]), this.toggle ]);

		document.addEventListener('visibilitychange', this.update.bind(this));
		/* The poll starts only with its next turn, so ask once now. */
		this.update();
		poll.add(this.update.bind(this), INTERVAL);

		/* The parts that are shown if the daemon answers. */
		this.body = E('div', { 'style': 'display:none' },
			[ this.begin, this.hosts, this.suspectBox, this.sparedBox, this.chartBox, this.calendar.node, this.check ]);
		return E('div', { 'class': 'cbi-map' }, [
			common.style(), this.live, E('h2', { 'name': 'content' }, [ 'P2Pwall' ]), this.state, this.bad, this.body
		]);
	},

	/* A button that ignores clicks while its work runs. It is not disabled, because that
	 * would take the focus away. */
	onClick: function(button, fn) {
		button.addEventListener('click', function(ev) {
			ev.preventDefault();
			if (button.getAttribute('aria-busy') == 'true')
				return;
			button.setAttribute('aria-busy', 'true');
			button.classList.add('spinning');
			Promise.resolve().then(fn.bind(this)).catch(this.complain.bind(this)).then(function() {
				button.removeAttribute('aria-busy');
				button.classList.remove('spinning');
			});
		}.bind(this));
	},

	announce: function(s) {
		this.live.appendChild(E('p', {}, [ s ]));
		while (this.live.childNodes.length > 5)
			this.live.removeChild(this.live.firstChild);
	},

	complain: function(err) {
		ui.addNotification(null, E('p', { 'role': 'alert' }, [ common.reason(err) ]), 'danger');
	},

	/* True if it is time for a request that is not made every time. */
	isDue: function(what, every) {
		const now = Date.now() / 1000;
		if (this.due[what] > now)
			return false;
		this.due[what] = now + every;
		return true;
	},

	update: function() {
		if (document.hidden)
			return Promise.resolve();
		if (this.updating)
			return this.updating;
		/* One call returns all data, with the peers of one computer whose fold is open. */
		const open = Object.keys(this.cards).filter(function(key) { return this.cards[key].open; }, this);
		const address = open.length ? common.text(this.cards[open[0]].client.address) : '';
		const tasks = [ common.ask('page', address).then(function(r) { return { reply: r }; }, function(err) { return { err: err }; }) ];
		if (this.isDue('hints', HINTS_EVERY) && !this.first)
			tasks.push(common.loadHints().then(function(h) { this.hints = h; }.bind(this)));
		const done = this.updating = Promise.all(tasks).then(function(res) {
			const reply = res[0].reply, err = res[0].err, status = reply ? reply.status || {} : null;
			const ready = status && status.backend != 'starting', down = !status && err.daemon;
			this.reply = { status: status, err: err, clients: common.objects((reply || {}).clients), faults: common.list((reply || {}).faults), history: (reply || {}).history };
			this.now = status && common.number(status.started) ? status.started + common.number(status.uptime) : Date.now() / 1000;
			if (status) {
				const lost = this.sum(status, 'dropped') + this.sum(status, 'user_dropped');
				this.losing = lost > this.lost;
				this.lost = lost;
			}
			this.showState();
			/* If nobody answers, the last data stays visible. */
			common.attr(this.body, 'class', status ? null : 'p2pw-old');
			if (ready || down)
				this.body.style.display = ready ? '' : 'none';
			if (ready) {
				this.showClients(this.reply.clients);
				this.showExempt(common.objects(status.exemptions));
				this.showSuspects(common.objects(reply.suspects));
				this.showFacts(status);
				const some = this.showHistory(reply.history);
				this.begin.style.display = some || this.list.firstChild || this.suspectBody.firstChild ? 'none' : '';
			}
			if (this.ready !== ready)
				this.due.check = 0;
			this.ready = ready;
			window.clearTimeout(this.soon);
			if (status && !ready)
				this.soon = window.setTimeout(this.update.bind(this), 1000);
			return Promise.all([
				(ready || down) && this.isDue('check', CHECK_EVERY) ? this.updateFindings() : null,
				ready && this.isDue('history', HISTORY_EVERY) ? this.updateHistory() : null,
				ready ? this.updatePeers(open, address, reply.peers) : null
			]);
		}.bind(this)).catch(this.complain.bind(this)).then(function() {
			this.updating = null;
			this.first = false;
		}.bind(this));
		return done;
	},

	/* ---- the sentence on top ---- */

	showState: function() {
		const s = this.reply.status, err = this.reply.err;
		let level, what, detail = '', action = null;
		if (s) {
			const trouble = summary.trouble(s, this.reply.faults, this.losing);
			const clients = this.reply.clients, whole = trouble && (trouble.whole || !clients.length);
			level = trouble ? trouble.level : this.findings.some(findings.lets) ? 'warning' : 'success';
			what = whole ? trouble.what : summary.sentence(clients, this.title.bind(this));
			/* Do not mention protocols that are off by default. */
			const titles = function(mode) {
				return summary.inMode(mode).filter(function(p) { return protocols.preset(p) != mode; }).map(protocols.title).join(', ');
			};
			const watched = titles('monitor'), off = titles('off');
			detail = [
				trouble && !whole ? trouble.what : '', trouble ? trouble.more : '',
				watched ? _('Watched only: %s.').format(watched) : '',
				off ? _('Switched off: %s.').format(off) : ''
			].filter(function(x) { return x; }).join(' ');
			if (trouble && trouble.action && !this.readonly) {
				action = trouble.action;
				this.command = common.number(s.paused) ? 'go-on' : 'restart';
			}
		}
		else if (/^unknown cmd/.test(common.reason(err))) {
			level = 'warning';
			what = _('It is not known whether anything is stopped.');
			detail = _('The running program is of another version than this page: restart it.');
			if (!this.readonly) {
				action = _('Restart');
				this.command = 'restart';
			}
		}
		else if (!err.daemon) {
			level = 'warning';
			what = _('It is not known whether anything is stopped.');
			detail = common.reason(err);
			if (/Object not found|ubus code 4/.test(detail))
				detail = _('The router’s rpcd does not know P2Pwall: restart it (service rpcd restart), or install the package p2pwall.');
		}
		else {
			level = 'error';
			what = _('P2Pwall does not run: nothing is stopped.');
			this.command = 'start';
			if (uci.get('p2pwall', 'main', 'enabled') === '0') {
				detail = _('It is switched off in the settings.');
				action = _('Switch on');
			}
			else {
				detail = findings.reason(err);
				action = _('Start');
			}
			if (this.readonly) {
				action = null;
				detail += ' ' + _('You may look, but not change anything.');
			}
		}
		this.state.className = 'alert-message p2pw-state ' + level;
		if (this.summary.textContent !== what)
			this.announce(what);
		common.say(this.summary, what);
		common.say(this.detail, detail);
		if (action)
			common.say(this.start, action);
		this.start.style.display = action ? '' : 'none';
		this.wait.style.display = s && s.backend != 'starting' && s.paused === 0 && !this.readonly ? '' : 'none';
	},

	mode: summary.mode,

	/* The sum of a number over all queues. */
	sum: function(s, name) {
		return common.objects(s.queues).reduce(function(n, q) { return n + common.number(q[name]); }, 0);
	},

	/* Starts or restarts the daemon, and shows the result. */
	handleService: function(command) {
		let ready = Promise.resolve();
		if (command == 'start' && uci.get('p2pwall', 'main', 'enabled') === '0')
			ready = this.change(function() { uci.set('p2pwall', 'main', 'enabled', '1'); });
		return ready.then(function() {
			return fs.exec('/etc/init.d/p2pwall', [ command ]);
		}).then(function(res) {
			const said = common.text(res.stderr).trim();
			this.due = {};
			if (res.code || said)
				throw new Error(said || _('It could not be started.'));
			return command == 'stop' || this.answers(START_TRIES);
		}.bind(this)).then(function(up) {
			if (up)
				return null;
			return common.ask('check').then(function(r) {
				return common.objects(r.findings).filter(function(f) { return f.level == 'error'; })[0];
			}, function() {});
		}).then(function(why) {
			this.due = {};
			return this.again().then(function() {
				if (why === null)
					return this.announce(command == 'stop' ? _('Stopped') : _('Started'));
				throw new Error(why ? findings.what(why) + ' ' + findings.remedy(why) :
					_('It was started, but does not answer: the system log says why.'));
			}.bind(this));
		}.bind(this));
	},

	pause: function(seconds) {
		return common.ask('pause', seconds).then(this.again.bind(this));
	},

	askPause: function() {
		const time = function(label, seconds) {
			return [ label, function() { return common.ask('pause', seconds); } ];
		};
		this.choose(_('Pause'), _('Nothing is looked at and nothing is stopped then, on no computer. It goes on by itself. For how long?'), [
			time(_('For 15 minutes'), 900), time(_('For one hour'), 3600), time(_('Until tomorrow'), this.untilTomorrow())
		], this.wait);
	},

	/* Whether the daemon runs, or starts within the given number of tries, one a second. */
	answers: function(tries) {
		return common.ask('page', '').then(function(r) {
			return (r.status || {}).backend != 'starting';
		}, function() { return false; }).then(function(up) {
			if (up || !tries)
				return up;
			return new Promise(function(done) { window.setTimeout(done, 1000); }).then(this.answers.bind(this, tries - 1));
		}.bind(this));
	},

	/* Changes the configuration at once. It refuses if there are unapplied changes, such as
	 * from another tab. */
	change: function(fn) {
		return uci.changes().then(function(changes) {
			if (changes && common.list(changes.p2pwall).length)
				throw new Error(_('There are unsaved changes of P2Pwall’s settings: apply or revert them first.'));
			uci.unload('p2pwall');
			return uci.load('p2pwall');
		}).then(fn).then(function() {
			return uci.save();
		}).then(function() {
			return callCommit('p2pwall');
		}).then(function() {
			uci.unload('p2pwall');
			return uci.load('p2pwall');
		});
	},

	/* Asks the daemon again after an action, also if a request is under way. */
	again: function() {
		return Promise.resolve(this.updating).then(this.update.bind(this));
	},

	/* ---- the computers ---- */

	showClients: function(clients) {
		const seen = {}, rank = function(c) { return c.locked === true ? 0 : 1; };
		let before = this.list.firstChild;
		clients.slice().sort(function(a, b) { return rank(a) - rank(b); }).forEach(function(c) {
			let key = common.text(c.address) + ' ' + common.text(c.protocol);
			while (seen[key])
				key += '+';
			seen[key] = true;
			let card = this.cards[key];
			if (!card) {
				card = this.cards[key] = new host.Card(this, c);
				if (!this.first)
					this.announce(_('Found: %s').format(this.title(c)));
			}
			else if (card.client.locked === true && c.locked === false)
				this.announce(_('%s is not locked any more').format(this.title(c)));
			else if (card.client.locked === false && c.locked === true)
				this.announce(_('%s is locked').format(this.title(c)));
			if (card.node === before)
				before = card.node.nextSibling;
			else
				this.place(card.node, before);
			card.show(c);
		}, this);
		for (let key in this.cards)
			if (!seen[key])
				this.removeCard(key);
		this.hosts.style.display = clients.length ? '' : 'none';
	},

	/* A node that is moved loses the focus. Restore it. */
	place: function(node, before) {
		const focus = node.contains(document.activeElement) ? document.activeElement : null;
		this.list.insertBefore(node, before);
		if (focus)
			focus.focus();
	},

	removeCard: function(key) {
		const card = this.cards[key], focused = card.node.contains(document.activeElement);
		const next = card.node.nextSibling || card.node.previousSibling;
		delete this.cards[key];
		this.announce(_('Gone: %s').format(this.title(card.client)));
		this.list.removeChild(card.node);
		if (!focused)
			return;
		for (let k in this.cards)
			if (this.cards[k].node === next)
				return this.cards[k].toggle.focus();
		this.summary.setAttribute('tabindex', -1);
		this.summary.focus();
	},

	title: function(c) {
		return this.hints.name(c.mac, common.addresses(c)) || common.text(c.address);
	},

	maker: function(c) {
		return this.hints.name(c.mac, common.addresses(c)) ? '' : common.maker(common.text(c.mac));
	},

	age: function(t) {
		return common.duration(this.now - common.number(t));
	},

	ago: function(t) {
		return common.number(t) ? _('%s ago').format(this.age(t)) : '-';
	},

	/* Short, for a telephone. The age tells which day the hour belongs to. */
	since: function(t) {
		return this.now - common.number(t) < 86400 ? '%s (%s)'.format(common.hour(t), this.age(t)) : common.day(t);
	},

	/* Updates the peers in the open folds. */
	updatePeers: function(keys, address, peers) {
		return keys.reduce(function(done, key) {
			const card = this.cards[key];
			if (!card || !card.open)
				return done;
			if (address && common.text(card.client.address) == address)
				card.showPeers(common.objects(peers));
			else
				done = done.then(this.peers.bind(this, card));
			return done;
		}.bind(this), Promise.resolve());
	},

	peers: function(card) {
		card.show(card.client);
		return common.ask('peers', common.text(card.client.address)).then(function(reply) {
			card.showPeers(common.objects(reply.peers));
		}).catch(function(err) {
			common.say(card.peerCount, common.reason(err));
		});
	},

	/* ---- suspects: nothing was proved ---- */

	showSuspects: function(suspects) {
		const seen = {};
		let before = this.suspectBody.firstChild;
		suspects.forEach(function(s) {
			const address = common.text(s.address);
			let key = address + ' ' + common.text(s.protocol);
			while (seen[key])
				key += '+';
			seen[key] = true;
			let tr = this.suspects[key];
			if (!tr) {
				tr = this.suspects[key] = E('tr', { 'class': 'tr' }, [
					common.cell(_('Computer'), [ E('strong', {}, []), E('div', { 'class': 'p2pw-small p2pw-mono' }, []) ]),
					common.cell(_('Protocol')), common.cell(_('Why')), common.cell(_('Questions')),
					common.cell(_('Packets dropped')), common.cell(_('Last seen'))
				]);
				this.suspectBody.insertBefore(tr, before);
			}
			before = tr.nextSibling;
			const asked = common.number(s.asked);
			common.say(tr.cells[0].firstChild, this.title(s));
			common.say(tr.cells[0].lastChild, [ address, common.text(s.mac) ].filter(function(x) { return x; }).join(' '));
			common.say(tr.cells[1], common.protocol(s) || '-');
			common.say(tr.cells[2], common.capital(reasons.why(s.reason)));
			common.say(tr.cells[3], asked ? _('%d, last %s').format(asked, this.ago(s.last_asked)) : _('none yet'));
			common.say(tr.cells[4], common.number(s.dropped));
			common.say(tr.cells[5], this.ago(s.last_seen));
		}, this);
		for (let key in this.suspects)
			if (!seen[key]) {
				this.suspectBody.removeChild(this.suspects[key]);
				delete this.suspects[key];
			}
		common.say(this.suspectCount, _('Looked at, nothing found: %d').format(suspects.length));
		this.suspectBox.style.display = suspects.length ? '' : 'none';
	},

	/* ---- actions for a computer ---- */

	/* The button of a card, or null for a user who may not change anything. */
	action: function(card) {
		if (this.readonly)
			return null;
		const b = E('button', { 'class': 'btn cbi-button', 'type': 'button', 'aria-haspopup': 'dialog' }, [ _('Allow…') ]);
		this.onClick(b, function() { this.askAllow(card); });
		return b;
	},

	untilTomorrow: function() {
		const midnight = new Date();
		midnight.setHours(24, 0, 0, 0);
		return Math.max(60, Math.round((midnight - Date.now()) / 1000));
	},

	/* A dialog with a button for each [ label, function ]. Escape presses the first button of
	 * LuCI's class 'right'. */
	choose: function(title, words, choices, opener) {
		const close = function() {
			ui.hideModal();
			(opener.isConnected ? opener : this.heading).focus();
		}.bind(this);
		const buttons = choices.map(function(c) {
			const b = E('button', { 'class': 'btn cbi-button', 'type': 'button' }, [ c[0] ]);
			this.onClick(b, function() {
				return Promise.resolve(c[1].call(this)).then(this.again.bind(this)).finally(close);
			});
			return b;
		}, this);
		const cancel = E('button', { 'class': 'btn cbi-button', 'type': 'button', 'click': close }, [ _('Cancel') ]);
		const dialog = ui.showModal([ title ], [
			E('p', {}, [ words ]),
			E('div', { 'class': 'right p2pw-choose' }, [ cancel ].concat(buttons))
		]);
		if (dialog)
			common.attr(dialog, 'aria-label', title);
		buttons[0].focus();
	},

	askAllow: function(card) {
		const c = card.client, title = this.title(c);
		const allow = function(fn) {
			return function() {
				return fn.call(this).then(function() { this.announce(_('%s is allowed').format(title)); }.bind(this));
			};
		};
		const time = function(label, seconds) {
			return [ label, allow(function() { return this.exemptFor(c, seconds); }) ];
		};
		this.choose(_('Allow %s').format(title),
			_('P2Pwall leaves this computer alone then: whatever it does is neither looked at nor stopped. For how long?'), [
				time(_('For 15 minutes'), 900), time(_('For one hour'), 3600), time(_('Until tomorrow'), this.untilTomorrow()),
				[ _('Always'), allow(function() { return this.exemptAlways(c); }) ],
				[ _('Watch only, always'), function() { return this.setPolicy(c, 'monitor'); } ]
			], card.act);
	},

	/* Gives a computer its own policy, before all others. */
	setPolicy: function(c, mode) {
		const mac = common.text(c.mac), name = 'host_' + mac.replace(/\W/g, '');
		if (!MAC.test(mac))
			return Promise.reject(new Error(_('The hardware address of this computer is not known: add a policy with its address in the settings.')));
		return this.change(function() {
			const first = uci.sections('p2pwall', 'policy')[0];
			if (!uci.get('p2pwall', name)) {
				uci.add('p2pwall', 'policy', name);
				if (first)
					uci.move('p2pwall', name, first['.name']);
			}
			uci.set('p2pwall', name, 'name', this.title(c) + ' (' + mac + ')');
			uci.set('p2pwall', name, 'mac', [ mac ]);
			uci.set('p2pwall', name, 'mode', mode);
		}.bind(this));
	},

	exemptFor: function(c, seconds) {
		return common.ask('exempt', common.text(c.address), seconds);
	},

	/* Uses the hardware address if it is known, because it does not change. */
	exemptAlways: function(c) {
		const host = MAC.test(common.text(c.mac)) ? c.mac : common.text(c.address);
		return this.change(function() {
			const known = L.toArray(uci.get('p2pwall', 'main', 'exempt'));
			if (known.indexOf(host) == -1)
				uci.set('p2pwall', 'main', 'exempt', known.concat(host));
		}).then(function() {
			/* This exemption lasts until the daemon has read its new configuration. */
			return this.exemptFor(c, 60);
		}.bind(this));
	},

	/* Shows the exempt computers: those of the configuration, and those that are exempt for
	 * a time. */
	showExempt: function(exemptions) {
		const always = L.toArray(uci.get('p2pwall', 'main', 'exempt')), gone = Object.assign({}, this.spared);
		const same = function(x, a) {
			return a.toLowerCase() == common.text(x.mac).toLowerCase() || a == common.text(x.address);
		};
		const entry = function(key, host, words, end) {
			let row = this.spared[key];
			if (!row) {
				row = this.spared[key] = { words: E('span', {}, []) };
				row.li = E('li', {}, [ row.words ]);
				if (!this.readonly) {
					const b = E('button', { 'class': 'btn cbi-button', 'type': 'button', 'aria-label': _('Watch again') + ': ' + this.title(host) },
						[ _('Watch again') ]);
					this.onClick(b, function() {
						return end.call(this).then(function() {
							this.announce(_('%s is watched again').format(this.title(host)));
							return this.again();
						}.bind(this));
					});
					row.li.appendChild(document.createTextNode(' '));
					row.li.appendChild(b);
				}
				this.sparedList.appendChild(row.li);
			}
			delete gone[key];
			const title = this.title(host);
			common.say(row.words, words(title == host.address ? title : title + ' (' + host.address + ')'));
		}.bind(this);
		this.timed = exemptions;
		always.forEach(function(a) {
			entry('always ' + a, { address: a, mac: a }, function(name) {
				return _('%s: always').format(name);
			}, function() {
				return this.watchAgain(a, this.timed.filter(function(x) { return same(x, a); }));
			});
		}, this);
		exemptions.forEach(function(x) {
			if (always.some(same.bind(null, x)))
				return;
			const address = common.text(x.address);
			entry(address, { address: address, mac: x.mac }, function(name) {
				/* Round up: right after a choice of 15 minutes, 15 are left. */
				const s = common.number(x.seconds);
				return _('%s: %s left').format(name, common.duration(s < 60 ? s : Math.ceil(s / 60) * 60));
			}, function() {
				return common.ask('exempt', address, 0);
			});
		}, this);
		for (let k in gone) {
			if (gone[k].li.contains(document.activeElement))
				this.sparedBox.focus();
			this.sparedList.removeChild(gone[k].li);
			delete this.spared[k];
		}
		this.sparedBox.style.display = this.sparedList.firstChild ? '' : 'none';
	},

	/* Removes a host from the configuration, and ends its exemption for a time. */
	watchAgain: function(host, timed) {
		return this.change(function() {
			const rest = L.toArray(uci.get('p2pwall', 'main', 'exempt')).filter(function(a) { return a != host; });
			uci.set('p2pwall', 'main', 'exempt', rest.length ? rest : null);
		}).then(function() {
			return Promise.all(timed.map(function(x) { return common.ask('exempt', common.text(x.address), 0); }));
		});
	},

	/* ---- the chart, and the check ---- */

	/* The last week by hours, and the last days by computers. An older daemon has neither. */
	updateHistory: function() {
		return L.resolveDefault(common.ask('history', ''), {}).then(function(r) {
			this.hours = r.hours != null && typeof(r.hours) == 'object' ? r.hours : null;
			this.calendar.update(common.objects(r.days), this.now);
			this.showClients(this.reply.clients);
			this.showHistory(this.reply.history);
		}.bind(this));
	},

	/* Shows the chart. True if there is something on it. */
	showHistory: function(h) {
		const data = {}, hours = this.hours;
		if (hours)
			data.day = data.week = { tcp: hours.dropped_tcp, udp: hours.dropped_udp };
		if (h != null && typeof(h) == 'object')
			data.hour = { tcp: h.dropped_tcp, udp: h.dropped_udp };
		const some = this.chart.update(data, this.now);
		this.chartBox.style.display = some ? '' : 'none';
		return some;
	},

	showFacts: function(s) {
		common.terms(this.facts, [
			[ _('Version'), common.text(s.version) ],
			[ _('Running since'), common.number(s.started) ? this.since(s.started) : '' ],
			[ _('Firewall'), common.text(s.backend) ],
			[ _('Devices'), common.list(s.devices).join(', ') ],
			[ _('Queue'), common.objects(s.queues).length ? _('%d packets waiting, %d lost').format(this.sum(s, 'waiting'), this.lost) : '' ]
		]);
	},

	updateFindings: function() {
		return common.ask('check').then(function(r) { return common.objects(r.findings); }, function(err) {
			return [ { level: 'warning', what: findings.reason(err) } ];
		}).then(function(found) {
			const words = this.ready + JSON.stringify(found);
			if (this.lastFindings === words)
				return;
			this.lastFindings = words;
			const rank = { error: 0, warning: 1 }, label = { error: _('Error'), warning: _('Warning') };
			/* Without a daemon only what keeps it from running matters. */
			const bad = this.findings = found.filter(function(f) { return f.level == 'error' || this.ready && f.level != 'ok'; }, this);
			const good = found.filter(function(f) { return f.level == 'ok'; });
			bad.sort(function(a, b) { return (rank[a.level] || 0) - (rank[b.level] || 0); });
			L.dom.content(this.bad, bad.map(function(f) {
				const level = label[f.level] ? f.level : 'warning';
				return E('li', { 'class': 'alert-message ' + level }, [
					E('p', {}, [ E('strong', {}, [ label[level] + ': ' ]), common.capital(findings.what(f)) ]),
					E('p', {}, [ common.capital(findings.remedy(f)) + ' ' ].concat(findings.link(f)))
				]);
			}));
			common.say(this.verdict, !bad.length ? _('Nothing is wrong.') : bad.length == 1 ? _('1 thing is wrong: see above.') :
				_('%d things are wrong: see above.').format(bad.length));
			L.dom.content(this.passed, good.map(function(f) { return E('li', {}, [ common.capital(findings.what(f)) ]); }));
			this.showState();
		}.bind(this));
	}
});
