// SPDX-License-Identifier: GPL-2.0-or-later

// Logs in, searches for the file and downloads it: slsk_client.cjs MODULES HOST PORT USER LISTEN FILE PATH

const [modules, host, port, user, listen, file, path] = process.argv.slice(2);
const slsk = require(modules + '/slsk-client');

slsk.connect({ user, pass: 'secret', host, port: +port, incomingPort: +listen, timeout: 30000 }, (err, client) => {
	if (err) return console.log(err.message);
	// A user whose search finds nothing searches again: another program answers no search
	// until it has read its shared folders, which it does after its login.
	const look = () => client.search({ req: file, timeout: 3000 }, (err, found) => {
		console.log('found', err ? err.message : found.length);
		if (err || found.length === 0) return setTimeout(look, 3000);
		client.download({ file: found[0], path }, (err) => console.log(err ? err.message : 'complete'));
	});
	look();
});

// Keeps the program running while nothing comes, like a program with a window.
setInterval(() => {}, 1000);
process.on('uncaughtException', (err) => console.log(err.message));
