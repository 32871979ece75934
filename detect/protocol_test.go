// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestProtocols checks what the rest of the program assumes about a protocol.
func TestProtocols(t *testing.T) {
	// titleRoom is the width of the column in the command line's tables.
	const titleRoom = 14
	if len(All) > MaxProtocols {
		t.Errorf("%d protocols", len(All))
	}
	seen := map[string]bool{}
	for i, p := range All {
		switch {
		case p.Name == "" || p.Title == "" || seen[p.Name]:
			t.Errorf("protocol %d: name %q, title %q", i, p.Name, p.Title)
		case len(p.Title) > titleRoom:
			t.Errorf("%s: %q is longer than %d", p.Name, p.Title, titleRoom)
		case ByName(p.Name) != i:
			t.Errorf("%s: not found", p.Name)
		case p.Programs == "":
			t.Errorf("%s: which programs?", p.Name)
		}
		seen[p.Name] = true
		for _, c := range p.Name {
			if c < 'a' || c > 'z' { // the name is a UCI section and a JSON key
				t.Errorf("%s: a name has small letters only", p.Name)
			}
		}
		if _, err := NewNames(p.Names); err != nil || len(p.Names) > MaxNames {
			t.Errorf("%s: %d names, %v", p.Name, len(p.Names), err)
		}
		for _, g := range p.Groups {
			if a, err := netip.ParseAddr(g.Addr); err != nil || !a.IsMulticast() || g.Port == 0 || p.Local == nil {
				t.Errorf("%s: group %v", p.Name, g)
			}
		}
		for j := range p.Probes {
			q := &p.Probes[j]
			if q.Build == nil || q.Name == "" {
				t.Errorf("%s: question %d: %+v", p.Name, j, q)
			}
		}
		if p.Next != nil && p.First == nil || p.Flow != nil && p.Datagram == nil {
			t.Errorf("%s: looks further at what it does not look at", p.Name)
		}
	}
	// The engine keeps the times of these probes in a table of fixed size: see
	// Probe.Every.
	n := 0
	for _, p := range All {
		for j := range p.Probes {
			if p.Probes[j].Every != 0 {
				n++
			}
		}
	}
	if n > MaxLimited {
		t.Errorf("%d questions may not be put too often, and there is room for %d", n, MaxLimited)
	}
}

// TestPanel: only MLDonkey's own answers are taken for its user interface's.
func TestPanel(t *testing.T) {
	for _, tt := range []struct {
		name, b string
		want    bool
	}{
		{"MLDonkey 3.2.1 to another host", "HTTP/1.1 403 Forbidden\nServer: MLDonkey/3.2.1\nConnection: close\n\r\n\n", true},
		{"MLDonkey to a host that it lets in", "HTTP/1.0 401 Unauthorized\nServer: MLdonkey/3.1.6\n\n", true},
		{"another server", "HTTP/1.1 403 Forbidden\r\nServer: nginx/1.22\r\nX-Note: MLDonkey/3\r\n\r\n", false},
		{"a page about it", "HTTP/1.1 200 OK\r\n\r\n<p>MLDonkey/3.2.1</p>\n", false},
		{"no status", "Server: MLDonkey/3.2.1\n", false},
		{"nothing", "", false},
	} {
		if got := FastTrack.Panel([]byte(tt.b)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestWords: only a host that knows the words, and no others, is taken for MLDonkey.
func TestWords(t *testing.T) {
	known := func(words ...string) func(string) bool {
		return func(w string) bool {
			return slices.ContainsFunc(words, func(known string) bool { return strings.HasPrefix(w, known) })
		}
	}
	for _, tt := range []struct {
		name string
		held func(word string) bool
		want bool
	}{
		{"MLDonkey", known("GIV", "GET", "HEAD"), true},
		{"holds everything", func(string) bool { return true }, false},
		{"closes everything", func(string) bool { return false }, false},
		{"knows requests by HTTP", known("GET", "HEAD", "POST", "PUT"), false},
		{"knows two letters", known("GI"), false},
		{"wants a space", known("GIV "), false},
		{"knows all but what MLDonkey does", func(w string) bool { return !strings.HasPrefix(w, "GIV") }, false},
	} {
		for range 1000 {
			var out [MaxAnswer]byte
			salt, right, known := rand.Uint32(), 0, 0
			for n := range Words {
				k := FastTrack.Word(out[:], n, salt)
				if k {
					known++
				}
				if k == tt.held(string(out[:WordSize])) {
					right++
				}
			}
			if (right == Words) != tt.want || known != Words/2 {
				t.Fatalf("%s: %d are right with %x, %d are known", tt.name, right, salt, known)
			}
		}
	}
}

// FuzzProbes: an answer is never read beyond its end, and what sends back the question does
// not answer it.
func FuzzProbes(f *testing.F) {
	for _, s := range []string{
		"", "\xe4\x29\x49\x6c\xd9\x27\xd8\x15\x01\x4b\x98\x41\x0f\x77\xf8\x0d\xd3\x36\x00",
		"\xe4\x19" + "0123456789abcdef" + "\x36\x12\x08\x00", "\xc5\x92", slskDenied, libp2pHello + libp2pRefuse,
		"CSUP ADBASE\nCINF IDVH5KV3HOHPXF3K4AK2NZVZOSRZKV3OO4OBQCMHI\n", "GNUTELLA/0.6 503 Full\r\n\r\n", "GND\x00\x12\x34\x01\x00",
		"HTTP/1.1 403 Forbidden\nServer: MLDonkey/3.2.1\n",
		"\xe3\x2a\x00\x00\x00\x4c" + "0123456789abcdef" + "\xc0\xa8\x01\x32\x36\x12\x01\x00\x00\x00\x03\x01\x00\x11\x3c\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		f.Add([]byte(s), []byte("0123456789abcdef"), uint32(7))
		f.Add([]byte(s), []byte("0123456789abcdefghij"), uint32(0x7c687488))
	}
	f.Fuzz(func(t *testing.T, b, words []byte, salt uint32) {
		var out [MaxAnswer]byte
		for _, p := range All {
			if p.Panel != nil {
				p.Panel(b)
			}
			if p.Word != nil {
				p.Word(out[:], int(salt%Words), salt)
			}
			for i := range p.Probes {
				way := &p.Probes[i]
				n := way.Build(out[:], words, salt)
				if n == 0 || way.Answered == nil {
					continue
				}
				question := out[:n:n]
				way.Answered(b, question)
				if way.Answered(question, question) {
					t.Errorf("%s, %s: %x answers itself", p.Name, way.Name, question)
				}
			}
		}
	})
}
