// SPDX-License-Identifier: GPL-2.0-or-later
//
// A small client with WebTorrent. It downloads one torrent and reports the bytes received
// on a port of 127.0.0.1. The one argument is a JSON file with the settings.

import fs from 'node:fs'
import http from 'node:http'
import WebTorrent from 'webtorrent'

const config = JSON.parse(fs.readFileSync(process.argv[2]))
const client = new WebTorrent(config.settings)
client.on('error', err => {
  console.error(err)
  process.exit(1)
})
const torrent = client.add(fs.readFileSync(config.torrent), { path: config.files })
torrent.on('warning', console.error)

http.createServer((_, res) => res.end(String(torrent.received))).listen(config.rpc, '127.0.0.1')
process.on('SIGTERM', () => {
  client.destroy(() => process.exit(0))
})
