// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// btHidden are the sessions with message stream encryption (MSE).
var btHidden = Handshake{
	First:  func(b []byte) bool { return MSEFirst(b) && !framed(b) },
	Middle: mseMiddle,
	Answer: func(dst, _ []byte, salt uint32) int { return MSEAnswer(dst, salt) },
	Proof:  MSEProof,
	Proved: MSEProved,
}

// PeerMiddle is what was seen of the middle of one direction of a connection. The zero value
// is ready.
type PeerMiddle struct {
	buf   [middleSize]byte // the short segments, one behind the other
	n     uint8            // bytes in buf
	short uint8            // short segments that came, 255 for more
	other bool             // one of them has a length that no packet of SSH has
	long  uint16           // bytes of long segments that came
	most  uint16           // the longest segment
	// begins: the next segment begins a message; begun is how many did that were seen.
	begins bool
	begun  uint8
	// told are segments so short that their length tells something. Of these, words are as
	// long as some requests for blocks together with some words that a piece was had, and
	// requests as long as one request. lengths are the first different ones of the words.
	told, words, requests uint8
	lengths               [middleLengths]uint8
	frames                uint8 // segments that look like a frame of a WebSocket
	// May says that what came looks random, has no head as other programs have it, and is
	// none of SSH: too little to lose a connection for, but for a question.
	May bool
	// Sure says that it is certain: it has messages in clear, or is encrypted and has
	// segments as long as requests are. Nothing else writes 17 random bytes at once.
	Sure bool
}

const (
	middleSize = 128
	// A long segment may be part of something larger: what it begins with says nothing.
	// A short one ends what was written at once, so that the next begins something new.
	middleLong = 1000
	// middleShorts is how many short segments are looked at before random bytes count.
	// Those of TLS begin with a record's header.
	middleShorts = 4
	// middleTold is how long a segment may be for its length to tell something: of lengths up
	// to that, one in three is that of words.
	middleTold = 77
	// middleRequests is how many segments as long as a request make it certain, middleWords
	// how many that are as long as words of so many different lengths: who says the same
	// again and again may have hit on one. Of all that tell something, seven in eight have to
	// be words.
	middleRequests = 3
	middleWords    = 6
	middleLengths  = 3
	// middleFrames is how many segments have to look like a frame of a browser's: one may by
	// chance.
	middleFrames = 2
	// middleBegun is how many messages have to be seen from their beginning instead: those of
	// TLS are records. One may seem to begin because a segment was sent again.
	middleBegun = 2
	// middleLooks is how many of them are looked at in all.
	middleLooks = 32
	// middleRecord is longer than any record of TLS: an upload shows a header in so many
	// bytes.
	middleRecord = 17 << 10
)

// mseMiddle shows one more segment of a connection; ends says that a message may end with it.
// It returns Yes when it is one between
// peers: it has their messages in clear, or it looks random and is neither TLS nor SSH, nor
// what a page can have a browser send to a server that may choose how long it is. SSH may
// encrypt the length of its packets. But these have 16 bytes behind 4, and else a multiple
// of 8.
func mseMiddle(m *PeerMiddle, b []byte, ends bool) Match {
	switch peerMiddle(b) {
	case Yes:
		m.Sure = true
		return Yes
	case No: // what is of another kind may have its length before it
		if framed(b) {
			return No
		}
		if webSocket(b) {
			if m.frames++; m.frames == middleFrames {
				return No
			}
		}
	}
	if m.begins {
		m.begun = min(m.begun+1, middleBegun)
	}
	m.most = max(m.most, uint16(len(b)))
	m.begins = ends && (len(b) < middleLong || len(b) < int(m.most))
	whole := m.begun == middleBegun && m.other
	if len(b) >= middleLong {
		if bytes.Contains(b, tlsData) || !random(b[:middleLong/2]) {
			return No
		}
		if m.long = min(m.long, middleRecord) + uint16(len(b)); m.long > middleRecord || whole {
			return Yes
		}
		return More
	}
	m.n += uint8(copy(m.buf[m.n:], b))
	m.short = min(m.short, 254) + 1
	m.other = m.other || len(b)%8 != 4
	m.tell(len(b))
	seen := m.buf[:m.n]
	if peer := peerMiddle(seen); peer == Yes || peer == More && m.n < middleSize {
		m.Sure = peer == Yes
		return peer
	}
	switch {
	case mostlyText(seen):
		return No
	case len(seen) >= mseKey && !random(seen):
		return No
	}
	m.May = m.other && len(seen) >= mseKey
	switch {
	case len(seen) >= mseKey && (m.short >= middleShorts && m.other || whole):
		m.Sure = int(m.words)*8 >= int(m.told)*7 &&
			(m.requests >= middleRequests || m.words >= middleWords && m.lengths[middleLengths-1] != 0)
		return Yes
	case m.short >= middleLooks:
		return No
	}
	return More
}

// tell notes the length of a short segment.
func (m *PeerMiddle) tell(n int) {
	if n > middleTold || m.told == 255 {
		return
	}
	m.told++
	rest := n
	for rest >= 0 && rest%haveSize != 0 {
		rest -= requestSize
	}
	if rest < 0 {
		return
	}
	m.words++
	if n == requestSize {
		m.requests++
	}
	for i, x := range m.lengths {
		if x == 0 {
			m.lengths[i] = uint8(n)
		}
		if x == 0 || x == uint8(n) {
			break
		}
	}
}

// tlsData is how the header of a record of TLS begins that carries data.
var tlsData = []byte{0x17, 3, 3}

// mostlyText reports whether b, of some length, is text for the most part.
func mostlyText(b []byte) bool {
	text := 0
	for _, c := range b {
		if c >= ' ' && c <= '~' {
			text++
		}
	}
	return len(b) >= 8 && text*100 > 75*len(b)
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
	requestSize  = 17      // of a request, its length before it, in bytes
	haveSize     = 9       // of the word that a piece was had
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
