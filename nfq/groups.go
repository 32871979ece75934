// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"os"

	"golang.org/x/sys/unix"
)

// Groups has the machine be a member of multicast groups. What is sent to a group that
// it is no member of ends at its routing, before the rules for input; a bridge that
// snoops IGMP would not even bring it so far. The zero value is a member nowhere.
type Groups struct {
	devices string // their indexes, of four bytes each
	sockets []int  // nothing is received through them: that they are open is what counts
}

// Join joins the groups on the devices with these indexes and leaves all others. A
// device that is made again has another index. The groups must not change from call to
// call. It returns why one of IPv4 could not be joined; IPv6 may be missing, and so may a
// device that has just gone.
func (g *Groups) Join(groups []Addr, devices []uint32) error {
	var b []byte
	for _, d := range devices {
		b = native.AppendUint32(b, d)
	}
	if string(b) == g.devices {
		return nil
	}
	g.Leave()
	for i := range groups {
		a := &groups[i]
		// struct ipv6_mreq and struct ip_mreqn both end with the device's index.
		family, level, option, request := unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, string(a[:])
		if a.Is4() {
			family, level, option = unix.AF_INET, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP
			request = string(a[12:]) + "\x00\x00\x00\x00"
		}
		s, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			g.sockets = append(g.sockets, s)
		}
		for i := 0; i < len(b) && (err == nil || err == unix.ENODEV); i += 4 {
			err = unix.SetsockoptString(s, level, option, request+string(b[i:i+4]))
		}
		if a.Is4() && err != nil && err != unix.ENODEV {
			return os.NewSyscallError("IP_ADD_MEMBERSHIP", err)
		}
	}
	g.devices = string(b)
	return nil
}

// Leave leaves all groups.
func (g *Groups) Leave() {
	for _, s := range g.sockets {
		unix.Close(s)
	}
	g.sockets, g.devices = nil, ""
}
