// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// appendTCP appends an IP packet with a TCP segment for the tests: sequence
// number 1000, acknowledgment number 2000.
func appendTCP(b []byte, src, dst *AddrPort, flags uint8, payload []byte) []byte {
	b = appendIP(b, &src.Addr, &dst.Addr, ProtoTCP, tcpHeaderLen+len(payload))
	at := len(b)
	b = be.AppendUint16(b, src.Port)
	b = be.AppendUint16(b, dst.Port)
	b = be.AppendUint32(b, 1000)
	b = be.AppendUint32(b, 2000)
	b = append(b, tcpHeaderLen/4<<4, flags, 0xff, 0xff, 0, 0, 0, 0)
	b = append(b, payload...)
	be.PutUint16(b[at+16:], transportChecksum(&src.Addr, &dst.Addr, ProtoTCP, b[at:]))
	return b
}

// checkChecksums has gopacket compute every checksum anew.
func checkChecksums(t *testing.T, b []byte) {
	t.Helper()
	first := layers.LayerTypeIPv4
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(b, first, gopacket.Default)
	if p.ErrorLayer() != nil {
		t.Fatalf("gopacket: %v", p.ErrorLayer().Error())
	}
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.UDP:
			if err := l.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
		case *layers.TCP:
			if err := l.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
		}
	}
	err, bad := p.VerifyChecksums()
	if err != nil || len(bad) > 0 {
		t.Errorf("checksums of % x: %v, %+v", b, err, bad)
	}
}

func TestBuild(t *testing.T) {
	a4, b4 := AddrPort{Addr: src4, Port: 1214}, AddrPort{Addr: dst4, Port: 6667}
	a6, b6 := AddrPort{Addr: src6, Port: 1214}, AddrPort{Addr: dst6, Port: 6667}
	view := func(b []byte) *Packet {
		var p Packet
		ParsePacket(b, &p)
		return &p
	}
	syn4, syn6 := view(appendTCP(nil, &a4, &b4, SYN, nil)), view(appendTCP(nil, &a6, &b6, SYN, nil))
	fin4 := view(appendTCP(nil, &a4, &b4, FIN, []byte("data")))
	data6 := view(appendTCP(nil, &a6, &b6, PSH|ACK, []byte("data")))
	ping4, ping6 := view(appendUDP(nil, &a4, &b4, []byte("ping"))), view(appendUDP(nil, &a6, &b6, []byte("ping")))
	long4, long6 := view(appendUDP(nil, &a4, &b4, make([]byte, 1300))), view(appendUDP(nil, &a6, &b6, make([]byte, 1300)))

	const (
		back4 = `c6336414 c000020a`
		back6 = `20010db8 00020000 00000000 00000020 20010db8 00010000 00000000 00000010`
	)
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{
			"UDP", appendUDP(nil, &a4, &b4, []byte("ping")),
			`45000020 00000000 40118e7b c000020a c6336414  04be1a0b 000c15ea 70696e67`,
		},
		{
			"UDP, odd and empty payload", join(appendUDP(nil, &a4, &b4, []byte{1}), appendUDP(nil, &a4, &b4, nil)),
			`4500001d 00000000 40118e7e c000020a c6336414  04be1a0b 0009f3c0 01
			 4500001c 00000000 40118e7f c000020a c6336414  04be1a0b 0008f4c2`,
		},
		{
			"UDP over IPv6", appendUDP(nil, &a6, &b6, []byte("ping")),
			`60000000 000c1140 20010db8 00010000 00000000 00000010 20010db8 00020000 00000000 00000020
			 04be1a0b 000ca697 70696e67`,
		},
		{
			"reset of a SYN", appendReset(nil, syn4),
			`45000028 00000000 40068e7e ` + back4 + ` 1a0b04be 00000000 000003e9 50140000 a0cc0000`,
		},
		{
			"reset of a FIN with data", appendReset(nil, fin4),
			`45000028 00000000 40068e7e ` + back4 + ` 1a0b04be 00000000 000003ed 50140000 a0c80000`,
		},
		{
			"reset of a SYN over IPv6", appendReset(nil, syn6),
			`60000000 00140640 ` + back6 + ` 1a0b04be 00000000 000003e9 50140000 317a0000`,
		},
		{
			"reset of data over IPv6", appendReset(nil, data6),
			`60000000 00140640 ` + back6 + ` 1a0b04be 000007d0 00000000 50040000 2da30000`,
		},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(unhex(tt.want), tt.got); diff != "" {
			t.Errorf("%s: got % x (-want +got):\n%s", tt.name, tt.got, diff)
		}
		if tt.name != "UDP, odd and empty payload" {
			checkChecksums(t, tt.got)
		}
	}

	// Refusals quote the packet, as much as they may.
	for _, p := range []*Packet{syn4, ping4, long4} {
		b := appendReject4(nil, p)
		if len(b) > 576 || b[20] != 3 || b[21] != 13 || !bytes.HasPrefix(p.Raw, b[28:]) || len(b) != min(576, 28+len(p.Raw)) {
			t.Errorf("refusal % x", b)
		}
		// The kernel writes the source and with it the checksum of the header.
		if !bytes.Equal(b[12:16], []byte{0, 0, 0, 0}) || !bytes.Equal(b[16:20], src4[12:]) {
			t.Errorf("refusal % x: addresses", b[:20])
		}
		checkChecksums(t, b)
	}
	for _, p := range []*Packet{syn6, ping6, long6} {
		b := appendReject6(nil, p)
		if len(b) > 1280-40 || !bytes.Equal(b[:8], unhex(`01 01 0000 00000000`)) || !bytes.HasPrefix(p.Raw, b[8:]) || len(b) != min(1240, 8+len(p.Raw)) {
			t.Errorf("refusal % x", b)
		}
	}
}

