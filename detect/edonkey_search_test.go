// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"strings"
	"testing"
)

// TestEDonkeySearch reads searches, whole and cut at each byte.
func TestEDonkeySearch(t *testing.T) {
	const (
		word   = "\x01\x04\x00film"
		kind   = "\x02\x05\x00Audio\x01\x00\x03"                             // in the tag with the name 3
		size   = "\x03\x00\x00\x10\x00\x01\x01\x00\x02"                      // more than a megabyte
		size8  = "\x08\x00\x00\x10\x00\x00\x00\x00\x00\x02" + "\x01\x00\x02" // the same in 8 bytes
		and    = "\x00\x00"
		or     = "\x00\x01"
		but    = "\x00\x02"
		nested = 24
	)
	for _, tt := range []struct {
		name, search string
		want         bool
	}{
		{"a word", word, true},
		{"a type", kind, true},
		{"a size", size, true},
		{"a size in 8 bytes", size8, true},
		{"two words", and + word + word, true},
		{"one of two words", or + word + word, true},
		{"a word without another", but + word + word, true},
		{"all of these", and + or + word + word + and + kind + but + size + size8, true},
		{"as deep as it may be", strings.Repeat(and+word, nested) + word, true},
		{"too deep", strings.Repeat(and+word, nested+1) + word, false},
		{"unknown operator", "\x00\x03" + word + word, false},
		{"unknown comparison", "\x03\x00\x00\x10\x00\x06\x01\x00\x02", false},
		{"unknown operand", "\x04" + word[1:], false},
		{"a word without bytes", "\x01\x00\x00", false},
	} {
		n := edonkeySearch([]byte(tt.search+"rest"), 0)
		if want := len(tt.search); tt.want && n != want || !tt.want && n >= 0 {
			t.Errorf("%s: %d bytes of %d", tt.name, n, want)
		}
		for i := range len(tt.search) {
			if n := edonkeySearch([]byte(tt.search[:i]), 0); n >= 0 {
				t.Errorf("%s: %d bytes are enough", tt.name, i)
			}
		}
	}
}

// TestEDonkeyServerDatagrams: each query to a server, and what is not quite one.
func TestEDonkeyServerDatagrams(t *testing.T) {
	const word = "\x01\x04\x00film"
	hash := strings.Repeat("h", edonkeyHash)
	for _, tt := range []struct {
		name, message string
		kind          Kind
		conduct       bool
	}{
		{"status", "\x96\x01\x02\xaa\x55", Query, true},
		{"status of an old program", "\x96\x01\x02\x03\x04", Query, false},
		{"status without a challenge", "\x96", None, false},
		{"description", "\xa2\xff\xf0\x01\x02", Query, true},
		{"description of an old program", "\xa2\x01\x02\x03\x04", Query, false},
		{"description without a challenge", "\xa2", Weak, false},
		{"description, too short", "\xa2\xff\xf0\x01", None, false},
		{"sources", "\x9a" + hash + hash, Query, false},
		{"sources of nothing", "\x9a", None, false},
		{"sources, cut", "\x9a" + hash[1:], None, false},
		{"sources with sizes", "\x94" + hash + "\x01\x00\x00\x00" + hash + "\x00\x00\x00\x0012345678", Query, false},
		{"sources with sizes, cut", "\x94" + hash + "\x00\x00\x00\x001234567", None, false},
		{"sources with sizes of nothing", "\x94", None, false},
		{"callback", "\x9c\x01\x02\x03\x04\x36\x12\x05\x06\x07\x08", Query, false},
		{"callback without a port", "\x9c\x01\x02\x03\x04\x00\x00\x05\x06\x07\x08", None, false},
		{"list of servers", "\xa0\x01\x02\x03\x04\x36\x12", Query, false},
		{"list of servers without a port", "\xa0\x01\x02\x03\x04\x00\x00", None, false},
		{"list of servers, new", "\xa4", Weak, false},
		{"list of servers, new, and more", "\xa4\x01", None, false},
		{"search", "\x98" + word, Query, false},
		{"search, new", "\x92" + word, Query, false},
		{"search and more", "\x98" + word + "x", None, false},
		{"search with tags", "\x90\x01\x00\x00\x00\x89\x0e\x2a" + word, Query, false},
		{"search with tags, cut", "\x90\x02\x00\x00\x00\x89\x0e\x2a" + word, None, false},
		{"search with too many tags", "\x90\x00\x01\x00\x00" + word, None, false},
		{"search with half a number", "\x90\x01\x00", None, false},
		{"Overnet", "\x0a" + hash + "\x01\x02\x03\x04\x36\x12\x01", Query, true},
		{"Overnet, publish", "\x0c" + hash + "\x01\x02\x03\x04\x36\x12\x00", Query, true},
		{"Overnet without a port", "\x0a" + hash + "\x01\x02\x03\x04\x00\x00\x01", None, false},
		{"Overnet of an unknown kind", "\x0a" + hash + "\x01\x02\x03\x04\x36\x12\x02", None, false},
		{"unknown", "\x01" + hash, None, false},
	} {
		var f Finding
		if kind := edonkeyServerDatagram([]byte("\xe3"+tt.message), &f); kind != tt.kind || f.Conduct != tt.conduct {
			t.Errorf("%s: kind %d, conduct %v, want %d and %v", tt.name, kind, f.Conduct, tt.kind, tt.conduct)
		}
	}
}

// TestEMuleDatagrams: what clients tell each other about a file.
func TestEMuleDatagrams(t *testing.T) {
	hash := strings.Repeat("h", edonkeyHash)
	const parts = "\x09\x00\xff\x01" // nine parts, all of them
	for _, tt := range []struct {
		name, message string
		kind          Kind
		conduct       bool
	}{
		{"question", "\x90" + hash + parts + "\x05\x00", Query, true},
		{"question of an old program", "\x90" + hash, Query, false},
		{"question without the sources", "\x90" + hash + "\x05\x00", Query, false},
		{"question, cut", "\x90" + hash + parts + "\x05", None, false},
		{"question without a hash", "\x90" + hash[1:], None, false},
		{"direct callback", "\x95\x36\x12" + hash + "\x01", Query, false},
		{"direct callback without a port", "\x95\x00\x00" + hash + "\x01", None, false},
		{"callback", "\x94" + hash + hash, Query, false},
		{"callback with parts", "\x94" + hash + hash + parts + "\x05\x00", Query, false},
		{"callback with half of it", "\x94" + hash + hash + parts, None, false},
		{"answer", "\x91" + parts + "\x05\x00", Reply, false},
		{"answer without parts", "\x91\x05\x00", Weak, false},
		{"answer with odd parts", "\x91\x09\x00\xff\x05\x00", None, false},
		{"no such file", "\x92", Weak, false},
		{"no such file, and more", "\x92x", None, false},
		{"full", "\x93", Weak, false},
		{"unknown", "\x96" + hash, None, false},
	} {
		var f Finding
		if kind := emuleDatagram([]byte("\xc5"+tt.message), &f); kind != tt.kind || f.Conduct != tt.conduct {
			t.Errorf("%s: kind %d, conduct %v, want %d and %v", tt.name, kind, f.Conduct, tt.kind, tt.conduct)
		}
	}
}
