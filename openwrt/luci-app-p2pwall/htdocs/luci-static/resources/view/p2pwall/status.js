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

const INTERVAL = 4;       // seconds between two looks at the daemon
const CHECK_EVERY = 60;   // seconds; `check` asks the kernel for its rules
const HINTS_EVERY = 120;  // seconds
const START_TRIES = 15;   // seconds that a start may take

const callCommit = rpc.declare({ object: 'uci', method: 'commit', params: [ 'config' ], reject: true });

function svg(name, attr, children) {
	const e = document.createElementNS('http://www.w3.org/2000/svg', name);
	for (let k in attr)
		e.setAttribute(k, attr[k]);
	(children || []).forEach(function(c) { e.appendChild(c); });
	return e;
}

/* One strip of bars, a minute each, with a scale of its own. */
function Strip(cls, label) {
	this.label = label;
	this.bars = [];
	this.caption = E('figcaption', {}, []);
	this.svg = svg('svg', { 'viewBox': '0 0 600 100', 'preserveAspectRatio': 'none', 'role': 'img', 'aria-label': label });
	for (let i = 0; i < 60; i++) {
		const bar = svg('rect', { 'class': cls, 'x': i * 10 + 1, 'y': 100, 'width': 8, 'height': 0 }, [ svg('title') ]);
		this.bars.push(bar);
		this.svg.appendChild(bar);
	}
	this.node = E('figure', { 'class': 'p2pw-chart' }, [ this.caption, this.svg ]);
}

