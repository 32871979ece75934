// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
)

// sure are random bytes, the same for the same seed.
func sure(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// with returns b after head.
func with(head string, b []byte) []byte { return append([]byte(head), b...) }

// read feeds segments three times over. Each ends a message. It returns after how many
// segments the connection was harmless or unknown, 0 for never.
func read(segments [][]byte) (harmless, unknown int) {
	var m Middle
	m.Begins()
	var seen []byte
	for i := range 3 * len(segments) {
		b := segments[i%len(segments)]
		if !m.Reads(b, len(b), true) {
			b = nil
		}
		seen = append(seen, b...)
		if m.Harmless(b) {
			return i + 1, 0
		}
		switch m.Unknown(seen) {
		case Yes:
			return 0, i + 1
		case No: // not encrypted counts as known
			return i + 1, 0
		}
	}
	return 0, 0
}

func TestMiddle(t *testing.T) {
	const (
		harmless = iota
		unknown
		open
	)
	repeat := func(n int, f func(i int) []byte) (out [][]byte) {
		for i := range n {
			out = append(out, f(i))
		}
		return out
	}
	lengths := func(ns ...int) [][]byte {
		return repeat(len(ns), func(i int) []byte { return sure(uint64(i)+7, ns[i]) })
	}
	for _, tt := range []struct {
		name     string
		segments [][]byte
		want     int
		at       int
	}{
		{"a search of giFT, from a capture", [][]byte{unhex(t, "5e34ddd61c5a7c15ac30b4f50d08cf269e7785451979b27c11")}, unknown, 1},
		{"a search of MLDonkey, from a capture", [][]byte{unhex(t, "5ec81aedfc7009cacfc03dde94c70613a8ad85729841801522")}, unknown, 1},
		{"answers to pings of a supernode", repeat(20, func(i int) []byte { return sure(uint64(i)+99, 1) }), unknown, 24},
		{"searches of one length that SSH could have", lengths(40, 40, 40, 40, 40, 40), harmless, 6},
		{"the same, and another", lengths(40, 40, 25), unknown, 3},
		{"SSH with chacha20", lengths(36, 36, 44, 68, 36, 100), harmless, 6},
		{"a search that is shorter", lengths(28), unknown, 1},
		{"SSH with AES and a hash of 32", lengths(52, 52, 68, 84, 52, 116), harmless, 6},
		{"SSH, two packets in a segment", lengths(72, 36, 108, 36, 36, 80), harmless, 6},
		{"TLS", [][]byte{with("\x17\x03\x03\x00\x20", sure(1, 32))}, harmless, 2},
		{"TLS, more records in a segment", [][]byte{with("\x17\x03\x03\x00\x20", sure(1, 80))}, harmless, 2},
		{"a line of IRC", [][]byte{[]byte("PONG :irc.example.org\r\n")}, harmless, 2},
		{"a line in Russian", [][]byte{[]byte("PRIVMSG #a :привет, как дела\r\n")}, harmless, 2},
		{"the next request of HTTP", [][]byte{[]byte("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")}, harmless, 2},
		{"a browser's WebSocket, text", [][]byte{with("\x81\x8a", sure(1, 14))}, harmless, 2},
		{"a browser's WebSocket, long", [][]byte{with("\x82\xfe\x01\x00", sure(1, 260))}, harmless, 2},
		{"a browser's WebSocket, compressed", [][]byte{with("\xc1\x9e", sure(1, 34))}, harmless, 2},
		{"a browser's WebSocket, two frames", [][]byte{append(with("\x82\x85", sure(1, 9)), with("\x82\x83", sure(2, 7))...)}, harmless, 2},
		{"MQTT is there", [][]byte{[]byte("\xc0\x00")}, harmless, 2},
		{"MQTT says something", [][]byte{with("\x32\x20", sure(1, 32))}, harmless, 2},
		{"OpenVPN", [][]byte{with("\x00\x35\x48", sure(1, 52))}, harmless, 2},
		{"its length in four bytes", [][]byte{with("\x00\x00\x00\x29", sure(1, 41))}, harmless, 2},
		{"Steam", [][]byte{with("\x30\x00\x00\x00VT01", sure(1, 48))}, harmless, 2},
		{"a game in clear", [][]byte{[]byte("\x05\x00\x00\x00\x10\x27\x00\x00\x80\x3f\x00\x00\x00\x00\x33\x33\x00\x00\x00\x00\x01")}, harmless, 2},
		{"a remote desktop's pointer (RFB)", [][]byte{[]byte("\x05\x00\x01\x20\x02\x10")}, open, 0},
		{"the same, for a while", repeat(3, func(int) []byte { return []byte("\x05\x00\x01\x20\x02\x10\x05\x00\x01\x22\x02\x12") }), harmless, 6},
		{"a long transfer", repeat(16, func(i int) []byte { return sure(uint64(i)+5, 1448) }), harmless, 16},
		{"what follows a full segment is its end", [][]byte{sure(1, 1448), sure(2, 333)}, open, 0},
		{"a proxy's", lengths(517, 91), unknown, 1},
		{"a session of which a segment looks like MQTT by chance", [][]byte{with("\x32\x17", sure(1, 23)), sure(2, 26)}, unknown, 2},
	} {
		h, u := read(tt.segments)
		if got := [...]int{harmless: h, unknown: u, open: 0}[tt.want]; got != tt.at || h != 0 && tt.want != harmless || u != 0 && tt.want != unknown {
			t.Errorf("%s: harmless after %d, unknown after %d segments", tt.name, h, u)
		}
	}
}

// TestMiddleOfRandom: encrypted data without a structure is hardly ever taken for a known
// protocol. So a session rarely escapes by chance.
func TestMiddleOfRandom(t *testing.T) {
	spared := 0
	const n = 20000
	for i := range uint64(n) {
		var all [][]byte
		for j := range uint64(8) {
			all = append(all, sure(i*8+j, 23+int((i+j*5)%9)))
		}
		if _, u := read(all); u == 0 {
			spared++
		}
	}
	if spared > n/2000 {
		t.Errorf("of %d, %d were spared", n, spared)
	}
	// A few of many messages look like a known protocol by chance.
	const many = 100000
	for length, most := range map[int]int{2: many / 25000, 28: many / 7000} {
		spared := 0
		for i := range uint64(many) {
			var m Middle
			m.Begins()
			for j := range uint64(12) {
				if b := sure(i*12+j, length); m.Reads(b, len(b), true) && m.Harmless(b) {
					spared++
					break
				}
			}
		}
		if spared > most {
			t.Errorf("of %d with messages of %d bytes, %d were spared, want %d at most", many, length, spared, most)
		}
	}
}

// TestMiddleNotAtTheBeginning: the rest of a longer message tells nothing.
func TestMiddleNotAtTheBeginning(t *testing.T) {
	var m Middle
	if m.Reads(sure(1, 50), 50, false) || m.Reads(sure(2, 50), 50, true) {
		t.Error("read, though it may be the rest of a message")
	}
	if !m.Reads(sure(3, 50), 50, true) {
		t.Error("not read after the end of one")
	}
	if m.Reads(sure(4, 50), 51, true) || m.Reads(sure(5, 50), 50, true) {
		t.Error("read, though a part of a message was not seen")
	}
	if !m.Reads(sure(6, 50), 50, true) || m.Reads(sure(7, 1448), 1448, true) || m.Reads(sure(8, 50), 50, true) {
		t.Error("read, though it may be the end of something longer")
	}
}

func FuzzMiddle(f *testing.F) {
	f.Add([]byte(strings.Repeat("\x82\xfe\x01\x00", 4)), true)
	f.Add([]byte("\xc0\x00"), false)
	f.Add(binary.BigEndian.AppendUint16(nil, 7), true)
	f.Fuzz(func(t *testing.T, b []byte, ends bool) {
		var m Middle
		m.Begins()
		for at := 0; at < len(b); at += 40 {
			part := b[at:min(at+40, len(b))]
			if !m.Reads(part, len(part), ends) {
				part = nil
			}
			m.Harmless(part)
			if m.Unknown(b[:at]) == Yes && at < middleBytes {
				t.Error("told by too little")
			}
		}
		if a := testing.AllocsPerRun(10, func() { m.Harmless(b) }); a != 0 {
			t.Errorf("%v allocations", a)
		}
	})
}
