// SPDX-License-Identifier: GPL-2.0-or-later
//
// Takes screenshots of the app with a running daemon. PICTURES names the folder for them.
'use strict';

const path = require('node:path');

module.exports = async function(t) {
	const save = function(page, name, full) {
		return page.screenshot({ path: path.join(process.env.PICTURES, name + '.png'), fullPage: full });
	};
	const ready = async function(page) {
		await t.until('three hosts', async function() { return await page.locator('button.p2pw-fold').count() == 3; });
		await page.locator('#p2pw-exempt li', { hasText: 'desk' }).waitFor();
		await t.until('the chart', async function() { return /[1-9]/.test(await page.locator('#p2pw-chart svg').getAttribute('aria-label')); });
		await t.until('the check', async function() { return /wrong/.test(await page.locator('#p2pw-check').innerText()); });
	};
	let page = await t.open('status');
	await page.setViewportSize({ width: 1100, height: 800 });
	await ready(page);
	await save(page, 'status-light', true);
	page = await t.open('status', { dark: true });
	await page.setViewportSize({ width: 1100, height: 800 });
	await ready(page);
	await page.locator('button.p2pw-fold').first().click();
	await t.until('peers', async function() { return await page.locator('.p2pw-peers tbody tr').count() > 4; });
	await page.mouse.move(0, 0);
	await save(page, 'status-dark', true);
	page = await t.open('status', { phone: true });
	await ready(page);
	await save(page, 'status-phone', false);
	page = await t.open('settings');
	await page.setViewportSize({ width: 1100, height: 800 });
	await save(page, 'settings-light', true);
	page = await t.open('log', { dark: true });
	await page.setViewportSize({ width: 1100, height: 700 });
	await t.until('events', async function() { return await page.locator('tbody tr').count() > 5; });
	await page.getByLabel('Class').selectOption('client');
	await save(page, 'log-dark', false);
};
