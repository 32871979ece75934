// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"net/netip"
	"testing"

	"github.com/p2pwall/p2pwall/nfq"
)

// TestNetworkAgainstNetip tests addresses at the edges of prefixes of every length.
func TestNetworkAgainstNetip(t *testing.T) {
	for _, base := range []string{"192.168.129.77", "2001:db8:a5a5:5a5a:ff00:1234:89ab:cdef", "::ffff:0:0:1", "0.0.0.0", "::"} {
		addr := netip.MustParseAddr(base)
		for bits := range addr.BitLen() + 1 {
			p := netip.PrefixFrom(addr, bits)
			n := networkFrom(p)
			for flip := range addr.BitLen() {
				b := addr.AsSlice()
				b[flip/8] ^= 0x80 >> (flip % 8)
				other, _ := netip.AddrFromSlice(b)
				a := nfq.AddrFrom(other)
				if got, want := n.contains(&a), p.Contains(other); got != want {
					t.Errorf("%s in %s: %v, want %v", other, p, got, want)
				}
			}
			own := nfq.AddrFrom(addr)
			if !n.contains(&own) {
				t.Errorf("%s is not in %s", addr, p)
			}
		}
	}
	// It contains no address of the other family.
	v4, v6 := ip("192.168.1.1"), ip("fe80::1")
	for _, x := range []struct {
		prefix string
		a      *nfq.Addr
	}{{"0.0.0.0/0", &v6}, {"192.168.1.0/24", &v6}, {"fe80::/10", &v4}} {
		if n := networkFrom(netip.MustParsePrefix(x.prefix)); n.contains(x.a) {
			t.Errorf("%s is in %s", x.a, x.prefix)
		}
	}
	if n := networkFrom(netip.Prefix{}); n.contains(&v4) || n.contains(&v6) {
		t.Error("something is in the invalid prefix")
	}
}

func TestLinkLocal(t *testing.T) {
	for a, want := range map[string]bool{
		"169.254.0.1": true, "169.253.0.1": false, "170.254.0.1": false,
		"fe80::1": true, "febf::1": true, "fec0::1": false, "ff80::1": false,
		"2001:db8::a9fe:1": false, "192.168.1.1": false, "::": false,
	} {
		addr := ip(a)
		if got := linkLocal(&addr); got != want || got != addr.Netip().IsLinkLocalUnicast() {
			t.Errorf("%s: %v, want %v", a, got, want)
		}
	}
}
