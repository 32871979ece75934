// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"encoding/hex"
	"net/netip"
	"strings"
)

// unhex reads hexadecimal digits. It skips spaces, newlines, and comments from # to the
// end of the line.
func unhex(s string) []byte {
	var b []byte
	for line := range strings.Lines(s) {
		line, _, _ = strings.Cut(line, "#")
		part, err := hex.DecodeString(strings.Join(strings.Fields(line), ""))
		if err != nil {
			panic(err)
		}
		b = append(b, part...)
	}
	return b
}

// nativeHex returns a number in the machine's byte order as hexadecimal digits, for
// goldens of netlink headers.
func nativeHex[T uint16 | uint32](n T) string {
	if x, ok := any(n).(uint16); ok {
		return hex.EncodeToString(native.AppendUint16(nil, x))
	}
	return hex.EncodeToString(native.AppendUint32(nil, uint32(n)))
}

func n16(n uint16) string { return nativeHex(n) }
func n32(n uint32) string { return nativeHex(n) }

// Headers for building test packets. IPv4 goes from 192.0.2.10 to 198.51.100.20, IPv6
// from 2001:db8:1::10 to 2001:db8:2::20. Unless changed, both say that 8 bytes follow
// (IPv4: 28 in all).
const (
	ip4Header = `45 00 00 1c 12 34 00 00 40 11 00 00 c000020a c6336414`
	ip6Header = `60 00 00 00 00 08 11 40
		20010db8 00010000 00000000 00000010
		20010db8 00020000 00000000 00000020`
	udpHeader = `04 be 1a 0b 00 08 00 00` // 1214 to 6667, no payload
	// 1214 to 80, sequence number 0x01020304, acknowledgment 0x05060708, PSH ACK.
	tcpHeader = `04 be 00 50 01020304 05060708 50 18 ffff 0000 0000`
)

// packetCase is one packet and the expected result of ParsePacket.
type packetCase struct {
	name string
	raw  []byte
	want Packet // without Raw
}

var (
	src4, dst4 = mustAddr("192.0.2.10"), mustAddr("198.51.100.20")
	src6, dst6 = mustAddr("2001:db8:1::10"), mustAddr("2001:db8:2::20")
)

func mustAddr(s string) Addr { return AddrFrom(netip.MustParseAddr(s)) }

// change returns header with bytes replaced: change(h, 9, 0x06) sets octet 9.
func change(header string, pairs ...int) []byte {
	b := unhex(header)
	for i := 0; i < len(pairs); i += 2 {
		b[pairs[i]] = byte(pairs[i+1])
	}
	return b
}

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// Views that many cases share.
func udpView(version uint8, payload string) Packet {
	p := Packet{Version: version, Proto: ProtoUDP, Src: src4, Dst: dst4, SrcPort: 1214, DstPort: 6667, PayloadLen: len(payload)}
	if version == 6 {
		p.Src, p.Dst = src6, dst6
	}
	if payload != "" {
		p.Payload = []byte(payload)
	}
	return p
}

func tcpView(version uint8, payload string) Packet {
	p := udpView(version, payload)
	p.Proto, p.DstPort = ProtoTCP, 80
	p.TCPFlags, p.Seq, p.Ack = PSH|ACK, 0x01020304, 0x05060708
	return p
}

func with(p Packet, change func(*Packet)) Packet {
	change(&p)
	return p
}

var unreadable = Packet{}

// udpOf returns the UDP header with a length of n, and the payload.
func udpOf(n int, payload string) []byte {
	return append(change(udpHeader, 4, n>>8, 5, n), payload...)
}

// ip4 and ip6 return headers that say that n bytes of proto follow.
func ip4(proto, n int) []byte {
	return change(ip4Header, 9, proto, 2, (20+n)>>8, 3, 20+n)
}

func ip6(next, n int) []byte { return change(ip6Header, 6, next, 4, n>>8, 5, n) }

// option8 is an IPv6 extension header of 8 bytes.
func option8(next int) []byte { return []byte{byte(next), 0, 1, 4, 0, 0, 0, 0} }

