// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var fastTrackDatagrams = []struct {
	name string
	hex  string
	want Kind
}{
	{"giFT's ping", "27 00000029 80 4b615a614100", Query},
	{"MLDonkey's ping", "27 000000a9 80 4b615a614100", Query},
	{"iMesh's ping", "27 00000029 80 66696c65736861726500", Query},
	{"Grokster's ping", "27 00000029 80 47726f6b7374657200", Query},
	{"MusicCity's ping", "27 00000029 80 4d75736963436974 7900", Query},
	{"ping of an unknown network", "27 ffffffff 80 4f7468657200", Query},
	{"ping with another flag", "27 00000029 81 4b615a614100", None},
	{"ping without the closing zero", "27 00000029 80 4b615a6141", None},
	{"ping with bytes behind the name", "27 00000029 80 4b615a61410000", None},
	{"ping with a zero in the name", "27 00000029 80 4b6100614100", None},
	{"ping with a blank in the name", "27 00000029 80 4b612061 4100", None},
	{"ping with a name of one letter", "27 00000029 80 4b00", None},
	{"ping with no name", "27 00000029 80 00", None},
	{"ping cut off", "27 00000029 80", None},
	{"ping with a name of 32", "27 00000029 80" + strings.Repeat("41", 32) + "00", Query},
	{"ping with a name of 33", "27 00000029 80" + strings.Repeat("41", 33) + "00", None},
	{"pong", "28 000000a9 00 4d3c132805 4b615a614100", Reply},
	{"pong with another flag", "28 000000a9 01 4d3c132805 4b615a614100", None},
	{"pong without a name", "28 000000a9 00 4d3c132805 00", None},
	{"pong, no room", "29 00000029 01 00 0000 12345678", Reply},
	{"pong, no room, other form", "29 00000029 02 00 0000 12345678", Reply},
	{"pong, no room, another supernode", "29 00000029 01 01 0000 12345678 c6336407 04be 0000", Reply},
	{"pong, no room, flag without address", "29 00000029 01 01 0000 12345678", None},
	{"pong, no room, address without flag", "29 00000029 01 00 0000 12345678 c6336407 04be 0000", None},
	{"pong, no room, padding set", "29 00000029 01 00 0001 12345678", None},
	{"pong, no room, third form", "29 00000029 03 00 0000 12345678", None},
	{"acknowledgement", "2a 12345678", Weak},
	{"acknowledgement too long", "2a 12345678 00", None},
	{"c0", "c0 28", Weak},
	{"c1", "c1 01 02 c6336407", Weak},
	{"c3", "c3 01", Weak},
	{"c4", "c4 01", None},
	{"one byte", "27", None},
	{"nothing", "", None},
	{"DNS query", "1234 0100 0001 0000 0000 0000 076578616d706c6503636f6d00 0001 0001", None},
	{"12 bytes of a game", "27 00000029 00 4b615a614100", None},
}

func TestFastTrackDatagram(t *testing.T) {
	for _, tt := range fastTrackDatagrams {
		var f Finding
		b := unhex(t, tt.hex)
		if got := FastTrack.Datagram(b, &f); got != tt.want {
			t.Errorf("%s: got kind %d, want %d", tt.name, got, tt.want)
		}
		if n := testing.AllocsPerRun(100, func() { FastTrack.Datagram(b, &f) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func TestFastTrackAnswer(t *testing.T) {
	for _, tt := range []struct {
		name  string
		query string
		form  Answer
		want  string
	}{
		{"welcome", "27 00000029 80 4b615a614100", AnswerWelcome, "28 00000029 00 04 3c13 17 05 4b615a614100"},
		{"welcome, iMesh", "27 000000a9 80 66696c65736861726500", AnswerWelcome, "28 000000a9 00 04 3c13 17 05 66696c65736861726500"},
		{"full", "27 00000029 80 4b615a614100", AnswerFull, "29 00000029 01 00 0000 01020304"},
		{"none", "27 00000029 80 4b615a614100", AnswerNone, ""},
		{"to a pong", "28 000000a9 00 4d3c132805 4b615a614100", AnswerWelcome, ""},
	} {
		var dst [MaxQuery]byte
		query := unhex(t, tt.query)
		n := FastTrack.Answer(dst[:], query, tt.form, &Asked{Salt: 0x01020304})
		if got, want := dst[:n], unhex(t, tt.want); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", tt.name, got, want)
		}
		if n > 0 {
			var f Finding
			if k := FastTrack.Datagram(dst[:n], &f); k != Reply {
				t.Errorf("%s: our own answer is recognised as kind %d, want a reply", tt.name, k)
			}
		}
		// asked is declared outside the measured function: a pointer that goes through a
		// function value escapes to the heap.
		asked := Asked{Salt: 7}
		if a := testing.AllocsPerRun(100, func() { FastTrack.Answer(dst[:], query, tt.form, &asked) }); a != 0 {
			t.Errorf("%s: %v allocations", tt.name, a)
		}
	}
}

func TestFastTrackProbeIsTheClientsPing(t *testing.T) {
	ping := unhex(t, "27 000000a9 80 66696c65736861726500")
	var dst [MaxQuery]byte
	if n := FastTrack.Probes[0].Build(dst[:], ping, 1); !bytes.Equal(dst[:n], ping) {
		t.Errorf("got %x, want %x", dst[:n], ping)
	}
	if n := FastTrack.Probes[0].Build(dst[:], unhex(t, "2a12345678"), 1); n != 0 {
		t.Errorf("probe of %d bytes from something that is no ping", n)
	}
}

func FuzzFastTrackDatagram(f *testing.F) {
	for _, tt := range fastTrackDatagrams {
		f.Add(unhex(f, tt.hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var fi Finding
		kind := FastTrack.Datagram(b, &fi)
		var dst [MaxQuery]byte
		n := FastTrack.Answer(dst[:], b, AnswerWelcome, &Asked{Salt: 1})
		if (n > 0) != (kind == Query) {
			t.Fatalf("%x: kind %d, but an answer of %d bytes", b, kind, n)
		}
		if kind == Query && n != len(b)+5 {
			t.Fatalf("%x: answer of %d bytes", b, n)
		}
	})
}
