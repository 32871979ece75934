// SPDX-License-Identifier: GPL-2.0-or-later

// One side of a session with libdatachannel: node peer.cjs SERVER NAME. The side with the
// name "a" makes the offer. See Signals for the server.
'use strict'

const nd = require('node-datachannel')

const [server, name] = process.argv.slice(2)
const post = (path, body) => fetch(`${server}/${path}/${name}`, { method: 'POST', body })

let got = 0
const use = (channel) => {
	channel.onMessage((m) => { got += m.length })
	channel.onOpen(() => setInterval(() => {
		if (channel.bufferedAmount() < 65536) channel.sendMessageBinary(Buffer.alloc(8192, 1))
	}, 20))
}

const connection = new nd.PeerConnection(name, { iceServers: [] })
connection.onDataChannel(use)

// The description is posted when it has all candidates. Candidates that follow one by one
// may come when the session has failed already.
//
// The offer goes without candidates, so that side b waits for the first packet of side a.
// What comes to side a while it takes in the answer meets a race in libdatachannel: the
// session begins before the fingerprint is known, and fails.
connection.onGatheringStateChange((state) => {
	if (state !== 'complete') return
	const own = connection.localDescription()
	if (name === 'a') own.sdp = own.sdp.split('\r\n').filter((l) => !/^a=(candidate|end-of-candidates)/.test(l)).join('\r\n')
	post('put', JSON.stringify(own))
})
connection.onStateChange((state) => console.error(state))

const main = async () => {
	if (name === 'a') use(connection.createDataChannel('pieces'))
	setInterval(() => post('got', String(got)).catch(() => {}), 100)
	for (;;) {
		const answer = await fetch(`${server}/get/${name}`)
		if (answer.status !== 200) continue
		const m = await answer.json()
		connection.setRemoteDescription(m.sdp, m.type)
	}
}

main()
