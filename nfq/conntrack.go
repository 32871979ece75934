// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"errors"
	"fmt"
	"net/netip"

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
	ctaTupleProto = 2
	ctaProtoNum   = 1
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
	proto                                uint8
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
	return deleteAll(func(e *ctEntry) bool { return e.of(pairs) })
}

// DeleteUDPFlows removes the UDP flows that hosts of the given networks opened
// to elsewhere. What was counted past its first packets before the rules were
// loaded would never be looked at.
func DeleteUDPFlows(lan []netip.Prefix) (int, error) {
	inside := func(a *Addr) bool {
		ip := a.Netip()
		for _, p := range lan {
			if p.Contains(ip) {
				return true
			}
		}
		return false
	}
	return deleteAll(func(e *ctEntry) bool {
		return e.proto == ProtoUDP && inside(&e.origSrc) && !inside(&e.origDst)
	})
}

// deleteAll removes the connections that match wants to go.
func deleteAll(match func(*ctEntry) bool) (int, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, fmt.Errorf("connection table: %w", err)
	}
	defer c.Close()
	deleted := 0
	for _, family := range [...]uint8{unix.AF_INET, unix.AF_INET6} {
		n, err := deleteFlows(c, family, match)
		deleted += n
		if err != nil {
			return deleted, fmt.Errorf("connection table: %w", err)
		}
	}
	return deleted, nil
}

func deleteFlows(c *netlink.Conn, family uint8, match func(*ctEntry) bool) (int, error) {
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
		if !ok || !match(&e) {
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
			e.origSrc, e.origDst, e.proto = parseTuple(a.Data)
		case ctaTupleReply:
			e.replySrc, e.replyDst, _ = parseTuple(a.Data)
		case ctaIDNum:
			e.id = a.Data
		}
	}
	return e, e.orig != nil && e.id != nil
}

func parseTuple(b []byte) (src, dst Addr, proto uint8) {
	attrs, err := netlink.UnmarshalAttributes(b)
	if err != nil {
		return src, dst, 0
	}
	for _, a := range attrs {
		inner, err := netlink.UnmarshalAttributes(a.Data)
		if err != nil {
			return src, dst, 0
		}
		for _, i := range inner {
			t, v := i.Type&nlaTypeMask, i.Data
			switch outer := a.Type & nlaTypeMask; {
			case outer == ctaTupleProto && t == ctaProtoNum && len(v) == 1:
				proto = v[0]
			case outer != ctaTupleIP:
			case t == ctaIP4Src && len(v) == 4:
				src = AddrFrom4([4]byte(v))
			case t == ctaIP4Dst && len(v) == 4:
				dst = AddrFrom4([4]byte(v))
			case t == ctaIP6Src && len(v) == 16:
				src = Addr(v)
			case t == ctaIP6Dst && len(v) == 16:
				dst = Addr(v)
			}
		}
	}
	return src, dst, proto
}
