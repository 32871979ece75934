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
	stamp    uint32
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
	p.stamp, p.diff, p.window = be32(b[4:]), be32(b[8:]), be32(b[12:])
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
	if !p.parse(b) || p.kind != utpSYN || p.diff != 0 || p.window == 0 && p.ack == 0 || len(b) > utpHeader+10 {
		return false
	}
	// A short DNS query with the number 0x4100 or 0x4101 looks like this too:
	// its count of questions is where the time stamp is. One microsecond in
	// 65,536 is a fair price.
	return !(b[4] == 0 && b[5] == 1)
}

// UTP watches one flow of UDP for uTP that may be going on already. Either of two
// things shows it:
//
//   - both directions: connection numbers that differ by one, or by none behind a
//     SYN, and acknowledgments of what the other side sent;
//   - one direction: a connection number that stays, numbers of packets that do not
//     go back, and a time stamp that goes on as the clock does.
//
// The zero value is ready.
type UTP struct {
	sides   [2]utpSide // by the LAN host, and to it
	packets uint8
	hits    uint8 // acknowledgments that fit
	syn     bool
	sure    bool
	dead    bool
}

// utpSide is what is kept of one direction.
type utpSide struct {
	// The time stamp of the packet from which steps are counted, and when
	// it came, both in microseconds.
	stamp, at    uint32
	id, seq, ack uint16 // of the last packet
	steps        uint8  // packets since then that agree
	seen         bool
}

const (
	// utpHits is how many acknowledgments must fit. By chance one fits once
	// in 500 times, and the connection numbers once in 20,000.
	utpHits = 2
	// utpBothWays is among how many packets they must be.
	utpBothWays = 16

	// utpSteps is how many packets must agree with the clock. By chance one
	// does once in 50,000 times.
	utpSteps = 3
	// utpSpan is the time they must span: a stamp that stands still would
	// agree for less, as far as clocks may differ.
	utpSpan = 50_000
	// utpJitter is how far a packet may be late, plus a tenth of the time
	// that has passed.
	utpJitter = 20_000
	// utpGap is for how long the clocks are compared.
	utpGap = 2_000_000
	// utpForward is how far numbers of packets may go on in one step.
	utpForward = 1024

	// utpPackets is how many packets are looked at. A fast transfer
	// acknowledges some thousands a second.
	utpPackets = 250
)

// Feed takes the next datagram of the flow, which came at the time at, in
// microseconds of a clock that wraps. No says that the flow is not uTP, and Yes
// that it is: both are final.
func (u *UTP) Feed(b []byte, outbound bool, at uint32) Match {
	var p utpPacket
	switch {
	case u.dead || !p.parse(b):
		u.dead = !u.sure
		return No
	case u.sure:
		return Yes
	}
	me, other := &u.sides[0], &u.sides[1]
	if !outbound {
		me, other = other, me
	}
	if !u.fits(&p, me, other) {
		u.dead = true
		return No
	}
	if u.packets++; u.packets > utpPackets {
		u.dead = true
		return No
	}
	clock := me.step(&p, at)
	me.id, me.seq, me.ack, me.seen = p.id, p.seq, p.ack, true
	if clock || u.hits >= utpHits {
		u.sure = true
		return Yes
	}
	return More
}

// fits reports whether the packet can be of the connection, and counts what speaks
// for it in both directions.
func (u *UTP) fits(p *utpPacket, me, other *utpSide) bool {
	if p.kind == utpSYN {
		if other.seen && !u.syn {
			return false
		}
		u.syn = true
	}
	if me.seen && p.id != me.id && !(u.syn && p.id == me.id+1) {
		return false
	}
	if !other.seen {
		return true
	}
	if d := p.id - other.id; d != 1 && d != 0xffff && !(d == 0 && u.syn) {
		return false
	}
	// The acknowledgment lies a little behind what the other sent last.
	if behind := other.seq - p.ack; (behind <= 64 || behind == 0xffff) && u.packets < utpBothWays {
		u.hits++
	}
	return true
}

// step compares the packet with those before it in its direction. It reports
// whether enough of them agree.
func (s *utpSide) step(p *utpPacket, at uint32) bool {
	passed := at - s.at
	late := int32(p.stamp-s.stamp) - int32(passed)
	if !s.seen || p.kind == utpSYN || passed > utpGap || late > utpJitter+int32(passed/10) || -late > utpJitter+int32(passed/10) {
		s.stamp, s.at, s.steps = p.stamp, at, 0
		return false
	}
	if p.seq-s.seq > utpForward || p.ack-s.ack > utpForward { // sent again, or something else
		return false
	}
	if s.steps < utpSteps {
		s.steps++
	}
	return s.steps == utpSteps && passed >= utpSpan
}
