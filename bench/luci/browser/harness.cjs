// SPDX-License-Identifier: GPL-2.0-or-later
//
// node harness.cjs SCRIPT URL: runs the steps of SCRIPT against a Server, in a browser.
// An error on the console or a request to another server is a failure. CHROMIUM names
// the browser.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { chromium } = require('playwright-core');

const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const real = !!process.env.P2PWALL_LUCI; // the runtime is LuCI's own

async function main() {
	const [ script, url ] = process.argv.slice(2);
	const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'p2pwall-chromium-'));
	const browser = await chromium.launchPersistentContext(profile, {
		executablePath: process.env.CHROMIUM,
		headless: true,
		args: [ '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
			'--disable-component-update', '--disable-sync', '--disable-dev-shm-usage' ]
	});
	const faults = [], expected = [];
	const fault = function(s) {
		if (!expected.some(function(e) { return e.test(s); }))
			faults.push(s);
	};
	browser.setDefaultTimeout(20000);
	await browser.route('**/*', function(route) {
		const u = route.request().url();
		if (u.startsWith(url + '/') || u.startsWith('data:'))
			return route.continue();
		fault('request to the outside: ' + u);
		return route.abort();
	});

	const t = {
		assert, browser, url, real,

		/* A page of the app. Options: lang, user, dark, phone. */
		open: async function(tab, options) {
			const o = options || {};
			const page = await browser.newPage();
			page.on('console', function(m) { if (m.type() == 'error') fault(m.text() + ' ' + m.location().url); });
			page.on('pageerror', function(e) { fault(e.stack || String(e)); });
			await page.emulateMedia({ colorScheme: o.dark ? 'dark' : 'light', reducedMotion: 'reduce' });
			await page.setViewportSize(o.phone ? { width: 390, height: 844 } : { width: 1200, height: 900 });
			const query = [ [ 'lang', o.lang ], [ 'user', o.user ] ].filter(function(q) { return q[1]; }).map(function(q) { return q.join('='); }).join('&');
			await page.goto(url + '/cgi-bin/luci/admin/services/p2pwall/' + tab + (query ? '?' + query : ''));
			await page.locator('#view h2').waitFor();
			return page;
		},

		/* Waits for a condition in the page. The bound only ends a run that hangs. */
		until: async function(what, condition) {
			for (let i = 0; i < 300; i++) {
				if (await condition())
					return;
				await new Promise(function(r) { setTimeout(r, 100); });
			}
			throw new Error('waited 30 s for ' + what);
		},

		hook: async function(name) {
			const res = await fetch(url + '/test/' + name, { method: 'POST' });
			assert.equal(res.status, 200, 'hook ' + name);
		},

		calls: async function(method) {
			return +(await (await fetch(url + '/test/calls/' + method)).text());
		},

		/* Errors on the console that the test causes on purpose. */
		expect: function(pattern) { expected.push(pattern); },

		/* Fails on violations of WCAG levels A and AA, and on words that are a fault of the
		 * page. LuCI's own pages have violations, so with LuCI's runtime they are only printed. */
		accessible: async function(page, what) {
			const text = await page.locator('#view').innerText();
			assert.ok(!/null|undefined|NaN/.test(text), what + ': ' + text);
			await page.evaluate(axe);
			const look = function() {
				return page.evaluate(function() {
					return axe.run(document, { runOnly: [ 'wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa' ] });
				});
			};
			let res = await look();
			/* An element that has just come may not have the colours of the dark scheme yet. */
			if (res.violations.length) {
				await page.waitForTimeout(2000);
				res = await look();
			}
			const bad = res.violations.map(function(v) {
				return v.id + ': ' + v.help + '\n' + v.nodes.slice(0, 4).map(function(n) { return '    ' + n.html.slice(0, 200) + ' ' + (n.any[0] || n.all[0] || n.none[0] || {}).message; }).join('\n');
			});
			if (real)
				bad.forEach(function(b) { console.log('axe, ' + what + ': ' + b); });
			else
				assert.deepEqual(bad, [], 'axe, ' + what);
			assert.ok(res.passes.length > 10, 'axe looked at too little');
		},

		/* Fails if the page is wider than the screen. */
		fits: async function(page, what) {
			const [ content, width ] = await page.evaluate(function() { return [ document.documentElement.scrollWidth, window.innerWidth ]; });
			assert.ok(content <= width, what + ' is ' + content + ' wide on a screen of ' + width);
		}
	};

	try {
		await require(path.resolve(script))(t);
		assert.deepEqual(faults, [], 'faults in the browser');
	}
	catch (e) {
		console.error(e);
		faults.forEach(function(f) { console.error('in the browser: ' + f); });
		process.exitCode = 1;
	}
	finally {
		await browser.close();
		fs.rmSync(profile, { recursive: true, force: true });
	}
}

main();
