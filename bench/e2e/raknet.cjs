// SPDX-License-Identifier: GPL-2.0-or-later

// RakNet, with which Minecraft's Bedrock edition and other games speak: raknet.cjs
// MODULES serve|play HOST PORT. The server sends back what players send. The player sends
// random packets of many sizes, and prints when one came back. Bedrock's packets are
// encrypted and begin with FE.

const { randomBytes, randomInt } = require('crypto');
const [modules, what, host, port] = process.argv.slice(2);
const { Server, Client, EncapsulatedPacket, Reliability } = require(modules + '/jsp-raknet');

const packet = (buffer) => Object.assign(new EncapsulatedPacket(), { buffer, reliability: Reliability.ReliableOrdered });

if (what === 'serve') {
	const name = { toString: () => 'MCPE;a;390;1.14.60;1;9;' + name.serverId + ';a;Survival;' };
	const server = new Server(host, +port, name);
	server.listen().then(() => console.log('listening'));
	server.on('encapsulated', ({ buffer }, from) => {
		server.connections.get(from.hash)?.addEncapsulatedToQueue(packet(buffer));
	});
} else {
	const player = new Client(host, +port);
	const sent = [];
	player.on('connected', () => setInterval(() => {
		const b = Buffer.concat([Buffer.from([0xfe]), randomBytes(randomInt(20, 3000))]);
		sent.push(b);
		player.connection.addEncapsulatedToQueue(packet(b));
	}, 100));
	player.on('encapsulated', ({ buffer }) => console.log(buffer.equals(sent.shift()) ? 'heard' : 'other bytes'));
	player.ping(() => player.connect()); // as the list of servers does
}
