// SPDX-License-Identifier: GPL-2.0-or-later

package detect

const (
	peerProtocol  = "\x13BitTorrent protocol"
	peerHandshake = 68 // protocol, 8 reserved, info hash, peer id
	peerExtended  = 20 // message number of BEP 10
	// peerMessages bounds how many messages of one segment are looked at.
	peerMessages = 16
)

// peerFirst looks at the beginning of a connection between peers.
func peerFirst(b []byte) Match { return hasPrefix(b, []byte(peerProtocol)) }

// Wire is what the beginning of a connection between peers tells.
type Wire struct {
	ID     []byte // the peer id, 20 bytes or nil
	Client []byte // "v" of the extension handshake, or nil
	Port   uint16 // "p": where the sender listens, or 0
}

// PeerWire reads what follows in the beginning b of one direction of a
// connection: the handshake, the extension handshake, and the peers that PEX
// (BEP 11) names, which it enters in f. It reports whether b is a handshake.
func PeerWire(b []byte, w *Wire, f *Finding) bool {
	*w = Wire{}
	if peerFirst(b) != Yes {
		return false
	}
	if len(b) < peerHandshake {
		return true
	}
	w.ID = b[peerHandshake-20 : peerHandshake]
	PeerMessages(b[peerHandshake:], w, f)
	return true
}

// peerNames enters in f what the beginning b of one direction of a connection
// tells: the peers, and of what the LAN host sent, the program and its port.
func peerNames(b []byte, outbound bool, f *Finding) {
	var w Wire
	PeerWire(b, &w, f)
	if outbound {
		WireName(&w, &f.Client)
		f.Port = w.Port
	}
}

// PeerMessages does the same for b that begins with a message behind the
// handshake, as the next segment mostly does.
func PeerMessages(b []byte, w *Wire, f *Finding) {
	for range peerMessages {
		if len(b) < 5 {
			return
		}
		n := be32(b)
		if n > uint32(len(b)-4) {
			return
		}
		if n >= 2 && b[4] == peerExtended {
			peerExtension(b[5], b[6:4+n], w, f)
		}
		b = b[4+n:]
	}
}

// peerExtension reads one extension message: number 0 is the handshake, the
// number of PEX is agreed on, but only it has lists of added peers.
func peerExtension(number byte, b []byte, w *Wire, f *Finding) {
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
		switch name := bencodeText(key); {
		case number == 0 && string(name) == "v":
			w.Client = bencodeText(value)
		case number == 0 && string(name) == "p":
			w.Port, _ = bencodeNumber(value)
		case number != 0 && string(name) == "added":
			nameCompact(bencodeText(value), false, f)
		case number != 0 && string(name) == "added6":
			nameCompact(bencodeText(value), true, f)
		}
	}
}

// The lengths of the first message of message stream encryption (MSE): a key of
// 96 bytes and up to 512 of padding.
const (
	mseKey = 96
	mseMax = mseKey + 512
)

// MSEFirst reports whether b, the first data of one direction of a connection,
// can be the first message of message stream encryption: as long as that, and
// random. Other protocols have such beginnings too, so it only counts for a
// host of which more is known.
func MSEFirst(b []byte) bool {
	return len(b) >= mseKey && len(b) <= mseMax && random(b)
}

// random reports whether b, at least 96 bytes, looks like random bytes: no value
// is frequent, text is no more than its share, and half of the bits are set. It
// holds for all but one in some millions of random strings.
func random(b []byte) bool {
	var counts [256]uint16
	ones, text, same := 0, 0, 0
	for _, c := range b {
		same += int(counts[c]) // pairs of equal bytes
		counts[c]++
		if c >= ' ' && c <= '~' {
			text++
		}
		for ; c != 0; c &= c - 1 {
			ones++
		}
	}
	n := len(b)
	pairs := n * (n - 1) / 2 / 256 // as many are to be expected
	half := n * 4
	return same <= 2*pairs+8 && text*100 <= 60*n && (ones-half)*(ones-half) <= 50*n
}
