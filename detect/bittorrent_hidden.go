// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// btHidden recognises sessions with message stream encryption (MSE).
var btHidden = Handshake{
	First:  func(b []byte) bool { return !framed(b) && MSEFirst(b) },
	Middle: mseMiddle,
	Pieces: (*Pieces).Feed,
	Answer: func(dst, _ []byte, salt uint32) int { return MSEAnswer(dst, salt) },
	Proof:  MSEProof,
	Proved: MSEProved,
}

// PeerMiddle is what was seen in the middle of one direction of a connection. The zero
// value is ready.
type PeerMiddle struct {
	middleState
	buf [middleSize]byte // the short segments, one after the other
}

// Reset makes m ready for another connection.
func (m *PeerMiddle) Reset() { m.middleState = middleState{} }

// middleState is what Reset clears.
type middleState struct {
	_     [0]func() // not comparable: code to compare it costs flash
	n     uint8     // bytes in buf
	short uint8     // number of short segments; 255 means 255 or more
	other bool      // a short segment has a length that no SSH packet has
	long  uint16    // bytes in long segments
	most  uint16    // length of the longest segment
	// begins: the next segment begins a message. begun counts the segments seen so far
	// that began one.
	begins bool
	begun  uint8
	// told counts the segments that are short enough for their length to tell something.
	// words counts those of them that are as long as some requests for blocks plus some
	// "have" messages. requests counts those that are as long as one request. lengths are
	// the first different lengths among the words. tiny counts the words that are shorter
	// than any message of a tunnel or proxy.
	told, words, requests, tiny uint8
	lengths                     [middleLengths]uint8
	frames                      uint8 // segments that look like a WebSocket frame
	// May says that the data looks random, lacks the headers of other programs, and is
	// not SSH. That is too little to cut the connection, but enough to probe the host.
	May bool
	// First says that its first message is there from its beginning, and is like that.
	// Likely says that nearly all segments that tell something are words, some of them
	// tiny. Both are too little on a host without proof.
	First, Likely bool
	// Sure says that the connection is certainly one between peers: it has plain
	// messages, or it is encrypted and its segments are as long as requests. No other
	// program writes 17 random bytes at once.
	Sure bool
}

// Begins says that the first segment begins a message. It may be called again later.
func (m *PeerMiddle) Begins() { m.begins = m.begins || m.short == 0 && m.long == 0 }

// Heard notes the length of a message from the other side. No SSH packet is as short as
// most words between peers.
func (m *PeerMiddle) Heard(n int) { m.other = m.other || n < middleTiny && n%4 != 0 }

const (
	middleSize = 128
	// From this size on, a segment is long. A long segment may be part of a larger
	// message, so its first bytes tell nothing. A short segment ends a write, so the next
	// one begins a new message.
	middleLong = 1000
	// middleShorts is how many short segments must come before random bytes count. Short
	// TLS segments begin with a record header.
	middleShorts = 4
	// middleTold is the longest segment whose length tells something. Of the lengths up
	// to this, one in three is that of words.
	middleTold = 77
	// middleRequests is how many segments as long as a request make it certain, and how
	// many tiny words make it likely.
	// middleWords is how many segments as long as words do, if they have middleLengths
	// different lengths: a program that repeats one message may hit such a length by
	// chance. So many random lengths are so once in 20,000 times. Of all segments that
	// tell something, seven in eight must be words.
	middleRequests = 3
	middleWords    = 9
	middleLengths  = 3
	// middleTiny is the least that a message of SSH, a tunnel or a proxy has: a checksum
	// of 16 bytes, and a length.
	middleTiny = 19
	// middleFrames is how many segments must look like a browser's WebSocket frame. One
	// may by chance.
	middleFrames = 2
	// middleBegun is how many messages seen from their beginning do instead of
	// middleShorts: TLS messages are records. One message may only seem to begin, because
	// a segment was sent again.
	middleBegun = 2
	// middleLooks is how many short segments are read at most.
	middleLooks = 32
	// middleRecord is longer than any TLS record, in bytes: a TLS upload of this size
	// contains a record header.
	middleRecord = 17 << 10
)

// mseMiddle reads one more segment of a connection. ends says that a message may end with
// it. mseMiddle returns Yes for a connection between peers: it has plain peer messages,
// or it looks random, and is neither TLS, nor SSH, nor a WebSocket of a browser. A web
// page can choose the length of WebSocket messages. SSH may encrypt the length of its
// packets, but the size of each is 20 bytes plus a multiple of 8.
func mseMiddle(m *PeerMiddle, b []byte, ends bool) Match {
	m.First = false
	switch peerMiddle(b) {
	case Yes:
		m.Sure = true
		return Yes
	case No: // other protocols may begin with their length
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
	m.First = m.May && m.begun == 1 && m.short == 1 && m.long == 0 && m.frames == 0
	switch {
	case len(seen) >= mseKey && (m.short >= middleShorts && m.other || whole):
		words := int(m.words)*8 >= int(m.told)*7
		m.Likely = words && m.tiny >= middleRequests
		m.Sure = words &&
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
	if n < middleTiny {
		m.tiny++
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

// tlsData is the beginning of a TLS record header for application data.
var tlsData = []byte{0x17, 3, 3}

// mostlyText reports whether b has at least 8 bytes and is mostly text.
func mostlyText(b []byte) bool {
	text := 0
	for _, c := range b {
		if c >= ' ' && c <= '~' {
			text++
		}
	}
	return len(b) >= 8 && text*100 > 75*len(b)
}

// framed reports whether b begins like a message of another protocol whose content may be
// encrypted: with a TLS record header, or with its own length. The length is in the first
// two bytes, as with OpenVPN and RLPx, or in four of the first sixteen, as with Zabbix
// and SSH. In the second case it may count all of b or the bytes after it, apart from a
// few bytes for a second number or a checksum. Random bytes look framed once in 30,000
// times.
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

// The lengths of the peer messages that have a fixed size (BEP 3, 5, 6, 10), by message
// number. The length includes the number.
var peerLengths = [...]uint8{
	0: 1, 1: 1, 2: 1, 3: 1, 4: 5, 6: 13, 8: 13, 9: 3, 13: 5, 14: 1, 15: 1, 16: 13, 17: 5,
}

const (
	peerBitfield = 5
	peerRequest  = 6
	peerPiece    = 7
	requestSize  = 17      // of a request, with its length prefix, in bytes
	haveSize     = 9       // of a "have" message, with its length prefix
	peerBlock    = 1 << 14 // of a file: the block size that all clients request, in bytes
)

// peerMiddle reports whether b begins with plain peer messages: two messages, one
// request, or the beginning of a piece. More says that b needs more bytes. Keep-alives do
// not count: they are zeros, as are many files.
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
