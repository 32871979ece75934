// SPDX-License-Identifier: GPL-2.0-or-later
//
// Replaces luci-base: the part of its API that the views of P2Pwall use, with the same
// element ids, classes and return values. It is as careless as LuCI: a plain string as
// children is HTML, poll does not catch errors, and a handler of createHandlerFn loses
// the focus.
(function(window, document) {
	'use strict';

	let env = {};
	const classes = {};

	window._ = function(s) { return (window.TR && window.TR[s]) || s; };

	String.prototype.format = function() {
		let i = 0;
		const args = arguments;
		return this.replace(/%(%|s|d|h|f)/g, function(m, how) {
			if (how == '%')
				return '%';
			if (i >= args.length)
				return m;
			const v = args[i++];
			switch (how) {
			case 'd': return Math.floor(+v || 0).toFixed(0);
			case 'f': return +v || 0;
			case 'h': return String(v == null ? '' : v).replace(/[&"'<>]/g, function(c) { return '&#' + c.charCodeAt(0) + ';'; });
			}
			return v;
		});
	};

	/* ---- classes ---- */

	function extend(base, properties) {
		const cls = function() {
			if (this.__init__)
				this.__init__.apply(this, arguments);
		};
		cls.prototype = Object.create(base.prototype);
		Object.assign(cls.prototype, properties);
		cls.prototype.constructor = cls;
		cls.extend = function(p) { return extend(cls, p); };
		cls.isSubclass = function(c) { return typeof(c) == 'function' && c.prototype instanceof cls; };
		return cls;
	}
	const Class = extend(function() {}, {});

	/* ---- DOM ---- */

	const registry = new WeakMap();

	const dom = {
		elem: function(e) { return e != null && typeof(e) == 'object' && 'nodeType' in e; },

		append: function(node, children) {
			if (Array.isArray(children))
				/* As in LuCI, null in a list becomes a text. */
				children.forEach(function(c) {
					node.appendChild(dom.elem(c) ? c : document.createTextNode(String(c)));
				});
			else if (dom.elem(children))
				node.appendChild(children);
			else if (typeof(children) == 'function')
				dom.append(node, children(node));
			else if (children !== null && children !== undefined)
				node.innerHTML = String(children);
			return node.lastChild;
		},

		content: function(node, children) {
			while (node.firstChild)
				node.removeChild(node.firstChild);
			return dom.append(node, children);
		},

		attr: function(node, attr) {
			for (let k in attr || {}) {
				const v = attr[k];
				if (typeof(v) == 'function')
					node.addEventListener(k, v);
				else if (v != null)
					node.setAttribute(k, typeof(v) == 'object' ? JSON.stringify(v) : v);
			}
		},

		create: function(name, attr, children) {
			if (Array.isArray(name)) {
				const all = document.createDocumentFragment();
				name.forEach(function(n) { all.appendChild(dom.create(n)); });
				return all;
			}
			if (!(attr instanceof Object) || Array.isArray(attr) || dom.elem(attr)) {
				children = attr;
				attr = null;
			}
			let node = name;
			if (!dom.elem(name))
				node = name.charAt(0) == '<' ? new DOMParser().parseFromString(name, 'text/html').body.firstChild : document.createElement(name);
			dom.attr(node, attr);
			dom.append(node, children);
			return node;
		},

		bindClassInstance: function(node, inst) { registry.set(node, inst); },

		findClassInstance: function(node) {
			for (; node; node = node.parentNode)
				if (registry.has(node))
					return registry.get(node);
			return null;
		},

		callClassMethod: function(node, method) {
			const inst = dom.findClassInstance(node);
			return inst && inst[method] ? inst[method].apply(inst, Array.prototype.slice.call(arguments, 2)) : null;
		}
	};
	const E = window.E = dom.create;

	/* ---- poll ---- */

	const poll = {
		queue: [], tick: 0, timer: null,
		add: function(fn, interval) {
			poll.queue.push({ fn: fn, i: interval || env.pollinterval, ready: true });
			return true;
		},
		remove: function(fn) { poll.queue = poll.queue.filter(function(e) { return e.fn !== fn; }); },
		start: function() {
			if (poll.timer)
				return false;
			poll.tick = 0;
			poll.timer = window.setInterval(poll.step, 1000);
			poll.step();
			return true;
		},
		stop: function() {
			window.clearInterval(poll.timer);
			poll.timer = null;
		},
		active: function() { return poll.timer != null; },
		step: function() {
			poll.queue.forEach(function(e) {
				if (poll.tick % e.i != 0 || !e.ready)
					return;
				e.ready = false;
				Promise.resolve(e.fn()).finally(function() { e.ready = true; });
			});
			poll.tick++;
		}
	};

	/* ---- rpc ---- */

	let requests = 1;
	const messages = [ 'Command OK', 'Invalid command', 'Invalid argument', 'Method not found', 'Resource not found',
		'No data received', 'Permission denied', 'Request timeout', 'Not supported', 'Unspecified error', 'Connection lost' ];

	function raise(type, message) {
		const e = new Error(message + '\n  at luci.js');
		e.name = type;
		throw e;
	}

	function ask(options, params) {
		const what = options.object + '/' + options.method;
		return fetch(env.ubuspath, {
			method: 'POST', headers: { 'Content-Type': 'application/json' },
			body: JSON.stringify({ jsonrpc: '2.0', id: requests++, method: 'call', params: [ env.sessionid, options.object, options.method, params ] })
		}).then(function(res) {
			if (!res.ok)
				raise('RPCError', 'RPC call to %s failed with HTTP error %d: %s'.format(what, res.status, res.statusText));
			return res.json();
		}).then(function(msg) {
			if (msg.error && msg.error.code == -32002 && options.object != 'session')
				return rpc.declare({ object: 'session', method: 'access', params: [ 'scope', 'object', 'function' ], expect: { access: true } })('uci', 'luci', 'read')
					.catch(notifySessionExpiry).then(function() { return msg; });
			return msg;
		}).then(function(msg) {
			if (msg.error)
				raise('RPCError', 'RPC call to %s failed with error %d: %s'.format(what, msg.error.code, msg.error.message));
			let ret = msg.result.length > 1 ? msg.result[1] : msg.result[0];
			if (options.reject && msg.result[0] !== 0)
				raise('RPCError', 'RPC call to %s failed with ubus code %d: %s'.format(what, msg.result[0], messages[msg.result[0]]));
			for (let key in options.expect || {}) {
				const expected = options.expect[key];
				if (key != '' && ret != null)
					ret = ret[key];
				if (Object.prototype.toString.call(ret) != Object.prototype.toString.call(expected))
					ret = expected;
			}
			return ret;
		});
	}

	const rpc = {
		declare: function(options) {
			return function() {
				const params = {}, args = arguments;
				(options.params || []).forEach(function(p, i) { params[p] = args[i]; });
				return ask(options, params);
			};
		}
	};

	function notifySessionExpiry() {
		poll.stop();
		ui.showModal(_('Session expired'), [
			E('div', { 'class': 'alert-message warning' }, _('A new login is required since the authentication session expired.')),
			E('div', { 'class': 'right' }, [ E('button', { 'class': 'btn', 'click': function() { window.location.reload(); } }, [ _('Log in…') ]) ])
		]);
		raise('SessionError', 'Login session is expired');
	}

	const fs = {
		exec: function(command, params) {
			return rpc.declare({ object: 'file', method: 'exec', params: [ 'command', 'params' ], reject: true })(command, params);
		}
	};

	/* ---- uci ---- */

	const call = {};
	[ [ 'get', 'config' ], [ 'add', 'config', 'type', 'name', 'values' ], [ 'set', 'config', 'section', 'values' ],
		[ 'delete', 'config', 'section', 'options' ] ].forEach(function(m) {
		call[m[0]] = rpc.declare({ object: 'uci', method: m[0], params: m.slice(1), reject: true });
	});

	const uci = {
		values: {}, creates: {}, edits: {}, deletes: {}, made: 0,

		load: function(configs) {
			return Promise.all([].concat(configs).map(function(c) {
				return uci.values[c] ? null : call.get(c).then(function(r) { uci.values[c] = r.values; });
			}));
		},
		unload: function(configs) {
			[].concat(configs).forEach(function(c) {
				delete uci.values[c];
				delete uci.creates[c];
				delete uci.edits[c];
				delete uci.deletes[c];
			});
		},
		at: function(c, s) { return (uci.creates[c] || {})[s] || (uci.values[c] || {})[s] || null; },
		get: function(c, s, o) {
			const edit = ((uci.edits[c] || {})[s] || {}), section = uci.at(c, s);
			if (o == null)
				return section && Object.assign({}, section, edit);
			return o in edit ? edit[o] : section ? section[o] : null;
		},
		sections: function(c, type) {
			return Object.keys(uci.values[c] || {}).concat(Object.keys(uci.creates[c] || {})).filter(function(s) {
				return !(uci.deletes[c] || {})[s];
			}).map(function(s) { return uci.get(c, s); })
				.filter(function(s) { return !type || s['.type'] == type; })
				.sort(function(a, b) { return a['.index'] - b['.index']; });
		},
		add: function(c, type, name) {
			const sid = name || 'new' + (++uci.made);
			(uci.creates[c] = uci.creates[c] || {})[sid] = { '.type': type, '.name': sid, '.anonymous': !name, '.index': 1000 + uci.made };
			return sid;
		},
		move: function() {}, // the tests do not check the order on the router
		remove: function(c, s) {
			if ((uci.creates[c] || {})[s])
				delete uci.creates[c][s];
			else
				(uci.deletes[c] = uci.deletes[c] || {})[s] = true;
			if (uci.edits[c])
				delete uci.edits[c][s];
		},
		set: function(c, s, o, v) {
			if (!uci.at(c, s))
				return;
			uci.edits[c] = uci.edits[c] || {};
			(uci.edits[c][s] = uci.edits[c][s] || {})[o] = v === '' ? null : v;
		},
		unset: function(c, s, o) { uci.set(c, s, o, null); },
		save: function() {
			const tasks = [], configs = {};
			for (let c in uci.creates)
				for (let s in uci.creates[c]) {
					configs[c] = true;
					const fresh = uci.creates[c][s], values = {};
					for (let o in (uci.edits[c] || {})[s])
						if (fresh['.anonymous'] && uci.edits[c][s][o] != null)
							values[o] = uci.edits[c][s][o];
					if (fresh['.anonymous'])
						delete (uci.edits[c] || {})[s];
					tasks.push([ 'add', c, fresh['.type'], fresh['.anonymous'] ? undefined : s, values ]);
				}
			for (let c in uci.deletes)
				for (let s in uci.deletes[c]) {
					configs[c] = true;
					tasks.push([ 'delete', c, s ]);
				}
			for (let c in uci.edits)
				for (let s in uci.edits[c]) {
					const set = {}, gone = [];
					for (let o in uci.edits[c][s]) {
						const v = uci.edits[c][s][o];
						if (v != null)
							set[o] = v;
						else if ((uci.at(c, s) || {})[o] != null)
							gone.push(o);
					}
					configs[c] = true;
					if (Object.keys(set).length)
						tasks.push([ 'set', c, s, set ]);
					if (gone.length)
						tasks.push([ 'delete', c, s, gone ]);
				}
			return tasks.reduce(function(done, t) {
				return done.then(function() { return call[t[0]].apply(null, t.slice(1)); });
			}, Promise.resolve()).then(function() {
				uci.unload(Object.keys(configs));
				return uci.load(Object.keys(configs));
			});
		},
		changes: rpc.declare({ object: 'uci', method: 'changes', expect: { changes: {} } })
	};

	/* ---- ui ---- */

	let overlay = null;

	function post(path) {
		return fetch(L.url('admin/uci', path), { method: 'POST' });
	}

	const ui = {
		showModal: function(title, children) {
			const dialog = overlay.firstElementChild;
			dom.content(dialog, E('h4', {}, title));
			dom.append(dialog, children);
			document.body.classList.add('modal-overlay-active');
			overlay.focus();
			return dialog;
		},
		hideModal: function() {
			document.body.classList.remove('modal-overlay-active');
			overlay.blur();
		},
		addNotification: function(title, children, style) {
			const box = E('div', {}, []);
			const node = E('div', { 'class': 'alert-message ' + (style || '') }, [ box,
				E('button', { 'class': 'btn', 'click': function() { node.remove(); } }, [ _('Dismiss') ]) ]);
			if (title != null)
				dom.append(box, E('h4', {}, title));
			dom.append(box, children);
			const main = document.getElementById('maincontent');
			main.insertBefore(node, main.firstElementChild);
			return node;
		},
		createHandlerFn: function(ctx, fn) {
			const extra = Array.prototype.slice.call(arguments, 2);
			return function(ev) {
				const t = ev.currentTarget;
				t.disabled = true;
				t.blur();
				Promise.resolve((typeof(fn) == 'string' ? ctx[fn] : fn).apply(ctx, extra.concat(ev))).finally(function() { t.disabled = false; });
			};
		},
		changes: {
			apply: function() {
				ui.showModal('', [ E('p', {}, [ _('Applying configuration changes…') ]) ]);
				return post('apply_rollback').then(function() { return post('confirm'); }).then(function() {
					ui.showModal('', [ E('p', {}, [ _('Configuration changes applied.') ]) ]);
					window.setTimeout(function() { window.location.reload(); }, 1000);
				});
			}
		},
		instantiateView: function(path) {
			return L.require('view.' + path.replace(/\//g, '.')).catch(function(err) {
				dom.content(document.getElementById('view'), [ E('pre', { 'class': 'alert-message error' }, [ String(err.stack || err) ]) ]);
				throw err;
			});
		}
	};

	/* ---- view ---- */

	const View = Class.extend({
		__init__: function() {
			const at = document.getElementById('view');
			dom.content(at, E('div', { 'class': 'spinning' }, [ _('Loading view…') ]));
			Promise.resolve(this.load()).then(this.render.bind(this)).then(function(nodes) {
				dom.content(at, nodes);
				dom.append(at, this.addFooter());
			}.bind(this)).catch(function(err) {
				ui.addNotification(null, E('pre', {}, [ err.message ]), 'danger');
				throw err;
			});
		},
		load: function() {},
		render: function() {},
		maps: function(method) {
			return Promise.all(Array.from(document.querySelectorAll('.cbi-map')).map(function(m) {
				return dom.callClassMethod(m, method);
			}));
		},
		handleSave: function() { return this.maps('save'); },
		handleSaveApply: function() { return this.maps('save').then(function() { ui.changes.apply(true); }); },
		handleReset: function() { return this.maps('reset'); },
		addFooter: function() {
			const maps = Array.from(document.querySelectorAll('.cbi-map')).map(dom.findClassInstance).filter(function(m) { return m; });
			const readonly = maps.length ? maps.every(function(m) { return m.readonly; }) : !L.hasViewPermission();
			const buttons = [ [ 'handleSaveApply', _('Save & Apply'), 'apply' ], [ 'handleSave', _('Save'), 'save' ], [ 'handleReset', _('Reset'), 'reset' ] ]
				.filter(function(b) { return this[b[0]]; }, this)
				.map(function(b) {
					return E('button', { 'class': 'btn cbi-button cbi-button-' + b[2], 'disabled': readonly || null,
						'click': ui.createHandlerFn(this, b[0]) }, [ b[1] ]);
				}, this);
			return buttons.length ? E('div', { 'class': 'cbi-page-actions' }, buttons) : E([]);
		}
	});

	/* ---- form ---- */

	const Element = Class.extend({
		__init__: function(title, description) {
			this.title = title;
			this.description = description;
			this.children = [];
		}
	});

	const Map_ = Element.extend({
		__init__: function(config, title, description) {
			Element.prototype.__init__.call(this, title, description);
			this.config = config;
		},
		section: function(cls) {
			const args = Array.prototype.slice.call(arguments, 1), name = cls.named ? args.shift() : null, type = args.shift();
			const s = new cls(args[0], args[1]);
			Object.assign(s, { map: this, section: name, sectiontype: type });
			this.children.push(s);
			return s;
		},
		load: function() {
			const access = rpc.declare({ object: 'session', method: 'access', params: [ 'scope', 'object', 'function' ], expect: { access: false } });
			return Promise.all([ access('uci', this.config, 'write'), uci.load(this.config) ]).then(function(res) {
				if (res[0] === false)
					this.readonly = true;
				this.children.forEach(function(s) { s.load(); });
			}.bind(this));
		},
		parse: function() {
			return Promise.all(this.children.map(function(s) { return s.parse(); }));
		},
		save: function() {
			return this.parse().then(uci.save).then(this.load.bind(this)).catch(function(e) {
				ui.showModal(_('Save error'), [
					E('p', {}, [ _('An error occurred while saving the form:') ]),
					E('p', {}, [ E('em', {}, [ e.message ]) ]),
					E('div', { 'class': 'right' }, [ E('button', { 'class': 'btn', 'click': ui.hideModal }, [ _('Dismiss') ]) ])
				]);
				return Promise.reject(e);
			}).then(this.renderContents.bind(this));
		},
		reset: function() { return this.renderContents(); },
		render: function() { return this.load().then(this.renderContents.bind(this)); },
		renderContents: function() {
			this.root = this.root || E('div', { 'id': 'cbi-' + this.config, 'class': 'cbi-map' });
			dom.bindClassInstance(this.root, this);
			dom.content(this.root, [
				E('h2', { 'name': 'content' }, [ this.title ]),
				E('div', { 'class': 'cbi-map-descr' }, [ this.description ])
			].concat(this.children.map(function(s) { return s.render(); })));
			return this.root;
		},
		lookupOption: function(name, section) {
			let found = null;
			this.children.forEach(function(s) {
				s.children.forEach(function(o) {
					if (s.section == section && o.option == name)
						found = [ o, section ];
				});
			});
			return found;
		}
	});

	const NamedSection = Element.extend({
		tab: function(name, title) { (this.tabs = this.tabs || []).push({ name: name, title: title }); },
		taboption: function(tab, cls, name, title, description) {
			const o = this.option(cls, name, title, description);
			o.tab = tab;
			return o;
		},
		option: function(cls, name, title, description) {
			const o = new cls(title, description);
			Object.assign(o, { map: this.map, section: this, option: name });
			this.children.push(o);
			return o;
		},
		load: function() {
			this.children.forEach(function(o) { o.cfgvalue(this.section, o.load(this.section)); }, this);
		},
		parse: function() {
			return Promise.all(this.children.map(function(o) { return o.parse(this.section); }, this));
		},
		frames: function(tab) {
			return this.children.filter(function(o) { return o.tab == tab; }).map(function(o) { return o.renderFrame(this.section); }, this);
		},
		head: function() {
			return [].concat(this.title ? E('h3', {}, [ this.title ]) : [], this.description ? E('div', { 'class': 'cbi-section-descr' }, [ this.description ]) : []);
		},
		render: function() {
			if (!this.tabs)
				return E('div', { 'class': 'cbi-section' }, this.head().concat(E('div', { 'class': 'cbi-section-node' }, this.frames())));
			const menu = E('ul', { 'class': 'cbi-tabmenu' }), panes = E('div', { 'class': 'cbi-section-node cbi-section-node-tabbed' });
			const show = function(name) {
				[ menu, panes ].forEach(function(list) {
					Array.from(list.children).forEach(function(n) {
						const on = n.getAttribute('data-tab') == name;
						if (list == menu)
							n.className = on ? 'cbi-tab' : 'cbi-tab-disabled';
						else
							n.setAttribute('data-tab-active', on);
					});
				});
			};
			this.tabs.forEach(function(t) {
				menu.appendChild(E('li', { 'data-tab': t.name }, [
					E('a', { 'href': '#', 'click': function(ev) { ev.preventDefault(); show(t.name); } }, [ t.title ]) ]));
				panes.appendChild(E('div', { 'data-tab': t.name, 'data-tab-title': t.title }, this.frames(t.name)));
			}, this);
			show(this.tabs[0].name);
			return E('div', { 'class': 'cbi-section' }, this.head().concat(menu, panes));
		}
	});
	NamedSection.named = true;

	/* Shows each section of the type with all its fields. LuCI shows a row for each, and
	 * the fields in a dialog. */
	const GridSection = NamedSection.extend({
		load: function() {
			this.rows = {};
			uci.sections(this.map.config, this.sectiontype).forEach(function(u) { this.row(u['.name']); }, this);
		},
		row: function(sid) {
			this.rows[sid] = this.children.map(function(o) {
				const own = Object.create(o);
				own.section = { section: sid };
				own.cfgvalue(sid, own.load(sid));
				return own;
			});
		},
		parse: function() {
			return Promise.all([].concat.apply([], Object.keys(this.rows).map(function(sid) {
				return this.rows[sid].map(function(o) { return o.parse(sid); });
			}, this)));
		},
		rowNode: function(sid) {
			const node = E('div', { 'class': 'cbi-section-table-row', 'data-sid': sid }, this.rows[sid].map(function(o) { return o.renderFrame(sid); }));
			if (this.addremove)
				node.appendChild(E('button', { 'type': 'button', 'class': 'btn cbi-button cbi-button-remove', 'disabled': this.map.readonly ? '' : null, 'click': function() {
					uci.remove(this.map.config, sid);
					delete this.rows[sid];
					node.remove();
				}.bind(this) }, [ _('Delete') ]));
			return node;
		},
		render: function() {
			const list = E('div', { 'class': 'cbi-section-node' }, Object.keys(this.rows).map(this.rowNode, this));
			return E('div', { 'class': 'cbi-section', 'id': 'cbi-' + this.map.config + '-' + this.sectiontype }, this.head().concat(list, this.addremove ?
				E('button', { 'type': 'button', 'class': 'btn cbi-button cbi-button-add', 'disabled': this.map.readonly ? '' : null, 'click': function() {
					const sid = uci.add(this.map.config, this.sectiontype);
					this.row(sid);
					list.appendChild(this.rowNode(sid));
				}.bind(this) }, [ _('Add') ]) : []));
		}
	});
	GridSection.named = false;

	const Value = Element.extend({
		rmempty: true,
		value: function(key, label) {
			(this.keylist = this.keylist || []).push(String(key));
			(this.vallist = this.vallist || []).push(dom.elem(label) ? label : String(label != null ? label : key));
		},
		cbid: function(sid) { return 'cbid.%s.%s.%s'.format(this.map.config, sid, this.option); },
		load: function(sid) { return uci.get(this.map.config, this.ucisection || sid, this.ucioption || this.option); },
		cfgvalue: function(sid, v) {
			if (arguments.length == 2)
				this.data = v;
			return this.data;
		},
		validate: function() { return true; },
		input: function() { return this.node.querySelector('input, select'); },
		formvalue: function() { return this.input().value; },
		isValid: function() {
			const ok = this.validate(this.section.section, this.input().value);
			this.error = ok === true ? '' : ok;
			this.input().classList.toggle('cbi-input-invalid', ok !== true);
			dom.attr(this.input(), { 'data-tooltip': this.error });
			return ok === true;
		},
		parse: function(sid) {
			if (!this.isValid())
				return Promise.reject(new TypeError(_('Option "%s" contains an invalid input value.').format(this.title) + ' ' + this.error));
			const v = this.formvalue(sid);
			if (v == null || v == '')
				return Promise.resolve(this.remove(sid));
			if (JSON.stringify(v) != JSON.stringify(this.cfgvalue()))
				return Promise.resolve(this.write(sid, v));
			return Promise.resolve();
		},
		write: function(sid, v) { uci.set(this.map.config, this.ucisection || sid, this.ucioption || this.option, v); },
		remove: function(sid) { uci.unset(this.map.config, this.ucisection || sid, this.ucioption || this.option); },
		attributes: function(sid, more) {
			return Object.assign({ 'id': 'widget.' + this.cbid(sid), 'disabled': this.map.readonly ? '' : null }, more);
		},
		renderFrame: function(sid) {
			this.node = E('div', { 'id': this.cbid(sid) }, []);
			this.renderWidget(sid, this.cfgvalue() != null ? this.cfgvalue() : this.default);
			[ 'keyup', 'change', 'focusout' ].forEach(function(ev) { this.node.addEventListener(ev, this.isValid.bind(this)); }, this);
			dom.bindClassInstance(this.node, this);
			return E('div', { 'class': 'cbi-value', 'data-name': this.option, 'data-field': this.cbid(sid) }, [
				E('label', { 'class': 'cbi-value-title', 'for': 'widget.' + this.cbid(sid) }, this.title),
				E('div', { 'class': 'cbi-value-field' }, [ this.node ].concat(
					this.description ? E('div', { 'class': 'cbi-value-description' }, this.description) : []))
			]);
		},
		renderWidget: function(sid, v) {
			dom.append(this.node, E('input', this.attributes(sid, { 'type': 'text', 'class': 'cbi-input-text', 'value': v, 'placeholder': this.placeholder })));
		}
	});

	const ListValue = Value.extend({
		renderWidget: function(sid, v) {
			dom.append(this.node, E('select', this.attributes(sid, { 'class': 'cbi-input-select' }), this.keylist.map(function(k, i) {
				return E('option', { 'value': k, 'selected': k == v ? '' : null }, [ this.vallist[i] ]);
			}, this)));
		}
	});

	const Flag = Value.extend({
		default: '0',
		formvalue: function() { return this.input().checked ? '1' : '0'; },
		parse: function(sid) {
			const v = this.formvalue();
			return Promise.resolve(v == this.default && this.rmempty ? this.remove(sid) : this.write(sid, v));
		},
		renderWidget: function(sid, v) {
			dom.append(this.node, E('input', this.attributes(sid, { 'type': 'checkbox', 'class': 'cbi-input-checkbox', 'checked': v == '1' ? '' : null })));
		}
	});

	const DynamicList = Value.extend({
		formvalue: function() {
			const items = Array.from(this.node.querySelectorAll('.item')).map(function(i) { return i.getAttribute('data-value'); });
			const typed = this.input().value;
			if (typed && this.isValid() && items.indexOf(typed) == -1)
				items.push(typed);
			return items;
		},
		addItem: function(v) {
			const at = (this.keylist || []).indexOf(v);
			const item = E('button', { 'type': 'button', 'class': 'item', 'data-value': v, 'disabled': this.map.readonly ? '' : null,
				'click': function() { item.remove(); } }, [ at != -1 ? this.vallist[at] : v ]);
			this.node.insertBefore(item, this.input());
		},
		renderWidget: function(sid, v) {
			const choices = this.keylist ? 'choices.' + this.cbid(sid) : null;
			dom.append(this.node, E('input', this.attributes(sid, { 'type': 'text', 'class': 'cbi-input-text', 'list': choices, 'autocomplete': 'off' })));
			if (choices)
				dom.append(this.node, E('datalist', { 'id': choices }, this.keylist.map(function(k, i) {
					return E('option', { 'value': k }, [ this.vallist[i] ]);
				}, this)));
			L.toArray(v).forEach(this.addItem, this);
			this.input().addEventListener('keydown', function(ev) {
				if (ev.key != 'Enter')
					return;
				ev.preventDefault();
				if (this.input().value && this.isValid()) {
					this.addItem(this.input().value);
					this.input().value = '';
				}
			}.bind(this));
		}
	});

	const MultiValue = Value.extend({
		isValid: function() { return true; },
		formvalue: function() {
			return Array.from(this.node.querySelectorAll('input:checked')).map(function(i) { return i.value; });
		},
		renderWidget: function(sid, v) {
			const on = L.toArray(v);
			dom.append(this.node, this.keylist.map(function(k, i) {
				return E('label', {}, [ E('input', this.attributes(sid, { 'id': i ? null : 'widget.' + this.cbid(sid), 'type': 'checkbox', 'value': k,
					'checked': on.indexOf(k) != -1 ? '' : null })), ' ', this.vallist[i] ]);
			}, this));
		}
	});

	/* ---- L ---- */

	Object.assign(classes, {
		baseclass: Class, dom: dom, poll: poll, rpc: rpc, fs: fs, uci: uci, ui: ui, view: View,
		form: { Map: Map_, NamedSection: NamedSection, GridSection: GridSection, Value: Value, ListValue: ListValue, Flag: Flag, DynamicList: DynamicList, MultiValue: MultiValue }
	});

	window.LuCI = function(setenv) {
		env = this.env = setenv;
		document.addEventListener('DOMContentLoaded', function() {
			overlay = document.body.appendChild(E('div', { 'id': 'modal_overlay', 'tabindex': -1 },
				[ E('div', { 'class': 'modal', 'role': 'dialog', 'aria-modal': true }) ]));
			overlay.addEventListener('keydown', function(ev) {
				const b = ev.key == 'Escape' ? overlay.querySelector('.right > button') : null;
				if (b)
					b.click();
			});
			poll.start();
		});
	};

	Object.assign(window.LuCI.prototype, {
		dom: dom, Class: Class,

		/* Loads a class file, after the files that its 'require' lines name. */
		require: function(name) {
			if (classes[name])
				return Promise.resolve(classes[name]);
			const url = env.base_url + '/' + name.replace(/\./g, '/') + '.js';
			return classes[name] = fetch(url).then(function(res) {
				if (!res.ok)
					raise('NetworkError', 'HTTP error %d while loading class file "%s"'.format(res.status, url));
				return res.text();
			}).then(function(source) {
				const needs = [], names = [];
				let rest = source, m;
				while ((m = /^(?:\s|\/\/.*\n|\/\*[^]*?\*\/)*(['"])(?:use strict|require[ \t]+(\S+)(?:[ \t]+as[ \t]+(\w+))?)\1;/.exec(rest))) {
					rest = rest.substr(m[0].length);
					if (m[2]) {
						needs.push(L.require(m[2]));
						names.push(m[3] || m[2].replace(/\W/g, '_'));
					}
				}
				return Promise.all(needs).then(function(instances) {
					const factory = (0, eval)('(function(window, document, L' + names.map(function(n) { return ', ' + n; }).join('') +
						') { ' + source + ' })\n\n//# sourceURL=' + url + '\n');
					const cls = factory.apply(factory, [ window, document, L ].concat(instances));
					if (!Class.isSubclass(cls))
						raise('TypeError', '"%s" factory yields invalid constructor'.format(name));
					return classes[name] = new cls();
				});
			});
		},
		url: function() { return [ env.scriptname ].concat(Array.from(arguments)).join('/'); },
		resource: function() { return [ env.resource ].concat(Array.from(arguments)).join('/'); },
		bind: function(fn, self) { return fn.bind.apply(fn, [ self ].concat(Array.prototype.slice.call(arguments, 2))); },
		isObject: function(v) { return v != null && typeof(v) == 'object'; },
		toArray: function(v) {
			if (v == null)
				return [];
			if (Array.isArray(v))
				return v;
			if (typeof(v) == 'object')
				return [ v ];
			return String(v).trim() == '' ? [] : String(v).trim().split(/\s+/);
		},
		resolveDefault: function(v, d) { return Promise.resolve(v).catch(function() { return d; }); },
		hasViewPermission: function() { return env.nodespec.satisfied ? !env.nodespec.readonly : null; }
	});
})(window, document);
