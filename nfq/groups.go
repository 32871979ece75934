// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"os"

	"golang.org/x/sys/unix"
)

// Groups makes the machine a member of multicast groups. Without that, the kernel's
// routing discards what is sent to such a group, before the rules for input see it. A
// bridge that snoops IGMP would not even forward it to the machine. The zero value is a
// member of no group.
type Groups struct {
	joined  string // the devices' indexes, of four bytes each, and the groups
	sockets []int  // nothing is received through them; they only have to be open
}

// Join joins the groups on the devices with these indexes and leaves all other groups. A
// device that is created again has another index. It returns an error if a group of IPv4
// cannot be joined. It is no error if IPv6 is missing, or a device has just gone.
func (g *Groups) Join(groups []Addr, devices []uint32) error {
	var b []byte
	for _, d := range devices {
		b = native.AppendUint32(b, d)
	}
	joined := string(b)
	for i := range groups {
		joined += string(groups[i][:])
	}
	if joined == g.joined {
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
	g.joined = joined
	return nil
}

// Leave leaves all groups.
func (g *Groups) Leave() {
	for _, s := range g.sockets {
		unix.Close(s)
	}
	g.sockets, g.joined = nil, ""
}
