// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/bench/netns"
)

// TestOpenedOutside: the connection table tells who opened a flow. A flow that is not in
// the table does not count as opened from outside.
func TestOpenedOutside(t *testing.T) {
	conntrackNetNS(t, "192.168.1.50/32", "198.51.100.7/32", "2001:db8:1::50/128", "2001:db8:ff::7/128")
	flow(t, "udp", "192.168.1.50:40000", "198.51.100.7:6881")
	flow(t, "udp", "198.51.100.7:6881", "192.168.1.50:40001")
	flow(t, "udp", "[2001:db8:1::50]:40000", "[2001:db8:ff::7]:6881")
	flow(t, "udp", "[2001:db8:ff::7]:6881", "[2001:db8:1::50]:40001")
	// Tracking of an address family begins a moment after the rule that needs it.
	for range 100 {
		if strings.Contains(netns.Run(t, "", "conntrack", "-L", "-f", "ipv6"), "dport=40001") {
			break
		}
		flow(t, "udp", "[2001:db8:1::50]:40000", "[2001:db8:ff::7]:6881")
		flow(t, "udp", "[2001:db8:ff::7]:6881", "[2001:db8:1::50]:40001")
	}
	for _, c := range []struct {
		lan, wan string
		want     bool
	}{
		{"192.168.1.50:40000", "198.51.100.7:6881", false},
		{"192.168.1.50:40001", "198.51.100.7:6881", true},
		{"192.168.1.50:40002", "198.51.100.7:6881", false},
		{"[2001:db8:1::50]:40000", "[2001:db8:ff::7]:6881", false},
		{"[2001:db8:1::50]:40001", "[2001:db8:ff::7]:6881", true},
		{"[2001:db8:1::50]:40002", "[2001:db8:ff::7]:6881", false},
	} {
		got, err := OpenedOutside(Flow{LAN: addrPort(netip.MustParseAddrPort(c.lan)), WAN: addrPort(netip.MustParseAddrPort(c.wan))})
		if err != nil || got != c.want {
			t.Errorf("%s to %s: opened outside %v, %v, want %v", c.lan, c.wan, got, err, c.want)
		}
	}
}
