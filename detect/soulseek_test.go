// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// slsk converts hexadecimal digits with blanks to bytes. Quoted parts are text.
func slsk(s string) string {
	var out []byte
	for i, part := range strings.Split(s, "'") {
		if i%2 == 1 {
			out = append(out, part...)
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(part, " ", ""))
		if err != nil {
			panic(err)
		}
		out = append(out, b...)
	}
	return string(out)
}

// Captured messages of programs.
var (
	slskNicotine33 = slsk("42000000 01000000 04000000 'anna' 06000000 'secret' a0000000 20000000 '967b854441792f82b871e40c53c63be' 65 02000000")
	slskNicotine32 = slsk("42000000 01000000 04000000 'carl' 06000000 'secret' a0000000 20000000 'dea747857175234d0bd1e85a3185c412' 01000000")
	slskMLDonkey   = slsk("1f000000 01000000 07000000 'labuser' 08000000 'mldonkey' 9c000000")
	slskListen     = slsk("08000000 02000000 ba080000")
	slskListen2    = slsk("10000000 02000000 ba080000 01000000 bb080000")
	slskPing       = slsk("04000000 20000000")
	slskInitP      = slsk("12000000 01 04000000 'anna' 01000000 'P' 00000000")
	slskInitF      = slsk("12000000 01 04000000 'anna' 01000000 'F' 00000000")
	slskPierce     = slsk("05000000 00 3c995300")
)

// slskHide obfuscates a message.
func slskHide(key uint32, s string) string {
	b := []byte{byte(key), byte(key >> 8), byte(key >> 16), byte(key >> 24)}
	for i := range len(s) {
		if i%4 == 0 {
			key = key<<1 | key>>31
		}
		b = append(b, s[i]^byte(key>>(i%4*8)))
	}
	return string(b)
}

// TestSoulseekClear: the example of aioslsk's documentation.
func TestSoulseekClear(t *testing.T) {
	hidden, clear := slsk("1494ee4a 2028dd95 2850ba2b 4aa37457"), slsk("08000000 79000000 e8030000")
	var got [64]byte
	if n := soulseekClear(got[:], []byte(hidden)); string(got[:n]) != clear {
		t.Errorf("%x", got[:n])
	}
	if slskHide(0x4aee9414, clear) != hidden {
		t.Error("the test obfuscates otherwise")
	}
}

