// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"net/netip"
	"strings"

	"github.com/p2pwall/p2pwall/nfq"
)

// LeaseFiles are the files of dnsmasq's leases on OpenWrt and on Debian.
var LeaseFiles = []string{"/tmp/dhcp.leases", "/var/lib/misc/dnsmasq.leases"}

// Lease is one DHCP lease of a computer that sent its name.
type Lease struct {
	_    [0]func() // not comparable: code to compare it costs flash
	Name string    // in lower case
	MAC  nfq.MAC   // zero for an IPv6 lease
	Addr netip.Addr
}

// maxLeases is the number of leases that are read at most.
const maxLeases = 4096

// ParseLeases reads dnsmasq's lease file. Each line has the end of the lease, the hardware
// address, the IP address and the name, which is "*" if there is none. Lines of IPv6 leases
// have a number in place of the hardware address. Lines that cannot be read are skipped.
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

// Is reports whether the lease belongs to the computer with the name. The name may leave out
// the domain.
func (l *Lease) Is(name string) bool {
	short, _, _ := strings.Cut(l.Name, ".")
	return l.Name == name || short == name
}
