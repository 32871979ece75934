// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"strings"
	"testing"
)

const (
	dnsQuery = "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01"
	dnsOPT   = "\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00"
)

// quic is a long header with connection IDs of 8 and 0 bytes.
func quic(first byte, version string) string {
	return string([]byte{first}) + version + "\x08\x01\x02\x03\x04\x05\x06\x07\x08\x00" + strings.Repeat("\x55", 100)
}

// Entries with a source are from captures.
var harmlessDatagrams = []struct {
	name string
	data string
	port uint16
	want bool
}{
	{name: "DNS query", data: dnsQuery, port: 53, want: true},
	{name: "DNS query with EDNS", data: dnsQuery[:11] + "\x01" + dnsQuery[12:] + dnsOPT, port: 53, want: true},
	{name: "DNS query with uTP's first bytes", data: "\x41\x00" + dnsQuery[2:], port: 53, want: true},
	{name: "DNS query for the root's name servers", data: dnsQuery[:12] + "\x00\x00\x02\x00\x01", port: 53, want: true},
	{name: "DNS response", data: dnsQuery[:2] + "\x81\x80" + dnsQuery[4:7] + "\x01" + dnsQuery[8:] + "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xcb\x00\x71\x0a", port: 53},
	{name: "DNS query elsewhere", data: dnsQuery, port: 5300},
	{name: "DNS query with bytes behind", data: dnsQuery + "x", port: 53},
	{name: "DNS query that promises more", data: dnsQuery[:11] + "\x01" + dnsQuery[12:], port: 53},
	{name: "DNS query cut off", data: dnsQuery[:len(dnsQuery)-1], port: 53},
	{name: "DNS query with a pointer", data: dnsQuery[:12] + "\xc0\x0c\x00\x01\x00\x01", port: 53},
	{name: "DNS query with two questions", data: dnsQuery[:5] + "\x02" + dnsQuery[6:], port: 53},
	{name: "DNS query of a class that nobody knows", data: dnsQuery[:len(dnsQuery)-1] + "\x09", port: 53},
	{name: "DNS query with an unprintable name", data: strings.Replace(dnsQuery, "w", "\x01", 1), port: 53},
	{name: "uTP SYN to port 53", data: unhexString("4100fdde32e37e700000000000040000f9ce0000"), port: 53},
	{name: "uTP state to port 53", data: unhexString("2100729c31235f2ce7b53e970004000086d65fc8"), port: 53},

	{name: "NTP request", data: "\x23" + strings.Repeat("\x00", 47), port: 123, want: true},
	{name: "NTP request with a signature", data: "\x1b" + strings.Repeat("\x00", 67), port: 123, want: true},
	{name: "NTP response", data: "\x24\x02" + strings.Repeat("\x03", 46), port: 123},
	{name: "NTP request elsewhere", data: "\x23" + strings.Repeat("\x00", 47), port: 1234},
	{name: "NTP too short", data: "\x23" + strings.Repeat("\x00", 43), port: 123},
	{name: "NTP of version 0", data: "\x03" + strings.Repeat("\x00", 47), port: 123},
	{name: "symmetric NTP", data: "\x21" + strings.Repeat("\x00", 47), port: 123},
	{name: "DHT message from port 123", data: "d1:ad2:id20:" + id20 + "e1:q4:ping1:t2:aa1:y1:qe", port: 123},

	{name: "QUIC version 1", data: quic(0xc3, "\x00\x00\x00\x01"), port: 443, want: true},
	{name: "QUIC version 1, elsewhere", data: quic(0xe3, "\x00\x00\x00\x01"), port: 40000, want: true},
	{name: "QUIC version 2", data: quic(0xd3, "\x6b\x33\x43\xcf"), port: 443, want: true},
	{name: "QUIC draft 29", data: quic(0xc3, "\xff\x00\x00\x1d"), port: 443, want: true},
	{name: "QUIC of Google", data: quic(0xc3, "Q050"), port: 443, want: true},
	{name: "QUIC of Google, older", data: "\xc3Q046\x50" + strings.Repeat("\x55", 100), port: 443, want: true},
	{name: "QUIC with a version for practice", data: quic(0xc3, "\x1a\x2a\x3a\x4a"), port: 443, want: true},
	{name: "QUIC of a version that nobody knows", data: quic(0xc3, "\x00\x00\x00\x02"), port: 443},
	{name: "QUIC without the fixed bit", data: quic(0x83, "\x00\x00\x00\x01"), port: 443},
	{name: "QUIC with a long number", data: strings.Replace(quic(0xc3, "\x00\x00\x00\x01"), "\x08\x01", "\x15\x01", 1), port: 443},
	{name: "QUIC cut off", data: quic(0xc3, "\x00\x00\x00\x01")[:14], port: 443},
	{name: "QUIC with a short header", data: "\x40" + strings.Repeat("\x55", 40), port: 443},

	{name: "STUN request", data: unhexString("000100002112a4424e735a564e306b515969737a"), port: 3478, want: true},
	{name: "STUN response", data: unhexString("0101000c2112a4424e735a564e306b515969737a002000080001a147e112a643"), port: 3478, want: true},
	{name: "STUN that says another length", data: unhexString("000100042112a4424e735a564e306b515969737a"), port: 3478},
	{name: "STUN without its constant", data: unhexString("000100002112a4434e735a564e306b515969737a"), port: 3478},

	{name: "DTLS hello", data: "\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10" + strings.Repeat("\x01", 16), port: 443, want: true},
	{name: "DTLS, two records", data: strings.Repeat("\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x01\x02", 2), port: 443, want: true},
	{name: "DTLS with bytes behind", data: "\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x01\x02\x03", port: 443},
	{name: "DTLS cut off", data: "\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x01\x02", port: 443},
	{name: "TLS by UDP", data: "\x16\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x01\x02", port: 443},

	{name: "WireGuard's first message", data: unhexString("01000000d837d0305fcec7c8e5c8e2e3f7989eef60c228d82329d602b6b1e2bb9d068f89cf9d4d4532780f6d27264f7b98701fdc27a4ec00aeb6becdbef2332f1b4084cadb93823935c012ae255e7b25eff13940c321fa6bd66a2a87b061db1430173e937f569349de2856dc5f2616763eeeafc0533b01dd965e7ec76976e28f683d671200000000000000000000000000000000"), port: 51820, want: true},
	{name: "WireGuard's second message", data: "\x02\x00\x00\x00" + strings.Repeat("\x77", 88), port: 51820, want: true},
	{name: "OpenVPN's reset", data: "\x38" + strings.Repeat("\x77", 13), port: 1194, want: true},
	{name: "OpenVPN's answer", data: "\x40" + strings.Repeat("\x77", 25), port: 1194},
	{name: "OpenVPN elsewhere", data: "\x38" + strings.Repeat("\x77", 13), port: 6881},
	{name: "OpenVPN's data", data: "\x48" + strings.Repeat("\x77", 80), port: 1194},
	{name: "WireGuard of another length", data: "\x01\x00\x00\x00" + strings.Repeat("\x77", 143), port: 51820},
	{name: "uTP data as long as WireGuard's", data: "\x01\x00\x00\x01" + strings.Repeat("\x77", 144), port: 51820},
	{name: "uTP data that begins a connection, on connection 0", data: "\x01\x00\x00\x00" + strings.Repeat("\x77", 16) + peerProtocol + strings.Repeat("\x77", 108), port: 51820},

	{name: "IKE", data: unhexString("1c1869f6d29ba0cc00000000000000002120220800000000") + "\x00\x00\x00\x20abcd", port: 500, want: true},
	{name: "IKE behind a marker", data: "\x00\x00\x00\x00" + unhexString("1c1869f6d29ba0cc00000000000000002120220800000000") + "\x00\x00\x00\x20abcd", port: 4500, want: true},
	{name: "IKE without the marker", data: unhexString("1c1869f6d29ba0cc00000000000000002120220800000000") + "\x00\x00\x00\x20abcd", port: 4500},
	{name: "IKE of another length", data: unhexString("1c1869f6d29ba0cc00000000000000002120220800000000") + "\x00\x00\x00\x21abcd", port: 500},
	{name: "IKE elsewhere", data: unhexString("1c1869f6d29ba0cc00000000000000002120220800000000") + "\x00\x00\x00\x20abcd", port: 501},

	{name: "SIP request", data: "INVITE sip:061963177-ikhuue@10.35.60.100:5060;transport=udp SIP/2.0\r\n", port: 5060, want: true},
	{name: "SIP request by telephone number", data: "INVITE tel:+390619 SIP/2.0\r\n", port: 5060, want: true},
	{name: "SIP response", data: "SIP/2.0 100 Trying\r\n", port: 5060, want: true},
	{name: "SSDP", data: "NOTIFY * HTTP/1.1\r\n", port: 1900},
	{name: "local search", data: "BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\n", port: 6771},

	{name: "announce whose number looks like QUIC", data: "\xc3\x00\x00\x00\x01\x01\x00\x00" + announce("-TR3000-abcdefghijkl", 2, 51413)[8:], port: 443},
	{name: "Vuze's request", data: "\x9a\x12\x34\x56\x78\x9a\xbc\xde\x00\x00\x04\x00" + strings.Repeat("\x01", 40), port: 443},
	{name: "Vuze's reply", data: "\x00\x00\x04\x01" + strings.Repeat("\x01", 40), port: 53},
	{name: "game", data: "twelve bytes", port: 27015},
	{name: "nothing", port: 53},
}

