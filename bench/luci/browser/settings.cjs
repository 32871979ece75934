// SPDX-License-Identifier: GPL-2.0-or-later
//
// The settings page with a running daemon. The page must accept exactly what the daemon
// accepts. VALUES is a table of values, each with the daemon's decision.
'use strict';

const fs = require('node:fs');

module.exports = async function(t) {
	const assert = t.assert;
	const table = JSON.parse(fs.readFileSync(process.env.VALUES, 'utf8'));
	const page = await t.open('settings');
	const id = function(option) {
		const name = '"widget.cbid.p2pwall.main.' + option + '"';
		return ':is([id=' + name + '], [data-widget-id=' + name + '])';
	};
	const tab = function(name) { return page.locator('.cbi-tabmenu a', { hasText: name }).click(); };

	/* Every option that the daemon knows has a field. */
	const fields = await page.locator('.cbi-value[data-name]').evaluateAll(function(l) { return l.map(function(x) { return x.getAttribute('data-name'); }); });
	assert.deepEqual(fields.slice().sort(), table.options.slice().sort());

	/* The page accepts or refuses each value as the daemon does. */
	const wrong = await page.evaluate(async function(values) {
		const out = [], dom = L.dom;
		const map = dom.findClassInstance(document.querySelector('.cbi-map'));
		for (const v of values) {
			const option = map.lookupOption(v.option, 'main')[0];
			const ok = option.validate('main', v.value) === true;
			if (ok != v.ok)
				out.push(v.option + '=' + JSON.stringify(v.value) + ' daemon ' + v.ok + ' page ' + ok);
		}
		return out;
	}, table.values);
	assert.deepEqual(wrong, []);

	/* If the configuration does not set an option, the page shows the daemon's default.
	 * This holds for switches, choices and lists. */
	const shown = await page.evaluate(function(options) {
		const out = {}, map = L.dom.findClassInstance(document.querySelector('.cbi-map'));
		options.forEach(function(o) { out[o] = [].concat(map.lookupOption(o, 'main')[0].formvalue('main')); });
		return out;
	}, Object.keys(table.presets));
	assert.deepEqual(shown, table.presets);

	/* The daemon takes up to 128 names. */
	const many = await page.evaluate(async function() {
		const out = [], map = L.dom.findClassInstance(document.querySelector('.cbi-map'));
		const option = map.lookupOption('winmx_name', 'main')[0], write = option.write;
		option.write = function() {};
		for (const n of [ 128, 129 ]) {
			option.formvalue = function() { return Array.from(Array(n), function(x, i) { return 'n' + i; }); };
			out.push(await map.parse().then(function() { return 'taken'; }, function(err) { return err.message; }));
		}
		delete option.formvalue;
		option.write = write;
		return out;
	});
	assert.deepEqual(many, [ 'taken', 'Names: more than 128' ]);
	await page.reload();
	await page.locator('#view h2').waitFor();

	/* BitTorrent first, old networks folded, and every switch in the fold of its protocol. */
	const modes = page.locator('.cbi-value[data-name$=_mode]');
	assert.equal(await modes.first().getAttribute('data-name'), 'bittorrent_mode');
	assert.deepEqual(await modes.locator('select').first().locator('option').allInnerTexts(), [ 'Block', 'Mark only', 'Watch only', 'Off' ]);
	assert.ok(await modes.first().isVisible() && !await page.locator('.cbi-value[data-name=winmx_mode]').isVisible());
	/* Each network has its row, with its name and the programs that people know. */
	const missing = await page.evaluate(async function() {
		const known = (await L.require('p2pwall.known')).protocols;
		return Object.keys(known).filter(function(p) {
			const row = document.querySelector('.cbi-value[data-name=' + p + '_mode]');
			return !row || !row.textContent.includes(known[p].title) || !row.textContent.includes(known[p].programs);
		});
	});
	assert.deepEqual(missing, []);
	const unfold = function(name) { return page.locator('details.p2pw-fields > summary', { hasText: name }).click(); };
	await t.accessible(page, 'settings');
	await unfold('Old networks');
	assert.ok(await page.locator('.cbi-value[data-name=winmx_mode]').isVisible());
	for (const name of [ 'Allowed computers', 'Log', 'Advanced' ]) {
		await tab(name);
		await t.accessible(page, 'settings, ' + name);
	}
	assert.ok(await page.locator('.cbi-value[data-name=timelock]').isVisible() && !await page.locator('.cbi-value[data-name=bittorrent_http]').isVisible());
	for (const name of [ 'BitTorrent', 'FastTrack', 'WinMX', 'OpenNAP' ])
		await unfold(name);
	await t.accessible(page, 'settings, all switches');

	/* A bad value is marked and not saved. LuCI shows the error but does not catch it. */
	if (t.real) // LuCI calls its own program before it applies changes
		t.expect(/cgi-exec/);
	t.expect(/TypeError: (Option "Lock" contains|Queue number and queues)/);
	await page.locator(id('timelock')).fill('86401');
	await page.locator(id('timelock')).blur();
	await page.locator(id('timelock') + '.cbi-input-invalid').waitFor();
	await page.getByRole('button', { name: 'Save', exact: true }).click();
	await page.getByRole('dialog', { name: /.*/ }).or(page.locator('.modal')).filter({ hasText: 'from 0 to 86400' }).waitFor();
	await page.locator('.modal button').first().click();
	await t.hook('nothing-saved');

	/* Two options that contradict each other. */
	await page.locator(id('timelock')).fill('90');
	await page.locator(id('queue')).fill('65535');
	await page.locator(id('queues')).fill('2');
	await page.getByRole('button', { name: 'Save', exact: true }).click();
	await page.locator('.modal', { hasText: 'beyond 65535' }).waitFor();
	await page.locator('.modal button').first().click();
	await t.hook('nothing-saved');

	/* Good values reach the daemon. */
	await page.reload();
	await page.locator('#view h2').waitFor();
	await tab('Advanced');
	await page.locator(id('timelock')).fill('90');
	await unfold('FastTrack');
	await page.locator(id('fasttrack_pong')).selectOption('off');
	await page.locator(id('fasttrack_http')).uncheck();
	await unfold('BitTorrent');
	await page.locator(id('bittorrent_lock')).selectOption('strict');
	await page.locator(id('bittorrent_reset_encrypted')).uncheck();
	await unfold('Old networks');
	await unfold('WinMX');
	await page.locator(id('winmx_mode')).selectOption('monitor');
	if (!t.real) {
		await page.locator(id('winmx_name')).fill('*.example.org');
		await page.locator(id('winmx_name')).press('Enter');
		await unfold('OpenNAP');
		for (const name of (await page.locator('[id="cbid.p2pwall.main.opennap_name"] .item').all()).reverse())
			await name.click();
	}
	await tab('Allowed computers');
	if (t.real) {
		await page.locator('[id="cbid.p2pwall.main.exempt"] .cbi-dropdown').click();
		await page.locator('[id="cbid.p2pwall.main.exempt"] .create-item-input').first().fill('192.168.1.77');
		await page.keyboard.press('Enter');
	}
	else {
		await page.locator(id('exempt')).fill('192.168.1.77');
		await page.locator(id('exempt')).press('Enter');
		assert.match(await page.locator('datalist[id="choices.cbid.p2pwall.main.exempt"]').innerText(), /<b>attic<\/b> – 192\.168\.1\.50/);
		await tab('Log');
		for (const box of await page.locator('[id="cbid.p2pwall.main.log"] input').all())
			await box.uncheck();
	}
	/* A test message without a receiver, then a policy for one computer at night. */
	if (!t.real) {
		await page.getByRole('button', { name: 'Send a test message' }).click();
		await page.locator('#cbi-p2pwall-notify [role=status]', { hasText: 'Nobody is told yet' }).waitFor();
		await page.locator('#cbi-p2pwall-policy .cbi-button-add').click();
		const policy = page.locator('#cbi-p2pwall-policy [data-sid]');
		assert.deepEqual((await policy.locator('.cbi-value').evaluateAll(function(l) { return l.map(function(x) { return x.getAttribute('data-name'); }); })).sort(),
			table.sections.policy.slice().sort(), 'options of a policy');
		const field = function(name) { return policy.locator('[data-name=' + name + ']'); };
		await field('name').locator('input').fill('night');
		assert.deepEqual(await field('mode').evaluate(function(e) {
			const o = L.dom.findClassInstance(e.querySelector('[id^="cbid."]'));
			return o.keylist.map(function(k) { return Object.assign(Object.create(o), { cfgvalue: function() { return k; } }).textvalue(); });
		}), [ 'Block', 'Mark only', 'Watch only', 'Off' ], 'words in the table of policies');
		await field('mode').locator('select').selectOption('monitor');
		const offered = await field('mac').locator('datalist option').allTextContents();
		const nameless = offered.findIndex(function(x) { return /^192\./.test(x); });
		assert.ok(nameless > 0 && offered.slice(nameless).every(function(x) { return /^192\./.test(x); }), 'those with a name are not first: ' + offered);
		await field('mac').locator('input').fill('02:00:00:00:01:99');
		await field('start_time').locator('input').fill('24:00');
		await field('start_time').locator('input').blur();
		await field('start_time').locator('.cbi-input-invalid').waitFor();
		await field('start_time').locator('input').fill('21:30');
		await field('stop_time').locator('input').fill('6:00');
		await field('weekdays').getByLabel('Monday').check();
		await field('protocol').getByLabel('BitTorrent').check();
		await t.accessible(page, 'a policy');

		/* A receiver of notifications. */
		await page.locator('#cbi-p2pwall-notify .cbi-button-add').click();
		const told = page.locator('#cbi-p2pwall-notify [data-sid]');
		assert.deepEqual((await told.locator('.cbi-value').evaluateAll(function(l) { return l.map(function(x) { return x.getAttribute('data-name'); }); })).sort(),
			table.sections.notify.slice().sort(), 'options of a notify section');
		const url = told.locator('[data-name=url] input');
		await url.fill('ntfy.example.org');
		await url.blur();
		await told.locator('[data-name=url] .cbi-input-invalid').waitFor();
		await url.fill('http://127.0.0.1:9/topic');
		await t.accessible(page, 'somebody who is told');
	}
	await page.getByText('Save & Apply').first().click();
	await page.locator('.modal', { hasText: /applied/ }).waitFor();
	await t.hook('saved');
	assert.equal(await page.locator('#view b').count(), 0);

	/* A test message fails: nobody listens there. Then policy and receiver are removed. */
	if (!t.real) {
		await page.waitForTimeout(1500); // the page reloads
		await page.getByRole('button', { name: 'Send a test message' }).click();
		await page.locator('#cbi-p2pwall-notify [role=status]', { hasText: /^1: (?!sent)./ }).waitFor();
		await page.locator('#cbi-p2pwall-notify .cbi-button-remove').click();
		await page.locator('#cbi-p2pwall-policy .cbi-button-remove').click();
		await page.getByText('Save & Apply').first().click();
		await page.locator('.modal', { hasText: /applied/ }).waitFor();
		await t.hook('no-policy');
	}

	/* A user who may only read. */
	const reader = await t.open('settings', { user: 'reader' });
	const inputs = reader.locator('.cbi-value input, .cbi-value select');
	assert.ok(await inputs.count() > 20);
	assert.equal(await reader.locator('.cbi-value-field input:enabled:not([type=hidden]):not(.cbi-dropdown input), .cbi-value select:enabled').count(), 0, 'a reader can type');
	assert.equal(await reader.locator('.cbi-page-actions button:enabled').count(), 0);

	for (const o of [ { dark: true, phone: true }, { lang: 'de' } ]) {
		const p = await t.open('settings', o);
		await t.accessible(p, 'settings, ' + JSON.stringify(o));
		await t.fits(p, 'settings, ' + JSON.stringify(o));
	}
};
