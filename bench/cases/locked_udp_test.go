// SPDX-License-Identifier: GPL-2.0-or-later

package cases

import (
	"encoding/binary"
	"slices"
)

// mediaServer is a server that a locked host talks to by UDP.
const mediaServer = "203.0.113.31"

var lockedUDP = []row{
	{"K7", "TURN of Microsoft, an attribute without padding", 10, func(t *talk) {
		t.udp(45000, mediaServer+":3478").exchange(3,
			join(t.stun(0x0003, 14), unhex("000f000472c64bc6"), unhex("000800026162")),
			join(t.stun(0x0113, 8), unhex("0009000400000401")))
	}},
	{"K7", "a call by WhatsApp", 10, func(t *talk) {
		d := t.udp(45000, mediaServer+":3478")
		d.exchange(2,
			join(t.stun(0x0003, 106), unhex("40000066"), t.random(102)),
			join(t.stun(0x0103, 20), unhex("00200008"), t.random(8), unhex("00080004"), t.random(4)))
		for range 2 {
			d.out(join(t.stun(0x0800, 4), unhex("00000000")))
		}
	}},
	{"K7", "Discord: address discovery, then RTP with a new profile", 10, func(t *talk) {
		d := t.udp(45000, mediaServer+":50004")
		d.out(join(unhex("000100460000004d"), make([]byte, 66))).
			in(join(unhex("000200460000004d"), []byte("192.0.2.9"), make([]byte, 57)))
		for i := range 30 {
			d.out(t.rtp("9078", i, 960, 77, 90)).in(t.rtp("9078", i, 960, 78, 90))
		}
	}},
	{"K7", "plain RTP", 10, func(t *talk) {
		d := t.udp(16400, mediaServer+":16384")
		for i := range 40 {
			d.out(t.rtp("8000", i, 160, 0x11223344, 160)).in(t.rtp("8000", i, 160, 0x55667788, 160))
		}
	}},
	{"K9", "OpenVPN by UDP on port 443", 10, func(t *talk) {
		d := t.udp(41001, mediaServer+":443")
		d.out(append(t.filled("38", 9), 0, 0, 0, 0, 0)).in(join(t.filled("40", 9), t.filled("0100000000", 17)))
		d.exchange(4, t.filled("20", 61), t.filled("20", 61))
	}},
	{"K9", "WireGuard with reserved bytes, as WARP", 10, func(t *talk) {
		d := t.udp(51822, mediaServer+":2408")
		d.out(t.filled("01b91981", 148)).in(t.filled("02000000", 92))
		d.exchange(5, t.filled("04b91981", 64), t.filled("04000000", 64))
	}},
	{"K9", "Tailscale's discovery, then WireGuard", 10, func(t *talk) {
		d := t.udp(41641, mediaServer+":41641")
		d.exchange(3, t.filled("5453f09f92ac", 96), t.filled("5453f09f92ac", 86))
		d.wireGuard(4)
	}},
	{"K9", "AmneziaWG: rubbish, then WireGuard", 10, func(t *talk) {
		d := t.udp(51823, mediaServer+":51820")
		for _, n := range []int{40, 50} {
			d.out(t.random(n)).in(nil)
		}
		d.wireGuard(5)
	}},
	{"K12", "QUIC of Facebook", 10, func(t *talk) {
		d := t.udp(45000, mediaServer+":443")
		d.exchange(1,
			join(unhex("c3faceb00208"), t.random(8), unhex("000044d0"), t.random(1232)),
			join(unhex("c3faceb00208"), t.random(8), unhex("000044d0"), t.random(1232)))
		d.exchange(3, t.filled("45", 61), t.filled("51", 61))
	}},
	{"K12", "QUIC of Google, version Q043", 10, func(t *talk) {
		d := t.udp(45000, mediaServer+":443")
		id := t.random(8)
		d.exchange(1, join([]byte{0x0d}, id, []byte("Q043\x01"), t.random(1300)), t.filled("0c", 1310))
		d.exchange(3, join([]byte{8}, id, t.random(52)), t.filled("08", 61))
	}},
	{"K13", "the time, as Windows asks", 10, func(t *talk) {
		t.udp(123, mediaServer+":123").exchange(1,
			join(unhex("d9000afa"), make([]byte, 44)), join(unhex("1a020aee"), make([]byte, 44)))
	}},
	{"K13", "DNSCrypt by UDP", 10, func(t *talk) {
		t.udp(40008, mediaServer+":443").exchange(1, t.random(512), t.filled("7236666e76576a38", 308))
	}},
	{"K13", "DNS, a space in the name", 10, func(t *talk) {
		question := join(unhex("0a"), []byte("My Printer"), unhex("045f697070045f746370076578616d706c65036e657400"), unhex("00010001"))
		t.udp(40003, mediaServer+":53").exchange(1,
			join(unhex("123401000001000000000000"), question),
			join(unhex("123481800001000100000000"), question, unhex("c00c000100010000003c0004cb007105")))
	}},
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// stun is the header of a STUN message (RFC 8489) with n bytes of attributes.
func (t *talk) stun(kind, n uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = binary.BigEndian.AppendUint16(b, n)
	return join(b, unhex("2112a442"), t.random(12))
}

// rtp is packet i of a stream. It has n bytes and begins with the two bytes of head. Each
// packet's timestamp is ticks higher than that of the packet before.
func (t *talk) rtp(head string, i, ticks int, source uint32, n int) []byte {
	b := binary.BigEndian.AppendUint16(unhex(head), uint16(i))
	b = binary.BigEndian.AppendUint32(b, uint32(i*ticks))
	b = binary.BigEndian.AppendUint32(b, source)
	return join(b, t.random(n))
}

// wireGuard sends a handshake and n messages each way.
func (d datagrams) wireGuard(n int) {
	d.exchange(1, d.t.filled("01000000", 148), d.t.filled("02000000", 92))
	d.exchange(n, d.t.filled("04000000", 64), d.t.filled("04000000", 64))
}
