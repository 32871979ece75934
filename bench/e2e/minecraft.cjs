// SPDX-License-Identifier: GPL-2.0-or-later

// Minecraft, Java edition: minecraft.cjs MODULES serve|play HOST PORT. The server shows
// what players say to all. The player speaks, and prints what it hears of itself. The
// connection is encrypted, as with real servers.

const [modules, what, host, port] = process.argv.slice(2);
const minecraft = require(modules + '/minecraft-protocol');
const version = '1.12.2';

process.on('uncaughtException', (err) => {
	console.log(err.stack);
	process.exit(1);
});

if (what === 'serve') {
	// checkTimeoutInterval is how often the server asks whether the player is there.
	const server = minecraft.createServer({
		host, port: +port, version, 'online-mode': false, encryption: true, checkTimeoutInterval: 1000, kickTimeout: 20000,
	});
	server.on('login', (player) => {
		player.on('error', (err) => console.log(err.message));
		player.write('login', { entityId: player.id, levelType: 'default', gameMode: 0, dimension: 0, difficulty: 2, maxPlayers: 9, reducedDebugInfo: false });
		player.write('position', { x: 0, y: 1.62, z: 0, yaw: 0, pitch: 0, flags: 0 });
		player.on('chat', ({ message }) => {
			for (const other of Object.values(server.clients)) {
				other.write('chat', { message: JSON.stringify({ text: message }), position: 0 });
			}
		});
	});
	server.on('listening', () => console.log('listening'));
} else {
	const player = minecraft.createClient({ host, port: +port, version, username: 'joe' });
	const leave = (why) => {
		console.log(why);
		process.exit(1);
	};
	player.on('error', (err) => leave(err.message));
	player.on('end', (why) => leave('end: ' + why));
	player.on('login', () => setInterval(() => player.write('chat', { message: 'hullo' }), 100));
	player.on('keep_alive', () => console.log('alive'));
	player.on('chat', () => console.log('heard'));
}
