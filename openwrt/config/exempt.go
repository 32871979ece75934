// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"net/netip"
	"slices"

	"github.com/p2pwall/p2pwall/nfq"
)

// ExemptList names the hosts that the daemon ignores.
type ExemptList struct {
	Prefixes []netip.Prefix // single addresses have the full prefix length
	MACs     []nfq.MAC
}

// add adds one address, network or MAC. It leaves out a network that lies inside one of the
// list. A new network replaces those that lie inside it: nft takes no overlapping elements.
func (e *ExemptList) add(s string) bool {
	if m, ok := parseMAC(s); ok {
		for _, x := range e.MACs {
			if x == m {
				return true
			}
		}
		e.MACs = append(e.MACs, m)
		return true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return false
		}
		a = a.Unmap()
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		return false
	}
	p = p.Masked()
	kept := e.Prefixes[:0]
	for _, x := range e.Prefixes {
		if x.Bits() <= p.Bits() && x.Overlaps(p) {
			return true
		}
		if !x.Overlaps(p) {
			kept = append(kept, x)
		}
	}
	e.Prefixes = append(kept, p)
	return true
}

// Contains reports whether a host is exempt by its address or its MAC.
func (e *ExemptList) Contains(a netip.Addr, m nfq.MAC) bool {
	for _, x := range e.MACs {
		if x == m {
			return true
		}
	}
	for _, p := range e.Prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// parseMAC reads aa:bb:cc:dd:ee:ff, also with dashes. It refuses the zero MAC.
func parseMAC(s string) (m nfq.MAC, ok bool) {
	if len(s) != 17 || s[2] != ':' && s[2] != '-' {
		return m, false
	}
	for i := range m {
		h, l := unhex(s[3*i]), unhex(s[3*i+1])
		if h < 0 || l < 0 || i < 5 && s[3*i+2] != s[2] {
			return nfq.MAC{}, false
		}
		m[i] = byte(h<<4 | l)
	}
	return m, !m.IsZero()
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// Lacks reports whether an entry of the list before is missing from this one. A host that was
// exempt may then be exempt no longer.
func (e ExemptList) Lacks(before ExemptList) bool {
	for _, p := range before.Prefixes {
		if !slices.Contains(e.Prefixes, p) {
			return true
		}
	}
	for _, m := range before.MACs {
		if !slices.Contains(e.MACs, m) {
			return true
		}
	}
	return false
}
