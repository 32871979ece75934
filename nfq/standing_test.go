// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"cmp"
	"net/netip"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// TestStandingTCP reads the established connections from a real connection table, by the
// side that opened them.
func TestStandingTCP(t *testing.T) {
	conntrackNetNS(t, "192.168.1.50/32", "192.168.1.51/32", "198.51.100.7/32", "198.51.100.8/32", "2001:db8:1::50/128", "2001:db8:ff::7/128")
	flow(t, "tcp", "192.168.1.50:0", "198.51.100.7:3128")
	flow(t, "tcp", "192.168.1.50:0", "198.51.100.7:3129") // the same peer
	flow(t, "tcp", "192.168.1.50:0", "198.51.100.8:3128")
	flow(t, "tcp", "192.168.1.50:0", "198.51.100.8:443")
	flow(t, "tcp", "192.168.1.50:0", "198.51.100.8:3130") // to a service's port
	flow(t, "tcp", "192.168.1.50:0", "198.51.100.8:993")
	flow(t, "tcp", "192.168.1.50:0", "198.51.100.8:800")
	flow(t, "tcp", "192.168.1.50:0", "198.51.100.8:411")  // below 1024, and named
	flow(t, "tcp", "192.168.1.50:0", "192.168.1.51:3128") // LAN to LAN
	flow(t, "tcp", "198.51.100.7:0", "192.168.1.50:1214")
	flow(t, "tcp", "198.51.100.7:0", "192.168.1.51:51413") // the host opened no connection
	flow(t, "udp", "192.168.1.51:0", "198.51.100.8:3128")
	flow(t, "tcp", "[2001:db8:1::50]:0", "[2001:db8:ff::7]:3128")

	lan := []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24"), netip.MustParsePrefix("2001:db8:1::/64")}
	service := func(_ uint8, port uint16) bool { return port == 3130 }
	got, err := StandingTCP(lan, service, func(port uint16) bool { return port == 3129 || port == 411 })
	if err != nil {
		t.Fatal(err)
	}
	// The hosts' own ports are random.
	var open []AddrPort
	for i := range got {
		for _, c := range got[i].Open {
			open = append(open, c.To)
		}
		got[i].Open = nil
	}
	slices.SortFunc(open, func(a, b AddrPort) int {
		return cmp.Or(a.Addr.Netip().Compare(b.Addr.Netip()), int(a.Port)-int(b.Port))
	})
	if want := []AddrPort{
		{addr("198.51.100.7"), 3128}, {addr("198.51.100.7"), 3129}, {addr("198.51.100.8"), 411}, {addr("198.51.100.8"), 3128}, {addr("2001:db8:ff::7"), 3128},
	}; !slices.Equal(open, want) {
		t.Errorf("open are %v, want %v", open, want)
	}
	// The table has no order.
	for i := range got {
		slices.SortFunc(got[i].Met[:], func(a, b AddrPort) int { return int(b.Port) - int(a.Port) })
	}
	slices.SortFunc(got, func(a, b Standing) int { return b.Peers - a.Peers })
	want := []Standing{
		{Addr: addr("192.168.1.50"), Peers: 2, Services: 1, Served: [maxServed]uint16{1214}, Met: [maxMet]AddrPort{{addr("198.51.100.7"), 3129}, {addr("198.51.100.8"), 411}}},
		{Addr: addr("2001:db8:1::50"), Peers: 1},
		{Addr: addr("192.168.1.51"), Served: [maxServed]uint16{51413}},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func FuzzParseTCPState(f *testing.F) {
	f.Add(unhex("2c000180 0500010003000000 050002000a000000"))
	f.Add(unhex("0500010003000000"))
	f.Fuzz(func(_ *testing.T, b []byte) { parseTCPState(b[:len(b):len(b)]) })
}
