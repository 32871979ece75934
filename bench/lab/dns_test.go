// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"net/netip"
	"testing"
)

func TestDNSAnswer(t *testing.T) {
	boot := netip.MustParseAddr("192.0.2.101")
	names := Names{Addrs: map[string][]netip.Addr{"router.example.com": {boot}}}
	q := DNSQuery(7, "Router.Example.com", TypeA)
	a := names.answer(q)
	if len(a) != len(q)+16 || netip.AddrFrom4([4]byte(a[len(a)-4:])) != boot || a[7] != 1 {
		t.Errorf("A: % x", a)
	}
	if a := names.answer(DNSQuery(7, "router.example.com", TypeAAAA)); a[7] != 0 {
		t.Errorf("AAAA: % x", a)
	}
	for n := range q {
		if a := names.answer(q[:n]); a != nil {
			t.Errorf("%d octets are answered by % x", n, a)
		}
	}
}