// TestUDPChecksumZero: a sum of 0 is sent as 0xffff, as 0 would mean "none".
func TestUDPChecksumZero(t *testing.T) {
	a, b := AddrPort{Addr: src6, Port: 1214}, AddrPort{Addr: dst6, Port: 6667}
	seen := false
	for i := range 1 << 16 {
		p := appendUDP(nil, &a, &b, be.AppendUint16(nil, uint16(i)))
		switch be.Uint16(p[46:]) {
		case 0:
			t.Fatalf("payload %04x: checksum 0", i)
		case 0xffff:
			seen = true
			checkChecksums(t, p)
		}
	}
	if !seen {
		t.Error("no payload has the sum 0")
	}
}

func TestSenderRefuses(t *testing.T) {
	s := &Sender{fd4: -1, fd6: -1, fdICMP6: -1, buf: make([]byte, 0, 1500)}
	a4, a6 := AddrPort{Addr: src4}, AddrPort{Addr: src6}
	tcp, udp := tcpView(4, ""), udpView(6, "")
	reset := with(tcp, func(p *Packet) { p.TCPFlags = RST })
	fragment := with(tcp, func(p *Packet) { p.Fragment = true })
	for name, err := range map[string][2]error{
		"two families":            {s.UDP(0, a4, a6, nil), errMixedFamily},
		"long payload":            {s.UDP(0, a4, a4, make([]byte, MaxPayload+1)), errTooLong},
		"no IPv6":                 {s.UDP(0, a6, a6, nil), errNoIPv6},
		"reject without IPv6":     {s.Reject(&udp), errNoIPv6},
		"reset of UDP":            {s.Reset(&udp), errNotTCP},
		"reset of a reset":        {s.Reset(&reset), errNotTCP},
		"reset of a fragment":     {s.Reset(&fragment), errNotTCP},
		"reset of nothing":        {s.Reset(&Packet{}), errNotTCP},
		"rejection of a fragment": {s.Reject(&fragment), errNoReject},
		"rejection of ICMP":       {s.Reject(&Packet{Version: 4, Proto: protoICMP}), errNoReject},
		"rejection of nothing":    {s.Reject(&Packet{}), errNoReject},
	} {
		if err[0] != err[1] {
			t.Errorf("%s: %v, want %v", name, err[0], err[1])
		}
	}
}

func BenchmarkAppendUDP(b *testing.B) {
	src, dst := AddrPort{Addr: src4, Port: 1214}, AddrPort{Addr: dst4, Port: 6667}
	buf, payload := make([]byte, 0, 1500), make([]byte, 40)
	b.ReportAllocs()
	for b.Loop() {
		appendUDP(buf, &src, &dst, payload)
	}
}
