// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/netns"
)

func deviceIndex(t *testing.T, name string) uint32 {
	t.Helper()
	d, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(d.Index)
}

func TestNeighbour(t *testing.T) {
	r := newRouter(t)
	linkLocalOf(t, "lan") // the router needs its own address to query IPv6 neighbours
	look := func(what string, dev uint32, a string, want NeighbourInfo) {
		t.Helper()
		if got, err := Neighbour(dev, addr(a)); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", what, got, err, want)
		}
	}
	host := func(n int) NeighbourInfo { return NeighbourInfo{MAC: r.insideMAC, Known: true, Addrs4: n} }

	// Nothing is known yet, so the kernel queries the LAN.
	look("IPv4", r.lan, "192.0.2.10", host(1))
	look("IPv6", r.lan, "2001:db8:1::10", host(1))
	look("nobody, IPv4", r.lan, "192.0.2.99", NeighbourInfo{})
	look("nobody, IPv6", r.lan, "2001:db8:1::99", NeighbourInfo{})

	// The kernel queries a failed neighbour again.
	netns.Run(t, "", "ip", "neigh", "replace", "192.0.2.10", "dev", "lan", "nud", "failed")
	look("failed before", r.lan, "192.0.2.10", host(1))
	for _, state := range []string{"reachable", "stale", "delay", "probe", "permanent", "noarp"} {
		netns.Run(t, "", "ip", "neigh", "replace", "192.0.2.50", "lladdr", "02:11:22:33:44:55", "dev", "lan", "nud", state)
		look(state, r.lan, "192.0.2.50", NeighbourInfo{macOfHex, true, 1, false})
	}

	// Several addresses of one host, one of them link-local.
	netns.Switch(t, r.inside)
	local := linkLocalOf(t, "eth0").String()
	netns.Run(t, "", "ip", "addr", "add", "192.0.2.11/24", "dev", "eth0")
	netns.Run(t, "", "ip", "addr", "add", "192.0.2.12/24", "dev", "eth0")
	// On every device, Linux answers for all of its addresses.
	netns.Run(t, "", "ip", "addr", "add", "198.51.100.10/32", "dev", "lo")
	netns.Switch(t, r.router)
	look("its second", r.lan, "192.0.2.11", host(2))
	look("its third", r.lan, "192.0.2.12", host(3))
	look("its first", r.lan, "192.0.2.10", host(3))
	look("IPv6 of the same", r.lan, "2001:db8:1::10", host(3))
	look("link-local", r.lan, local, host(3))
	look("link-local on the other side", r.wan, local, NeighbourInfo{})

	// The route leads to another device, even if a host claims the address here.
	look("not by this device, IPv4", r.lan, "198.51.100.10", NeighbourInfo{})
	look("not by this device, IPv6", r.lan, "2001:db8:2::10", NeighbourInfo{})
	look("no route", r.lan, "203.0.113.5", NeighbourInfo{})
	look("the router itself, IPv4", r.lan, "192.0.2.1", NeighbourInfo{})
	look("the router itself, IPv6", r.lan, "2001:db8:1::1", NeighbourInfo{})
	if list := netns.Run(t, "", "ip", "neigh", "show", "dev", "lan"); strings.Contains(list, "198.51.100.10") || strings.Contains(list, "203.0.113.5") {
		t.Errorf("the LAN was asked for an address of elsewhere:\n%s", list)
	}

	// Networks behind a LAN host.
	netns.Run(t, "", "ip", "route", "add", "203.0.113.0/24", "via", "192.0.2.11")
	netns.Run(t, "", "ip", "-6", "route", "add", "2001:db8:77::/48", "via", local, "dev", "lan")
	netns.Run(t, "", "ip", "route", "add", "203.0.114.0/24", "via", "inet6", local, "dev", "lan")
	netns.Run(t, "", "ip", "route", "add", "prohibit", "203.0.115.0/24")
	netns.Run(t, "", "ip", "route", "add", "blackhole", "203.0.116.0/24")
	look("behind a gateway, IPv4", r.lan, "203.0.113.5", host(3))
	look("behind a gateway, IPv6", r.lan, "2001:db8:77::5", host(3))
	look("IPv4 behind a gateway by IPv6", r.lan, "203.0.114.5", host(3))
	look("behind a gateway of the other side", r.wan, "203.0.113.5", NeighbourInfo{})
	look("prohibited", r.lan, "203.0.115.5", NeighbourInfo{})
	look("a black hole", r.lan, "203.0.116.5", NeighbourInfo{})

	// A device without hardware addresses.
	netns.Run(t, "", "ip", "link", "add", "tunnel", "type", "veth", "peer", "name", "other")
	netns.Run(t, "", "ip", "link", "set", "tunnel", "up", "arp", "off")
	netns.Run(t, "", "ip", "addr", "add", "10.99.0.1/24", "dev", "tunnel")
	look("in a tunnel", deviceIndex(t, "tunnel"), "10.99.0.2", NeighbourInfo{Known: true})
	look("not in the tunnel", deviceIndex(t, "tunnel"), "192.0.2.10", NeighbourInfo{})

	if _, err := Neighbour(1<<20, addr("192.0.2.10")); !errors.Is(err, unix.ENODEV) || !strings.Contains(err.Error(), "device 1048576") {
		t.Errorf("no such device: %v", err)
	}
}

// TestNeighbourMany: the kernel sends a long table in parts.
func TestNeighbourMany(t *testing.T) {
	r := newRouter(t)
	var batch strings.Builder
	a := netip.MustParseAddr("192.0.2.20")
	const n = 200
	for range n {
		batch.WriteString("neigh add " + a.String() + " lladdr 02:11:22:33:44:55 dev lan nud permanent\n")
		a = a.Next()
	}
	netns.Run(t, batch.String(), "ip", "-batch", "-")
	got, err := Neighbour(r.lan, addr("192.0.2.30"))
	if err != nil || got != (NeighbourInfo{macOfHex, true, n, false}) {
		t.Errorf("%+v, %v", got, err)
	}
}
