// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"os"

	"golang.org/x/sys/unix"
)

// searchGroups are the multicast groups in which BitTorrent clients search their LAN
// (BEP 14), each as the beginning of the request to join it: struct ip_mreqn and
// struct ipv6_mreq, which end with the device's index.
var searchGroups = [...]struct {
	family, level, option int
	request               string
}{
	{unix.AF_INET, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, "\xef\xc0\x98\x8f\x00\x00\x00\x00"},
	{unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, "\xff\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xef\xc0\x98\x8f"},
}

// Groups has the machine be a member of the groups in which a LAN is searched for
// peers. What is sent to a group that it is no member of ends at its routing, before
// the rules for input; a bridge that snoops IGMP would not even bring it so far. The
// zero value is a member nowhere.
type Groups struct {
	devices string // their indexes, of four bytes each
	sockets []int  // nothing is received through them: that they are open is what counts
}

// Join joins on the devices with these indexes and leaves all others. A device that is
// made again has another index. It returns why IPv4 could not be joined; IPv6 may be
// missing, and so may a device that has just gone.
func (g *Groups) Join(devices []uint32) error {
	var b []byte
	for _, d := range devices {
		b = native.AppendUint32(b, d)
	}
	if string(b) == g.devices {
		return nil
	}
	g.Leave()
	for _, x := range searchGroups {
		s, err := unix.Socket(x.family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			g.sockets = append(g.sockets, s)
		}
		for i := 0; i < len(b) && (err == nil || err == unix.ENODEV); i += 4 {
			err = unix.SetsockoptString(s, x.level, x.option, x.request+string(b[i:i+4]))
		}
		if x.family == unix.AF_INET && err != nil && err != unix.ENODEV {
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
