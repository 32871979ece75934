// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"net/netip"
	"strings"

	"github.com/p2pwall/p2pwall/nfq"
)

// LeaseFiles are where dnsmasq keeps its leases: on OpenWrt, and on Debian.
var LeaseFiles = []string{"/tmp/dhcp.leases", "/var/lib/misc/dnsmasq.leases"}

// Lease is one DHCP lease of a computer that told its name.
type Lease struct {
	Name string  // in small letters
	MAC  nfq.MAC // zero for one of IPv6
	Addr netip.Addr
}

// maxLeases is how many leases are read.
const maxLeases = 4096

// ParseLeases reads dnsmasq's file of leases: in each line the end of the lease, the
// hardware address, the address and the name, which is "*" when there is none. Lines of
// IPv6 have a number in place of the hardware address. What cannot be read is left out.
func ParseLeases(text string) (out []Lease) {
	for len(text) > 0 && len(out) < maxLeases {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		f := strings.Fields(line)
		if len(f) < 4 || !validHost(f[3]) {
			continue
		}
		a, err := netip.ParseAddr(f[2])
		if err != nil || a.Zone() != "" {
			continue
		}
		l := Lease{Name: lower(f[3]), Addr: a.Unmap()}
		l.MAC, _ = parseMAC(lower(f[1]))
		out = append(out, l)
	}
	return out
}

// Is reports whether the lease is of the computer with the name: the domain need not be
// said.
func (l *Lease) Is(name string) bool {
	short, _, _ := strings.Cut(l.Name, ".")
	return l.Name == name || short == name
}
