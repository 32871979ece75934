// SPDX-License-Identifier: GPL-2.0-or-later
//
// The whole app with a running daemon that blocks two clients.
'use strict';

module.exports = async function(t) {
	const assert = t.assert;
	const page = await t.open('status');
	const rows = page.locator('.p2pw-host');
	const row = function(name) { return rows.filter({ has: page.locator('.p2pw-name', { hasText: name }) }); };

	/* The sentence on top, and the list of computers. */
	await t.until('both computers', async function() { return await rows.count() == 2; });
	await t.until('the sentence', async function() {
		return /2 computers are kept from file sharing: .*<b>attic<\/b> \(a program for FastTrack\)/.test(await page.locator('#p2pw-state').innerText());
	});
	assert.ok(!/protect/.test(await page.locator('#view').innerText()));
	const host = row('<b>attic</b>');
	assert.equal(await host.count(), 1, 'the name from the host hints');
	assert.match(await host.innerText(), /FastTrack\s+Stopped while it runs, since \d\d:\d\d \(\d+ s\)\.( Connections kept away today: \d+\.)?\s+No new connection of this computer gets out/);
	assert.equal(await page.locator('#view b').count(), 0, 'a host name was taken for HTML');

	/* A fold-out stays open, and keeps the focus, while the page updates. */
	const fold = host.locator('button.p2pw-fold');
	await fold.focus();
	await page.keyboard.press('Enter');
	assert.equal(await fold.getAttribute('aria-expanded'), 'true');
	const detail = page.locator('#' + await fold.getAttribute('aria-controls'));
	const peers = detail.locator('.p2pw-peers tbody tr');
	await t.until('its peers', async function() { return await peers.count() > 5; });
	assert.match(await detail.locator('dl').innerText(), /192\.168\.1\.50, 02:00:00:00:01:32[^]*for \d+ s, unless the program is heard of again/);
	assert.match(await peers.first().innerText(), /(198\.51\.100|203\.0\.113|192\.0\.2)\.\d+:\d+/);
	await page.evaluate(function() {
		window.kept = document.activeElement;
		window.first = document.querySelector('.p2pw-peers tbody tr');
		document.activeElement.closest('li').setAttribute('data-kept', 'yes');
	});
	const before = await t.calls('p2pwall.page');
	await t.until('three updates', async function() { return await t.calls('p2pwall.page') >= before + 3; });
	assert.ok(await page.evaluate(function() {
		return document.activeElement === window.kept && window.kept.getAttribute('aria-expanded') == 'true' &&
			window.kept.closest('li').getAttribute('data-kept') == 'yes' && document.body.contains(window.first);
	}), 'an update replaced what was there');
	await t.accessible(page, 'status');

	/* The chart, and the check in one line. */
	const chart = page.locator('#p2pw-chart svg');
	await t.until('the chart', async function() { return /^1 hour: [1-9]\d* tries stopped, at most [1-9]\d*\. tries a minute$/.test(await chart.getAttribute('aria-label')); });
	assert.equal(await chart.locator('rect').count(), 120);
	const heights = await chart.locator('rect.p2pw-udp').evaluateAll(function(l) { return l.map(function(r) { return r.getBBox().height; }); });
	assert.ok(Math.max.apply(null, heights.slice(58)) > 0, 'no bar for what was dropped');
	await t.until('the check', async function() { return /Nothing is wrong\.|wrong: see above\./.test(await page.locator('#p2pw-check').innerText()); });
	const levels = await page.locator('#p2pw-findings li').evaluateAll(function(l) {
		return l.map(function(x) { return x.classList.contains('error') ? 0 : 1; });
	});
	assert.deepEqual(levels, levels.slice().sort(), 'findings are not worst first');
	const numbers = page.locator('#p2pw-check dl');
	assert.ok(!await numbers.isVisible(), 'numbers of engineers are in sight');
	await page.locator('#p2pw-check summary').click();
	assert.match(await numbers.innerText(), /Running since[^]*Firewall[^]*Queue\s+\d+ packets waiting, \d+ lost/);
	await page.getByRole('button', { name: 'Check again' }).click();

	/* Each update makes only the call "page". The check may run once in between. */
	const counted = [ 'p2pwall.page', 'p2pwall.status', 'p2pwall.clients', 'p2pwall.peers', 'p2pwall.history', 'p2pwall.check', 'p2pwall.events' ];
	const tally = async function() {
		const out = {};
		for (const c of counted)
			out[c] = await t.calls(c);
		return out;
	};
	const start = await tally();
	await t.until('three looks', async function() { return await t.calls('p2pwall.page') >= start['p2pwall.page'] + 3; });
	const now = await tally();
	for (const c of counted.slice(1))
		assert.ok(now[c] - start[c] <= (c == 'p2pwall.check' ? 1 : 0), c + ' is called beside the page');

	/* A hidden page makes no calls. */
	const hide = function(yes) {
		return page.evaluate(function(yes) {
			Object.defineProperty(document, 'hidden', { value: yes, configurable: true });
			document.dispatchEvent(new Event('visibilitychange'));
		}, yes);
	};
	await hide(true);
	await page.waitForTimeout(1500); // calls that have begun end
	const asked = await t.calls('p2pwall.page');
	await page.waitForTimeout(6000);
	assert.equal(await t.calls('p2pwall.page'), asked, 'a hidden page goes on asking');
	await hide(false);
	await t.until('an update after coming back', async function() { return await t.calls('p2pwall.page') > asked; });

	/* Log. */
	const log = await t.open('log');
	const events = log.locator('tbody tr:visible');
	await t.until('events', async function() { return await events.count() > 3; });
	await log.locator('#view', { hasText: /The log begins \d\d:\d\d\./ }).waitFor();
	const classes = async function() { return new Set(await log.locator('tbody tr:visible td:nth-child(3)').allInnerTexts()); };
	assert.ok(!(await classes()).has('Peer'), 'the peers hide the other events');
	await log.getByLabel('Class').selectOption('');
	assert.ok((await classes()).has('Peer'), 'no peers among all events');
	await log.getByLabel('Class').selectOption('client');
	await t.until('one class', async function() {
		return (await events.locator('td:nth-child(3)').allInnerTexts()).every(function(x) { return /Host/.test(x); });
	});
	assert.ok(await events.count() > 0);
	assert.match(await log.locator('.p2pw-filter [role=status]').innerText(), /^\d+ of \d+ events$/);
	await log.getByLabel('Computer or address').fill('attic');
	assert.ok(await events.count() > 0 && (await events.locator('td:nth-child(2)').allInnerTexts()).every(function(x) { return /<b>attic<\/b> \(/.test(x); }));
	await log.getByRole('button', { name: 'Why was this cut?' }).click();
	await log.locator('#p2pw-answer', { hasText: 'As far as is known, nothing of attic was cut.' }).waitFor();
	await log.getByLabel('Computer or address').fill('192.168.1.50');
	await log.getByRole('button', { name: 'Why was this cut?' }).click();
	await log.locator('#p2pw-answer', { hasText: /<b>attic<\/b> \(192\.168\.1\.50\) is locked, for it runs a program for FastTrack: it .*\. Packets dropped so far: [1-9]/ }).waitFor();
	const peer = /((?:198|203|192)\.\d+\.\d+\.\d+):\d+/.exec(await peers.first().innerText())[1];
	await log.getByLabel('Computer or address').fill(peer);
	await log.getByRole('button', { name: 'Why was this cut?' }).click();
	await log.locator('#p2pw-answer', { hasText: 'At ' + peer + ' there is a peer of the program on <b>attic</b>' }).waitFor();
	await t.accessible(log, 'why something was cut');
	await log.getByLabel('Computer or address').fill('attic');
	const shownEvents = await events.count();
	const [ saved ] = await Promise.all([ log.waitForEvent('download'), log.getByRole('button', { name: 'Save as CSV' }).click() ]);
	const lines = require('node:fs').readFileSync(await saved.path(), 'utf8').split('\r\n');
	assert.ok(lines.length >= shownEvents + 2 && lines.slice(1, -1).every(function(l) { return l.includes('192.168.1.50'); }), lines.join('\n'));
	await log.getByLabel('Computer or address').fill('nobody');
	assert.equal(await events.count(), 0);
	await log.getByLabel('Computer or address').fill('');
	await log.getByLabel('Class').selectOption('');
	const seqs = await events.locator('time').evaluateAll(function(l) { return l.map(function(x) { return Date.parse(x.dateTime); }); });
	assert.deepEqual(seqs, seqs.slice().sort(function(a, b) { return b - a; }), 'newest first');
	await t.accessible(log, 'log');
	await log.close();

	/* The box on the overview says the same. */
	const box = await page.evaluate(function() {
		return L.require('view.status.include.75_p2pwall').then(function(b) {
			return Promise.resolve(b.load()).then(function(data) { return [ b.title, b.render(data).textContent ]; });
		});
	});
	assert.match(box.join(' '), /^P2Pwall 2 computers are kept from file sharing: .*Status$/);

	/* Allow. */
	await t.hook('stop-client'); // or the daemon finds it again later
	await host.getByRole('button', { name: 'Allow' }).click();
	await page.getByRole('button', { name: 'For 15 minutes' }).click();
	await page.locator('[role=status] p', { hasText: '<b>attic</b> is allowed' }).waitFor({ state: 'attached' });
	await t.until('the host to go', async function() { return await host.count() == 0; });
	await page.locator('#p2pw-exempt li', { hasText: '<b>attic</b>' }).filter({ hasText: /15 min left/ }).waitFor();
	await page.getByRole('button', { name: 'Watch again: <b>attic</b>' }).click();
	await t.until('the exemption to go', async function() { return await page.locator('#p2pw-exempt li').count() == 0; });

	/* Allow, with the keyboard alone. */
	const other = row('192.168.1.51');
	const exempt = other.getByRole('button', { name: 'Allow' });
	await exempt.focus();
	await page.keyboard.press('Enter');
	await page.getByRole('dialog', { name: 'Allow 192.168.1.51' }).waitFor();
	assert.equal(await page.evaluate(function() { return document.activeElement.textContent; }), 'For 15 minutes');
	await t.accessible(page, 'allow');
	await page.keyboard.press('Escape');
	await t.until('the focus to come back', function() { return exempt.evaluate(function(b) { return document.activeElement === b; }); });
	const granted = await t.calls('p2pwall.exempt');
	await page.keyboard.press('Enter');
	await page.keyboard.press('Enter');
	await t.until('the exemption', async function() { return await t.calls('p2pwall.exempt') == granted + 1; });
	await t.until('the host to go', async function() { return await other.count() == 0; });
	await page.locator('#p2pw-state', { hasText: 'No file-sharing program has been found' }).waitFor();

	/* The exemption is listed, and can be ended. */
	const spared = page.locator('#p2pw-exempt li', { hasText: '192.168.1.51' });
	await spared.filter({ hasText: 'min left' }).waitFor();
	await t.accessible(page, 'an exemption');
	await spared.getByRole('button', { name: 'Watch again: 192.168.1.51' }).click();
	await page.locator('[role=status] p', { hasText: '192.168.1.51 is watched again' }).waitFor({ state: 'attached' });
	await t.until('the exemption to go', async function() { return await spared.count() == 0; });
	await page.locator('#p2pw-exempt').waitFor({ state: 'hidden' });

	/* Allow a new client for ever: the configuration gets its hardware address. */
	await t.hook('start-client');
	await t.until('the host to come back', async function() { return await host.count() == 1; });
	await host.getByRole('button', { name: 'Allow' }).click();
	await page.getByRole('button', { name: 'Always', exact: true }).click();
	await t.until('the host to go', async function() { return await host.count() == 0; });
	await t.hook('config-exempts-client');
	const always = page.locator('#p2pw-exempt li', { hasText: '<b>attic</b> (02:00:00:00:01:32): always' });
	await always.waitFor();
	assert.equal(await page.locator('#p2pw-exempt li').count(), 1, 'exempt always, and for a time beside it');
	await always.getByRole('button', { name: 'Watch again: <b>attic</b>' }).click();
	await t.until('the exemption to go', async function() { return await page.locator('#p2pw-exempt li').count() == 0; });
	await t.hook('config-exempts-nobody');

	/* The daemon stops, and is started from the page. */
	await t.hook('stop-daemon');
	await page.locator('#p2pw-state.error', { hasText: 'does not run' }).waitFor();
	await t.accessible(page, 'daemon down');
	await page.getByRole('button', { name: 'Start', exact: true }).click();
	await page.locator('#p2pw-state', { hasText: /kept from file sharing|No file-sharing/ }).waitFor();
	assert.ok(!await page.getByRole('button', { name: 'Start', exact: true }).isVisible());

	/* Stopped from the page, and started again. */
	await page.getByRole('button', { name: 'Stop', exact: true }).click();
	await page.locator('#p2pw-state.error', { hasText: 'does not run' }).waitFor();
	await page.getByRole('button', { name: 'Start', exact: true }).click();
	await page.locator('#p2pw-state', { hasText: /kept from file sharing|No file-sharing/ }).waitFor();

	/* A pause: nothing is stopped until somebody ends the pause. Clients that have got their
	 * sessions meanwhile are found again. */
	await page.getByRole('button', { name: 'Pause…' }).click();
	await page.getByRole('dialog', { name: 'Pause' }).waitFor();
	await t.accessible(page, 'pause');
	await page.getByRole('button', { name: 'For one hour' }).click();
	await page.locator('#p2pw-state.warning', { hasText: /Paused: nothing is stopped until [^]*\d\d:\d\d\./ }).waitFor();
	await t.until('the locks to end', async function() { return await page.locator('.p2pw-locked').count() == 0; });
	await t.accessible(page, 'paused');
	await page.getByRole('button', { name: 'Go on now' }).click();
	await t.until('the end of the pause', async function() { return !/Paused/.test(await page.locator('#p2pw-state').innerText()); });
	await t.until('the locks', async function() { return await page.locator('.p2pw-locked').count() == 2; });

	/* Dark, phone, German, and a user who may only look. */
	for (const o of [ { dark: true }, { phone: true }, { lang: 'de' }, { user: 'reader' } ]) {
		const p = await t.open('status', o);
		await p.locator('#p2pw-check').waitFor();
		await t.accessible(p, 'status, ' + JSON.stringify(o));
		await t.fits(p, 'status, ' + JSON.stringify(o));
		if (o.lang)
			assert.match(await p.locator('#p2pw-state').innerText(), /Filesharing/);
		await p.close();
	}
	await t.hook('stop-daemon');
	const reader = await t.open('status', { user: 'reader' });
	await reader.locator('#p2pw-state.error', { hasText: 'You may look' }).waitFor();
	assert.ok(!await reader.getByRole('button', { name: 'Start', exact: true }).isVisible());
	await t.hook('start-daemon');
};
