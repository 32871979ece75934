// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"strings"
	"testing"
)

// xunleiHello is the greeting of version 62: the numbers 62 and 125, the type 100, a number,
// 1, 20 and a hash, a size, 1, 16 and an ID, 8 and an address, the port 15000, and more.
const xunleiHello = "\x3e\x00\x00\x00\x7d\x00\x00\x00\x64\x11\x22\x33\x44\x01" +
	"\x14\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14" +
	"\x00\x00\x10\x00\x00\x00\x00\x00\x01" +
	"\x10\x00\x00\x00" + "0123456789ABCDEF" +
	"\x08\x00\x00\x00" + "10.0.0.2" + "\x98\x3a\x00\x00" +
	"\x01\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x01" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// xunleiWith is the greeting with other bytes at a place.
func xunleiWith(at int, b string) string { return xunleiHello[:at] + b + xunleiHello[at+len(b):] }

// greetings are beginnings of sessions, each of a network that shows itself there only.
var greetings = []struct {
	name string
	text string // | cuts segments
	in   bool
	p    *Protocol // nil for none
	port uint16
}{
	{name: "IPFS", text: "\x13/multistream/1.0.0\n\x07/noise\n", p: &Libp2p},
	{name: "IPFS in pieces", text: "\x13|/multistream|/1.0.0|\n", p: &Libp2p},
	{name: "IPFS by TLS", text: "\x13/multistream/1.0.0\n|\x0b/tls/1.0.0\n", p: &Libp2p},
	{name: "IPFS from outside", text: "\x13/multistream/1.0.0\n\x07/noise\n", in: true},
	{name: "another version of the negotiation", text: "\x13/multistream/2.0.0\n\x07/noise\n"},
	{name: "another length", text: "\x12/multistream/1.0.0\n\x07/noise\n"},
	{name: "BitTorrent", text: "\x13BitTorrent protocol" + strings.Repeat("\x00", 48), p: &BitTorrent},

	{name: "Xunlei", text: xunleiHello, p: &Xunlei, port: 15000},
	{name: "Xunlei in pieces", text: "\x3e\x00|\x00\x00\x7d\x00|" + xunleiHello[6:50] + "|" + xunleiHello[50:], p: &Xunlei, port: 15000},
	{name: "Xunlei from outside", text: xunleiHello, in: true},
	{name: "a version that is none", text: xunleiWith(0, "\x00\x01")},
	{name: "too short a greeting", text: xunleiWith(4, "\x49")},
	{name: "too long a greeting", text: xunleiWith(4, "\x59\x02")},
	{name: "another message", text: xunleiWith(8, "\x65")},
	{name: "another hash", text: xunleiWith(14, "\x10")},
	{name: "another ID", text: xunleiWith(47, "\x11")},
	{name: "too long an address", text: xunleiWith(67, "\x19")},
	{name: "a port that is none", text: xunleiWith(81, "\x01")},
	{name: "an address beyond the end", text: xunleiWith(4, "\x4b")[:67] + "\x18" + xunleiHello[68:]},

	{name: "Ares", text: "\x03\x00\x5a\x04\x03\x05", p: &Ares},
	{name: "Ares, another type", text: "\x03\x00|\x5d\x01\x02|\x05", p: &Ares},
	{name: "Ares from outside", text: "\x03\x00\x5a\x04\x03\x05", in: true},
	{name: "another type of packet", text: "\x03\x00\x5b\x04\x03\x05"},
	{name: "another length of packet", text: "\x04\x00\x5a\x04\x03\x05"},
	{name: "another encryption", text: "\x03\x00\x5a\x04\x03\x06"},
	{name: "more than the packet", text: "\x03\x00\x5a\x04\x03\x05\x00"},

	{name: "appleJuice", text: "ajprot\r\n\x00\x91", p: &AppleJuice},
	{name: "appleJuice, its version later", text: "ajprot\r\n|\x00\x91", p: &AppleJuice},
	{name: "appleJuice from outside", text: "ajprot\r\n\x00\x91", in: true},
	{name: "appleJuice as text", text: "ajprot\r\nHELP"},
	{name: "another word", text: "ajprog\r\n\x00\x91"},

	{name: "MUTE", text: "PublicKey: 9bd1" + strings.Repeat("0aF3", 20), p: &Mute},
	{name: "MUTE in pieces", text: "Public|Key: 9bd1|" + strings.Repeat("0aF3", 20), p: &Mute},
	{name: "MUTE from outside", text: "PublicKey: " + strings.Repeat("0aF3", 20), in: true},
	{name: "a key that is no number", text: "PublicKey: ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ\n"},
	{name: "a short key", text: "PublicKey: 9bd10af3\n"},
}

func TestGreetings(t *testing.T) {
	for _, tt := range greetings {
		var s Stream
		var f Finding
		segments := strings.Split(tt.text, "|")
		m, _ := feedAll(&s, segments, !tt.in, &f)
		switch {
		case tt.p == nil && m == Yes:
			t.Errorf("%s: taken for %s", tt.name, All[f.Protocol].Title)
		case tt.p != nil && (m != Yes || All[f.Protocol] != tt.p || f.TCPPort != tt.port || f.Reason != ReasonHello):
			t.Errorf("%s: match %d: %s, %v, port %d", tt.name, m, All[f.Protocol].Title, f.Reason, f.TCPPort)
		}
		if n := feedAllocs(segments[0], !tt.in); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func TestLibp2pQuestion(t *testing.T) {
	var b [MaxAnswer]byte
	n := libp2pAsk(b[:], nil, 0x1234abcd)
	const want = "\x13/multistream/1.0.0\n\x12/p2pwall/1234abcd\n"
	if got := string(b[:n]); got != want || int(got[20]) != n-21 {
		t.Errorf("asks %q", got)
	}
	for _, tt := range []struct {
		answer string
		want   bool
	}{
		{"\x13/multistream/1.0.0\n\x03na\n", true},
		{"\x13/multistream/1.0.0\n", false},
		{want, false},
		{"\x03na\n", false},
		{"", false},
	} {
		if got := libp2pAnswered([]byte(tt.answer), b[:n]); got != tt.want {
			t.Errorf("%q: %v", tt.answer, got)
		}
	}
	if n := testing.AllocsPerRun(20, func() { libp2pAsk(b[:], nil, 7); libp2pAnswered(b[:30], nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzGreetings(f *testing.F) {
	for _, tt := range greetings {
		f.Add([]byte(strings.ReplaceAll(tt.text, "|", "")))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var f1, f2 Finding
		for _, p := range []*Protocol{&Libp2p, &Xunlei, &Ares, &AppleJuice, &Mute} {
			// A decision stays the same with more bytes. The greetings of two networks end
			// where the sender waits for an answer.
			ends := p == &Ares || p == &AppleJuice
			whole := p.First(b, true, &f1)
			for i := 1; i < len(b) && i <= StreamBuffer; i++ {
				if m := p.First(b[:i], true, &f2); m != More && m != whole && !(ends && m == Yes) {
					t.Fatalf("%s: %q: %d behind %d bytes, %d behind all", p.Title, b, m, i, whole)
				}
			}
		}
		libp2pAnswered(b, b)
	})
}