func TestSoulseekFirst(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		in         bool
		want       Match
		reason     Reason
		client     string
		conduct    bool
		length     int
	}{
		{name: "login of Nicotine+ 3.3", text: slskNicotine33, want: Yes, reason: ReasonHello, client: "Nicotine+ 3.3", conduct: true, length: 70},
		{name: "and what follows", text: slskNicotine33 + slskListen, want: Yes, reason: ReasonHello, client: "Nicotine+ 3.3", conduct: true, length: 70},
		{name: "login of Nicotine+ 3.2", text: slskNicotine32, want: Yes, reason: ReasonHello, client: "Nicotine+ 3.2", conduct: true, length: 70},
		{name: "login of MLDonkey", text: slskMLDonkey, want: Yes, reason: ReasonHello, client: "MLDonkey", conduct: true, length: 35},
		{name: "login of a program that nobody knows", text: strings.Replace(slskNicotine33, "\xa0\x00\x00\x00", "\xe7\x03\x00\x00", 1), want: Yes, reason: ReasonHello, conduct: true, length: 70},
		{name: "login that comes in", text: slskNicotine33, in: true},
		{name: "login without an end", text: slskNicotine33[:69], want: More},
		{name: "login with a longer length", text: "\x43" + slskNicotine33[1:]},
		{name: "login with a shorter length", text: "\x41" + slskNicotine33[1:]},
		{name: "login with an MD5 that is none", text: strings.Replace(slskNicotine33, "967b", "96-b", 1)},
		{name: "login of version 0", text: strings.Replace(slskNicotine33, "\xa0\x00\x00\x00", "\x00\x00\x00\x00", 1)},
		{name: "login with a name of control characters", text: strings.Replace(slskNicotine33, "anna", "an\na", 1)},
		{name: "login with a long name", text: slsk("3c000000 01000000 1f000000 '" + strings.Repeat("n", 31) + "' 0a000000")},
		{name: "login with a number of another message", text: slsk("1f000000 03000000 07000000 'labuser' 08000000 'mldonkey' 9c000000")},
		{name: "where it listens, alone", text: slskListen},

		{name: "for messages", text: slskInitP, want: Yes, reason: ReasonPeer, conduct: true},
		{name: "for a file", text: slskInitF, want: Yes, reason: ReasonTransfer, conduct: true},
		{name: "for searches", text: strings.Replace(slskInitP, "P", "D", 1), want: Yes, reason: ReasonPeer, conduct: true},
		{name: "for nothing known", text: strings.Replace(slskInitP, "P", "X", 1)},
		{name: "with a message behind it", text: slskInitP + slskPing, want: Yes, reason: ReasonPeer, conduct: true},
		{name: "with a length that does not fit", text: "\x13" + slskInitP[1:]},
		{name: "with a name that does not fit", text: slsk("12000000 01 05000000 'anna' 01000000 'P' 00000000")},
		{name: "without its number", text: slskInitP[:18], want: More},
		{name: "for messages, from outside", text: slskInitP, in: true},

		{name: "to who asked for it", text: slskPierce, want: Hint, reason: ReasonPeer},
		{name: "to who asked for it, with a message", text: slskPierce + slskPing, want: Hint, reason: ReasonPeer},
		{name: "to who asked for it, cut short", text: slskPierce[:8], want: More},
		{name: "a longer one with its number", text: slsk("06000000 00 3c995300 00")},

		{name: "obfuscated, for messages", text: slskHide(0x4aee9414, slskInitP), want: Yes, reason: ReasonPeer, conduct: true},
		{name: "obfuscated, for a file", text: slskHide(0x80000001, slskInitF), want: Yes, reason: ReasonTransfer, conduct: true},
		{name: "obfuscated, to who asked for it", text: slskHide(0x4aee9414, slskPierce), want: Hint, reason: ReasonPeer},
		{name: "obfuscated, cut short", text: slskHide(0x4aee9414, slskInitP)[:12], want: More},
		{name: "obfuscated with no key", text: slskHide(0, slskInitP)},
		{name: "an obfuscated login", text: slskHide(0x4aee9414, slskNicotine33)},

		{name: "zeros", text: strings.Repeat("\x00", 40)},
		{name: "TLS", text: slsk("16030100 c8010000 c40303") + strings.Repeat("x", 40)},
		{name: "HTTP", text: "GET / HTTP/1.1\r\n\r\n"},
		{name: "SSH", text: "SSH-2.0-OpenSSH_9.2\r\n"},
		{name: "a frame of another protocol", text: slsk("1c000000 01000000 00000000 00000000 00000000 00000000 00000000 00000000")},
	} {
		var f Finding
		m := Soulseek.First([]byte(tt.text), !tt.in, &f)
		if m != tt.want {
			t.Errorf("%s: match %d, want %d", tt.name, m, tt.want)
			continue
		}
		if m == Yes || m == Hint {
			if f.Reason != tt.reason || f.Client.String() != tt.client || f.Conduct != tt.conduct || f.Length != tt.length || f.Wait != (tt.length > 0) {
				t.Errorf("%s: reason %v, client %q, conduct %v, length %d, wait %v", tt.name, f.Reason, f.Client.String(), f.Conduct, f.Length, f.Wait)
			}
		} else if f != (Finding{}) {
			t.Errorf("%s: changed the finding: %+v", tt.name, f)
		}
		if m != Yes && m != Hint {
			continue
		}
		// Every shorter part of it is still undecided.
		for n := range len(tt.text) {
			var f Finding
			switch part := Soulseek.First([]byte(tt.text[:n]), true, &f); {
			case part == No, part != More && part != m:
				t.Errorf("%s: match %d of the first %d bytes", tt.name, part, n)
			}
		}
		b := []byte(tt.text)
		if n := testing.AllocsPerRun(20, func() { Soulseek.First(b, true, &f) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func TestSoulseekNext(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		in         bool
		want       Match
		port       uint16
		other      uint16
		length     int
	}{
		{name: "where it listens", text: slskListen, want: Yes, port: 2234},
		{name: "and obfuscated", text: slskListen2, want: Yes, port: 2234, other: 2235},
		{name: "a part of it", text: slskListen[:11], want: More},
		{name: "the first byte", text: slskListen[:1], want: More},
		{name: "it comes in", text: slskListen, in: true},
		{name: "a port that is none", text: slsk("08000000 02000000 ba080100")},
		{name: "a length that is none", text: slsk("0c000000 02000000 ba080000 00000000")},
		{name: "another message", text: slskPing + slskListen, want: Yes, length: 8},
		{name: "no message", text: slsk("08000000 02000001 ba080000")},
		{name: "an endless one", text: slsk("08000100 20000000")},
	} {
		var f Finding
		m := Soulseek.Next([]byte(tt.text), !tt.in, &f)
		if m != tt.want || f.TCPPort != tt.port || f.OtherPort != tt.other || f.Length != tt.length || f.Wait != (tt.length > 0) {
			t.Errorf("%s: match %d, port %d, length %d, wait %v", tt.name, m, f.TCPPort, f.Length, f.Wait)
		}
		if m != Yes && f != (Finding{}) {
			t.Errorf("%s: changed the finding: %+v", tt.name, f)
		}
	}
}

// The probe, and the answers of Nicotine+ 3.2 and 3.3 and slsk-client.
var (
	slskAsked     = slsk("16000000 01 08000000 'updxvnxa' 01000000 'P' 00000000  25000000 28000000 00000000 8874687c 15000000 'glfobysh\\hmexlkif.mp3'")
	slskDenied    = slsk("1d000000 29000000 8874687c 00 10000000 'File not shared.'")
	slskAllowed   = slsk("09000000 29000000 8874687c 01")
	slskWithASize = slsk("11000000 29000000 8874687c 01 00004000 00000000")
)

func TestSoulseekAsk(t *testing.T) {
	var b, other [MaxAnswer]byte
	n := Soulseek.Probes[0].Build(b[:], nil, 7)
	if n != len(slskAsked) {
		t.Fatalf("%d bytes", n)
	}
	var f Finding
	if m := Soulseek.First(b[:n], true, &f); m != Yes || f.Reason != ReasonPeer {
		t.Errorf("it begins as no client does: match %d", m)
	}
	if string(b[34+4:][:4]) != "\x07\x00\x00\x00" || n < Soulseek.Probes[0].Alone {
		t.Errorf("%x: the number of the request is another", b[:n])
	}
	letter := func(c byte) bool { return c >= 'a' && c <= 'z' }
	for i, c := range []byte(slskAsked) {
		if i >= 38 && i < 42 {
			continue
		}
		if b[i] != c && !(letter(b[i]) && letter(c)) {
			t.Errorf("byte %d is %q and not %q", i, b[i], c)
		}
	}
	if Soulseek.Probes[0].Build(other[:], nil, 8); bytes.Equal(other[:n], b[:n]) {
		t.Error("another question is the same")
	}
	if n := Soulseek.Probes[0].Build(b[:20], nil, 7); n != 0 {
		t.Errorf("%d bytes where there is no room", n)
	}
}

func TestSoulseekAnswered(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"no", slskDenied, true},
		{"yes", slskAllowed, true},
		{"yes, and the size", slskWithASize, true},
		{"another message before it", slskPing + slskDenied, true},
		{"an answer to another question", strings.Replace(slskDenied, "\x88", "\x89", 1), false},
		{"an answer with another number", strings.Replace(slskDenied, "\x29", "\x28", 1), false},
		{"a part of it", slskDenied[:len(slskDenied)-1], false},
		{"a reason that does not fit", strings.Replace(slskDenied, "\x10", "\x11", 1), false},
		{"a size that does not fit", slsk("0d000000 29000000 8874687c 01 00004000"), false},
		{"neither yes nor no", slsk("09000000 29000000 8874687c 02"), false},
		{"the question", slskAsked, false},
		{"nothing", "", false},
		{"an empty message", slsk("00000000 29000000 8874687c 01"), false},
		{"a message without an end", slsk("ffffffff 29000000 8874687c 01"), false},
	} {
		if got := Soulseek.Probes[0].Answered([]byte(tt.text), []byte(slskAsked)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// FuzzSoulseek: no input is read beyond its end, and more bytes do not change a decision.
func FuzzSoulseek(f *testing.F) {
	for _, s := range []string{
		slskNicotine33 + slskListen, slskMLDonkey + slskListen2, slskInitP, slskPierce, slskDenied, slskAllowed,
		slskHide(0x4aee9414, slskInitF), slskHide(3, slskPierce),
	} {
		f.Add([]byte(s), uint8(9))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		n := min(int(cut), len(b))
		for _, look := range []func([]byte, bool, *Finding) Match{Soulseek.First, Soulseek.Next} {
			var part, whole Finding
			m, all := look(b[:n:n], true, &part), look(b, true, &whole)
			if m != More && (m != all || part != whole) {
				t.Errorf("%x: match %d of %d bytes, %d of all", b, m, n, all)
			}
		}
		if soulseekMiddle(b[:n:n]) && n < 8 {
			t.Errorf("%x: too short for a message", b[:n])
		}
		if soulseekAnswered(b, []byte(slskAsked)) && !bytes.Contains(b, []byte("\x88th|")) {
			t.Errorf("%x: answers", b)
		}
	})
}

func TestSoulseekMiddle(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       bool
	}{
		{"a user's address", slsk("0c000000 03000000 04000000 'anna'"), true},
		{"that one is to connect", slsk("15000000 12000000 3c995300 04000000 'anna' 01000000 'P'"), true},
		{"a search", slsk("0f000000 1a000000 02000000 03000000 'lab'"), true},
		{"two messages", slskPing + slsk("08000000 1c000000 02000000"), true},
		{"a message and a half", slskPing + slsk("08000000 1c000000 0200"), false},
		{"a list, the first part", slsk("00100000 05000000 789c ed5d"), true},
		{"what looks like a list", slsk("00100000 05000000 7800 ed5d"), false},
		{"a file that is wanted", slsk("16000000 2b000000 0e000000 'Music\\film.mp3'"), true},
		{"the answer to who wants a file", slskDenied, true},
		{"a number of no message", slsk("04000000 7f000000"), false},
		{"a string that is too long", slsk("0c000000 03000000 05000000 'anna'"), false},
		{"a message that is too short", slsk("03000000 03000000"), false},
		{"nothing", "", false},
		{"data of a file", strings.Repeat("\xff\xfb\x90\x44", 300), false},
		{"zeros", strings.Repeat("\x00", 64), false},
		{"HTTP", "GET / HTTP/1.1\r\n\r\n", false},
		{"TLS", slsk("17030300 20") + strings.Repeat("x", 32), false},
	} {
		if got := Soulseek.Middle([]byte(tt.text)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		b := []byte(tt.text)
		if n := testing.AllocsPerRun(20, func() { Soulseek.Middle(b) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}
