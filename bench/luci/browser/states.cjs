// SPDX-License-Identifier: GPL-2.0-or-later
//
// States that a daemon in the lab does not reach: the replies are canned.
'use strict';

module.exports = async function(t) {
	const assert = t.assert;
	const state = function(page) { return page.locator('#p2pw-state'); };

	/* Who made the computers that have no name. */
	await t.hook('made');
	const made = await t.open('status'), card = function(i) { return made.locator('.p2pw-host', { hasText: '192.168.1.' + (50 + 2 * i) }); };
	await card(0).filter({ hasText: 'It has no name. Maker of its network card: Example Corp.' }).waitFor();
	await card(1).filter({ hasText: 'Maker of its network card: <img' }).waitFor();
	await card(3).filter({ hasText: 'a private (random) hardware address, as telephones have.' }).waitFor();
	for (const i of [ 2, 4 ])
		assert.ok(!/no name/.test(await card(i).innerText()));
	await t.accessible(made, 'makers');
	await made.close();

	/* 64 hosts with 256 peers each, one fold-out open. */
	await t.hook('full');
	let page = await t.open('status');
	const rows = page.locator('.p2pw-host');
	await t.until('all hosts', async function() { return await rows.count() == 64; });
	await state(page).filter({ hasText: /32 computers are kept from file sharing: .*, .*, .* and 29 more\./ }).waitFor();
	const locked = await rows.evaluateAll(function(l) { return l.map(function(x) { return x.classList.contains('p2pw-locked'); }); });
	assert.deepEqual(locked, locked.slice().sort().reverse(), 'locked ones are not first');
	await page.locator('button.p2pw-fold').nth(63).click();
	const peers = page.locator('.p2pw-peers:visible tbody tr');
	await t.until('all peers', async function() { return await peers.count() == 256; });
	await page.locator('button.p2pw-fold[aria-expanded=false]').evaluateAll(function(l) { l.forEach(function(b) { b.click(); }); });
	await t.until('all peers of all hosts', async function() { return await page.locator('.p2pw-peers tbody tr').count() == 64 * 256; });
	const asked = await t.calls('p2pwall.page');
	await t.until('two more updates', async function() { return await t.calls('p2pwall.page') >= asked + 2; });
	await page.close();
	page = await t.open('status', { phone: true });
	await t.until('all suspects on a phone', async function() { return await page.locator('#p2pw-suspects tbody tr').count() == 64; });
	await t.until('all hosts on a phone', async function() { return await page.locator('button.p2pw-fold').count() == 64; });
	/* A folded card has three lines: name, state and buttons. */
	for (const i of [ 1, 2 ]) {
		const lines = await page.locator('.p2pw-host').nth(i).evaluate(function(e) {
			return Array.from(e.children).filter(function(c) { return c.offsetHeight > 0; }).reduce(function(n, c) {
				return n + (c.querySelector('button') ? 1 : Math.round(c.offsetHeight / parseFloat(getComputedStyle(c).lineHeight)));
			}, 0);
		});
		assert.equal(lines, 3, 'lines of a computer on a phone: ' + await page.locator('.p2pw-host').nth(i).innerText());
	}
	assert.match(await page.locator('#view').innerText(), /since \d\d:\d\d \(1 h \d min\)[^]*since \d{4}-\d\d-\d\d\./);
	await page.locator('button.p2pw-fold').first().click();
	await page.locator('.p2pw-host').first().locator('.p2pw-more').first().waitFor();
	await page.locator('#p2pw-suspects summary').click();
	await t.accessible(page, 'full, on a phone');
	await t.fits(page, 'full, on a phone');
	await page.close();

	/* Every string that can come from outside has markup in it. */
	await t.hook('markup');
	for (const tab of [ 'status', 'log', 'settings' ]) {
		page = await t.open(tab);
		if (tab == 'status') {
			await page.locator('button.p2pw-fold').click();
			await page.locator('.p2pw-peers:visible tbody tr').waitFor();
			await page.locator('#p2pw-findings li').first().waitFor();
			assert.ok((await page.locator('#view').innerText()).includes('<img src=x onerror=alert(1)>'));
			await page.locator('#p2pw-suspects summary').click();
			assert.match(await page.locator('#p2pw-suspects tbody').innerText(), /<img src=x/);
			await page.getByRole('button', { name: 'Allow' }).click();
			await page.locator('.modal h4', { hasText: '<img' }).waitFor();
			await page.getByRole('button', { name: 'For 15 minutes' }).click();
			await page.locator('.alert-message.danger', { hasText: '<img' }).waitFor();
		}
		if (tab == 'log')
			await page.locator('tbody tr', { hasText: '<img' }).first().waitFor();
		if (tab == 'settings')
			await page.locator('.cbi-value').first().waitFor();
		assert.equal(await page.locator('img[src="x"], #view b, .modal b').count(), 0, tab + ' took a string for HTML');
		await page.close();
	}

	/* An older daemon lacks some fields and methods. */
	await t.hook('older');
	page = await t.open('status');
	await page.locator('.p2pw-host', { hasText: '192.168.1.50' }).locator('button.p2pw-fold').click();
	assert.ok(!/NaN|undefined|null|Infinity/.test(await page.locator('#view').innerText()), await page.locator('#view').innerText());
	assert.ok(!await page.locator('#p2pw-chart').isVisible());
	assert.ok(!await page.locator('#p2pw-suspects').isVisible());
	await page.close();
	page = await t.open('log');
	await page.locator('.alert-message', { hasText: 'unknown' }).waitFor();
	await page.close();

	/* Every reason, the program and the kind of lock are in words. */
	await t.hook('reasons');
	for (const [ lang, found, strict, selective, free, locked ] of [
		[ 'en', /(?:Locked|Noticed)\s+(It .+)/, 'No new connection', 'Only this program is stopped', 'Nothing of it is stopped', /^Locked because (it .+)$/ ],
		[ 'de', /(?:Gesperrt|Bemerkt)\s+(Hat.+)/, 'Keine neue Verbindung', 'Nur dieses Programm ist gestoppt', 'Im Moment wird davon nichts', /^Gesperrt: (hat.+)$/ ]
	]) {
		page = await t.open('status', { lang: lang });
		const hosts = page.locator('.p2pw-host');
		await t.until('the hosts', async function() { return await hosts.count() > 10; });
		const texts = new Set();
		for (let i = 0; i < await hosts.count(); i++) {
			const card = hosts.nth(i), reason = (/qBittorrent 4\.6\.(\w+)/.exec(await card.innerText()) || [])[1];
			assert.ok(reason, 'no program in ' + await card.innerText());
			await card.locator('button.p2pw-fold').click();
			const words = (found.exec(await card.locator('dl').innerText()) || [])[1];
			assert.ok(words && words != reason, 'the reason ' + reason + ' is not in words: ' + await card.innerText());
			texts.add(words.toLowerCase());
			const [ kind, not ] = reason == 'probe' ? [ free, strict ] : reason == 'ping' ? [ strict, selective ] : [ selective, strict ];
			const row = await card.innerText();
			assert.ok(row.includes(kind) && !row.includes(not), reason + ': ' + row);
		}
		assert.equal(texts.size, await hosts.count(), 'two reasons have the same words');
		await t.accessible(page, 'reasons, ' + lang);
		await page.close();
		page = await t.open('log', { lang: lang });
		await t.until('the events', async function() { return await page.locator('tbody tr').count() >= texts.size; });
		for (const words of await page.locator('tbody td:nth-child(4)').allInnerTexts())
			assert.ok(texts.delete(((locked.exec(words.trim()) || [])[1] || '').toLowerCase()), words);
		assert.equal(texts.size, 0);
		await page.close();
	}

	/* Every kind of proof for a client, and suspects without a proof. */
	await t.hook('proofs');
	for (const [ lang, proofs, title, asked, never, plain ] of [
		[ 'en', [ 'It answered our question, as BitTorrent does', 'It looked for peers at several addresses', 'It asked several trackers for peers',
			'It asked several addresses for files', 'It opened sessions with several peers',
			'It did at several addresses what only such a program does', 'It answered several peers', 'It answered our question, as FastTrack does',
			'It offered files to several peers', 'It opened several encrypted connections as such a program does',
			'It went on with our key in an encrypted connection, as only BitTorrent does' ],
		/^Looked at, nothing found: \d+$/, /^3, last \d+ s ago$/, 'none yet', 'It did something that such programs do as well' ],
		[ 'de', [ 'Hat unsere Frage beantwortet, wie BitTorrent es tut', 'Hat bei mehreren Adressen nach Peers gesucht', 'Hat mehrere Tracker nach Peers gefragt',
			'Hat bei mehreren Adressen Dateien angefordert', 'Hat mit mehreren Peers Sitzungen begonnen',
			'Hat bei mehreren Adressen getan, was nur ein solches Programm tut', 'Hat mehreren Peers geantwortet', 'Hat unsere Frage beantwortet, wie FastTrack es tut',
			'Hat mehreren Peers Dateien angeboten', 'Hat mehrere verschlüsselte Verbindungen geöffnet, wie ein solches Programm es tut',
			'Hat eine verschlüsselte Verbindung mit unserem Schlüssel fortgesetzt, wie nur BitTorrent es tut' ],
		/^Angesehen, nichts gefunden: \d+$/, /^3, zuletzt vor \d+ s$/, 'noch keine', 'Hat etwas getan, das auch solche Programme tun' ]
	]) {
		page = await t.open('status', { lang: lang });
		const found = page.locator('.p2pw-host > p.p2pw-small');
		await t.until('the hosts', async function() { return await found.count() == proofs.length; });
		/* Every second client is locked. The locked ones come first. */
		const order = proofs.filter(function(x, i) { return i % 2 == 0; }).concat(proofs.filter(function(x, i) { return i % 2; }));
		assert.deepEqual((await found.allInnerTexts()).map(function(x) { return x.trim(); }), order);
		const box = page.locator('#p2pw-suspects');
		assert.match(await box.locator('summary').innerText(), title);
		assert.ok(!await box.locator('table').isVisible(), 'suspects are in sight');
		await box.locator('summary').click();
		const lines = (await box.locator('tbody tr').all()), why = new Set();
		assert.ok(lines.length > 10, 'only ' + lines.length + ' suspects');
		for (let i = 0; i < lines.length; i++) {
			const cells = (await lines[i].locator('td').allInnerTexts()).map(function(x) { return x.trim().replace(/\s+/g, ' '); });
			const last = i == lines.length - 1;
			assert.match(cells[0], new RegExp('^192\\.168\\.1\\.' + (150 + i) + ' 192\\.168\\.1\\.' + (150 + i) + ' 02:00:00:00:02:..$'));
			assert.equal(cells[1], last ? '-' : 'BitTorrent');
			assert.equal(cells[2] == plain, last, cells[2]);
			assert.match(cells[3], last ? new RegExp('^' + never + '$') : asked);
			assert.equal(cells[4], last ? '0' : '2');
			why.add(cells[2]);
		}
		assert.equal(why.size, lines.length, 'two reasons have the same words');
		await t.accessible(page, 'proofs, ' + lang);
		await page.close();
	}

	/* A suspect's row stays in place until the daemon no longer lists the suspect. */
	page = await t.open('status');
	const box = page.locator('#p2pw-suspects'), suspects = box.locator('tbody tr');
	await t.until('the suspects', async function() { return await suspects.count() > 10; });
	await suspects.nth(1).evaluate(function(tr) { tr.setAttribute('data-kept', 'yes'); });
	await t.hook('one-suspect');
	await t.until('one suspect', async function() { return await suspects.count() == 1; });
	assert.equal(await suspects.first().getAttribute('data-kept'), 'yes');
	await state(page).filter({ hasText: 'No file-sharing program has been found.' }).waitFor();
	assert.ok(!await page.locator('#p2pw-begin').isVisible());
	await t.hook('started');
	await box.waitFor({ state: 'hidden' });

	/* Nothing has happened yet. The page says what will, and how to try it. There is no
	 * empty chart. */
	await page.locator('#p2pw-begin', { hasText: 'To try it' }).waitFor();
	assert.ok(!await page.locator('#p2pw-chart').isVisible() && !await page.getByText('Computers', { exact: true }).isVisible());
	await t.until('one line of the check', async function() {
		return /^Check\s+Nothing is wrong\. Check again\s+Details$/.test((await page.locator('#p2pw-check').innerText()).trim());
	});
	await t.accessible(page, 'first run');
	await page.close();

	/* The chart: one hour, a day, a week. The end of a lock does not move the focus. */
	await t.hook('busy');
	page = await t.open('status');
	await state(page).filter({ hasText: '1 computer is kept from file sharing: 192.168.1.53 runs a program for FastTrack.' }).waitFor();
	const svg = page.locator('#p2pw-chart svg');
	assert.equal(await svg.getAttribute('aria-label'), '1 hour: 90 tries stopped, at most 60. tries a minute');
	assert.deepEqual(await page.locator('.p2pw-scale span').allInnerTexts(), [ '60', '30', '0' ]);
	const bars = await svg.locator('rect').evaluateAll(function(l) { return l.slice(-2).map(function(r) { return [ +r.getAttribute('y'), +r.getAttribute('height') ]; }); });
	assert.deepEqual(bars.map(function(b) { return b.map(Math.round); }), [ [ 67, 33 ], [ 0, 67 ] ], 'the bars do not stand on each other');
	for (const o of [ {}, { dark: true }, { phone: true }, { lang: 'de' } ]) {
		const p = await t.open('status', o);
		await p.locator('#p2pw-chart').waitFor();
		await t.accessible(p, 'a chart, ' + JSON.stringify(o));
		await t.fits(p, 'a chart, ' + JSON.stringify(o));
		await p.close();
	}
	await page.getByRole('button', { name: '7 days' }).click();
	assert.equal(await svg.getAttribute('aria-label'), '7 days: 194 tries stopped, at most 180. tries an hour');
	await page.getByRole('button', { name: '24 hours' }).click();
	assert.match(await svg.getAttribute('aria-label'), /^24 hours: 180 tries/);

	/* The calendar: a strip for each computer, today's count, and a table to save. */
	await page.locator('.p2pw-host', { hasText: '192.168.1.53' }).filter({ hasText: 'Connections kept away today: 41.' }).waitFor();
	const strip = page.locator('#p2pw-days svg');
	assert.match(await strip.getAttribute('aria-label'), /^192\.168\.1\.53: 2 days, last \d{4}-\d\d-\d\d, =qBittorrent/);
	assert.deepEqual(await strip.locator('rect').evaluateAll(function(l) {
		return l.map(function(r, i) { return r.classList.contains('p2pw-on') ? i : -1; }).filter(function(i) { return i >= 0; });
	}), [ 26, 29 ]);
	const [ download ] = await Promise.all([ page.waitForEvent('download'), page.getByRole('button', { name: 'Save as CSV' }).click() ]);
	const csv = require('node:fs').readFileSync(await download.path(), 'utf8').split('\r\n');
	assert.equal(csv.length, 5);
	assert.match(csv[1], /^"\d{4}-\d\d-\d\d","192\.168\.1\.53","192\.168\.1\.53","02:00:00:00:01:35","BitTorrent","'=qBittorrent, ""5\.1""","it answered our question, as BitTorrent does",.*,"90","20","1\.5"$/);
	const moved = page.locator('.p2pw-host', { hasText: '192.168.1.54' });
	await moved.locator('button.p2pw-fold').focus();
	await t.hook('other-way');
	await t.until('the other order', async function() { return (await page.locator('.p2pw-host').first().innerText()).includes('192.168.1.54'); });
	assert.ok(await moved.locator('button.p2pw-fold').evaluate(function(b) { return document.activeElement === b; }), 'the focus is lost');
	await page.close();
};