Strip.prototype.update = function(values, now) {
	const v = common.list(values).map(common.number).slice(-60);
	while (v.length < 60)
		v.unshift(0);
	const top = Math.max.apply(null, v.concat(1));
	const sum = v.reduce(function(a, b) { return a + b; }, 0);
	for (let i = 0; i < 60; i++) {
		/* What happened at all must be seen. */
		const h = v[i] > 0 ? Math.max(4, v[i] / top * 100) : 0;
		common.attr(this.bars[i], 'y', 100 - h);
		common.attr(this.bars[i], 'height', h);
		common.say(this.bars[i].firstChild, common.clock(now - (59 - i) * 60) + ': ' + v[i]);
	}
	const words = _('%s: %d in the last hour, at most %d a minute').format(this.label, sum, sum ? top : 0);
	common.say(this.caption, words);
	common.attr(this.svg, 'aria-label', words);
};

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
		this.rows = {};
		this.due = {};
		this.first = true;

		this.live = common.live();
		this.summary = E('p', {}, []);
		this.detail = E('p', { 'class': 'p2pw-small' }, []);
		this.start = E('button', { 'class': 'btn cbi-button cbi-button-apply', 'style': 'display:none' }, [ _('Start') ]);
		this.onClick(this.start, function() { return this.handleService(this.command); });
		this.state = E('div', { 'class': 'alert-message p2pw-state', 'id': 'p2pw-state' },
			[ E('div', {}, [ this.summary, this.detail ]), this.start ]);

		this.heading = E('h3', { 'tabindex': -1 }, [ _('Hosts found') ]);
		this.tbody = E('tbody', {}, []);
		this.none = E('p', {}, [ E('em', {}, [ _('Looking …') ]) ]);
		const titles = [ _('Host'), _('Protocol'), _('Found'), _('Lock'), _('Peers'), _('Dropped'), _('Last probe') ];
		this.columns = titles.length + (this.readonly ? 0 : 1);
		this.table = E('table', { 'class': 'table p2pw-hosts', 'id': 'p2pw-hosts', 'aria-label': _('Hosts found') },
			[ common.head(this.readonly ? titles : titles.concat('')), this.tbody ]);

		this.suspects = {};
		this.suspectBody = E('tbody', {}, []);
		this.suspectBox = E('div', { 'class': 'cbi-section', 'id': 'p2pw-suspects', 'style': 'display:none' }, [
			E('h3', {}, [ _('Looked at, nothing found') ]),
			E('p', {}, [ _('These hosts did something that file-sharing programs do as well. Nothing proves that such a program runs there, so they are not locked. Only what was recognised was dropped.') ]),
			E('table', { 'class': 'table p2pw-hosts', 'aria-label': _('Looked at, nothing found') }, [
				common.head([ _('Host'), _('Protocol'), _('Why'), _('Questions'), _('Dropped'), _('Last seen') ]), this.suspectBody
			])
		]);

		this.spared = {};
		this.sparedList = E('ul', {}, []);
		this.sparedBox = E('div', { 'class': 'cbi-section', 'id': 'p2pw-exempt', 'style': 'display:none' },
			[ E('h3', {}, [ _('Allowed hosts') ]), this.sparedList ]);

		this.strips = {
			dropped_tcp: new Strip('p2pw-tcp', _('Dropped TCP')),
			dropped_udp: new Strip('p2pw-udp', _('Dropped UDP')),
			probes: new Strip('p2pw-probes', _('Probes'))
		};
		this.noHistory = E('p', { 'style': 'display:none' }, [ E('em', {}, [ _('The daemon keeps no history.') ]) ]);
		this.chart = E('div', { 'id': 'p2pw-chart' }, [
			this.strips.dropped_tcp.node, this.strips.dropped_udp.node, this.strips.probes.node,
			E('div', { 'class': 'p2pw-axis p2pw-small', 'aria-hidden': 'true' },
				[ E('span', {}, [ _('an hour ago') ]), E('span', {}, [ _('half an hour ago') ]), E('span', {}, [ _('now') ]) ])
		]);

		this.findings = E('ul', { 'class': 'p2pw-findings' }, []);
		this.passed = E('ul', {}, []);
		this.passedCount = E('summary', {}, []);
		this.passedBox = E('details', { 'style': 'display:none' }, [ this.passedCount, this.passed ]);
		const again = E('button', { 'class': 'btn cbi-button' }, [ _('Check again') ]);
		this.onClick(again, function() {
			return this.updateFindings().then(function() { this.announce(_('Checked')); }.bind(this));
		});

		document.addEventListener('visibilitychange', this.update.bind(this));
		/* The poll begins with its next turn; nobody should wait for that. */
		this.update();
		poll.add(this.update.bind(this), INTERVAL);
		window.setInterval(this.tick.bind(this), 1000);

		return E('div', { 'class': 'cbi-map' }, [
			common.style(), this.live,
			E('h2', { 'name': 'content' }, [ 'P2Pwall' ]),
			this.state,
			E('div', { 'class': 'cbi-section' }, [ this.heading, this.none, this.table ]),
			this.suspectBox,
			this.sparedBox,
			E('div', { 'class': 'cbi-section' }, [ E('h3', {}, [ _('Last hour') ]), this.noHistory, this.chart ]),
			E('div', { 'class': 'cbi-section', 'id': 'p2pw-findings' },
				[ E('h3', {}, [ _('Check') ]), this.findings, this.passedBox, E('p', {}, [ again ]) ])
		]);
	},

	/* A button that ignores clicks while its work is under way. It is not
	 * disabled meanwhile: that would take the focus from it. */
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

	/* True if it is time for something that is not done every time. */
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
		/* One call has it all, with the peers of one host whose fold is open. */
		const open = Object.keys(this.rows).filter(function(key) { return this.rows[key].open; }, this);
		const host = open.length ? common.text(this.rows[open[0]].client.address) : '';
		const tasks = [ common.ask('page', host).then(function(r) { return { reply: r }; }, function(err) { return { err: err }; }) ];
		if (this.isDue('hints', HINTS_EVERY) && !this.first)
			tasks.push(common.loadHints().then(function(h) { this.hints = h; }.bind(this)));
		const done = this.updating = Promise.all(tasks).then(function(res) {
			const reply = res[0].reply, err = res[0].err, status = reply ? reply.status || {} : null;
			const ready = status && status.backend != 'starting', down = !status && err.daemon;
			this.showState(status, err, common.list((reply || {}).faults));
			/* Where nobody answers, what was seen last stays. */
			if (status || down) {
				this.showExempt(common.objects((status || {}).exemptions));
				this.showSuspects(common.objects((reply || {}).suspects));
			}
			this.showClients(reply ? common.objects(reply.clients) : (down ? [] : null));
			if (ready)
				this.showHistory(reply.history);
			if (this.ready !== ready)
				this.due = {};
			this.ready = ready;
			window.clearTimeout(this.soon);
			if (status && !ready)
				this.soon = window.setTimeout(this.update.bind(this), 1000);
			return Promise.all([
				(ready || down) && this.isDue('check', CHECK_EVERY) ? this.updateFindings() : null,
				ready ? this.updatePeers(open, host, reply.peers) : null
			]);
		}.bind(this)).catch(this.complain.bind(this)).then(function() {
			this.updating = null;
			this.first = false;
		}.bind(this));
		return done;
	},

	/* ---- the one line that says whether it protects ---- */

	showState: function(s, err, faults) {
		let level, summary, detail = '', action = null;
		if (s) {
			const up = common.number(s.uptime);
			this.now = common.number(s.started) ? s.started + up : Date.now() / 1000;
			this.locktime = common.number(s.timelock);
			const trouble = this.trouble(s, faults);
			level = trouble ? trouble[0] : 'success';
			summary = trouble ? trouble[1] : _('P2Pwall protects your network.');
			/* Of those that are off unless somebody wants them nothing is said. */
			const titles = function(mode) {
				return this.inMode(mode).filter(function(p) { return protocols.preset(p) != mode; }).map(protocols.title).join(', ');
			}.bind(this);
			const watched = titles('monitor'), off = titles('off');
			detail = [
				trouble ? trouble[2] : '',
				common.number(s.started) ? _('Running since %s (%s).').format(common.clock(s.started), common.duration(up)) : '',
				watched ? _('Watched only: %s.').format(watched) : '',
				off ? _('Switched off: %s.').format(off) : '',
				s.backend && s.backend != 'starting' ? _('Firewall: %s.').format(common.text(s.backend)) : '',
				this.queueText(s),
				s.version ? _('Version %s.').format(common.text(s.version)) : ''
			].filter(function(x) { return x; }).join(' ');
			if (trouble && trouble[3] && !this.readonly) {
				action = trouble[3];
				this.command = 'restart';
			}
		}
		else if (/^unknown cmd/.test(common.reason(err))) {
			this.now = Date.now() / 1000;
			level = 'warning';
			summary = _('It is not known whether P2Pwall protects your network.');
			detail = _('The running program is of another version than this page: restart it.');
			if (!this.readonly) {
				action = _('Restart');
				this.command = 'restart';
			}
		}
		else if (!err.daemon) {
			level = 'warning';
			summary = _('It is not known whether P2Pwall protects your network.');
			detail = common.reason(err);
			if (/Object not found|ubus code 4/.test(detail))
				detail = _('The router’s rpcd does not know P2Pwall: restart it (service rpcd restart), or install the package p2pwall.');
		}
		else {
			this.now = Date.now() / 1000;
			level = 'error';
			summary = _('P2Pwall does not run: nothing is blocked.');
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
		if (this.summary.textContent !== summary)
			this.announce(summary);
		common.say(this.summary, summary);
		common.say(this.detail, detail);
		if (action)
			common.say(this.start, action);
		this.start.style.display = action ? '' : 'none';
	},

	/* What is wrong with a daemon that runs: level, what, what to do, and the button
	 * for a restart where that helps. */
	trouble: function(s, faults) {
		const lost = common.objects(s.queues).reduce(function(n, q) {
			return n + common.number(q.dropped) + common.number(q.user_dropped);
		}, 0);
		const losing = this.lost != null && lost > this.lost;
		this.lost = lost;
		if (s.backend == 'starting')
			return [ 'warning', _('P2Pwall is starting.'), '' ];
		if (s.enabled === false)
			return [ 'warning', _('P2Pwall runs, but is switched off.'), _('Switch it on in the settings.') ];
		if (Array.isArray(s.devices) && !s.devices.length)
			return [ 'error', _('P2Pwall knows no network to watch: nothing is blocked.'), _('Choose your network in the settings.') ];
		if (s.rules_ok === false)
			return [ 'error', _('The firewall rules are not in place: nothing is blocked.'),
				_('They are put back by themselves; if this stays, look at the check below.') ];
		if (losing || common.objects(s.queues).some(function(q) { return common.number(q.length) && common.number(q.waiting) >= q.length; }))
			return [ 'warning', _('More packets come than the router can look at.'), _('Some were not checked.') ];
		if (faults.length)
			return [ 'warning', _('The configuration file has faults: P2Pwall goes on with the settings of before.'), faults.join(' ') ];
		if (common.list(s.restart).length)
			return [ 'warning', _('New settings wait for a restart.'), _('Options: %s.').format(s.restart.join(', ')), _('Restart') ];
		if (!this.inMode('block').length)
			return this.inMode('monitor').length ?
				[ 'warning', _('P2Pwall watches, but blocks nothing.'), _('Choose in the settings what to block.') ] :
				[ 'warning', _('P2Pwall runs, but looks for no protocol.'), _('Choose in the settings what to look for.') ];
		return null;
	},

	/* The protocols that are in a mode. */
	inMode: function(mode) {
		return protocols.names().filter(function(p) {
			return (uci.get('p2pwall', p, 'mode') || protocols.preset(p)) == mode;
		});
	},

	queueText: function(s) {
		const queues = common.objects(s.queues);
		if (!queues.length)
			return '';
		const sum = function(k) { return queues.reduce(function(n, q) { return n + common.number(q[k]); }, 0); };
		return _('Queue: %d waiting, %d lost.').format(sum('waiting'), sum('dropped') + sum('user_dropped'));
	},

	/* Starts or restarts the daemon, and says what came of it. */
	handleService: function(command) {
		let ready = Promise.resolve();
		if (uci.get('p2pwall', 'main', 'enabled') === '0')
			ready = this.change(function() { uci.set('p2pwall', 'main', 'enabled', '1'); });
		return ready.then(function() {
			return fs.exec('/etc/init.d/p2pwall', [ command ]);
		}).then(function(res) {
			const said = common.text(res.stderr).trim();
			if (res.code || said)
				throw new Error(said || _('It could not be started.'));
			return this.answers(START_TRIES);
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
					return this.announce(_('Started'));
				throw new Error(why ? findings.what(why) + ' ' + findings.remedy(why) :
					_('It was started, but does not answer: the system log says why.'));
			}.bind(this));
		}.bind(this));
	},

	/* Whether the daemon is up, or comes up within so many seconds. */
	answers: function(tries) {
		return common.ask('page', '').then(function(r) {
			return (r.status || {}).backend != 'starting';
		}, function() { return false; }).then(function(up) {
			if (up || !tries)
				return up;
			return new Promise(function(done) { window.setTimeout(done, 1000); }).then(this.answers.bind(this, tries - 1));
		}.bind(this));
	},

	/* Changes the configuration at once, without the settings that somebody may
	 * be editing in another tab. */
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

	/* Looks again after something was done, also if a look is under way. */
	again: function() {
		return Promise.resolve(this.updating).then(this.update.bind(this));
	},

	/* ---- the hosts ---- */

	/* null leaves the table as it is. */
	showClients: function(clients) {
		common.attr(this.table, 'class', 'table p2pw-hosts' + (clients ? '' : ' p2pw-old'));
		if (!clients)
			return;
		const seen = {};
		let before = this.tbody.firstChild;
		clients.forEach(function(c) {
			let key = common.text(c.address) + ' ' + common.text(c.protocol);
			while (seen[key])
				key += '+';
			seen[key] = true;
			let row = this.rows[key];
			if (!row) {
				row = this.rows[key] = this.addRow(c);
				/* New ones come in where the daemon has them; the others stay
				 * where they are: to move a node takes its focus away. */
				this.tbody.insertBefore(row.tr, before);
				this.tbody.insertBefore(row.fold, before);
				if (!this.first)
					this.announce(_('Found: %s').format(this.title(c)));
			}
			else {
				if (row.client.locked === true && c.locked === false)
					this.announce(_('%s is not locked any more').format(this.title(c)));
				else if (row.client.locked === false && c.locked === true)
					this.announce(_('%s is locked').format(this.title(c)));
			}
			before = row.fold.nextSibling;
			this.showClient(row, c);
		}, this);
		for (let key in this.rows)
			if (!seen[key])
				this.removeRow(key);
		this.none.style.display = clients.length ? 'none' : '';
		this.table.style.display = clients.length ? '' : 'none';
		common.say(this.none.firstChild, _('No file-sharing program has been found.'));
	},

	removeRow: function(key) {
		const row = this.rows[key], focused = row.tr.contains(document.activeElement) || row.fold.contains(document.activeElement);
		const next = row.fold.nextSibling || row.tr.previousSibling;
		delete this.rows[key];
		this.announce(_('Gone: %s').format(this.title(row.client)));
		this.tbody.removeChild(row.tr);
		this.tbody.removeChild(row.fold);
		if (!focused)
			return;
		for (let k in this.rows)
			if (this.rows[k].tr === next || this.rows[k].fold === next)
				return this.rows[k].toggle.focus();
		this.heading.focus();
	},

	addresses: function(c) {
		const all = common.list(c.addresses).map(common.text);
		return all.length ? all : [ common.text(c.address) ];
	},

	title: function(c) {
		return this.hints.name(c.mac, this.addresses(c)) || common.text(c.address);
	},

	addRow: function(c) {
		const id = 'p2pw-fold-' + (this.serial = (this.serial || 0) + 1);
		const row = { client: c, open: false, peers: {}, id: id };
		row.toggle = E('button', { 'class': 'p2pw-fold', 'type': 'button', 'aria-expanded': 'false', 'aria-controls': id }, []);
		row.where = E('div', { 'class': 'p2pw-small p2pw-mono' }, []);
		row.protocol = E('span', { 'class': 'ifacebadge' }, []);
		row.program = E('div', { 'class': 'p2pw-small' }, []);
		row.found = E('span', {}, []);
		row.proof = E('div', { 'class': 'p2pw-small' }, []);
		row.fill = E('div', {}, []);
		row.bar = E('div', { 'class': 'p2pw-bar', 'role': 'progressbar', 'aria-valuemin': 0 }, [ row.fill ]);
		row.left = E('span', { 'class': 'p2pw-small' }, []);
		row.kind = E('div', { 'class': 'p2pw-small' }, []);
		row.count = E('span', {}, []);
		row.dropped = E('span', {}, []);
		row.probe = E('span', {}, []);
		const cells = [
			common.cell(_('Host'), [ row.toggle, row.where ]),
			common.cell(_('Protocol'), [ E('div', {}, [ row.protocol, row.program ]) ]),
			common.cell(_('Found'), [ E('div', {}, [ row.found, row.proof ]) ]),
			common.cell(_('Lock'), [ E('div', {}, [ row.bar, row.left, row.kind ]) ]),
			common.cell(_('Peers'), [ row.count ]),
			common.cell(_('Dropped'), [ row.dropped ]),
			common.cell(_('Last probe'), [ row.probe ])
		];
		if (!this.readonly) {
			row.allow = E('button', { 'class': 'btn cbi-button', 'type': 'button', 'aria-haspopup': 'dialog' }, [ _('Allow…') ]);
			this.onClick(row.allow, function() { this.askAllow(row); });
			cells.push(common.cell('', [ row.allow ]));
		}
		row.tr = E('tr', { 'class': 'tr' }, cells);

		row.facts = E('p', { 'class': 'p2pw-small' }, []);
		row.peerBody = E('tbody', {}, []);
		row.peerCount = E('p', { 'class': 'p2pw-small' }, [ _('Looking …') ]);
		row.box = E('div', { 'class': 'p2pw-peers', 'role': 'region', 'tabindex': 0 }, [
			E('table', { 'class': 'table' }, [
				common.head([ _('Peer'), _('Found'), _('Last seen'), _('Dropped') ]), row.peerBody
			])
		]);
		row.fold = E('tr', { 'class': 'tr', 'id': id, 'style': 'display:none' }, [
			E('td', { 'class': 'td', 'colspan': this.columns }, [ row.facts, row.peerCount, row.box ])
		]);
		row.toggle.addEventListener('click', function() {
			row.open = !row.open;
			row.toggle.setAttribute('aria-expanded', row.open ? 'true' : 'false');
			row.fold.style.display = row.open ? '' : 'none';
			if (row.open)
				this.updateRowPeers(row);
		}.bind(this));
		return row;
	},

	showClient: function(row, c) {
		const title = this.title(c), all = this.addresses(c);
		row.client = c;
		row.seen = Date.now();
		common.say(row.toggle, title);
		common.say(row.where, [ common.text(c.address), common.text(c.mac) ].filter(function(x) { return x; }).join(' '));
		common.say(row.protocol, common.text(c.title) || common.protocol(c.protocol) || '?');
		common.say(row.program, c.program);
		common.say(row.found, this.ago(c.first_seen));
		common.say(row.proof, common.capital(common.proof(c)));
		common.say(row.count, common.number(c.peers));
		common.say(row.dropped, common.number(c.dropped));
		common.attr(row.dropped, 'title', _('%d TCP, %d UDP').format(common.number(c.dropped_tcp), common.number(c.dropped_udp)));
		common.say(row.probe, this.ago(c.last_probe));
		common.say(row.facts, [
			c.found_reason && c.found_reason != c.reason ? _('Found because %s.').format(common.because(c.found_reason)) : '',
			/* The reason is that of the last time it was locked, or held so. */
			c.reason ? (c.locked ? _('Locked because %s.') : _('Noticed because %s.')).format(common.because(c.reason)) : '',
			!c.locked || c.strict == null ? '' : c.strict ? _('Until it is released it can open no TCP connection.') :
				_('Until it is released the ports, peers and connections of its program are cut, and everything else goes on.'),
			_('Addresses: %s.').format(all.join(', ')),
			c.program ? _('Program: %s.').format(common.text(c.program)) : '',
			c.locks != null ? _('Locks: %d.').format(common.number(c.locks)) : '',
			_('%d TCP, %d UDP').format(common.number(c.dropped_tcp), common.number(c.dropped_udp)) + ' ' + _('packets dropped.'),
			common.number(c.last_answer) ? _('Last answer to a probe: %s.').format(this.ago(c.last_answer)) : ''
		].filter(function(x) { return x; }).join(' '));
		common.attr(row.box, 'aria-label', _('Peers of %s').format(title));
		common.attr(row.bar, 'aria-label', _('Lock of %s').format(title));
		if (row.allow)
			common.attr(row.allow, 'aria-label', _('Allow %s').format(title));
		this.showLock(row);
	},

	showLock: function(row) {
		const c = row.client, total = common.number(c.lock_time) || this.locktime || 0;
		const left = Math.max(0, common.number(c.lock_remaining) - (Date.now() - row.seen) / 1000);
		const locked = c.locked === true && total > 0;
		common.say(row.kind, c.locked !== true || c.strict == null ? '' : c.strict ? _('all new TCP blocked') : _('only the program blocked'));
		row.bar.style.display = locked ? '' : 'none';
		if (!locked) {
			common.say(row.left, c.locked === true ? _('locked') : _('not locked'));
			return;
		}
		row.fill.style.width = Math.min(100, left / total * 100) + '%';
		common.attr(row.bar, 'aria-valuemax', Math.round(total));
		common.attr(row.bar, 'aria-valuenow', Math.round(Math.min(left, total)));
		common.attr(row.bar, 'aria-valuetext', _('%d s left').format(Math.round(left)));
		common.say(row.left, _('%d s left').format(Math.round(left)));
	},

	tick: function() {
		if (!document.hidden)
			for (let key in this.rows)
				this.showLock(this.rows[key]);
	},

	ago: function(t) {
		return common.number(t) ? _('%s ago').format(common.duration(this.now - t)) : '-';
	},

	/* ---- those of which nothing was proved ---- */

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
					common.cell(_('Host'), [ E('strong', {}, []), E('div', { 'class': 'p2pw-small p2pw-mono' }, []) ]),
					common.cell(_('Protocol'), [ E('span', {}, []) ]), common.cell(_('Why')), common.cell(_('Questions')),
					common.cell(_('Dropped')), common.cell(_('Last seen'))
				]);
				this.suspectBody.insertBefore(tr, before);
			}
			before = tr.nextSibling;
			const asked = common.number(s.asked);
			common.say(tr.cells[0].firstChild, this.title(s));
			common.say(tr.cells[0].lastChild, [ address, common.text(s.mac) ].filter(function(x) { return x; }).join(' '));
			common.say(tr.cells[1].firstChild, common.protocol(s.protocol) || '-');
			common.attr(tr.cells[1].firstChild, 'class', common.text(s.protocol) ? 'ifacebadge' : null);
			common.say(tr.cells[2], common.capital(common.why(s.reason)));
			common.say(tr.cells[3], asked ? _('%d, last %s').format(asked, this.ago(s.last_asked)) : _('none yet'));
			common.say(tr.cells[4], common.number(s.dropped));
			common.say(tr.cells[5], this.ago(s.last_seen));
		}, this);
		for (let key in this.suspects)
			if (!seen[key]) {
				this.suspectBody.removeChild(this.suspects[key]);
				delete this.suspects[key];
			}
		this.suspectBox.style.display = suspects.length ? '' : 'none';
	},

	/* ---- the peers of hosts, for the fold-outs that are open ---- */

	updatePeers: function(keys, host, peers) {
		return keys.reduce(function(done, key) {
			const row = this.rows[key];
			if (!row || !row.open)
				return done;
			if (host && common.text(row.client.address) == host)
				this.showPeers(row, common.objects(peers));
			else
				done = done.then(this.updateRowPeers.bind(this, row));
			return done;
		}.bind(this), Promise.resolve());
	},

	updateRowPeers: function(row) {
		return common.ask('peers', common.text(row.client.address)).then(function(reply) {
			this.showPeers(row, common.objects(reply.peers));
		}.bind(this)).catch(function(err) {
			common.say(row.peerCount, common.reason(err));
		});
	},

	showPeers: function(row, peers) {
		const seen = {};
		let before = row.peerBody.firstChild;
		peers.forEach(function(p) {
			const port = common.number(p.port), address = common.text(p.address);
			const key = address.indexOf(':') != -1 && port ? '[' + address + ']:' + port : address + (port ? ':' + port : '');
			if (seen[key])
				return;
			seen[key] = true;
			let tr = row.peers[key];
			if (!tr) {
				tr = row.peers[key] = E('tr', { 'class': 'tr' }, [
					common.cell(_('Peer'), [ E('span', { 'class': 'p2pw-mono' }, [ key ]) ]),
					common.cell(_('Found')), common.cell(_('Last seen')), common.cell(_('Dropped'))
				]);
				row.peerBody.insertBefore(tr, before);
			}
			before = tr.nextSibling;
			common.say(tr.cells[1], this.ago(p.first_seen));
			common.say(tr.cells[2], this.ago(p.last_seen));
			common.say(tr.cells[3], common.number(p.dropped));
		}, this);
		for (let key in row.peers)
			if (!seen[key]) {
				row.peerBody.removeChild(row.peers[key]);
				delete row.peers[key];
			}
		row.box.style.display = peers.length ? '' : 'none';
		common.say(row.peerCount, peers.length ? _('Peers: %d').format(peers.length) : _('No peers are known.'));
	},

	/* ---- what can be done about a host ---- */

	askAllow: function(row) {
		const title = this.title(row.client);
		const close = function() {
			ui.hideModal();
			(row.tr.isConnected ? row.allow : this.heading).focus();
		}.bind(this);
		const choice = function(label, fn) {
			const b = E('button', { 'class': 'btn cbi-button', 'type': 'button' }, [ label ]);
			this.onClick(b, function() {
				return Promise.resolve(fn.call(this)).then(function() {
					this.announce(_('%s is allowed').format(title));
					return this.again();
				}.bind(this)).finally(close);
			});
			return b;
		}.bind(this);
		const midnight = new Date();
		midnight.setHours(24, 0, 0, 0);
		const seconds = Math.max(60, Math.round((midnight - Date.now()) / 1000));
		const buttons = [
			choice(_('For 15 minutes'), function() { return this.exemptFor(row.client, 900); }),
			choice(_('For one hour'), function() { return this.exemptFor(row.client, 3600); }),
			choice(_('Today'), function() { return this.exemptFor(row.client, seconds); }),
			choice(_('Always'), function() { return this.exemptAlways(row.client); })
		];
		const cancel = E('button', { 'class': 'btn cbi-button', 'type': 'button', 'click': close }, [ _('Cancel') ]);
		const dialog = ui.showModal([ _('Allow %s').format(title) ], [
			E('p', {}, [ _('P2Pwall leaves this host alone then: whatever it does is neither looked at nor blocked. For how long?') ]),
			E('div', { 'class': 'right' }, [ cancel ].concat(buttons).reduce(function(all, b) { return all.concat(' ', b); }, []))
		]);
		if (dialog)
			common.attr(dialog, 'aria-label', _('Allow %s').format(title));
		buttons[0].focus();
	},

	exemptFor: function(c, seconds) {
		return common.ask('exempt', common.text(c.address), seconds);
	},

	/* By hardware address where it is known, since that one does not change. */
	exemptAlways: function(c) {
		const host = /^(?!00:00:00:00:00:00)([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(common.text(c.mac)) ? c.mac : common.text(c.address);
		return this.change(function() {
			const known = L.toArray(uci.get('p2pwall', 'main', 'exempt'));
			if (known.indexOf(host) == -1)
				uci.set('p2pwall', 'main', 'exempt', known.concat(host));
		}).then(function() {
			/* Until the daemon has read its configuration again. */
			return this.exemptFor(c, 60);
		}.bind(this));
	},

	/* Who is exempt: always, by the configuration, or for a time. */
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
				return _('%s: %s left').format(name, common.duration(x.seconds));
			}, function() {
				return common.ask('exempt', address, 0);
			});
		}, this);
		for (let k in gone) {
			if (gone[k].li.contains(document.activeElement))
				this.heading.focus();
			this.sparedList.removeChild(gone[k].li);
			delete this.spared[k];
		}
		this.sparedBox.style.display = this.sparedList.firstChild ? '' : 'none';
	},

	/* Takes a host out of the configuration, and ends what it has beside that. */
	watchAgain: function(host, timed) {
		return this.change(function() {
			const rest = L.toArray(uci.get('p2pwall', 'main', 'exempt')).filter(function(a) { return a != host; });
			uci.set('p2pwall', 'main', 'exempt', rest.length ? rest : null);
		}).then(function() {
			return Promise.all(timed.map(function(x) { return common.ask('exempt', common.text(x.address), 0); }));
		});
	},

	/* ---- the last hour, and the check ---- */

	showHistory: function(h) {
		const known = h != null && typeof(h) == 'object';
		for (let k in this.strips)
			if (known)
				this.strips[k].update(h[k], this.now);
		this.chart.style.display = known ? '' : 'none';
		this.noHistory.style.display = known ? 'none' : '';
	},

	updateFindings: function() {
		return common.ask('check').then(function(r) { return common.objects(r.findings); }, function(err) {
			return [ { level: 'warning', what: findings.reason(err) } ];
		}).then(function(found) {
			const words = JSON.stringify(found);
			if (this.lastFindings === words)
				return;
			this.lastFindings = words;
			const rank = { error: 0, warning: 1, ok: 2 }, label = { error: _('Error'), warning: _('Warning') };
						const bad = found.filter(function(f) { return f.level != 'ok'; });
			const good = found.filter(function(f) { return f.level == 'ok'; });
			bad.sort(function(a, b) { return (rank[a.level] || 0) - (rank[b.level] || 0); });
			L.dom.content(this.findings, bad.map(function(f) {
				const level = label[f.level] ? f.level : 'warning';
				return E('li', { 'class': 'alert-message ' + level }, [
					E('p', {}, [ E('strong', {}, [ label[level] + ': ' ]), common.capital(findings.what(f)) ]),
					E('p', {}, [ common.capital(findings.remedy(f)) ])
				]);
			}));
			if (!bad.length)
				L.dom.content(this.findings, [ E('li', {}, [ _('Nothing is wrong.') ]) ]);
			L.dom.content(this.passed, good.map(function(f) { return E('li', {}, [ common.capital(findings.what(f)) ]); }));
			common.say(this.passedCount, _('%d checks passed').format(good.length));
			this.passedBox.style.display = good.length ? '' : 'none';
		}.bind(this));
	}
});