// unrecognised reports whether no protocol is sure of b.
func unrecognised(b []byte) bool {
	var f Finding
	for _, p := range All {
		if p.Datagram != nil && p.Datagram(b, &f) > Weak {
			return false
		}
	}
	return true
}

func TestHarmlessDatagram(t *testing.T) {
	for _, tt := range harmlessDatagrams {
		b := []byte(tt.data)
		if got := unrecognised(b) && HarmlessDatagram(b, tt.port); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
		if n := testing.AllocsPerRun(20, func() { HarmlessDatagram(b, tt.port) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func FuzzHarmlessDatagram(f *testing.F) {
	for _, tt := range harmlessDatagrams {
		f.Add([]byte(tt.data), tt.port)
	}
	for _, tt := range torrentDatagrams {
		f.Add([]byte(tt.data), uint16(53))
	}
	f.Fuzz(func(t *testing.T, b []byte, port uint16) {
		// A service's port only adds forms to those that count at every port.
		if HarmlessDatagram(b, 6881) && port != 500 && port != 4500 && !HarmlessDatagram(b, port) {
			t.Fatalf("%x: harmless at a port of no service, and not at %d", b, port)
		}
	})
}

func BenchmarkHarmlessDatagram(b *testing.B) {
	for _, bb := range []struct {
		name, data string
		port       uint16
	}{
		{"DNS", dnsQuery, 53},
		{"QUIC", quic(0xc3, "\x00\x00\x00\x01"), 443},
		{"STUN", unhexString("000100002112a4424e735a564e306b515969737a"), 3478},
		{"game", string(make([]byte, 32)), 27015},
	} {
		b.Run(bb.name, func(b *testing.B) {
			data := []byte(bb.data)
			b.ReportAllocs()
			for b.Loop() {
				HarmlessDatagram(data, bb.port)
			}
		})
	}
}