// fragment6 is an IPv6 fragment header: offset in units of 8 bytes.
func fragment6(next, offset int, more byte) []byte {
	return []byte{byte(next), 0, byte(offset >> 5), byte(offset<<3) | more, 0, 0, 0, 1}
}

func repeat(part []byte, n int) []byte {
	var b []byte
	for range n {
		b = append(b, part...)
	}
	return b
}

var packetCases = []packetCase{
	{"empty", nil, unreadable},
	{"one byte", []byte{0x45}, unreadable},
	{"version 0", change(ip4Header, 0, 0x05), unreadable},
	{"version 5", change(ip4Header, 0, 0x55), unreadable},
	{"version 15", change(ip4Header, 0, 0xf5), unreadable},

	{"IPv4 UDP", join(ip4(17, 12), udpOf(12, "ping")), udpView(4, "ping")},
	{"IPv4 UDP without payload", join(ip4(17, 8), udpOf(8, "")), udpView(4, "")},
	{"IPv4 UDP, link padding", join(ip4(17, 12), udpOf(12, "ping"), make([]byte, 20)), udpView(4, "ping")},
	{"IPv4 UDP, bytes behind the datagram", join(ip4(17, 16), udpOf(12, "pingmore")), udpView(4, "ping")},
	{"IPv4 UDP, payload cut off", join(ip4(17, 12), udpOf(12, "pi")), with(udpView(4, "pi"), func(p *Packet) { p.PayloadLen = 4 })},
	{"IPv4 UDP, all payload cut off", join(ip4(17, 12), udpOf(12, "")), with(udpView(4, ""), func(p *Packet) { p.PayloadLen = 4 })},
	{"IPv4 UDP header cut off", join(ip4(17, 12), udpOf(12, "")[:7]), unreadable},
	{"IPv4 UDP length too short", join(ip4(17, 12), udpOf(7, "ping")), unreadable},
	{"IPv4 UDP length 0", join(ip4(17, 12), udpOf(0, "ping")), unreadable},
	{"IPv4 UDP length too long", join(ip4(17, 12), udpOf(13, "ping")), unreadable},
	{"IPv4 UDP length 65535", join(ip4(17, 12), udpOf(65535, "ping")), unreadable},
	{"IPv4 UDP, no room for the header", join(ip4(17, 7), udpOf(8, "")), unreadable},

	{"IPv4 header cut off", ip4(17, 12)[:19], unreadable},
	{"IPv4 header length 4 words", change(ip4Header, 0, 0x44), unreadable},
	{"IPv4 total length below header", join(change(ip4Header, 2, 0, 3, 19), udpOf(8, "")), unreadable},
	{"IPv4 total length 0", join(change(ip4Header, 2, 0, 3, 0), udpOf(8, "")), unreadable},
	{
		"IPv4 with options",
		join(change(ip4Header, 0, 0x47, 3, 40), unhex("07 07 04 00000000 00"), udpOf(12, "ping")),
		udpView(4, "ping"),
	},
	{"IPv4 options cut off", join(change(ip4Header, 0, 0x4f, 3, 80), make([]byte, 39)), unreadable},
	{
		"IPv4 with 40 bytes of options",
		join(change(ip4Header, 0, 0x4f, 3, 72), make([]byte, 40), udpOf(12, "ping")),
		udpView(4, "ping"),
	},

	{"IPv4 TCP", join(ip4(6, 23), unhex(tcpHeader), []byte("GET")), tcpView(4, "GET")},
	{
		"IPv4 TCP SYN with options",
		join(ip4(6, 24), change(tcpHeader, 12, 0x60, 13, SYN), unhex("020405b4")),
		with(tcpView(4, ""), func(p *Packet) { p.TCPFlags = SYN }),
	},
	{
		"IPv4 TCP options cut off",
		join(ip4(6, 60), change(tcpHeader, 12, 0xf0, 13, SYN), make([]byte, 10)),
		with(tcpView(4, ""), func(p *Packet) { p.TCPFlags = SYN }),
	},
	{"IPv4 TCP with 40 bytes of options", join(ip4(6, 63), change(tcpHeader, 12, 0xf0), make([]byte, 40), []byte("GET")), tcpView(4, "GET")},
	{"IPv4 TCP offset too small", join(ip4(6, 23), change(tcpHeader, 12, 0x40), []byte("GET")), unreadable},
	{"IPv4 TCP offset behind the packet", join(ip4(6, 23), change(tcpHeader, 12, 0x60), []byte("GET")), unreadable},
	{"IPv4 TCP header cut off", join(ip4(6, 23), unhex(tcpHeader)[:19]), unreadable},
	{
		"IPv4 TCP payload cut off", join(ip4(6, 1400), unhex(tcpHeader), []byte("GET")),
		with(tcpView(4, "GET"), func(p *Packet) { p.PayloadLen = 1380 }),
	},
	{
		"IPv4 TCP, every flag",
		join(ip4(6, 20), change(tcpHeader, 13, 0xff)),
		with(tcpView(4, ""), func(p *Packet) { p.TCPFlags = 0xff }),
	},

	{
		"IPv4 ICMP", join(ip4(1, 8), make([]byte, 8)),
		Packet{Version: 4, Proto: 1, Src: src4, Dst: dst4},
	},
	{"IPv4 protocol 0", ip4(0, 0), Packet{Version: 4, Src: src4, Dst: dst4}},
	{
		// IPv4 has no extension headers, so their numbers mean nothing here.
		"IPv4 protocol 60", join(ip4(60, 16), option8(17), udpOf(8, "")),
		Packet{Version: 4, Proto: 60, Src: src4, Dst: dst4},
	},

	{
		"IPv4 first fragment", join(change(ip4Header, 3, 32, 6, 0x20), udpOf(1408, "ping")),
		with(udpView(4, "ping"), func(p *Packet) { p.MoreFragments = true; p.PayloadLen = 1400 }),
	},
	{
		"IPv4 first fragment with a datagram that ends in it", join(change(ip4Header, 3, 32, 6, 0x20), udpOf(10, "ping")),
		with(udpView(4, "pi"), func(p *Packet) { p.MoreFragments = true }),
	},
	{"IPv4 first fragment too small", join(change(ip4Header, 3, 27, 6, 0x20), udpOf(1408, "")[:7]), unreadable},
	{
		"IPv4 later fragment", join(change(ip4Header, 3, 32, 6, 0x20, 7, 1), udpOf(12, "ping")),
		Packet{Version: 4, Proto: ProtoUDP, Src: src4, Dst: dst4, Fragment: true, MoreFragments: true},
	},
	{
		"IPv4 last fragment", join(change(ip4Header, 3, 32, 6, 0x1f, 7, 0xff), udpOf(12, "ping")),
		Packet{Version: 4, Proto: ProtoUDP, Src: src4, Dst: dst4, Fragment: true},
	},
	{
		"IPv4 last fragment without data", change(ip4Header, 3, 20, 6, 0, 7, 1),
		Packet{Version: 4, Proto: ProtoUDP, Src: src4, Dst: dst4, Fragment: true},
	},
	{"IPv4 do not fragment", join(change(ip4Header, 3, 32, 6, 0x40), udpOf(12, "ping")), udpView(4, "ping")},

	{"IPv6 UDP", join(ip6(17, 12), udpOf(12, "ping")), udpView(6, "ping")},
	{"IPv6 TCP", join(ip6(6, 23), unhex(tcpHeader), []byte("GET")), tcpView(6, "GET")},
	{"IPv6 header cut off", ip6(17, 12)[:39], unreadable},
	{"IPv6 UDP, link padding", join(ip6(17, 12), udpOf(12, "ping"), make([]byte, 20)), udpView(6, "ping")},
	{"IPv6 UDP, payload cut off", join(ip6(17, 12), udpOf(12, "pi")), with(udpView(6, "pi"), func(p *Packet) { p.PayloadLen = 4 })},
	{"IPv6 UDP length too long", join(ip6(17, 12), udpOf(13, "ping")), unreadable},
	{"IPv6 UDP, payload length 0", join(ip6(17, 0), udpOf(12, "ping")), unreadable},
	{"IPv6 no next header", ip6(59, 0), Packet{Version: 6, Proto: 59, Src: src6, Dst: dst6}},
	{"IPv6 ESP", join(ip6(50, 20), make([]byte, 20)), Packet{Version: 6, Proto: 50, Src: src6, Dst: dst6}},
	{"IPv6 hop by hop", join(ip6(0, 20), option8(17), udpOf(12, "ping")), udpView(6, "ping")},
	{"IPv6 destination options of 16 bytes", join(ip6(60, 28), []byte{17, 1}, make([]byte, 14), udpOf(12, "ping")), udpView(6, "ping")},
	{
		"IPv6 every extension header",
		join(ip6(0, 80), option8(60), option8(43), option8(44), fragment6(51, 0, 0),
			[]byte{135, 2}, make([]byte, 14), // AH's length counts units of four bytes, less two
			option8(139), option8(140), option8(17), udpOf(8, "")),
		udpView(6, ""),
	},
	{"IPv6 eight extension headers", join(ip6(60, 76), repeat(option8(60), 7), option8(17), udpOf(12, "ping")), udpView(6, "ping")},
	{"IPv6 too many extension headers", join(ip6(60, 84), repeat(option8(60), 8), option8(17), udpOf(12, "ping")), unreadable},
	{"IPv6 extension header cut off", join(ip6(60, 20), option8(17)[:7]), unreadable},
	{"IPv6 extension header longer than the copy", join(ip6(60, 300), []byte{17, 5}, make([]byte, 40)), unreadable},
	{"IPv6 extension header longer than the packet", join(ip6(60, 8), []byte{17, 1}, make([]byte, 6), udpOf(12, "ping")), unreadable},
	{"IPv6 fragment header cut off", join(ip6(44, 20), fragment6(17, 0, 0)[:7]), unreadable},
	{"IPv6 AH cut off", join(ip6(51, 20), []byte{17, 1, 0, 0, 0, 0, 0}), unreadable},
	{"IPv6 transport cut off", join(ip6(60, 20), option8(17), udpOf(12, "")[:3]), unreadable},

	{"IPv6 atomic fragment", join(ip6(44, 20), fragment6(17, 0, 0), udpOf(12, "ping")), udpView(6, "ping")},
	{
		"IPv6 first fragment", join(ip6(44, 20), fragment6(17, 0, 1), udpOf(1408, "ping")),
		with(udpView(6, "ping"), func(p *Packet) { p.MoreFragments = true; p.PayloadLen = 1400 }),
	},
	{
		"IPv6 later fragment", join(ip6(44, 20), fragment6(17, 1, 1), udpOf(12, "ping")),
		Packet{Version: 6, Proto: ProtoUDP, Src: src6, Dst: dst6, Fragment: true, MoreFragments: true},
	},
	{
		"IPv6 last fragment, highest offset", join(ip6(44, 20), fragment6(6, 0x1fff, 0), unhex(tcpHeader)),
		Packet{Version: 6, Proto: ProtoTCP, Src: src6, Dst: dst6, Fragment: true},
	},
	{
		"IPv6 two fragment headers, the second later",
		join(ip6(44, 28), fragment6(44, 0, 1), fragment6(17, 2, 0), udpOf(12, "ping")),
		Packet{Version: 6, Proto: ProtoUDP, Src: src6, Dst: dst6, Fragment: true, MoreFragments: true},
	},
	{
		"IPv6 fragment behind options", join(ip6(0, 28), option8(44), fragment6(60, 1, 0), udpOf(12, "ping")),
		Packet{Version: 6, Proto: 60, Src: src6, Dst: dst6, Fragment: true},
	},
}
