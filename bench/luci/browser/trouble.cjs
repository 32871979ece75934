// SPDX-License-Identifier: GPL-2.0-or-later
//
// What can be wrong with the daemon, its configuration, and the way to it. The replies
// are canned.
'use strict';

module.exports = async function(t) {
	const assert = t.assert;
	const state = function(page) { return page.locator('#p2pw-state'); };
	let page;

	/* What can be wrong with a daemon that runs. */
	for (const [ name, words ] of [ [ 'norules', 'not in place' ], [ 'disabled', 'switched off' ], [ 'losing', 'More packets come' ],
		[ 'nolan', 'knows no network to watch' ], [ 'faults', '/etc/config/p2pwall:7: <img' ] ]) {
		await t.hook(name);
		page = await t.open('status');
		await state(page).filter({ hasText: words }).waitFor();
		await page.close();
	}

	/* Settings that need a restart, and a program of another version. */
	for (const [ name, words ] of [ [ 'restart', /New settings wait for a restart.*fail_open, queue/s ], [ 'other-version', /of another version/ ] ]) {
		await t.hook(name);
		page = await t.open('status');
		await state(page).filter({ hasText: words }).waitFor();
		await t.accessible(page, name);
		await page.getByRole('button', { name: 'Restart' }).first().click();
		await state(page).filter({ hasText: 'No file-sharing program' }).waitFor();
		await page.close();
	}
	await t.hook('restart');
	page = await t.open('status', { user: 'reader' });
	await state(page).filter({ hasText: 'New settings' }).waitFor();
	assert.ok(!await page.getByRole('button', { name: 'Restart' }).first().isVisible());
	await t.accessible(page, 'new settings, for a reader');
	await page.close();

	/* In mark mode the page does not say that something is stopped. One computer has a
	 * policy of its own. */
	await t.hook('marked');
	page = await t.open('status');
	await state(page).filter({ hasText: 'What these programs send is marked, and nothing is stopped: 192.168.1.53 (qBittorrent 5.1).' }).waitFor();
	assert.match(await page.locator('.p2pw-host').innerText(), /Marked while it runs, since .*\s+It goes on\. What it sends and gets is marked.*So says the policy night\./);
	await page.getByRole('button', { name: 'Allow…' }).click();
	await page.getByRole('button', { name: 'Watch only, always' }).click();
	await page.locator('.modal').waitFor({ state: 'hidden' });
	await t.hook('has-policy');
	await page.close();

	/* A pause, for a user who may not end it and for one who may. */
	await t.hook('paused');
	page = await t.open('status', { user: 'reader' });
	await state(page).filter({ hasText: /Paused: nothing is stopped until .*\d\d:\d\d\./ }).waitFor();
	assert.equal(await page.locator('#p2pw-state button:visible').count(), 0);
	await page.close();
	page = await t.open('status', { lang: 'de' });
	await state(page).filter({ hasText: /Pause: Bis .*\d\d:\d\d wird nichts gestoppt\./ }).waitFor();
	await page.getByRole('button', { name: 'Jetzt weitermachen' }).click();
	await t.until('the end of the pause', async function() { return await t.calls('p2pwall.pause') == 1; });
	await page.close();

	/* The daemon answers before its rules are in place, and says so. */
	await t.hook('starting');
	page = await t.open('status');
	await state(page).filter({ hasText: 'P2Pwall is starting.' }).waitFor();
	assert.ok(!await page.locator('#p2pw-check').isVisible());
	assert.ok(!/not in place|Firewall/.test(await state(page).innerText()));
	await t.hook('started');
	await state(page).filter({ hasText: 'No file-sharing program' }).waitFor();
	await page.close();

	/* Each update makes one call. rpcd answers it itself if it can. The program is
	 * started only if that fails. */
	for (const [ name, direct, program ] of [ [ 'direct', true, false ], [ 'unable', true, true ] ]) {
		await t.hook('started');
		await t.hook(name);
		page = await t.open('status');
		await state(page).filter({ hasText: 'No file-sharing program' }).waitFor();
		const [ d, p ] = [ await t.calls('luci.p2pwall.page'), await t.calls('p2pwall.page') ];
		await t.until('two more looks', async function() { return await t.calls('luci.p2pwall.page') >= d + 2; });
		assert.equal(await t.calls('p2pwall.page') > p, program, name);
		await page.close();
	}
	await t.hook('missing');

	/* The findings of the check, worst first, in the user's language. */
	await t.hook('findings');
	for (const [ lang, words ] of [
		[ 'en', [ 'Error: No LAN device is known\nCheck its name with "ip link" Settings of P2Pwall', 'Warning: Inbound IPv4 connections from wan to br-lan are not blocked\nuci set firewall.x=1',
			'Warning: Something new (1.5)\nnft list ruleset' ] ],
		[ 'de', [ 'Fehler: Kein LAN-Gerät ist bekannt\nPrüfen Sie den Namen mit "ip link" Einstellungen von P2Pwall', 'Warnung: Eingehende IPv4-Verbindungen von wan nach br-lan werden nicht abgewiesen\nuci set firewall.x=1',
			'Warnung: Something new (1.5)\nnft list ruleset' ] ]
	]) {
		page = await t.open('status', { lang: lang });
		await page.locator('#p2pw-findings li.alert-message').first().waitFor();
		await page.locator('#p2pw-state.warning').waitFor(); // no green box beside it
		assert.match(await page.locator('#p2pw-check').innerText(), /3 (things are wrong: see above|Dinge stimmen nicht: siehe oben)\./);
		assert.match(await page.locator('#p2pw-findings a').first().getAttribute('href'), /admin\/services\/p2pwall\/settings$/);
		assert.deepEqual((await page.locator('#p2pw-findings li.alert-message').allInnerTexts()).map(function(x) { return x.trim().replace(/\n+/g, '\n'); }), words);
		await t.accessible(page, 'findings, ' + lang);
		await page.close();
	}
	page = await t.open('status', { dark: true });
	await page.locator('#p2pw-findings li.warning').first().waitFor();
	await t.accessible(page, 'findings, dark');
	await page.close();

	/* Modes in which the daemon does not block. */
	const stopped = [ 'BitTorrent', 'Direct Connect', 'FastTrack', 'Gnutella', 'Soulseek', 'eDonkey' ];
	const watched = [ 'Ares', 'IPFS (libp2p)', 'MUTE', 'Xunlei', 'appleJuice' ];
	for (const [ name, words, all ] of [
		[ 'monitor', /stops nothing.*Watched only: (.*)\./s, stopped ],
		[ 'mode-off', /looks for no program.*Switched off: (.*)\./s, stopped.concat(watched).sort() ]
	]) {
		await t.hook(name);
		page = await t.open('status');
		await state(page).filter({ hasText: words }).waitFor();
		assert.deepEqual((await state(page).innerText()).match(words)[1].split(', ').sort(), all);
		await page.close();
	}

	/* In monitor mode the page does not say that something is stopped. */
	await t.hook('watched');
	page = await t.open('status');
	await state(page).filter({ hasText: '1 computer shares files and is only watched: 192.168.1.53 runs qBittorrent 5.1.' }).waitFor();
	assert.match(await page.locator('.p2pw-host').innerText(), /Runs since .*\s+It is only watched: nothing is stopped\./);
	await page.close();

	/* rpcd does not know p2pwall. */
	await t.hook('absent');
	page = await t.open('status');
	await state(page).filter({ hasText: 'does not know P2Pwall' }).waitFor();
	assert.ok(!await page.getByRole('button', { name: 'Start', exact: true }).isVisible());
	await page.close();

	/* The check works without a daemon, and only its errors are shown. The init script
	 * refuses to start, or it starts the daemon, which ends at once. */
	await t.hook('down');
	page = await t.open('status');
	await page.locator('#p2pw-findings li.error', { hasText: 'No LAN device is known' }).waitFor();
	assert.ok(!await page.locator('#p2pw-check, #p2pw-begin, #p2pw-hosts, #p2pw-chart').first().isVisible(), 'more than why');
	assert.equal(await page.locator('#view button:visible').count(), 1);
	assert.deepEqual((await page.locator('#p2pw-findings li').allInnerTexts()).map(function(x) { return x.trim().replace(/\s+/g, ' '); }),
		[ 'Error: No LAN device is known Run as root', 'Error: A fault without a remedy' ]);
	await t.accessible(page, 'down');
	await t.hook('quiet');
	await page.getByRole('button', { name: 'Start', exact: true }).click();
	await page.locator('.alert-message.danger', { hasText: 'no LAN device is known' }).waitFor();
	await t.hook('loud');
	await page.getByRole('button', { name: 'Start', exact: true }).click();
	await page.locator('.alert-message.danger', { hasText: '/etc/config/p2pwall:7: bad value' }).waitFor();
	await page.close();

	/* The wall is switched off: the same button switches it on. */
	await t.hook('off');
	page = await t.open('status');
	await page.getByRole('button', { name: 'Switch on' }).click();
	await state(page).filter({ hasText: 'No file-sharing program' }).waitFor();
	await t.hook('is-on');

	/* The router does not answer. The page keeps what it showed, and recovers later. */
	t.expect(/502|Bad Gateway/);
	await t.hook('unreachable');
	await state(page).filter({ hasText: 'not known whether' }).waitFor();
	assert.ok(!await page.getByRole('button', { name: /Start|Switch on/ }).isVisible());
	const checks = await t.calls('p2pwall.check');
	await t.hook('reachable');
	await state(page).filter({ hasText: 'No file-sharing program' }).waitFor();
	await t.until('the check', async function() { return await t.calls('p2pwall.check') > checks; });

	/* The session ends while the page is open, at the next look. */
	t.expect(/SessionError|Login session is expired|Access denied/);
	await t.hook('expire');
	await page.locator('.modal', { hasText: 'Session expired' }).waitFor();
	await state(page).filter({ hasText: 'not known whether' }).waitFor();
};
