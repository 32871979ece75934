// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"bytes"
	"strings"
	"testing"
)

// TestEDonkeyTag reads one tag of each type, whole and cut at each byte.
func TestEDonkeyTag(t *testing.T) {
	const short, long = "\x01", "\x03\x00abc" // names of one byte and of three
	number := func(kind string, v string, want uint32) (string, edonkeyTag) {
		return string([]byte{kind[0] | 0x80}) + short + v, edonkeyTag{name: 1, number: want}
	}
	for _, tt := range []struct {
		name string
		tag  func() (string, edonkeyTag)
	}{
		{"1 byte", func() (string, edonkeyTag) { return number("\x09", "\x2a", 42) }},
		{"2 bytes", func() (string, edonkeyTag) { return number("\x08", "\x34\x12", 0x1234) }},
		{"4 bytes", func() (string, edonkeyTag) { return number("\x03", "\x78\x56\x34\x12", 0x12345678) }},
		{"8 bytes", func() (string, edonkeyTag) { return number("\x0b", "\x78\x56\x34\x12\x01\x02\x03\x04", 0x12345678) }},
		{"true or false", func() (string, edonkeyTag) { return number("\x05", "\x01", 0) }},
		{"fraction", func() (string, edonkeyTag) { return number("\x04", "\x00\x00\x80\x3f", 0) }},
		{"hash", func() (string, edonkeyTag) { return number("\x01", strings.Repeat("h", 16), 0) }},
		{"blob", func() (string, edonkeyTag) { return number("\x07", "\x02\x00\x00\x00xy", 0) }},
		{"short blob", func() (string, edonkeyTag) { return number("\x0a", "\x02xy", 0) }},
		{"string", func() (string, edonkeyTag) { return "\x82\x01\x04\x00film", edonkeyTag{name: 1, text: []byte("film")} }},
		{"string of a byte", func() (string, edonkeyTag) { return "\x91\x01f", edonkeyTag{name: 1, text: []byte("f")} }},
		{"string of 16 bytes", func() (string, edonkeyTag) {
			return "\xa0\x01" + strings.Repeat("f", 16), edonkeyTag{name: 1, text: bytes.Repeat([]byte("f"), 16)}
		}},
		{"name with a length", func() (string, edonkeyTag) { return "\x09" + long + "\x07", edonkeyTag{number: 7} }},
		{"name of one byte with a length", func() (string, edonkeyTag) { return "\x09\x01\x00\xf9\x07", edonkeyTag{name: 0xf9, number: 7} }},
	} {
		text, want := tt.tag()
		var got edonkeyTag
		rest, m := got.next([]byte(text + "rest"))
		if m != Yes || string(rest) != "rest" || got.name != want.name || got.number != want.number || !bytes.Equal(got.text, want.text) {
			t.Errorf("%s: %v, %+v, then %q, want %+v", tt.name, m, got, rest, want)
		}
		for n := range len(text) {
			if _, m := got.next([]byte(text[:n])); m != More {
				t.Errorf("%s: %v after %d bytes of %d", tt.name, m, n, len(text))
			}
		}
	}
	for name, text := range map[string]string{
		"unknown type":       "\x86\x01\x00\x00\x00\x00",
		"string too long":    "\xa1\x01" + strings.Repeat("f", 32),
		"name without bytes": "\x09\x00\x00\x07",
		"name too long":      "\x09\x21\x00" + strings.Repeat("n", 34),
		"blob too long":      "\x87\x01\x01\x00\x01\x00",
	} {
		var tag edonkeyTag
		if rest, m := tag.next([]byte(text)); m != No || rest != nil {
			t.Errorf("%s: %v, then %q", name, m, rest)
		}
	}
}

// TestEDonkeyTags: a list is as long as its count says, and nothing follows it.
func TestEDonkeyTags(t *testing.T) {
	const one = "\x89\x01\x2a"
	for _, tt := range []struct {
		list string
		want bool
	}{
		{"\x00", true},
		{"\x01" + one, true},
		{"\x02" + one + one, true},
		{"", false},
		{"\x02" + one, false},
		{"\x01" + one + one, false},
		{"\x01" + one[:2], false},
		{"\x00x", false},
	} {
		if got := edonkeyTags([]byte(tt.list)); got != tt.want {
			t.Errorf("%q: %v", tt.list, got)
		}
	}
}
