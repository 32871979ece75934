// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// The header of a G2 datagram: "GND", flags, a number u16, this part's number, and the
// number of parts. If the number of parts is 0, the datagram acknowledges a part.
// gtk-gnutella has the same header for Gnutella, with "GTA".
const (
	g2Head = 8

	g2Deflated = 0x01
	g2AckMe    = 0x02
	g2Unknown  = 0xcc // flags without a known meaning
	g2Extended = 0x20 // the acknowledgement is 4 bytes longer
)

// gnBits matches a datagram with this header.
func gnBits(b []byte, f *Finding) Kind {
	if len(b) < g2Head || b[0] != 'G' || b[3]&g2Unknown != 0 {
		return None
	}
	g2 := b[1] == 'N' && b[2] == 'D'
	if !g2 && (b[1] != 'T' || b[2] != 'A') {
		return None
	}
	flags, part, parts := b[3], b[6], b[7]
	if parts == 0 {
		long := 0
		if flags&g2Extended != 0 {
			long = 4
		}
		if flags&g2Deflated != 0 || len(b) != g2Head+long {
			return None
		}
		f.Reason, f.Conduct = ReasonPong, true
		return Reply
	}
	if part == 0 || part > parts || len(b) == g2Head || flags&g2Extended != 0 {
		return None
	}
	body := b[g2Head:]
	f.Reason = ReasonPing
	switch {
	case flags&g2Deflated != 0 || part > 1: // the body cannot be read
	case g2:
		name := g2Packet(body, parts > 1)
		if name == nil {
			return None
		}
		switch string(name) {
		case "PO", "QA", "QKA", "QH2", "CRAWLA":
			f.Reason = ReasonPong
		}
	case parts == 1 && !gnWhole(body):
		return None
	}
	f.Conduct = true
	if f.Reason == ReasonPong {
		return Reply
	}
	return Query
}

// g2Packet returns the name of the packet that fills b, or nil. With more, b may end
// within the packet. The first byte of a packet says how many bytes its length has (bits
// 7 and 6) and its name has (bits 5 to 3, less one). The length and the name follow.
func g2Packet(b []byte, more bool) []byte {
	head := b[0]
	lengths, n := int(head>>6), int(head>>3&7)+1
	if head == 0 || len(b) < 1+lengths+n {
		return nil
	}
	size := 0
	for i := range lengths {
		c := int(b[1+i])
		if head&2 != 0 { // big-endian
			size = size<<8 | c
		} else {
			size |= c << (8 * i)
		}
	}
	name, rest := b[1+lengths:1+lengths+n], len(b)-1-lengths-n
	if size < rest || size > rest && !more {
		return nil
	}
	for _, c := range name {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return nil
		}
	}
	return name
}

// g2Ping builds a ping that asks for an acknowledgement. Only the acknowledgement repeats
// the number: a pong has none.
func g2Ping(dst, _ []byte, salt uint32) int {
	w := builder{b: dst}
	var none [16]byte
	g := randomFrom(&none, salt)
	w.bytes([]byte{'G', 'N', 'D', g2AckMe})
	w.fill(&g, 2)
	w.bytes([]byte{1, 1, 1 << 3, 'P', 'I'})
	if w.full {
		return 0
	}
	return w.n
}

// g2Pinged reports whether b acknowledges the ping.
func g2Pinged(b, probe []byte) bool {
	var f Finding
	return len(probe) > g2Head && gnBits(b, &f) != None && b[7] == 0 && string(b[4:7]) == string(probe[4:7])
}
