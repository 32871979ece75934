// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// btHidden are the sessions with message stream encryption (MSE).
var btHidden = Handshake{
	First:  func(b []byte) bool { return MSEFirst(b) && !framed(b) },
	Middle: mseMiddle,
	Answer: MSEAnswer,
	Proof:  MSEProof,
	Proved: MSEProved,
}

// mseMiddle reports whether b can be of the middle of a session between peers: messages
// in clear, or what looks random and has no structure that is known.
func mseMiddle(b []byte) Match {
	m := peerMiddle(b)
	switch {
	case m != No:
		return m
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
// encrypted: as a record of TLS, or with its own length. That is in the first two bytes, as
// with OpenVPN and RLPx, or in four of the first sixteen, as with Zabbix and SSH: there it
// may count all of b or what is behind it, but for some bytes of a second number or of a
// checksum. Random bytes look so once in 30,000 times.
func framed(b []byte) bool {
	const headers, checksum = 16, 64
	n := len(b)
	if n < 5 {
		return false
	}
	if b[0] >= 0x14 && b[0] <= 0x17 && b[1] == 3 && b[2] <= 4 {
		return true
	}
	if int(be16(b)) == n-2 || int(b[0])|int(b[1])<<8 == n-2 {
		return true
	}
	for at := 0; at+4 <= min(n, headers); at++ {
		most, behind := uint32(n), uint32(n-at-4)
		big := be32(b[at:])
		little := uint32(b[at]) | uint32(b[at+1])<<8 | uint32(b[at+2])<<16 | uint32(b[at+3])<<24
		for _, length := range [...]uint32{big, little} {
			if length == most || length > 0 && length <= behind && behind-length <= checksum {
				return true
			}
		}
	}
	return false
}

// The messages between peers (BEP 3, 5, 6, 10) and the lengths that those of a fixed size
// have, number and content together.
var peerLengths = [...]uint8{
	0: 1, 1: 1, 2: 1, 3: 1, 4: 5, 6: 13, 8: 13, 9: 3, 13: 5, 14: 1, 15: 1, 16: 13, 17: 5,
}

const (
	peerBitfield = 5
	peerRequest  = 6
	peerPiece    = 7
	peerBlock    = 1 << 14 // of a file: what all clients ask for at once, in bytes
)

// peerMiddle reports whether b begins with messages between peers in clear: two of them, a
// request, or the beginning of a piece. More says that it may become so. What only keeps a
// connection alive does not count: it is zeros, as are many files.
func peerMiddle(b []byte) Match {
	for found := 0; found < 2; {
		if len(b) < 5 {
			return More
		}
		n, number := be32(b), b[4]
		if n == 0 {
			b = b[4:]
			continue
		}
		whole := uint32(len(b)-4) >= n
		switch number {
		case peerPiece: // index, offset of the block, content
			switch {
			case n != 9+peerBlock:
				return No
			case len(b) < 13:
				return More
			}
			return match(be32(b[9:])%peerBlock == 0)
		case peerRequest: // index, offset of the block, its length
			switch {
			case n != 13:
				return No
			case !whole:
				return More
			}
			return match(be32(b[9:])%peerBlock == 0 && be32(b[13:]) <= peerBlock)
		case peerBitfield, peerExtended:
			if n < 2 || n > 1<<17 {
				return No
			}
		default:
			if int(number) >= len(peerLengths) || uint32(peerLengths[number]) != n {
				return No
			}
		}
		if !whole && found == 0 {
			return More
		}
		found++
		b = b[min(uint32(len(b)), 4+n):]
	}
	return Yes
}

func match(ok bool) Match {
	if ok {
		return Yes
	}
	return No
}
