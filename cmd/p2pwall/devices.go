// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"net"
	"net/netip"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// lanDevices returns those of the named devices that exist now, with their
// addresses. Devices come and go: the caller asks again.
func lanDevices(names []string) []state.Device {
	var out []state.Device
	for _, name := range names {
		i, err := net.InterfaceByName(name)
		if err != nil {
			continue
		}
		d := state.Device{Index: uint32(i.Index), Name: name}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			ip, ok := netip.AddrFromSlice(n.IP)
			if !ok {
				continue
			}
			ip = ip.Unmap()
			bits, _ := n.Mask.Size()
			d.Addrs = append(d.Addrs, nfq.AddrFrom(ip))
			if p := netip.PrefixFrom(ip, bits); p.IsValid() && !ip.IsLinkLocalUnicast() {
				d.Prefixes = append(d.Prefixes, p.Masked())
			}
		}
		out = append(out, d)
	}
	return out
}

// sameDevices reports whether nothing changed.
func sameDevices(a, b []state.Device) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Index != b[i].Index || a[i].Name != b[i].Name ||
			len(a[i].Addrs) != len(b[i].Addrs) || len(a[i].Prefixes) != len(b[i].Prefixes) {
			return false
		}
		for j := range a[i].Addrs {
			if a[i].Addrs[j] != b[i].Addrs[j] {
				return false
			}
		}
		for j := range a[i].Prefixes {
			if a[i].Prefixes[j] != b[i].Prefixes[j] {
				return false
			}
		}
	}
	return true
}
