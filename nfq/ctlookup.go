// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Flow is what a LAN host sends by UDP from one of its ports to a port outside.
type Flow struct{ LAN, WAN AddrPort }

// OpenedOutside reports whether the connection table has the flow, and a host outside
// opened it. Then the LAN host may only send back what it was made to send. A flow that
// is not in the table was opened by the LAN host: none of its packets has passed yet.
func OpenedOutside(f Flow) (bool, error) {
	outside, err := openedOutside(f)
	if err != nil {
		err = fmt.Errorf("connection table: %w", err)
	}
	return outside, err
}

func openedOutside(f Flow) (bool, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return false, err
	}
	defer c.Close()
	raw, err := c.SyscallConn()
	if err == nil {
		_, err = c.Send(lookUp(f))
	}
	if err != nil {
		return false, err
	}
	// The kernel marks its only answer as one of several. Receive would wait for more.
	b, err := receive(raw, make([]byte, 4096))
	if err != nil {
		return false, err
	}
	typ, body, _, ok := nextMessage(b)
	switch {
	case !ok:
		return false, unix.EBADMSG
	case typ == unix.NLMSG_ERROR:
		if errno := messageErrno(body); errno != unix.ENOENT {
			return false, errno
		}
		return false, nil
	}
	var e ctEntry
	return e.parse(body) && e.origSrc.Addr != f.LAN.Addr, nil
}

// lookUp returns the request for the entry that one direction of the flow belongs to.
func lookUp(f Flow) netlink.Message {
	family, src, dst := uint8(unix.AF_INET), uint16(ctaIP4Src), uint16(ctaIP4Dst)
	from, to := f.LAN.Addr[12:], f.WAN.Addr[12:]
	if !f.LAN.Addr.Is4() {
		family, src, dst = unix.AF_INET6, ctaIP6Src, ctaIP6Dst
		from, to = f.LAN.Addr[:], f.WAN.Addr[:]
	}
	b := []byte{family, 0, 0, 0} // struct nfgenmsg
	b, tuple := beginAttr(b, ctaTupleOrig|unix.NLA_F_NESTED)
	b, ip := beginAttr(b, ctaTupleIP|unix.NLA_F_NESTED)
	b = appendAttr(b, src, from)
	b = appendAttr(b, dst, to)
	b = endAttr(b, ip)
	b, proto := beginAttr(b, ctaTupleProto|unix.NLA_F_NESTED)
	b = appendAttr(b, ctaProtoNum, []byte{ProtoUDP})
	b = appendAttr(b, ctaProtoSrcPort, be.AppendUint16(nil, f.LAN.Port))
	b = appendAttr(b, ctaProtoDstPort, be.AppendUint16(nil, f.WAN.Port))
	b = endAttr(endAttr(b, proto), tuple)
	return netlink.Message{Header: netlink.Header{Type: subsysConntrack<<8 | ctGet, Flags: netlink.Request}, Data: b}
}
