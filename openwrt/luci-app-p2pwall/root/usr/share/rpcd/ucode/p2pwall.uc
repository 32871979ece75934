// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';

/*
 * The ubus object `luci.p2pwall`: asks the daemon for the pages' data, within rpcd. The
 * object `p2pwall` offers the same and more, but starts a shell and the program for each
 * call. If this object fails, the page uses that one: without ucode's socket module (OpenWrt
 * before 24.10, or not installed) this object does not exist, and a case that only the
 * program can handle ends with a ubus status.
 */

const SOCKET = '/var/run/p2pwall/control.sock';
const CONFIG = '/etc/config/p2pwall';
const IN_FORCE = '/var/run/p2pwall/config'; // the copy that the daemon has read
const PATIENCE = 1000; // milliseconds; rpcd serves nobody else meanwhile
const NOT_FOUND = 4, TIMEOUT = 7; // ubus statuses

let socket, fs;
try {
	socket = require('socket');
	fs = require('fs');
}
catch (e) {
	return {};
}

/* Sends a request and returns the reply, or null if there is none. Each is one line. */
function ask(request) {
	const s = socket.connect({ path: SOCKET }, null, null, PATIENCE);
	if (!s)
		return null;
	let text = '', part;
	s.send(sprintf('%J\n', request));
	while (socket.poll(PATIENCE, s)?.[0]?.[1] && (part = s.recv(65536))) {
		text += part;
		if (substr(part, -1) == '\n')
			break;
	}
	s.close();
	return substr(text, -1) == '\n' ? json(text) : null;
}

function answer(request) {
	return ask(request) ?? exit(TIMEOUT);
}

const host = { host: '192.168.1.50' };

return {
	'luci.p2pwall': {
		page: {
			args: host,
			call: function(request) {
				/* A file that the daemon has not read may have faults. Only the program can
				 * tell. */
				if (fs.readfile(CONFIG) != fs.readfile(IN_FORCE))
					exit(NOT_FOUND);
				return answer({ cmd: 'page', host: request.args.host ?? '' });
			}
		},
		peers: {
			args: host,
			call: function(request) {
				return answer({ cmd: 'peers', host: request.args.host ?? '' });
			}
		},
		history: {
			args: host,
			call: function(request) {
				return answer({ cmd: 'history', host: request.args.host ?? '' });
			}
		},
		events: {
			args: { since: 0 },
			call: function(request) {
				return answer({ cmd: 'events', since: request.args.since ?? 0 });
			}
		}
	}
};
