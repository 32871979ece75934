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

// parse reads b. Many datagrams of other protocols fit, so a single packet proves nothing
// unless it is a SYN.
func (p *utpPacket) parse(b []byte) bool {
	if len(b) < utpHeader || b[0]&15 != 1 || b[0]>>4 >= utpTypes {
		return false
	}
	p.kind = b[0] >> 4
	p.id = be16(b[2:])
	p.stamp, p.diff, p.window = be32(b[4:]), be32(b[8:]), be32(b[12:])
	p.seq, p.ack = be16(b[16:]), be16(b[18:])
	// An extension: number of the next one, length, content.
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

// isSYN reports whether b, whose header is p, opens a uTP connection. Only a SYN has
// neither a time difference nor data.
func (p *utpPacket) isSYN(b []byte) bool {
	if p.kind != utpSYN || p.diff != 0 || p.window == 0 && p.ack == 0 || len(b) > utpHeader+10 {
		return false
	}
	// A short DNS query with the ID 0x4100 or 0x4101 looks like a SYN too: its question
	// count is where a SYN has the time stamp. So SYNs are missed for one microsecond in
	// 65,536, which is acceptable.
	return !(b[4] == 0 && b[5] == 1)
}

// UTP watches the datagrams that a LAN host sends in one UDP flow, to recognise a uTP
// connection that began earlier: the connection ID stays the same, the packet numbers do
// not go back, and the time stamp advances with the clock. The zero value is ready.
type UTP struct {
	// The time stamp of the packet from which steps are counted, and the time of its
	// arrival, both in microseconds.
	stamp, at    uint32
	id, seq, ack uint16 // of the last packet
	steps        uint8  // later packets that agree with it
	packets      uint8
	seen         bool
	syn          bool // the connection's SYN was seen
	sure         bool
	dead         bool
}

const (
	// utpSteps is how many packets must agree with the clock. One packet agrees by chance
	// once in 50,000 times.
	utpSteps = 3
	// utpSpan is the time that these packets must span, in microseconds. Within a shorter
	// time, a constant time stamp would agree too, because clocks may differ a little.
	utpSpan = 50_000
	// utpJitter is how late a packet may be, in microseconds. A tenth of the time that
	// has passed is added.
	utpJitter = 20_000
	// utpGap is for how long the clocks are compared, in microseconds.
	utpGap = 2_000_000
	// utpForward is how far packet numbers may advance in one step.
	utpForward = 1024

	// utpPackets is how many packets are read. A fast transfer sends some thousands of
	// acknowledgements a second.
	utpPackets = 250
)

// utpFlow is BitTorrent's Protocol.Flow.
func utpFlow(s *FlowState, b []byte, at uint32) Match {
	u := UTP{
		stamp: s[0], at: s[1], id: uint16(s[2] >> 16), seq: uint16(s[2]), ack: uint16(s[3] >> 16),
		steps: uint8(s[3] >> 8), packets: uint8(s[3]),
		seen: s[4]&1 != 0, syn: s[4]&2 != 0, sure: s[4]&4 != 0, dead: s[4]&8 != 0,
	}
	m := u.Feed(b, at)
	s[0], s[1], s[2] = u.stamp, u.at, uint32(u.id)<<16|uint32(u.seq)
	s[3] = uint32(u.ack)<<16 | uint32(u.steps)<<8 | uint32(u.packets)
	s[4] = 0
	for i, is := range [...]bool{u.seen, u.syn, u.sure, u.dead} {
		if is {
			s[4] |= 1 << i
		}
	}
	return m
}

// Feed reads the next datagram that the LAN host sent in the flow. at is its time of
// arrival, in microseconds of a clock that wraps. Yes says that the flow is uTP, No that
// the flow or this datagram is not. The decision about the flow is final.
func (u *UTP) Feed(b []byte, at uint32) Match {
	var p utpPacket
	switch {
	case u.dead || !p.parse(b):
		u.dead = !u.sure
		return No
	case u.sure:
		return Yes
	}
	u.packets++
	// After the SYN, the connection ID is one higher.
	if u.seen && p.id != u.id && !(u.syn && p.id == u.id+1) || u.packets > utpPackets {
		u.dead = true
		return No
	}
	u.syn = u.syn || p.kind == utpSYN
	u.sure = u.step(&p, at)
	u.id, u.seq, u.ack, u.seen = p.id, p.seq, p.ack, true
	if u.sure {
		return Yes
	}
	return More
}

// step compares the packet with earlier ones. It reports whether enough of them agree.
func (u *UTP) step(p *utpPacket, at uint32) bool {
	passed := at - u.at
	late := int32(p.stamp-u.stamp) - int32(passed)
	if !u.seen || p.kind == utpSYN || passed > utpGap || late > utpJitter+int32(passed/10) || -late > utpJitter+int32(passed/10) {
		u.stamp, u.at, u.steps = p.stamp, at, 0
		return false
	}
	if p.seq-u.seq > utpForward || p.ack-u.ack > utpForward { // sent again, or something else
		return false
	}
	if u.steps < utpSteps {
		u.steps++
	}
	return u.steps == utpSteps && passed >= utpSpan
}
