// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import "net/netip"

// Addr is an IPv6 address, or an IPv4 address in its mapped form
// ::ffff:a.b.c.d. It holds no pointer, so that it can be a table key: netip.Addr
// costs about twice as much there.
type Addr [16]byte

// AddrFrom4 returns the mapped form of an IPv4 address.
func AddrFrom4(b [4]byte) Addr {
	return Addr{10: 0xff, 11: 0xff, 12: b[0], 13: b[1], 14: b[2], 15: b[3]}
}

// AddrFrom converts a netip.Addr; the invalid one becomes the zero Addr.
func AddrFrom(a netip.Addr) Addr {
	if !a.IsValid() {
		return Addr{}
	}
	return a.As16()
}

// Is4 reports whether a is an IPv4 address.
func (a *Addr) Is4() bool {
	return a[10] == 0xff && a[11] == 0xff &&
		a[0]|a[1]|a[2]|a[3]|a[4]|a[5]|a[6]|a[7]|a[8]|a[9] == 0
}

// IsZero reports whether a is the zero Addr, which stands for "none".
func (a *Addr) IsZero() bool { return *a == Addr{} }

// Netip returns the netip form, unmapped.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// String returns the usual text form, IPv4 as a.b.c.d. It allocates.
func (a Addr) String() string {
	if a.IsZero() {
		return ""
	}
	return a.Netip().String()
}

// AddrPort is one end of a TCP or UDP flow.
type AddrPort struct {
	Addr Addr
	Port uint16
}

// MAC is an Ethernet address; the zero MAC stands for "none".
type MAC [6]byte

// IsZero reports whether there is no MAC.
func (m *MAC) IsZero() bool { return m[0]|m[1]|m[2]|m[3]|m[4]|m[5] == 0 }

// Is reports whether both are the same. On MIPS, == takes twice as long.
func (m *MAC) Is(o *MAC) bool {
	return m[0]^o[0]|m[1]^o[1]|m[2]^o[2]|m[3]^o[3]|m[4]^o[4]|m[5]^o[5] == 0
}

// String returns the form aa:bb:cc:dd:ee:ff, or "" for none. It allocates.
func (m MAC) String() string {
	if m.IsZero() {
		return ""
	}
	const hex = "0123456789abcdef"
	b := make([]byte, 0, 17)
	for i, x := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, hex[x>>4], hex[x&15])
	}
	return string(b)
}
