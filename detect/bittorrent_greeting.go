// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// btGreeting builds the beginning of a plain connection (BEP 3) for a torrent that the
// client has named. hash is the info-hash of the torrent. Some programs answer no other
// probe.
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

// btGreeted reports whether b answers the greeting: it is a handshake for the same
// torrent with a different peer ID. A server that echoes its input sends our own peer ID.
func btGreeted(b, probe []byte) bool {
	const hash, id = peerHandshake - 40, peerHandshake - 20
	return len(b) >= peerHandshake && peerFirst(b) == Yes && bytes.Equal(b[hash:id], probe[hash:id]) &&
		!bytes.Contains(b, probe[id:])
}
