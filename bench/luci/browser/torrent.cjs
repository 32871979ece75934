// SPDX-License-Identifier: GPL-2.0-or-later
//
// The app with a running daemon that blocks a BitTorrent client and FastTrack clients.
'use strict';

module.exports = async function(t) {
	const assert = t.assert;
	const page = await t.open('status');
	const rows = page.locator('.p2pw-host');
	const row = function(name) { return rows.filter({ has: page.locator('.p2pw-name', { hasText: name }) }); };
	const host = row('student');
	await t.until('three computers', async function() { return await rows.count() == 3; });

	/* The program's name comes from the DHT, then from the peer id, then from the
	 * extension handshake. */
	const fold = host.locator('button.p2pw-fold');
	await fold.click();
	const facts = page.locator('#' + await fold.getAttribute('aria-controls') + ' dl');
	assert.match(await facts.innerText(), /192\.168\.1\.52, 02:00:00:00:01:34/);
	for (const [ hook, program ] of [ [ null, 'libtorrent' ], [ 'peer-id', 'qBittorrent 4.6.5' ], [ 'extension', 'qBittorrent Enhanced/4.6.5.10' ] ]) {
		if (hook)
			await t.hook(hook);
		await t.until('the program ' + program, async function() { return await host.locator('.ifacebadge').innerText() == program; });
		await t.until('the program in the sentence', async function() { return (await page.locator('#p2pw-state').innerText()).includes('student (' + program + ')'); });
	}

	/* The card says since when and why, and what still works. */
	assert.match(await host.innerText(), /Stopped while it runs, since \d\d:\d\d \(\d+ (s|min)\)\.( Connections kept away today: \d+\.)?\s+Only this program is stopped: web, calls and games go on\.\s+It (answered our question, as BitTorrent does|looked for peers at several addresses)\s/);
	const strict = row('<b>attic</b>');
	assert.match(await strict.innerText(), /No new connection of this computer gets out until the program is ended: web pages do not open either\.\s+It (answered our question, as FastTrack does|looked for peers at several addresses)\s/);
	await t.until('the last reason', async function() { return /Locked\s+It looked for peers\s/.test(await facts.innerText()); });
	assert.match(await facts.innerText(), /Protocol\s+BitTorrent\s/);
	await t.accessible(page, 'a BitTorrent client');

	/* Another host gives one sign. The daemon drops that packet and asks the host, but
	 * does not lock it. */
	assert.ok(!await page.locator('#p2pw-suspects').isVisible());
	await t.hook('one-sign');
	await page.locator('#p2pw-suspects summary').click();
	const suspect = page.locator('#p2pw-suspects tbody tr', { hasText: 'printer' });
	await t.until('the suspect and the questions', async function() {
		return await suspect.count() == 1 && /printer\s+192\.168\.1\.53 02:00:00:00:01:35\s+BitTorrent\s+It sent what looks like a question to a peer\s+[1-9]\d*, last \d+ s ago\s+[1-9]\d*\s/.test(await suspect.innerText());
	});
	assert.equal(await rows.count(), 3);

	/* The client goes quiet. The daemon asks it, and it answers. */
	await t.hook('quiet');
	await t.until('an answer', async function() { return /Last answer\s+\d+/.test(await facts.innerText()); });

	const log = await t.open('log');
	await log.getByLabel('Computer or address').fill('student');
	for (const words of [ /^BitTorrent found, it (answered our question|went to 203\.0\.113\.\d+)$/, /^Locked because it (answered our question|looked for peers|opened a session)$/ ])
		await log.locator('tbody tr:visible td:nth-child(4)', { hasText: words }).first().waitFor();
	await t.fits(await t.open('status', { phone: true }), 'on a phone');
};
