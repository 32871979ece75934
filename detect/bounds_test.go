// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"strings"
	"testing"
)

// datagramOf says whether a protocol recognises b for sure.
func datagramOf(p *Protocol) func(b []byte) bool {
	return func(b []byte) bool {
		var f Finding
		return p.Datagram(b, &f) > Weak
	}
}

// beginsAs says whether b is enough of a beginning for a protocol.
func beginsAs(p *Protocol) func(b []byte) bool {
	return func(b []byte) bool {
		var f Finding
		return p.First(b, true, &f) == Yes
	}
}

func harmlessAt(port uint16) func(b []byte) bool {
	return func(b []byte) bool { return HarmlessDatagram(b, port) }
}

// gnMessage is a message of Gnutella with a body of n bytes.
func gnMessage(kind byte, n int) string {
	return "\x11\x22\x33\x44\x55\x66\x77\x88\xff\x99\xaa\xbb\xcc\xdd\xee\x00" + string([]byte{kind, 1, 0, byte(n), 0, 0, 0}) +
		strings.Repeat("A", n)
}

// TestBounds: a form is recognised at its least and its greatest length, and not with a byte
// less or more. A form whose first length is its only one has both in one entry.
func TestBounds(t *testing.T) {
	zero := func(n int) string { return strings.Repeat("\x00", n) }
	parsesUTP := func(b []byte) bool { return new(utpPacket).parse(b) }
	opensUTP := func(b []byte) bool {
		var p utpPacket
		return p.parse(b) && p.isSYN(b)
	}
	tracker := func(b []byte) bool {
		_, ok := trackerQuery(b)
		return ok
	}
	const (
		connect = "\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00abcd"
		syn     = "\x41\x00\xfd\xde\x32\xe3\x7e\x70\x00\x00\x00\x00\x00\x04\x00\x00\xf9\xce\x00\x00"
		ike     = "\x1c\x18\x69\xf6\xd2\x9b\xa0\xcc\x00\x00\x00\x00\x00\x00\x00\x00\x21\x20\x22\x08\x00\x00\x00\x00\x00\x00\x00\x1c"
		stun    = "\x00\x01\x00\x00\x21\x12\xa4\x42NsZVN0kQYisz"
	)
	// A SYN has an extension of 8 bytes at most.
	more := "\x41\x02" + syn[2:] + "\x00"
	for _, x := range []struct {
		name        string
		is          func(b []byte) bool
		least, most string // "": not tested
	}{
		{"uTP", parsesUTP, syn, ""},
		{"uTP SYN", opensUTP, syn, ""},
		{"uTP SYN, extension", opensUTP, more + "\x08" + zero(8), ""},
		{"uTP SYN, long extension", func(b []byte) bool { return parsesUTP(b) && !opensUTP(b) }, more + "\x09" + zero(9), ""},
		{"tracker, connect", tracker, connect, connect + zero(8)},
		{"tracker, announce", tracker, announce("-TR3000-abcdefghijkl", 2, 51413)[:98], ""},

		{"Gnutella, ping", datagramOf(&Gnutella), gnMessage(gnTypePing, 0), gnMessage(gnTypePing, 0)},
		{"G2, acknowledgement", datagramOf(&Gnutella), "GND\x00ab\x01\x00", "GND\x00ab\x01\x00"},
		{"G2, long acknowledgement", datagramOf(&Gnutella), "GND\x20ab\x01\x00abcd", "GND\x20ab\x01\x00abcd"},
		{"G2, ping", datagramOf(&Gnutella), "GND\x02ab\x01\x01\x08PI", "GND\x02ab\x01\x01\x08PI"},

		{"OpenVPN", harmlessAt(1194), "\x38" + zero(13), ""},
		{"IKE", harmlessAt(500), ike, ike},
		{"IKE behind a marker", harmlessAt(4500), zero(4) + ike, zero(4) + ike},
		{"STUN of a session", func(b []byte) bool { return WebRTC(b) == RTCSTUN }, stun, stun},

		{"Ares", beginsAs(&Ares), "\x03\x00\x5a\x04\x03\x05", "\x03\x00\x5a\x04\x03\x05"},
		{"appleJuice", beginsAs(&AppleJuice), "ajprot\r\n", "ajprot\r\n\x01\x02"},
	} {
		for _, b := range []string{x.least, x.most} {
			if b != "" && !x.is(exactly(b)) {
				t.Errorf("%s: not recognised with %d bytes", x.name, len(b))
			}
		}
		if x.least != "" && x.is(exactly(x.least[:len(x.least)-1])) {
			t.Errorf("%s: recognised with %d bytes", x.name, len(x.least)-1)
		}
		if x.most != "" && x.is(exactly(x.most+"\x01")) {
			t.Errorf("%s: recognised with %d bytes", x.name, len(x.most)+1)
		}
	}
}

