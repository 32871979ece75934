// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// btGreeting builds the beginning of a connection in clear (BEP 3) for a torrent that the
// client has named: hash is its info-hash. Programs that answer nothing else answer that.
func btGreeting(dst, hash []byte, salt uint32) int {
	if len(hash) != krpcID || len(dst) < peerHandshake {
		return 0
	}
	w := builder{b: dst}
	w.text(peerProtocol)
	w.text("\x00\x00\x00\x00\x00\x00\x00\x00")
	w.bytes(hash)
	var none [16]byte
	g := randomFrom(&none, salt)
	w.fill(&g, 20)
	return w.n
}

// btGreeted reports whether b answers it: a handshake for the same torrent, of somebody
// else. A server that sends back what it gets has our own name.
func btGreeted(b, probe []byte) bool {
	const hash, id = peerHandshake - 40, peerHandshake - 20
	return len(b) >= peerHandshake && peerFirst(b) == Yes && bytes.Equal(b[hash:id], probe[hash:id]) &&
		!bytes.Contains(b, probe[id:])
}
