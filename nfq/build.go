// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

const (
	protoICMP   = 1
	protoICMPv6 = 58

	// hopLimit is the TTL of what we send.
	hopLimit = 64
)

// sum adds b to the Internet checksum acc (RFC 1071). Only the last part that
// is added may have an odd length.
func sum(acc uint32, b []byte) uint32 {
	for len(b) >= 2 {
		acc += uint32(b[0])<<8 | uint32(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		acc += uint32(b[0]) << 8
	}
	return acc
}

// fold finishes an Internet checksum.
func fold(acc uint32) uint16 {
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return ^uint16(acc)
}

// appendIP appends an IP header of src's family for n bytes of proto.
func appendIP(b []byte, src, dst *Addr, proto uint8, n int) []byte {
	if !src.Is4() {
		b = append(b, 0x60, 0, 0, 0)
		b = be.AppendUint16(b, uint16(n))
		b = append(b, proto, hopLimit)
		b = append(b, src[:]...)
		return append(b, dst[:]...)
	}
	at := len(b)
	b = append(b, 0x45, 0)
	b = be.AppendUint16(b, uint16(ip4HeaderLen+n))
	// Identification 0: the kernel chooses one. No flags, offset 0; the
	// checksum is below.
	b = append(b, 0, 0, 0, 0, hopLimit, proto, 0, 0)
	b = append(b, src[12:]...)
	b = append(b, dst[12:]...)
	be.PutUint16(b[at+10:], fold(sum(0, b[at:])))
	return b
}

// transportChecksum is the checksum of a TCP or UDP segment with its pseudo
// header. The mapped form's ::ffff is in src and dst alike, so that IPv4 sums
// only the last four bytes.
func transportChecksum(src, dst *Addr, proto uint8, segment []byte) uint16 {
	s, d := src[:], dst[:]
	if src.Is4() {
		s, d = s[12:], d[12:]
	}
	acc := sum(sum(0, s), d)
	acc += uint32(len(segment)) + uint32(proto)
	return fold(sum(acc, segment))
}

// appendUDP appends an IP packet with a UDP datagram.
func appendUDP(b []byte, src, dst *AddrPort, payload []byte) []byte {
	n := udpHeaderLen + len(payload)
	b = appendIP(b, &src.Addr, &dst.Addr, ProtoUDP, n)
	at := len(b)
	b = be.AppendUint16(b, src.Port)
	b = be.AppendUint16(b, dst.Port)
	b = be.AppendUint16(b, uint16(n))
	b = append(b, 0, 0)
	b = append(b, payload...)
	check := transportChecksum(&src.Addr, &dst.Addr, ProtoUDP, b[at:])
	if check == 0 {
		check = 0xffff // 0 says that there is no checksum
	}
	be.PutUint16(b[at+6:], check)
	return b
}

// appendReset appends an IP packet with the TCP segment that resets the
// connection p belongs to, in the name of p's destination (RFC 9293, 3.10.7.1).
func appendReset(b []byte, p *Packet) []byte {
	var seq, ack uint32
	flags := uint8(RST)
	if p.TCPFlags&ACK != 0 {
		seq = p.Ack
	} else {
		flags |= ACK
		ack = p.Seq + uint32(p.PayloadLen)
		if p.TCPFlags&SYN != 0 {
			ack++
		}
		if p.TCPFlags&FIN != 0 {
			ack++
		}
	}
	b = appendIP(b, &p.Dst, &p.Src, ProtoTCP, tcpHeaderLen)
	at := len(b)
	b = be.AppendUint16(b, p.DstPort)
	b = be.AppendUint16(b, p.SrcPort)
	b = be.AppendUint32(b, seq)
	b = be.AppendUint32(b, ack)
	b = append(b, tcpHeaderLen/4<<4, flags, 0, 0, 0, 0, 0, 0)
	be.PutUint16(b[at+16:], transportChecksum(&p.Dst, &p.Src, ProtoTCP, b[at:]))
	return b
}

// The timestamps option (RFC 7323): its kind, its length, and its length together with
// the two fillers that every system sends before it.
const (
	optTimestamps    = 8
	optTimestampsLen = 10
	timestampsLen    = 2 + optTimestampsLen
)

// appendAnswer appends an IP packet with a TCP segment that brings the payload to the
// source of p, in the name of p's destination, and acknowledges the data of p. It has
// timestamps if p has them: a host that agreed on them may drop segments without
// (RFC 7323, 3.2).
func appendAnswer(b []byte, p *Packet, payload []byte) []byte {
	value, echo, timestamps := tcpTimestamps(p)
	header := tcpHeaderLen
	if timestamps {
		header += timestampsLen
	}
	b = appendIP(b, &p.Dst, &p.Src, ProtoTCP, header+len(payload))
	at := len(b)
	b = be.AppendUint16(b, p.DstPort)
	b = be.AppendUint16(b, p.SrcPort)
	b = be.AppendUint32(b, p.Ack)
	b = be.AppendUint32(b, p.Seq+uint32(p.PayloadLen))
	b = append(b, uint8(header/4<<4), PSH|ACK, 0xff, 0xff, 0, 0, 0, 0)
	if timestamps {
		// Our clock is the last that p's source has seen of the real one.
		b = append(b, 1, 1, optTimestamps, optTimestampsLen)
		b = be.AppendUint32(b, echo)
		b = be.AppendUint32(b, value)
	}
	b = append(b, payload...)
	be.PutUint16(b[at+16:], transportChecksum(&p.Dst, &p.Src, ProtoTCP, b[at:]))
	return b
}

// tcpTimestamps returns the timestamps of a TCP segment: the clock of its sender, and the
// clock of the other side that it sends back. It does not look behind extension headers
// of IPv6, as nobody puts them before TCP.
func tcpTimestamps(p *Packet) (value, echo uint32, ok bool) {
	b := p.Raw
	switch {
	case p.Version == 4 && len(b) >= ip4HeaderLen:
		b = b[min(int(b[0]&15)*4, len(b)):]
	case p.Version == 6 && len(b) >= ip6HeaderLen && b[6] == ProtoTCP:
		b = b[ip6HeaderLen:]
	default:
		return 0, 0, false
	}
	if len(b) < tcpHeaderLen {
		return 0, 0, false
	}
	b = within(b, int(b[12]>>4)*4)
	for b = b[min(tcpHeaderLen, len(b)):]; len(b) >= optTimestampsLen; {
		switch n := int(b[1]); {
		case b[0] == 0: // the end of the list
			return 0, 0, false
		case b[0] == 1: // a filler, which has no length
			b = b[1:]
		case b[0] == optTimestamps && n == optTimestampsLen:
			return be.Uint32(b[2:]), be.Uint32(b[6:]), true
		case n < 2 || n > len(b):
			return 0, 0, false
		default:
			b = b[n:]
		}
	}
	return 0, 0, false
}

// How much of the refused packet an ICMP error quotes: RFC 1812 4.3.2.3 wants
// no more than 576 bytes in all, RFC 4443 2.4 no more than 1280.
const (
	quote4 = 576 - ip4HeaderLen - 8
	quote6 = 1280 - ip6HeaderLen - 8
)

// appendReject4 appends an IPv4 packet to the source of p that says
// "communication administratively prohibited". Its own source is left to the
// kernel: it is the router that speaks.
func appendReject4(b []byte, p *Packet) []byte {
	quote := within(p.Raw, quote4)
	src := Addr{10: 0xff, 11: 0xff}
	b = appendIP(b, &src, &p.Src, protoICMP, 8+len(quote))
	at := len(b)
	b = append(b, 3, 13, 0, 0, 0, 0, 0, 0)
	b = append(b, quote...)
	be.PutUint16(b[at+2:], fold(sum(0, b[at:])))
	return b
}

// appendReject6 appends the same as an ICMPv6 message without IP header. The
// kernel adds the header, with the router's address, and the checksum.
func appendReject6(b []byte, p *Packet) []byte {
	b = append(b, 1, 1, 0, 0, 0, 0, 0, 0)
	return append(b, within(p.Raw, quote6)...)
}