// exactly returns bytes with nothing behind them: reading further is an error.
func exactly(s string) []byte {
	b := make([]byte, len(s))
	copy(b, s)
	return b[:len(b):len(b)]
}

// TestGnutellaLeast: each message of Gnutella has a least body; with a byte less, it is none.
func TestGnutellaLeast(t *testing.T) {
	for kind, least := range map[byte]int{
		gnTypePing: 0, gnTypePong: 14, gnTypeVendor: 8, gnTypeStd: 8, gnTypePush: 26, gnTypeDHT: 38, gnTypeQuery: 3, gnTypeHit: 27,
	} {
		if b := exactly(gnMessage(kind, least)); !gnWhole(b) {
			t.Errorf("%#x: a body of %d bytes is too short", kind, least)
		}
		if b := exactly(gnMessage(kind, max(least-1, 0))); least > 0 && gnWhole(b) {
			t.Errorf("%#x: a body of %d bytes is enough", kind, least-1)
		}
	}
	if gnWhole(exactly(gnMessage(0x02, 100))) { // "bye" comes only by TCP
		t.Error("a message that comes only by TCP")
	}
}

// TestCutMessages reads each message of the other tests cut off after each of its bytes. No
// reader goes beyond the end, which would end the program on the router. A beginning that is
// recognised is not given up while its bytes come one by one.
func TestCutMessages(t *testing.T) {
	var all []string
	for _, x := range torrentDatagrams {
		all = append(all, x.data)
	}
	for _, x := range harmlessDatagrams {
		all = append(all, x.data)
	}
	for _, x := range webRTCTests {
		all = append(all, x.data)
	}
	for _, x := range edonkeyDatagrams {
		all = append(all, string(unhex(t, x.hex)))
	}
	for _, x := range edonkeyStreams {
		all = append(all, string(unhex(t, x.hex)))
	}
	for _, x := range fastTrackDatagrams {
		all = append(all, string(unhex(t, x.hex)))
	}
	for _, x := range greetings {
		all = append(all, strings.ReplaceAll(x.text, "|", ""))
	}
	for _, x := range napStreams {
		all = append(all, strings.ReplaceAll(x.text, "|", ""))
	}
	for _, x := range []string{gtkPingHex, gtkPongHex, gtkDHTHex, gtkVendorHex, gtkQKRHex, mlPIHex, mlAckHex, adcTLS, eiskaltNMDC} {
		all = append(all, string(unhex(t, x)))
	}
	all = append(all, gtkConnect, gtkRefuse, gtkGet, shareazaReply, adcHello, adcNcdc, adcResult, nmdcResultB, tlsHello,
		slskListen, slskInitP, slskInitF, slskPierce, slskAsked, slskDenied, slskWithASize)
	var questions [][][]byte
	for _, p := range All {
		var own [][]byte
		for i := range p.Probes {
			var dst [MaxAnswer]byte
			n := p.Probes[i].Build(dst[:], []byte("0123456789abcdefghij"), 7)
			own = append(own, exactly(string(dst[:n])))
		}
		questions = append(questions, own)
	}
	for _, text := range all {
		text = text[:min(len(text), 400)]
		for n := range len(text) + 1 {
			b := exactly(text[:n])
			HarmlessDatagram(b, 53)
			HarmlessDatagram(b, 500)
			WebRTC(b)
			Hello(b)
			PortMapping(b)
			for i, p := range All {
				var f Finding
				if p.Datagram != nil && n > 0 {
					p.Datagram(b, &f)
				}
				if p.First != nil && n > 0 {
					var whole Finding
					if m := p.First(b, true, &f); m == No && p.First([]byte(text), true, &whole) == Yes {
						t.Errorf("%s: given up after %d bytes of %q", p.Name, n, text)
					}
				}
				if p.Middle != nil && n > 0 {
					p.Middle(b)
				}
				if p.Local != nil {
					p.Local(b, 6771, &f)
				}
				if p.Panel != nil {
					p.Panel(b)
				}
				for j := range p.Probes {
					if a := p.Probes[j].Answered; a != nil && len(questions[i][j]) > 0 {
						a(b, questions[i][j])
					}
				}
			}
		}
	}
}
