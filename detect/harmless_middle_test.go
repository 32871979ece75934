// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"strings"
	"testing"
)

func TestHarmlessMiddle(t *testing.T) {
	record := "\x17\x03\x03\x00\x20" + strings.Repeat("r", 32)
	for _, tt := range []struct {
		name, b string
		want    bool
	}{
		{"a record", record, true},
		{"the beginning of a long one", "\x17\x03\x03\x41\x00" + strings.Repeat("r", 1400), true},
		{"one that is too long", "\x17\x03\x03\x41\x01" + strings.Repeat("r", 1400), false},
		{"one that is too short", "\x17\x03\x03\x00\x10" + strings.Repeat("r", 32), false},
		{"another version", "\x17\x03\x04\x00\x20" + strings.Repeat("r", 32), false},
		{"a handshake", "\x16\x03\x03\x00\x20" + strings.Repeat("r", 32), false},
		{"its middle", record[1:], false},
		{"cut off", record[:10], false},
		{"nothing", "", false},
	} {
		if got := HarmlessMiddle([]byte(tt.b)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
