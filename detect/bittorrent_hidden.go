// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// btHidden are the sessions with message stream encryption (MSE).
var btHidden = Handshake{
	First:  func(b []byte) bool { return MSEFirst(b) && !framed(b) },
	Framed: peerFramed,
	Middle: mseMiddle,
	Answer: MSEAnswer,
	Proof:  MSEProof,
	Proved: MSEProved,
}

// mseMiddle reports whether b can be of the middle of an encrypted session: it looks
// random, and has no structure that is known.
func mseMiddle(b []byte) Match {
	switch {
	case framed(b):
		return No
	case len(b) >= mseKey:
		if random(b) {
			return Yes
		}
		return No
	}
	text := 0
	for _, c := range b {
		if c >= ' ' && c <= '~' {
			text++
		}
	}
	if len(b) >= 8 && text*100 > 75*len(b) {
		return No
	}
	return More
}

// framed reports whether b begins as messages of something else do whose content may be
// encrypted: as a record of TLS, or with its own length in two or four bytes, as OpenVPN,
// RLPx and many others have it.
func framed(b []byte) bool {
	if len(b) < 5 {
		return false
	}
	n := len(b)
	if b[0] >= 0x14 && b[0] <= 0x17 && b[1] == 3 && b[2] <= 4 {
		return true
	}
	little := func(size int) uint64 {
		v := uint64(0)
		for i := size - 1; i >= 0; i-- {
			v = v<<8 | uint64(b[i])
		}
		return v
	}
	return int(be16(b)) == n-2 || uint64(be32(b)) == uint64(n-4) || little(2) == uint64(n-2) || little(4) == uint64(n-4)
}

// The messages between peers (BEP 3, 5, 6, 10) and the lengths that those of a fixed size
// have, number and content together.
var peerLengths = [...]uint8{
	0: 1, 1: 1, 2: 1, 3: 1, 4: 5, 6: 13, 8: 13, 9: 3, 13: 5, 14: 1, 15: 1, 16: 13, 17: 5,
}

const (
	peerBitfield = 5
	peerPiece    = 7
)

// peerFramed reports whether b begins with messages between peers in clear: one that is
// whole with another behind it, or the beginning of a piece.
func peerFramed(b []byte) bool {
	for found := 0; ; found++ {
		if len(b) < 5 {
			return found > 1
		}
		n, number := be32(b), b[4]
		switch {
		case n == 0: // keeps the connection alive
			b = b[4:]
			continue
		case number == peerPiece:
			return n > 9 && n <= 9+1<<17 && len(b) > 13
		case number == peerBitfield, number == peerExtended:
			if n < 2 || n > 1<<17 {
				return false
			}
		case int(number) >= len(peerLengths) || uint32(peerLengths[number]) != n || n == 0:
			return false
		}
		if n > uint32(len(b)-4) {
			return found > 0
		}
		b = b[4+n:]
		if len(b) == 0 {
			// One alone is as likely something else, but for a request.
			return found > 0 || number == 6
		}
	}
}
