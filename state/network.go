// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"net/netip"

	"github.com/p2pwall/p2pwall/nfq"
)

// network is a netip.Prefix in a form that is cheap to test for every packet: without
// converting the address, and without 64-bit arithmetic.
type network struct {
	_     [0]func() // not comparable: code to compare it costs flash
	addr  nfq.Addr  // its host bits are zero
	whole int       // number of bytes that are completely in the prefix
	mask  byte      // bits of the next byte that are in the prefix, 0 for none
	// is4 says that the prefix is one of IPv4. An address is in it if it has net in mask4.
	is4        bool
	net, mask4 uint32
}

func networkFrom(p netip.Prefix) network {
	p = p.Masked()
	if !p.IsValid() {
		return network{whole: -1}
	}
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	n := network{addr: nfq.AddrFrom(p.Addr()), whole: bits / 8, mask: ^byte(0xff >> (bits % 8)), is4: p.Addr().Is4()}
	n.net = le32(n.addr[12:])
	for i := range p.Bits() {
		n.mask4 |= 0x80 >> (i % 8) << (i / 8 * 8)
	}
	return n
}

func (n *network) contains(a *nfq.Addr) bool {
	if n.is4 {
		return a.Is4() && le32(a[12:])&n.mask4 == n.net
	}
	w := n.whole
	if w < 0 || string(a[:w]) != string(n.addr[:w]) {
		return false
	}
	// Without the first test a prefix of 16 whole bytes would read past the end.
	return n.mask == 0 || a[w]&n.mask == n.addr[w]
}

// networks converts prefixes.
func networks(ps []netip.Prefix) []network {
	out := make([]network, len(ps))
	for i, p := range ps {
		out[i] = networkFrom(p)
	}
	return out
}

// linkLocal reports whether a is in fe80::/10 or 169.254.0.0/16.
func linkLocal(a *nfq.Addr) bool {
	return a[0] == 0xfe && a[1]&0xc0 == 0x80 || a[12] == 169 && a[13] == 254 && a.Is4()
}
