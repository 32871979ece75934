// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "testing"

func TestWellKnown(t *testing.T) {
	for _, c := range []struct {
		proto uint8
		port  uint16
		want  bool
	}{{6, 443, true}, {17, 443, true}, {6, 22, true}, {17, 22, false}, {17, 3478, true}, {6, 3478, false}, {6, 6881, false}, {6, 0, false}, {1, 0, false}} {
		if got := WellKnown(c.proto, c.port); got != c.want {
			t.Errorf("protocol %d, port %d: %v", c.proto, c.port, got)
		}
	}
}
