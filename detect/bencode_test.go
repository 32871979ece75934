// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"strings"
	"testing"
)

func TestBencodeSkip(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want int
	}{
		{"i0e", 3},
		{"i-12erest", 5},
		{"4:spam", 6},
		{"0:", 2},
		{"le", 2},
		{"de", 2},
		{"d1:ai1e1:bl1:x2:yyee", 20},
		{"d1:ad1:bd1:ci1eeeeX", 18},
		{strings.Repeat("l", 8) + strings.Repeat("e", 8), 16},
		{strings.Repeat("l", 9) + strings.Repeat("e", 9), 0}, // too deep
		{"l" + strings.Repeat("i1e", 510) + "e", 1532},
		{"l" + strings.Repeat("i1e", 511) + "e", 0}, // too many
		{"", 0},
		{"e", 0},
		{"i", 0},
		{"ie", 0},
		{"i-e", 0},
		{"i1", 0},
		{"i123456789012345678901e", 0},
		{"5:spam", 0},
		{"999999:x", 0},
		{"99999999999999999999:x", 0},
		{":x", 0},
		{"-1:x", 0},
		{"d", 0},
		{"d1:a", 0},
		{"d1:ae", 0},    // a key without a value
		{"di1ei2ee", 0}, // a key that is not a string
		{"dle1:ae", 0},
		{"d1:ai1e2e", 0},
		{"x", 0},
	} {
		b := []byte(tt.in)
		if got := bencodeSkip(b); got != tt.want {
			t.Errorf("%q: got %d, want %d", tt.in, got, tt.want)
		}
		if n := testing.AllocsPerRun(10, func() { bencodeSkip(b) }); n != 0 {
			t.Errorf("%q: %v allocations", tt.in, n)
		}
	}
}

func TestBencodeNumber(t *testing.T) {
	for in, want := range map[string]int{
		"i0e": 0, "i6881e": 6881, "i65535e": 65535,
		"i65536e": -1, "i-1e": -1, "ie": -1, "i123456e": -1, "4:spam": -1, "": -1,
	} {
		v, ok := bencodeNumber([]byte(in))
		if ok != (want >= 0) || ok && int(v) != want {
			t.Errorf("%q: got %d %v, want %d", in, v, ok, want)
		}
	}
}

// An element stays within its input, and no shorter part of it is complete.
func FuzzBencode(f *testing.F) {
	for _, s := range []string{"d1:ai1e1:bl1:x2:yyee", "4:spam", "i-12e", "d1:ae", "llleee"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n := bencodeSkip(b)
		if n < 0 || n > len(b) {
			t.Fatalf("%q: length %d", b, n)
		}
		for i := range n {
			if m := bencodeSkip(b[:i]); m != 0 {
				t.Fatalf("%q is whole with %d bytes and with %d", b, m, n)
			}
		}
		if n > 0 && bencodeSkip(b[:n]) != n {
			t.Fatalf("%q is not whole alone", b[:n])
		}
		// The inside of a container consists of complete elements.
		if n > 0 && (b[0] == 'd' || b[0] == 'l') {
			in, count := bencodeInside(b[:n], b[0]), 0
			for len(in) > 0 {
				e, rest := bencodeNext(in)
				if e == nil {
					t.Fatalf("%q: %q inside is no element", b[:n], in)
				}
				in, count = rest, count+1
			}
			if b[0] == 'd' && count%2 != 0 {
				t.Fatalf("%q: %d elements in a dictionary", b[:n], count)
			}
		}
	})
}
