// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/bench/netns"
)

// members reports for each device whether the machine has joined the IPv4 group and the
// IPv6 group.
func members(t *testing.T, devices ...string) string {
	t.Helper()
	var all []string
	for _, dev := range devices {
		list, _ := netns.Try("", "ip", "maddress", "show", "dev", dev)
		all = append(all, fmt.Sprint(strings.Contains(list, " 239.192.152.143\n"), strings.Contains(list, " ff15::efc0:988f\n")))
	}
	return strings.Join(all, ", ")
}

// groups are an IPv4 group and an IPv6 group.
var groups = []Addr{AddrFrom(netip.MustParseAddr("239.192.152.143")), AddrFrom(netip.MustParseAddr("ff15::efc0:988f"))}

func TestGroups(t *testing.T) {
	netns.Enter(t)
	add := func(dev string) {
		t.Helper()
		netns.Run(t, "", "ip", "link", "add", dev, "up", "type", "veth", "peer", "name", "to-"+dev)
	}
	add("lan0")
	add("lan1")
	indexes := func(names ...string) (all []uint32) {
		t.Helper()
		for _, n := range names {
			d, err := net.InterfaceByName(n)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, uint32(d.Index))
		}
		return all
	}
	var g Groups
	t.Cleanup(g.Leave)
	var sockets []int
	for _, step := range []struct {
		what    string
		devices func() []uint32
		want    string
	}{
		{"one of two", func() []uint32 { return indexes("lan0") }, "true true, false false"},
		{"both", func() []uint32 { return indexes("lan0", "lan1") }, "true true, true true"},
		{"as before", func() []uint32 { sockets = g.sockets; return indexes("lan0", "lan1") }, "true true, true true"},
		{"one is made again", func() []uint32 {
			if !slices.Equal(sockets, g.sockets) || len(sockets) != 2 {
				t.Errorf("sockets %v became %v for the same devices", sockets, g.sockets)
			}
			netns.Run(t, "", "ip", "link", "delete", "lan0")
			add("lan0")
			return indexes("lan0", "lan1")
		}, "true true, true true"},
		{"one has gone", func() []uint32 {
			all := indexes("lan0", "lan1")
			netns.Run(t, "", "ip", "link", "delete", "lan0")
			return all
		}, "false false, true true"},
		{"it is back", func() []uint32 { add("lan0"); return indexes("lan0", "lan1") }, "true true, true true"},
		{"the other is the LAN no more", func() []uint32 { return indexes("lan0") }, "true true, false false"},
		{"nothing is searched for", func() []uint32 { return nil }, "false false, false false"},
		{"again", func() []uint32 { return indexes("lan1") }, "false false, true true"},
	} {
		if err := g.Join(groups, step.devices()); err != nil {
			t.Errorf("%s: %v", step.what, err)
		}
		if got := members(t, "lan0", "lan1"); got != step.want {
			t.Errorf("%s: %s, want %s", step.what, got, step.want)
		}
	}
	g.Leave()
	if got, want := members(t, "lan0", "lan1"), "false false, false false"; got != want {
		t.Errorf("at the end: %s, want %s", got, want)
	}
}

// TestManyGroups: the kernel allows a socket 20 memberships, including those of deleted
// devices.
func TestManyGroups(t *testing.T) {
	netns.Enter(t)
	var g Groups
	t.Cleanup(g.Leave)
	for range 25 {
		netns.Run(t, "", "ip", "link", "add", "lan0", "up", "type", "veth", "peer", "name", "to-lan0")
		d, err := net.InterfaceByName("lan0")
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Join(groups, []uint32{uint32(d.Index)}); err != nil {
			t.Fatal(err)
		}
		netns.Run(t, "", "ip", "link", "delete", "lan0")
	}
}
