// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"errors"
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Messages and attributes of the connection table
// (linux/netfilter/nfnetlink_conntrack.h).
const (
	subsysConntrack = 1

	ctGet    = 1
	ctDelete = 2

	ctaTupleOrig  = 1
	ctaTupleReply = 2
	ctaTupleIP    = 1
	ctaIDNum      = 12

	ctaIP4Src = 1
	ctaIP4Dst = 2
	ctaIP6Src = 3
	ctaIP6Dst = 4
)

// Pair is a LAN host and an address outside.
type Pair struct{ LAN, WAN Addr }

// ctEntry is what is needed of an entry to know and to delete it.
type ctEntry struct {
	origSrc, origDst, replySrc, replyDst Addr
	orig                                 []byte // the whole attribute's payload
	id                                   []byte
}

// DeleteFlows removes the connections of the given pairs from the kernel's
// connection table and returns how many there were. A connection that was
// offloaded past the rules comes back to them, and one that was counted past
// its first packets is counted anew; translated ones get no more replies.
//
// It reads the whole table, so it is nothing for the packet path.
func DeleteFlows(pairs map[Pair]struct{}) (int, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, fmt.Errorf("connection table: %w", err)
	}
	defer c.Close()
	deleted := 0
	for _, family := range [...]uint8{unix.AF_INET, unix.AF_INET6} {
		wanted := false
		for p := range pairs {
			wanted = wanted || p.LAN.Is4() == (family == unix.AF_INET)
		}
		if !wanted {
			continue
		}
		n, err := deleteFlows(c, family, pairs)
		deleted += n
		if err != nil {
			return deleted, fmt.Errorf("connection table: %w", err)
		}
	}
	return deleted, nil
}

func deleteFlows(c *netlink.Conn, family uint8, pairs map[Pair]struct{}) (int, error) {
	head := []byte{family, 0, 0, 0} // struct nfgenmsg
	all, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: subsysConntrack<<8 | ctGet, Flags: netlink.Request | netlink.Dump},
		Data:   head,
	})
	if err != nil {
		return 0, err
	}
	deleted := 0
	for _, m := range all {
		e, ok := parseConntrack(m.Data)
		if !ok || !e.of(pairs) {
			continue
		}
		data, err := netlink.MarshalAttributes([]netlink.Attribute{
			{Type: ctaTupleOrig | netlink.Nested, Data: e.orig},
			{Type: ctaIDNum, Data: e.id},
		})
		if err != nil {
			return deleted, err
		}
		_, err = c.Execute(netlink.Message{
			Header: netlink.Header{Type: subsysConntrack<<8 | ctDelete, Flags: netlink.Request | netlink.Acknowledge},
			Data:   append(head[:4:4], data...),
		})
		switch {
		case err == nil:
			deleted++
		case errors.Is(err, unix.ENOENT): // it ended by itself
		default:
			return deleted, err
		}
	}
	return deleted, nil
}

// of reports whether the connection is between one of the pairs, whoever opened
// it. Behind address translation one of the two directions has both addresses.
func (e *ctEntry) of(pairs map[Pair]struct{}) bool {
	for _, p := range [...]Pair{
		{e.origSrc, e.origDst}, // opened by the LAN
		{e.replySrc, e.replyDst},
	} {
		if _, ok := pairs[p]; ok {
			return true
		}
	}
	return false
}

// parseConntrack reads an entry of a dump.
func parseConntrack(b []byte) (e ctEntry, ok bool) {
	if len(b) < nfgenLen {
		return e, false
	}
	attrs, err := netlink.UnmarshalAttributes(b[nfgenLen:])
	if err != nil {
		return e, false
	}
	for _, a := range attrs {
		switch a.Type & nlaTypeMask {
		case ctaTupleOrig:
			e.orig = a.Data
			e.origSrc, e.origDst = parseTuple(a.Data)
		case ctaTupleReply:
			e.replySrc, e.replyDst = parseTuple(a.Data)
		case ctaIDNum:
			e.id = a.Data
		}
	}
	return e, e.orig != nil && e.id != nil
}

func parseTuple(b []byte) (src, dst Addr) {
	attrs, err := netlink.UnmarshalAttributes(b)
	if err != nil {
		return src, dst
	}
	for _, a := range attrs {
		if a.Type&nlaTypeMask != ctaTupleIP {
			continue
		}
		ips, err := netlink.UnmarshalAttributes(a.Data)
		if err != nil {
			return src, dst
		}
		for _, i := range ips {
			switch t := i.Type & nlaTypeMask; {
			case t == ctaIP4Src && len(i.Data) == 4:
				src = AddrFrom4([4]byte(i.Data))
			case t == ctaIP4Dst && len(i.Data) == 4:
				dst = AddrFrom4([4]byte(i.Data))
			case t == ctaIP6Src && len(i.Data) == 16:
				src = Addr(i.Data)
			case t == ctaIP6Dst && len(i.Data) == 16:
				dst = Addr(i.Data)
			}
		}
	}
	return src, dst
}
