// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"math/rand"
	"strings"
	"testing"
)

// noise returns n bytes that look random, the same in each run.
func noise(n int) string {
	b := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(b)
	return string(b)
}

// What begins as an encrypted handshake does, and what has a structure.
func TestHiddenFirst(t *testing.T) {
	for _, tt := range []struct {
		name, data string
		want       bool
	}{
		{"a key", noise(96), true},
		{"a key and padding", noise(608), true},
		{"less than a key", noise(95), false},
		{"more than a key and padding", noise(609), false},
		{"text", strings.Repeat("GET / HTTP/1.1\r\n", 8), false},
		{"TLS", "\x16\x03\x01\x02\x00" + noise(300), false},
		{"a length of two bytes, as OpenVPN's", "\x01\x30" + noise(304), false},
		{"the same, low byte first", "\x30\x01" + noise(304), false},
		{"a length of four bytes", "\x00\x00\x01\x30" + noise(304), false},
		{"a length that counts itself", "\x00\x00\x01\x34" + noise(304), false},
		{"Zabbix, compressed", "ZBXD\x03\x30\x01\x00\x00\x80\x02\x00\x00" + noise(304), false},
		{"a length behind a name of twelve bytes", "abcdefghijkl\x00\x00\x01\x30" + noise(304), false},
		{"a length that is too far behind", "abcdefghijklm\x00\x00\x01\x30" + noise(304), true},
		{"a length before a checksum, as SSH's", "\x00\x00\x01\x20" + noise(0x120+64), false},
		{"a length that is no length", "\x00\x00\x01\x20" + noise(0x120+65), true},
	} {
		b := []byte(tt.data)
		if got := btHidden.First(b); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		if n := testing.AllocsPerRun(20, func() { btHidden.First(b) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

// The first message of an encrypted session is one for nearly all random bytes.
func TestHiddenRandom(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	missed := 0
	const times = 300_000
	for range times {
		b := make([]byte, 96+rng.Intn(513))
		rng.Read(b)
		if framed(b) {
			missed++
		}
	}
	if missed > 30 {
		t.Errorf("%d of %d random beginnings are taken for something else", missed, times)
	}
}

// What the middle of a connection is, by the segments that come.
func TestHiddenMiddle(t *testing.T) {
	const have, request = "\x00\x00\x00\x05\x04\x00\x00\x01\x02", "\x00\x00\x00\x0d\x06\x00\x00\x01\x02\x00\x00\x40\x00\x00\x00\x40\x00"
	for _, tt := range []struct {
		name, data string
		want       Match
		framed     bool
	}{
		{"random", noise(128), Yes, false},
		{"random, too little", noise(60), More, false},
		{"TLS", "\x17\x03\x03\x01\x00" + noise(100), No, false},
		{"SSH, its length in clear", "\x00\x00\x00\x20" + noise(0x20+16), No, false},
		{"text", strings.Repeat("PRIVMSG #a :hello\r\n", 8), No, false},
		{"zeros", strings.Repeat("\x00", 128), More, false},
		{"zeros, then text", strings.Repeat("\x00", 64) + strings.Repeat("abcdefgh", 8), No, false},

		{"a request", request, Yes, true},
		{"a request for what nobody asks for", "\x00\x00\x00\x0d\x06\x00\x00\x01\x02\x00\x00\x40\x01\x00\x00\x40\x00", No, false},
		{"part of a request", request[:10], More, false},
		{"a piece", "\x00\x00\x40\x09\x07\x00\x00\x01\x02\x00\x01\x00\x00" + noise(115), Yes, true},
		{"a length and a 7", "\x00\x00\x00\x80\x07" + noise(127), No, false},
		{"have, alone", have, More, false},
		{"have, twice", have + have, Yes, true},
		{"have, and the beginning of another", have + have[:6], Yes, true},
		{"have, and something else", have + noise(20), No, false},
		{"have, have, and something else", have + have + noise(20), Yes, true},
		{"alive, and have", "\x00\x00\x00\x00" + have, More, false},
		{"extended, not whole", "\x00\x00\x01\x00\x14\x01d", More, false},
		{"interested and not", "\x00\x00\x00\x01\x02\x00\x00\x00\x01\x03", Yes, true},
		{"a message that there is not", "\x00\x00\x00\x01\x12" + have, No, false},
	} {
		b := []byte(tt.data)
		if got := btHidden.Middle(b); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if got := peerMiddle(b) == Yes; got != tt.framed {
			t.Errorf("%s: framed %v", tt.name, got)
		}
		if n := testing.AllocsPerRun(20, func() { btHidden.Middle(b); peerMiddle(b) }); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func FuzzHidden(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x05\x04\x00\x00\x01\x02\x00\x00\x00\x01\x02"))
	f.Add([]byte("\x00\x00\x40\x09\x07\x00\x00\x01\x02\x00\x01\x00\x00" + noise(115)))
	f.Add([]byte(noise(300)))
	f.Fuzz(func(t *testing.T, b []byte) {
		// What is certain of a beginning stays so, whatever follows.
		whole := peerMiddle(b)
		for n := range len(b) {
			if m := peerMiddle(b[:n]); m != More && m != whole {
				t.Fatalf("%x: %d behind %d bytes, %d behind all", b, m, n, whole)
			}
		}
		if first := btHidden.First(b); first && btHidden.Middle(b) == No {
			t.Fatalf("%x: can begin a session, but not go on", b)
		}
	})
}
