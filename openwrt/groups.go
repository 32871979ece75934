// SPDX-License-Identifier: GPL-2.0-or-later

package openwrt

import (
	"errors"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// The groups in which BitTorrent clients search their LAN (BEP 14).
const (
	searchGroup4 = "239.192.152.143"
	searchGroup6 = "ff15::efc0:988f"
)

var (
	searchAddr4 = [4]byte{239, 192, 152, 143}
	searchAddr6 = [16]byte{0: 0xff, 1: 0x15, 12: 0xef, 13: 0xc0, 14: 0x98, 15: 0x8f}
)

// groups has the router be a member of the groups in which a LAN is searched. What is
// sent to a group that it is no member of ends at its routing, before the rules for
// input; a bridge that snoops IGMP would not even bring it so far. Nothing is received
// through its sockets: that they are open is what keeps the membership.
type groups struct {
	sockets []int
	indexes []uint32 // of the devices that were joined on, 0 for one that was not there
}

// join joins on the devices, and leaves all others. A device that is made again has
// another index: call it now and then.
func (g *groups) join(devices []string) error {
	if len(devices) == 0 {
		g.leave()
		return nil
	}
	if len(g.sockets) == 0 {
		for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
			s, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err == nil {
				g.sockets = append(g.sockets, s)
			} else if family == unix.AF_INET {
				return os.NewSyscallError("socket", err)
			}
		}
	}
	indexes := make([]uint32, len(devices))
	for i, d := range devices {
		indexes[i] = g.index(d)
	}
	if slices.Equal(indexes, g.indexes) {
		return nil
	}
	if g.indexes != nil {
		g.leave()
		return g.join(devices)
	}
	g.indexes = indexes
	var errs []error
	for i, s := range g.sockets {
		for _, index := range indexes {
			if index == 0 {
				continue
			}
			var err error
			if i == 0 {
				err = unix.SetsockoptIPMreqn(s, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
					&unix.IPMreqn{Multiaddr: searchAddr4, Ifindex: int32(index)})
			} else {
				err = unix.SetsockoptIPv6Mreq(s, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
					&unix.IPv6Mreq{Multiaddr: searchAddr6, Interface: index})
			}
			switch err {
			case nil, unix.EADDRINUSE, unix.ENODEV, unix.EINVAL: // the last two: it is gone, or has no such addresses
			default:
				errs = append(errs, os.NewSyscallError("setsockopt", err))
			}
		}
	}
	return errors.Join(errs...)
}

// index is a device's index, 0 when there is none of that name.
func (g *groups) index(device string) uint32 {
	r, err := unix.NewIfreq(device)
	if err != nil || unix.IoctlIfreq(g.sockets[0], unix.SIOCGIFINDEX, r) != nil {
		return 0
	}
	return r.Uint32()
}

func (g *groups) leave() {
	for _, s := range g.sockets {
		unix.Close(s)
	}
	g.sockets, g.indexes = nil, nil
}
