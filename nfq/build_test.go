// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"bytes"
	"strings"
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

// checkChecksums lets gopacket compute every checksum anew.
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
	// As Linux sends them: two NOPs and the timestamps 0x11223344 and 0x55667788.
	const stamps = `01 01 08 0a 11223344 55667788`
	stamped4 := view(join(ip4(6, 36), change(tcpHeader, 12, 0x80), unhex(stamps), []byte("data")))
	stamped6 := view(join(ip6(6, 36), change(tcpHeader, 12, 0x80), unhex(stamps), []byte("data")))
	long := view(join(ip4(6, 1400), unhex(tcpHeader), []byte("data"))) // 1380 bytes, cut off
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
		{
			"answer", appendAnswer(nil, long, []byte("odd")),
			`4500002b 00000000 40068e7b ` + back4 + ` 005004be 05060708 01020868 5018ffff d58c0000 6f6464`,
		},
		{
			"answer with timestamps", appendAnswer(nil, stamped4, []byte("answer")),
			`4500003a 00000000 40068e6c ` + back4 + ` 005004be 05060708 01020308 8018ffff 298a0000
			 0101080a 55667788 11223344 616e73776572`,
		},
		{
			"answer over IPv6", appendAnswer(nil, data6, []byte("answer")),
			`60000000 001a0640 ` + back6 + ` 1a0b04be 000007d0 000003ec 5018ffff ef440000 616e73776572`,
		},
		{
			"answer over IPv6 with timestamps", appendAnswer(nil, stamped6, nil),
			`60000000 00200640 ` + back6 + ` 005004be 05060708 01020308 8018ffff f4950000
			 0101080a 55667788 11223344`,
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

	// ICMP errors quote as much of the packet as is allowed.
	for _, p := range []*Packet{syn4, ping4, long4} {
		b := appendReject4(nil, p)
		if len(b) > 576 || b[20] != 3 || b[21] != 13 || !bytes.HasPrefix(p.Raw, b[28:]) || len(b) != min(576, 28+len(p.Raw)) {
			t.Errorf("refusal % x", b)
		}
		// The kernel writes the source, and so the checksum of the header too.
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

// TestUDPChecksumZero: a checksum of 0 is sent as 0xffff, because 0 would mean "none".
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
	first := with(tcp, func(p *Packet) { p.MoreFragments = true })
	flags := func(flags uint8) *Packet { p := with(tcp, func(p *Packet) { p.TCPFlags = flags }); return &p }
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
		"answer to nothing":       {s.Answer(&Packet{}, nil), errNoAnswer},
		"answer to UDP":           {s.Answer(&udp, nil), errNoAnswer},
		"answer to a fragment":    {s.Answer(&fragment, nil), errNoAnswer},
		"answer to a part":        {s.Answer(&first, nil), errNoAnswer},
		"answer to a reset":       {s.Answer(flags(RST|ACK), nil), errNoAnswer},
		"answer to a SYN":         {s.Answer(flags(SYN), nil), errNoAnswer},
		"answer to a SYN and ACK": {s.Answer(flags(SYN|ACK), nil), errNoAnswer},
		"answer to a FIN":         {s.Answer(flags(FIN|ACK), nil), errNoAnswer},
		"answer to no ACK":        {s.Answer(flags(PSH), nil), errNoAnswer},
		"long answer":             {s.Answer(&tcp, make([]byte, MaxAnswer+1)), errLongAnswer},
		"rejection of a fragment": {s.Reject(&fragment), errNoReject},
		"rejection of ICMP":       {s.Reject(&Packet{Version: 4, Proto: protoICMP}), errNoReject},
		"rejection of nothing":    {s.Reject(&Packet{}), errNoReject},
	} {
		if err[0] != err[1] {
			t.Errorf("%s: %v, want %v", name, err[0], err[1])
		}
	}
}

func TestTCPTimestamps(t *testing.T) {
	const stamps = `08 0a 00000001 00000002`
	for _, tt := range []struct {
		name, options string
		want          bool
	}{
		{"none", ``, false},
		{"alone, without fillers", stamps + `00 00`, true},
		{"behind fillers", `01 01` + stamps, true},
		{"behind other options", `02 04 05b4 04 02` + stamps, true},
		{"before others", stamps + `03 03 07 01 01 01`, true},
		{"last of 40 bytes", `05 1a` + strings.Repeat(`00`, 24) + `01 01 04 02` + stamps, true},
		{"behind the end of the list", `00 01` + stamps, false},
		{"wrong length", `08 0c 00000001 00000002 0000`, false},
		{"an option of length 0", `05 00` + stamps, false},
		{"an option of length 1", `05 01` + stamps, false},
		{"an option that is longer than the header", `05 29` + stamps, false},
		{"cut off by the header", `01 01 01 01 08 0a 0000`, false},
	} {
		options := unhex(tt.options)
		if len(options)%4 != 0 || len(options) > 40 {
			t.Fatalf("%s: options of %d bytes", tt.name, len(options))
		}
		n := tcpHeaderLen + len(options)
		tcp := join(change(tcpHeader, 12, n/4<<4), options, unhex(stamps)) // the data is not an option
		for name, raw := range map[string][]byte{
			"IPv4":              join(ip4(6, len(tcp)), tcp),
			"IPv4 with options": join(change(ip4Header, 0, 0x46, 3, 24+len(tcp), 9, 6), unhex(`01010100`), tcp),
			"IPv6":              join(ip6(6, len(tcp)), tcp),
		} {
			var p Packet
			ParsePacket(raw, &p)
			value, echo, ok := tcpTimestamps(&p)
			if p.Version == 0 || ok != tt.want || (ok && (value != 1 || echo != 2)) {
				t.Errorf("%s, %s: got %d, %d, %v", tt.name, name, value, echo, ok)
			}
			// The copy may end anywhere.
			whole := len(raw) - len(tcp) + n
			for i := range whole {
				ParsePacket(raw[:i:i], &p)
				if _, _, cut := tcpTimestamps(&p); cut && (!ok || i < whole-len(options)+optTimestampsLen) {
					t.Errorf("%s, %s: timestamps in the first %d bytes", tt.name, name, i)
				}
			}
		}
	}
	// No usable TCP header: an extension header before it, or no copy.
	for name, p := range map[string]Packet{
		"extension header": {Version: 6, Proto: ProtoTCP, Raw: join(ip6(60, 40), option8(6), change(tcpHeader, 12, 0x80), unhex(`01 01`+stamps))},
		"no copy":          tcpView(4, ""),
	} {
		if _, _, ok := tcpTimestamps(&p); ok {
			t.Errorf("%s: timestamps", name)
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
