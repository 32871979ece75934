// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "testing"

func TestIntegers(t *testing.T) {
	b := []byte{1, 2, 3, 4}
	for _, tt := range []struct {
		name      string
		got, want uint32
	}{
		{"be16", uint32(be16(b)), 0x0102},
		{"be32", be32(b), 0x01020304},
		{"le16", uint32(le16(b)), 0x0201},
		{"le32", le32(b), 0x04030201},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %x, want %x", tt.name, tt.got, tt.want)
		}
	}
	var four [4]byte
	putLE16(four[:], le16(b))
	putLE16(four[2:], le16(b[2:]))
	if string(four[:]) != string(b) {
		t.Errorf("putLE16: %x", four)
	}
	putLE32(four[:], 0x04030201)
	if string(four[:]) != string(b) {
		t.Errorf("putLE32: %x", four)
	}
	putBE16(four[:], be16(b))
	putBE32(four[:], be32(b))
	if string(four[:]) != string(b) {
		t.Errorf("putBE32: %x", four)
	}
}
