// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "math/bits"

const (
	peerProtocol  = "\x13BitTorrent protocol"
	peerHandshake = 68 // protocol, 8 reserved, info-hash, peer ID
	peerExtended  = 20 // message number of BEP 10
	// maxMessages is how many messages of one segment are read.
	maxMessages = 16
)

// peerFirst recognises the beginning of a connection between peers.
func peerFirst(b []byte) Match { return hasPrefix(b, []byte(peerProtocol)) }

// Wire is what the beginning of a connection between peers tells.
type Wire struct {
	ID     []byte // the peer ID, 20 bytes or nil
	Client []byte // "v" of the extension handshake, or nil
	Port   uint16 // "p": where the sender listens, or 0
}

// PeerWire reads the handshake and the extension handshake in b, the beginning of one
// direction of a connection. It reports whether b begins with a handshake.
func PeerWire(b []byte, w *Wire) bool {
	*w = Wire{}
	if peerFirst(b) != Yes {
		return false
	}
	if len(b) < peerHandshake {
		return true
	}
	w.ID = b[peerHandshake-20 : peerHandshake]
	peerMessages(b[peerHandshake:], w)
	return true
}

// peerNames enters the program and its port in f, if the beginning b of what the LAN host
// sent contains them.
func peerNames(b []byte, f *Finding) {
	var w Wire
	PeerWire(b, &w)
	WireName(&w, &f.Client)
	f.TCPPort = w.Port
	if w.ID != nil {
		f.setHash(b[peerHandshake-40:])
	}
}

// peerMessages searches the messages after the handshake for the extension handshake.
func peerMessages(b []byte, w *Wire) {
	for range maxMessages {
		if len(b) < 5 {
			return
		}
		n := be32(b)
		if n > uint32(len(b)-4) {
			return
		}
		if n >= 2 && b[4] == peerExtended && b[5] == 0 {
			peerExtension(b[6:4+n], w)
		}
		b = b[4+n:]
	}
}

// peerExtension reads the extension handshake, message 0 of BEP 10.
func peerExtension(b []byte, w *Wire) {
	if len(b) == 0 || b[0] != 'd' {
		return
	}
	for in := b[1:]; len(in) > 0; {
		var key, value []byte
		if key, in = bencodeNext(in); key == nil {
			return
		}
		if value, in = bencodeNext(in); value == nil {
			return
		}
		switch string(bencodeText(key)) {
		case "v":
			w.Client = bencodeText(value)
		case "p":
			w.Port, _ = bencodeNumber(value)
		}
	}
}

// The lengths of the first MSE message: a key of 96 bytes and up to 512 bytes of padding.
const (
	mseKey = 96
	mseMax = mseKey + 512
)

// MSEFirst reports whether b, the first data of one direction of a connection, can be the
// first MSE message: it has a fitting length and is random. Other protocols begin like
// this too, so it only counts for a host about which more is known.
func MSEFirst(b []byte) bool {
	return len(b) >= mseKey && len(b) <= mseMax && random(b)
}

// random reports whether b looks like random bytes: no value is frequent, text has no
// more than its share, and half of the bits are set. b must have at least 96 bytes. All
// but one in some millions of random strings pass.
func random(b []byte) bool {
	n := len(b)
	pairs := n * (n - 1) / 2 / 256 // the expected number of pairs of equal bytes
	mostPairs, mostText, half := 2*pairs+8, n*60/100, n*4
	var counts [256]uint16
	ones, text, same := 0, 0, 0
	for _, c := range b {
		same += int(counts[c])
		counts[c]++
		if c >= ' ' && c <= '~' {
			text++
		}
		if same > mostPairs || text > mostText {
			return false
		}
		ones += bits.OnesCount8(c)
	}
	return (ones-half)*(ones-half) <= 50*n
}
