// SPDX-License-Identifier: GPL-2.0-or-later

package lan

import (
	"testing"

	"github.com/p2pwall/p2pwall/bench/netns"
)

func TestWatch(t *testing.T) {
	netns.Enter(t)
	w := NewWatch()
	defer w.Close()
	w.Changed()
	for _, args := range []string{
		"link add lan type bridge", "link set lan up", "addr add 192.0.2.1/24 dev lan",
		"addr add 2001:db8:1::1/64 dev lan nodad", "route add 10.2.0.0/16 via 192.0.2.9",
		"-6 route add fd00:2::/48 via 2001:db8:1::9", "route del 10.2.0.0/16", "addr del 192.0.2.1/24 dev lan",
		"link set lan name other", "link del other",
	} {
		ip(t, args)
		// The kernel's messages are there when the program ip ends; some come later as well.
		if !w.Changed() {
			t.Errorf("ip %s: no change", args)
		}
	}
	// In the end nothing changes any more, and nothing is allocated for it.
	for w.Changed() {
	}
	if n := testing.AllocsPerRun(100, func() { w.Changed() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Without a socket the caller asks each time.
func TestWatchWithoutSocket(t *testing.T) {
	w := Watch(-1)
	for range 2 {
		if !w.Changed() {
			t.Error("no change")
		}
	}
}
