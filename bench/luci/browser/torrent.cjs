// SPDX-License-Identifier: GPL-2.0-or-later
//
// The app against a running daemon that has a BitTorrent client before it, beside
// FastTrack's.
'use strict';

module.exports = async function(t) {
	const assert = t.assert;
	const page = await t.open('status');
	const rows = page.locator('#p2pw-hosts > tbody > tr:not([id])');
	const row = function(name) { return rows.filter({ has: page.locator('button.p2pw-fold', { hasText: name }) }); };
	const host = row('student');
	await t.until('three hosts', async function() { return await rows.count() == 3; });
	assert.match(await host.innerText(), /192\.168\.1\.52 02:00:00:00:01:34/);

	/* Which program: by the DHT, then by the peer id, then by its own name. */
	const fold = host.locator('button.p2pw-fold');
	await fold.click();
	const facts = page.locator('#' + await fold.getAttribute('aria-controls') + ' p').first();
	for (const [ hook, program ] of [ [ null, 'libtorrent' ], [ 'peer-id', 'qBittorrent 4.6.5' ], [ 'extension', 'qBittorrent Enhanced/4.6.5.10' ] ]) {
		if (hook)
			await t.hook(hook);
		await t.until('the program ' + program, async function() {
			return (await host.locator('td').nth(1).innerText()).trim().split(/\s*\n\s*/).join() == 'BitTorrent,' + program;
		});
		await t.until('the program in the facts', async function() { return (await facts.innerText()).includes('Program: ' + program + '.'); });
	}

	/* Since when, why, and what the lock leaves. */
	assert.match(await host.locator('td').nth(2).innerText(), /^\d+ (s|min) ago\s+It (answered our question, as BitTorrent does|looked for peers at several addresses)$/);
	assert.match(await row('<b>attic</b>').locator('td').nth(2).innerText(), /^\d+ (s|min) ago\s+It (answered our question, as FastTrack does|pinged several peers)$/);
	await t.until('the last reason', async function() {
		return /Locked because it pinged a peer\..*the ports, peers and connections of its program are cut, and everything else goes on/.test(await facts.innerText());
	});
	assert.match(await host.locator('td').nth(3).innerText(), /\d+ s left\s+only the program blocked/);
	const strict = row('<b>attic</b>').locator('td').nth(3);
	assert.match(await strict.innerText(), /\d+ s left\s+all new TCP blocked/);
	await t.accessible(page, 'a BitTorrent client');

	/* Another host gives one sign, which is cut: it is asked, and not locked. */
	assert.ok(!await page.locator('#p2pw-suspects').isVisible());
	await t.hook('one-sign');
	const suspect = page.locator('#p2pw-suspects tbody tr', { hasText: 'printer' });
	await t.until('the suspect and the questions', async function() {
		return await suspect.count() == 1 && /printer\s+192\.168\.1\.53 02:00:00:00:01:35\s+BitTorrent\s+It sent what looks like a question to a peer\s+[1-9]\d*, last \d+ s ago\s+[1-9]\d*\s/.test(await suspect.innerText());
	});
	assert.equal(await rows.count(), 3);

	/* It goes quiet, is asked, and answers. */
	await t.hook('quiet');
	await t.until('an answer', async function() { return /Last answer to a probe: \d+/.test(await facts.innerText()); });

	const log = await t.open('log');
	await log.getByLabel('Host').fill('student');
	for (const words of [ /^BitTorrent found, it (answered our question|went to 203\.0\.113\.\d+)$/, /^Locked because it (answered a probe|pinged a peer|opened a session)$/ ])
		await log.locator('tbody tr:visible td:nth-child(4)', { hasText: words }).first().waitFor();
	await t.fits(await t.open('status', { phone: true }), 'on a phone');
};
