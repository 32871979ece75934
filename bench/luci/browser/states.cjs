// SPDX-License-Identifier: GPL-2.0-or-later
//
// States that a daemon in the lab is not brought into: replies are canned.
'use strict';

module.exports = async function(t) {
	const assert = t.assert;
	const state = function(page) { return page.locator('#p2pw-state'); };

	/* 64 hosts with 256 peers each, one fold-out open. */
	await t.hook('full');
	let page = await t.open('status');
	const rows = page.locator('#p2pw-hosts > tbody > tr:not([id])');
	await t.until('all hosts', async function() { return await rows.count() == 64; });
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
	await page.locator('button.p2pw-fold').first().click();
	await t.accessible(page, 'full, on a phone');
	await t.fits(page, 'full, on a phone');
	await page.close();

	/* Markup wherever a string can come from outside. */
	await t.hook('markup');
	for (const tab of [ 'status', 'log', 'settings' ]) {
		page = await t.open(tab);
		if (tab == 'status') {
			await page.locator('button.p2pw-fold').click();
			await page.locator('.p2pw-peers:visible tbody tr').waitFor();
			await page.locator('#p2pw-findings li').first().waitFor();
			assert.ok((await page.locator('#view').innerText()).includes('<img src=x onerror=alert(1)>'));
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

	/* An older daemon: fields and methods that are not there. */
	await t.hook('older');
	page = await t.open('status');
	await page.locator('button.p2pw-fold', { hasText: '192.168.1.50' }).click();
	assert.ok(!/NaN|undefined|null|Infinity/.test(await page.locator('#view').innerText()), await page.locator('#view').innerText());
	await page.locator('#view', { hasText: 'keeps no history' }).waitFor();
	assert.ok(!await page.locator('#p2pw-suspects').isVisible());
	await page.close();
	page = await t.open('log');
	await page.locator('.alert-message', { hasText: 'unknown' }).waitFor();
	await page.close();

	/* Every reason for which a host is found, the program and the kind of lock, in
	 * words. */
	await t.hook('reasons');
	for (const [ lang, found, strict, selective, free, locked ] of [
		[ 'en', /(?:Locked|Noticed) because (it .+?)\. /, 'all new TCP blocked', 'only the program blocked', 'not locked', /^Locked because (it .+)$/ ],
		[ 'de', /(?:Gesperrt, erkannt|Bemerkt) durch (.+?)\. /, 'alles neue TCP gesperrt', 'nur das Programm gesperrt', 'nicht gesperrt', /^Gesperrt, erkannt durch (.+)$/ ]
	]) {
		page = await t.open('status', { lang: lang });
		const hosts = page.locator('#p2pw-hosts > tbody > tr:not([id])');
		await t.until('the hosts', async function() { return await hosts.count() > 10; });
		const folds = page.locator('button.p2pw-fold'), texts = new Set();
		for (let i = 0; i < await folds.count(); i++) {
			const row = await hosts.nth(i).innerText(), reason = (/qBittorrent 4\.6\.(\w+)/.exec(row) || [])[1];
			assert.ok(reason, 'no program in ' + row);
			await folds.nth(i).click();
			const facts = await page.locator('#' + await folds.nth(i).getAttribute('aria-controls') + ' p').first().innerText();
			const words = (found.exec(facts) || [])[1];
			assert.ok(words && words != reason, 'the reason ' + reason + ' is not in words: ' + facts);
			texts.add(words);
			const [ kind, not ] = reason == 'probe' ? [ free, strict ] : reason == 'ping' ? [ strict, selective ] : [ selective, strict ];
			assert.ok(row.includes(kind) && !row.includes(not), reason + ': ' + row);
			assert.equal(/(Locked|Gesperrt).*(Until it is released|Bis zur Freigabe)/.test(facts), reason != 'probe', reason + ': ' + facts);
		}
		assert.equal(texts.size, await folds.count(), 'two reasons have the same words');
		await t.accessible(page, 'reasons, ' + lang);
		await page.close();
		page = await t.open('log', { lang: lang });
		await t.until('the events', async function() { return await page.locator('tbody tr').count() >= texts.size; });
		for (const words of await page.locator('tbody td:nth-child(4)').allInnerTexts())
			assert.ok(texts.delete((locked.exec(words.trim()) || [])[1]), words);
		assert.equal(texts.size, 0);
		await page.close();
	}

	/* What proved a host, and those of which nothing was proved. */
	await t.hook('proofs');
	for (const [ lang, proofs, title, asked, never, plain ] of [
		[ 'en', [ 'It answered our question, as BitTorrent does', 'It looked for peers at several addresses', 'It asked several trackers for peers',
			'It asked several addresses for files', 'It pinged several peers', 'It asked for a file by its hash', 'It opened sessions with several peers',
			'It did at several addresses what only such a program does', 'It answered several peers', 'It answered our question, as FastTrack does',
			'It offered files to several peers', 'It opened several encrypted connections as such a program does',
			'It went on with our key in an encrypted connection, as only BitTorrent does' ],
		'Looked at, nothing found', /^3, last \d+ s ago$/, 'none yet', 'It did something that such programs do as well' ],
		[ 'de', [ 'Hat unsere Frage beantwortet, wie BitTorrent es tut', 'Hat bei mehreren Adressen nach Peers gesucht', 'Hat mehrere Tracker nach Peers gefragt',
			'Hat bei mehreren Adressen Dateien angefordert', 'Hat mehrere Peers angepingt', 'Hat eine Datei nach ihrem Hash angefordert', 'Hat mit mehreren Peers Sitzungen begonnen',
			'Hat bei mehreren Adressen getan, was nur ein solches Programm tut', 'Hat mehreren Peers geantwortet', 'Hat unsere Frage beantwortet, wie FastTrack es tut',
			'Hat mehreren Peers Dateien angeboten', 'Hat mehrere verschlüsselte Verbindungen geöffnet, wie ein solches Programm es tut',
			'Hat eine verschlüsselte Verbindung mit unserem Schlüssel fortgesetzt, wie nur BitTorrent es tut' ],
		'Angesehen, nichts gefunden', /^3, zuletzt vor \d+ s$/, 'noch keine', 'Hat etwas getan, das auch solche Programme tun' ]
	]) {
		page = await t.open('status', { lang: lang });
		const found = page.locator('#p2pw-hosts > tbody > tr:not([id]) td:nth-child(3)');
		await t.until('the hosts', async function() { return await found.count() == proofs.length; });
		assert.deepEqual((await found.allInnerTexts()).map(function(x) { return x.trim().split(/\s*\n\s*/)[1]; }), proofs);
		const box = page.locator('#p2pw-suspects');
		assert.equal(await box.locator('h3').innerText(), title);
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

	/* A suspect stays where it is, and goes when the daemon does not list it. */
	page = await t.open('status');
	const box = page.locator('#p2pw-suspects'), suspects = box.locator('tbody tr');
	await t.until('the suspects', async function() { return await suspects.count() > 10; });
	await suspects.nth(1).evaluate(function(tr) { tr.setAttribute('data-kept', 'yes'); });
	await t.hook('one-suspect');
	await t.until('one suspect', async function() { return await suspects.count() == 1; });
	assert.equal(await suspects.first().getAttribute('data-kept'), 'yes');
	await page.locator('#view', { hasText: 'No file-sharing program has been found.' }).waitFor();
	await t.hook('started');
	await box.waitFor({ state: 'hidden' });
	await page.close();

	/* What can be wrong with a daemon that runs. */
	for (const [ name, words ] of [ [ 'norules', 'not in place' ], [ 'disabled', 'switched off' ], [ 'losing', 'More packets come' ],
		[ 'nolan', 'knows no network to watch' ], [ 'faults', '/etc/config/p2pwall:7: <img' ] ]) {
		await t.hook(name);
		page = await t.open('status');
		await state(page).filter({ hasText: words }).waitFor();
		await page.close();
	}

	/* What only a restart brings into force, and a program of another version. */
	for (const [ name, words ] of [ [ 'restart', /New settings wait for a restart.*fail_open, queue/s ], [ 'other-version', /of another version/ ] ]) {
		await t.hook(name);
		page = await t.open('status');
		await state(page).filter({ hasText: words }).waitFor();
		await t.accessible(page, name);
		await page.getByRole('button', { name: 'Restart' }).click();
		await state(page).filter({ hasText: 'protects your network' }).waitFor();
		await page.close();
	}
	await t.hook('restart');
	page = await t.open('status', { user: 'reader' });
	await state(page).filter({ hasText: 'New settings' }).waitFor();
	assert.ok(!await page.getByRole('button', { name: 'Restart' }).isVisible());
	await page.close();

	/* It answers before its rules are in place, and says so. */
	await t.hook('starting');
	page = await t.open('status');
	await state(page).filter({ hasText: 'P2Pwall is starting.' }).waitFor();
	assert.ok(!/not in place|Firewall/.test(await state(page).innerText()));
	await t.hook('started');
	await state(page).filter({ hasText: 'protects your network' }).waitFor();
	await page.close();

	/* One call a look, by rpcd itself where it can; the program is started where that
	 * fails, and not before. */
	for (const [ name, direct, program ] of [ [ 'direct', true, false ], [ 'unable', true, true ] ]) {
		await t.hook('started');
		await t.hook(name);
		page = await t.open('status');
		await state(page).filter({ hasText: 'protects your network' }).waitFor();
		const [ d, p ] = [ await t.calls('luci.p2pwall.page'), await t.calls('p2pwall.page') ];
		await t.until('two more looks', async function() { return await t.calls('luci.p2pwall.page') >= d + 2; });
		assert.equal(await t.calls('p2pwall.page') > p, program, name);
		await page.close();
	}
	await t.hook('missing');

	/* What the check says, worst first, in the user's language. */
	await t.hook('findings');
	for (const [ lang, words ] of [
		[ 'en', [ 'Error: No LAN device is known\nRun as root', 'Warning: Inbound IPv4 connections from wan to br-lan are not blocked\nuci set firewall.x=1',
			'Warning: Something new (1.5)\nnft list ruleset' ] ],
		[ 'de', [ 'Fehler: Kein LAN-Gerät ist bekannt\nAls root starten', 'Warnung: Eingehende IPv4-Verbindungen von wan nach br-lan werden nicht abgewiesen\nuci set firewall.x=1',
			'Warnung: Something new (1.5)\nnft list ruleset' ] ]
	]) {
		page = await t.open('status', { lang: lang });
		await page.locator('#p2pw-findings li.alert-message').first().waitFor();
		assert.deepEqual((await page.locator('#p2pw-findings li.alert-message').allInnerTexts()).map(function(x) { return x.trim().replace(/\n+/g, '\n'); }), words);
		await t.accessible(page, 'findings, ' + lang);
		await page.close();
	}
	page = await t.open('status', { dark: true });
	await page.locator('#p2pw-findings li.warning').first().waitFor();
	await t.accessible(page, 'findings, dark');
	await page.close();

	/* Modes in which it does not block. */
	for (const [ name, words ] of [ [ 'monitor', /blocks nothing.*Watched only: FastTrack, BitTorrent\./s ], [ 'mode-off', /looks for no protocol.*Switched off: FastTrack, BitTorrent\./s ] ]) {
		await t.hook(name);
		page = await t.open('status');
		await state(page).filter({ hasText: words }).waitFor();
		await page.close();
	}

	/* rpcd does not know p2pwall. */
	await t.hook('absent');
	page = await t.open('status');
	await state(page).filter({ hasText: 'does not know P2Pwall' }).waitFor();
	assert.ok(!await page.getByRole('button', { name: 'Start' }).isVisible());
	await page.close();

	/* The check speaks without a daemon. The init script refuses; or it does not, and
	 * the daemon ends at once. */
	await t.hook('down');
	page = await t.open('status');
	await page.locator('#p2pw-findings li.error', { hasText: 'No LAN device is known' }).waitFor();
	await t.hook('quiet');
	await page.getByRole('button', { name: 'Start' }).click();
	await page.locator('.alert-message.danger', { hasText: 'no LAN device is known' }).waitFor();
	await t.hook('loud');
	await page.getByRole('button', { name: 'Start' }).click();
	await page.locator('.alert-message.danger', { hasText: '/etc/config/p2pwall:7: bad value' }).waitFor();
	await page.close();

	/* It is switched off: the same button switches it on. */
	await t.hook('off');
	page = await t.open('status');
	await page.getByRole('button', { name: 'Switch on' }).click();
	await state(page).filter({ hasText: 'protects your network' }).waitFor();
	await t.hook('is-on');

	/* The router does not answer: what was shown stays, and comes back. */
	t.expect(/502|Bad Gateway/);
	await t.hook('unreachable');
	await state(page).filter({ hasText: 'not known whether' }).waitFor();
	assert.ok(!await page.getByRole('button', { name: /Start|Switch on/ }).isVisible());
	await t.hook('reachable');
	await state(page).filter({ hasText: 'protects your network' }).waitFor();

	/* The session ends while the page is open. */
	t.expect(/SessionError|Login session is expired|Access denied/);
	await t.hook('expire');
	await page.locator('.modal', { hasText: 'Session expired' }).waitFor();
	await state(page).filter({ hasText: 'not known whether' }).waitFor();
};
