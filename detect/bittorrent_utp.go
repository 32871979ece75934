// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// The types of a uTP packet (BEP 29), the upper half of its first byte.
const (
	utpData = iota
	utpFin
	utpState
	utpReset
	utpSYN
	utpTypes
)

const utpHeader = 20

// utpPacket is the header of a uTP packet.
type utpPacket struct {
	kind     uint8
	id       uint16
	diff     uint32
	window   uint32
	seq, ack uint16
	data     int // offset of what follows the extensions
}

// parse reads b. Many a datagram of something else fits: a single packet that is
// no SYN proves nothing.
func (p *utpPacket) parse(b []byte) bool {
	if len(b) < utpHeader || b[0]&15 != 1 || b[0]>>4 >= utpTypes {
		return false
	}
	p.kind = b[0] >> 4
	p.id = be16(b[2:])
	p.diff, p.window = be32(b[8:]), be32(b[12:])
	p.seq, p.ack = be16(b[16:]), be16(b[18:])
	// Extensions: number of the next, length, content.
	next, at := b[1], utpHeader
	for n := 0; next != 0; n++ {
		if n == 4 || next > 3 || at+2 > len(b) {
			return false
		}
		length := int(b[at+1])
		if length == 0 || length > 32 || at+2+length > len(b) {
			return false
		}
		next, at = b[at], at+2+length
	}
	p.data = at
	return p.kind == utpData || p.data == len(b)
}

// utpIsSYN reports whether b opens a uTP connection. A SYN is alone in having no
// time difference yet and no data.
func utpIsSYN(b []byte) bool {
	var p utpPacket
	if !p.parse(b) || p.kind != utpSYN || p.diff != 0 || p.window == 0 || len(b) > utpHeader+10 {
		return false
	}
	// A short DNS query with the number 0x4100 or 0x4101 looks like this too:
	// its count of questions is where the time stamp is. One microsecond in
	// 65,536 is a fair price.
	return !(b[4] == 0 && b[5] == 1)
}

// UTP watches one flow of UDP for uTP in both directions: connection numbers that
// differ by one, or by none behind a SYN, and acknowledgments of what the other
// side sent. The zero value is ready.
type UTP struct {
	id, seq [2]uint16 // of the last packet by the LAN host, and to it
	seen    [2]uint8
	syn     bool
	hits    uint8 // acknowledgments that fit
	dead    bool
}

// utpHits is how many acknowledgments must fit. By chance one fits once in 500
// times, and the connection numbers once in 20,000.
const utpHits = 2

// Feed takes the next datagram of the flow. It returns No when the flow is not
// uTP, which is final.
func (u *UTP) Feed(b []byte, outbound bool) Match {
	var p utpPacket
	if u.dead || !p.parse(b) {
		u.dead = true
		return No
	}
	me, other := 0, 1
	if !outbound {
		me, other = 1, 0
	}
	if p.kind == utpSYN {
		if u.seen[other] > 0 && !u.syn {
			u.dead = true
			return No
		}
		u.syn = true
	}
	if u.seen[me] > 0 && p.id != u.id[me] && !(u.syn && p.id == u.id[me]+1) {
		u.dead = true
		return No
	}
	if u.seen[other] > 0 {
		d := p.id - u.id[other]
		if d != 1 && d != 0xffff && !(d == 0 && u.syn) {
			u.dead = true
			return No
		}
		// The acknowledgment lies a little behind what the other sent last.
		if behind := u.seq[other] - p.ack; behind <= 64 || behind == 0xffff {
			if u.hits < utpHits {
				u.hits++
			}
		}
	}
	u.id[me], u.seq[me] = p.id, p.seq
	if u.seen[me] < 16 {
		u.seen[me]++
	}
	switch {
	case u.hits >= utpHits && u.seen[me] > 0 && u.seen[other] > 0:
		return Yes
	case u.seen[0]+u.seen[1] >= 16:
		u.dead = true
		return No
	}
	return More
}
