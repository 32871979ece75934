// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"hash/crc32"
	"testing"
)

func TestChecksum(t *testing.T) {
	for _, s := range []string{"", "a", "123456789", random(1000)} {
		if got, want := Checksum([]byte(s)), crc32.ChecksumIEEE([]byte(s)); got != want {
			t.Errorf("%q: %x, want %x", s, got, want)
		}
	}
}
