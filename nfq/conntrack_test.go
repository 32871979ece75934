// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestDeleteFlows(t *testing.T) {
	enterNetNS(t)
	// A rule that asks for its state turns connection tracking on.
	run(t, "iptables", "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
	run(t, "ip6tables", "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
	for _, a := range []string{"192.168.1.50/32", "198.51.100.7/32", "198.51.100.8/32", "2001:db8:1::50/128", "2001:db8:ff::7/128"} {
		run(t, "ip", "address", "add", a, "dev", "lo", "nodad")
	}
	flow := func(from, to string) {
		t.Helper()
		c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(from), 0)),
			net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(to), 9)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	flow("192.168.1.50", "198.51.100.7")
	flow("198.51.100.7", "192.168.1.50") // opened by the outside
	flow("192.168.1.50", "198.51.100.8")
	// A new IPv6 address is usable a moment later.
	for range 100 {
		flow("2001:db8:1::50", "2001:db8:ff::7")
		if strings.Contains(run(t, "conntrack", "-L", "-f", "ipv6"), "2001:db8:ff::7") {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}

	of := func(lan, wan string) Pair {
		return Pair{AddrFrom(netip.MustParseAddr(lan)), AddrFrom(netip.MustParseAddr(wan))}
	}
	pairs := map[Pair]struct{}{
		of("192.168.1.50", "198.51.100.7"):     {},
		of("2001:db8:1::50", "2001:db8:ff::7"): {},
	}
	n, err := DeleteFlows(pairs)
	if err != nil {
		t.Fatal(err)
	}
	if n < 3 {
		t.Errorf("%d connections deleted, want all three", n)
	}
	if n, err := DeleteFlows(pairs); n != 0 || err != nil {
		t.Errorf("the second time: %d, %v", n, err)
	}
	if n, err := DeleteUDPFlows([]netip.Prefix{netip.MustParsePrefix("192.168.2.0/24")}); n != 0 || err != nil {
		t.Errorf("UDP of another network: %d, %v", n, err)
	}
	left := run(t, "conntrack", "-L")
	if !strings.Contains(left, "198.51.100.8") || strings.Contains(left, "198.51.100.7") {
		t.Errorf("left:\n%s", left)
	}
	if n, err := DeleteUDPFlows([]netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")}); n != 1 || err != nil {
		t.Errorf("UDP of the LAN: %d, %v", n, err)
	}
}
