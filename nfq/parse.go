// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import "encoding/binary"

// IPv6 extension headers that are walked over (RFC 8200, IANA "Protocol
// Numbers"). ESP and "no next header" end the walk like a transport protocol.
const (
	extHopByHop = 0
	extRouting  = 43
	extFragment = 44
	extAuth     = 51
	extDestOpts = 60
	extMobility = 135
	extHIP      = 139
	extShim6    = 140
)

// maxExtHeaders bounds the walk over IPv6 extension headers. RFC 8200 knows
// seven in a sensible packet; a longer chain is not looked at.
const maxExtHeaders = 8

const (
	ip4HeaderLen = 20
	ip6HeaderLen = 40
	tcpHeaderLen = 20
	udpHeaderLen = 8
)

// ParsePacket fills the header view of p from raw, which begins with an IPv4
// or IPv6 header and may have been cut off at the end. It leaves ID, Hook, the
// devices, Mark and MAC alone.
//
// A packet whose headers are incomplete, or whose lengths contradict each
// other, gets Version 0: a receiver would throw it away, and what cannot be
// read must never match. It does not allocate; p points into raw.
func ParsePacket(raw []byte, p *Packet) {
	resetHeaders(p)
	p.Raw = raw
	if len(raw) == 0 {
		return
	}
	ok := false
	switch raw[0] >> 4 {
	case 4:
		ok = parseIPv4(raw, p)
	case 6:
		ok = parseIPv6(raw, p)
	}
	if !ok {
		resetHeaders(p)
	}
}

// resetHeaders clears all that ParsePacket sets but Raw.
func resetHeaders(p *Packet) {
	p.Version, p.Proto = 0, 0
	p.Fragment, p.MoreFragments = false, false
	p.Src = Addr{}
	p.Dst = Addr{}
	p.SrcPort, p.DstPort = 0, 0
	p.TCPFlags, p.Seq, p.Ack = 0, 0, 0
	p.Payload, p.PayloadLen = nil, 0
}

func parseIPv4(b []byte, p *Packet) bool {
	if len(b) < ip4HeaderLen {
		return false
	}
	header := int(b[0]&15) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if header < ip4HeaderLen || total < header || len(b) < header {
		return false
	}
	p.Version = 4
	p.Proto = b[9]
	p.Src[10], p.Src[11] = 0xff, 0xff
	copy(p.Src[12:], b[12:16])
	p.Dst[10], p.Dst[11] = 0xff, 0xff
	copy(p.Dst[12:], b[16:20])

	fragment := binary.BigEndian.Uint16(b[6:])
	p.MoreFragments = fragment&0x2000 != 0
	if fragment&0x1fff != 0 {
		p.Fragment = true
		return true
	}
	return parseTransport(within(b, total)[header:], total-header, p)
}

func parseIPv6(b []byte, p *Packet) bool {
	if len(b) < ip6HeaderLen {
		return false
	}
	p.Version = 6
	copy(p.Src[:], b[8:24])
	copy(p.Dst[:], b[24:40])
	next := b[6]
	// wire is what is left by the headers, b what is left of the copy.
	wire := int(binary.BigEndian.Uint16(b[4:]))
	b = within(b[ip6HeaderLen:], wire)

	for range maxExtHeaders + 1 { // the last round is for what they carry
		var n int
		switch next {
		case extHopByHop, extRouting, extDestOpts, extMobility, extHIP, extShim6:
			if len(b) < 8 {
				return false
			}
			n = (int(b[1]) + 1) * 8
		case extAuth:
			if len(b) < 8 {
				return false
			}
			n = (int(b[1]) + 2) * 4
		case extFragment:
			if len(b) < 8 {
				return false
			}
			n = 8
			fragment := binary.BigEndian.Uint16(b[2:])
			if fragment&1 != 0 {
				p.MoreFragments = true
			}
			if fragment>>3 != 0 {
				p.Proto = b[0]
				p.Fragment = true
				return true
			}
		default:
			p.Proto = next
			return parseTransport(b, wire, p)
		}
		if n > len(b) {
			return false
		}
		next = b[0]
		b, wire = b[n:], wire-n
	}
	return false
}

// parseTransport reads the TCP or UDP header at b; wire is how many bytes
// there are by the IP header, of which b holds the copied part.
func parseTransport(b []byte, wire int, p *Packet) bool {
	switch p.Proto {
	case ProtoTCP:
		return parseTCP(b, wire, p)
	case ProtoUDP:
		return parseUDP(b, wire, p)
	}
	return true
}

func parseTCP(b []byte, wire int, p *Packet) bool {
	if len(b) < tcpHeaderLen {
		return false
	}
	header := int(b[12]>>4) * 4
	if header < tcpHeaderLen || header > wire {
		return false
	}
	p.SrcPort = binary.BigEndian.Uint16(b)
	p.DstPort = binary.BigEndian.Uint16(b[2:])
	p.Seq = binary.BigEndian.Uint32(b[4:])
	p.Ack = binary.BigEndian.Uint32(b[8:])
	p.TCPFlags = b[13]
	p.PayloadLen = wire - header
	if header < len(b) {
		p.Payload = b[header:]
	}
	return true
}

func parseUDP(b []byte, wire int, p *Packet) bool {
	if len(b) < udpHeaderLen {
		return false
	}
	length := int(binary.BigEndian.Uint16(b[4:]))
	// The length of a first fragment is that of the whole datagram.
	if length < udpHeaderLen || (length > wire && !p.MoreFragments) {
		return false
	}
	p.SrcPort = binary.BigEndian.Uint16(b)
	p.DstPort = binary.BigEndian.Uint16(b[2:])
	p.PayloadLen = length - udpHeaderLen
	p.Payload = within(b, length)[udpHeaderLen:]
	return true
}

// within returns b without what lies behind its first n bytes: padding of the
// link layer, or trailing data that no header accounts for.
func within(b []byte, n int) []byte {
	if len(b) > n {
		return b[:n]
	}
	return b
}
