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

	ctNew    = 0 // of an entry that is there: change it
	ctGet    = 1
	ctDelete = 2
	ctStats  = 4 // of each processor

	ctaTupleOrig    = 1
	ctaTupleReply   = 2
	ctaTupleIP      = 1
	ctaTupleProto   = 2
	ctaProtoNum     = 1
	ctaProtoSrcPort = 2
	ctaProtoDstPort = 3
	ctaMark         = 8
	ctaIDNum        = 12
	ctaMarkMask     = 21

	ctaIP4Src = 1
	ctaIP4Dst = 2
	ctaIP6Src = 3
	ctaIP6Dst = 4
)

// CheckConntrack reports whether connections can be read and changed, which is a
// kernel module of its own.
func CheckConntrack() error {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err == nil {
		defer c.Close()
		_, err = c.Execute(netlink.Message{
			Header: netlink.Header{Type: subsysConntrack<<8 | ctStats, Flags: netlink.Request | netlink.Dump},
			Data:   make([]byte, nfgenLen),
		})
	}
	return err
}

// Pair is a LAN host and an address outside.
type Pair struct{ LAN, WAN Addr }

// ctEntry is what is needed of an entry to know and to change it.
type ctEntry struct {
	origSrc, origDst, replySrc, replyDst AddrPort
	proto                                uint8
	mark                                 uint32
	orig                                 []byte // the whole attribute's payload
	id                                   []byte
}

// ctChange is what becomes of an entry.
type ctChange uint8

const (
	ctKeep     ctChange = iota
	ctRemove            // delete it
	ctHarmless          // mark it with MarkDecided and MarkHarmless
)

// DeleteFlows removes the connections of the given pairs from the kernel's
// connection table and returns how many there were. A connection that was
// offloaded past the rules comes back to them, and one that was counted past
// its first packets is counted anew; translated ones get no more replies.
//
// It reads the whole table, so it is nothing for the packet path.
func DeleteFlows(pairs map[Pair]struct{}) (int, error) {
	return changeFlows(func(e *ctEntry) ctChange { return removeIf(e.of(pairs)) })
}

// DeleteUnknownFlows removes the TCP and UDP connections that the given hosts of
// the LAN have with elsewhere and that are not marked with MarkHarmless: those that
// were offloaded past the rules come back to them.
func DeleteUnknownFlows(hosts map[Addr]struct{}, lan []netip.Prefix) (int, error) {
	return changeFlows(func(e *ctEntry) ctChange {
		if e.proto != ProtoTCP && e.proto != ProtoUDP || e.mark&MarkHarmless != 0 {
			return ctKeep
		}
		_, opened := hosts[e.origSrc.Addr]
		_, accepted := hosts[e.replySrc.Addr]
		return removeIf(opened && outside(lan, &e.origDst.Addr) || accepted && outside(lan, &e.origSrc.Addr))
	})
}

// DeleteUDPFlows removes the UDP flows that hosts of the given networks opened
// to elsewhere. What was counted past its first packets before the rules were
// loaded would never be looked at.
func DeleteUDPFlows(lan []netip.Prefix) (int, error) {
	return changeFlows(func(e *ctEntry) ctChange { return removeIf(e.proto == ProtoUDP && e.leaves(lan)) })
}

// LookAgain does what DeleteUDPFlows does, but for the connections of well-known
// services: they cannot show their first data any more, and are marked as harmless.
// It returns ports of LAN hosts from which several hosts outside were spoken to at
// ports that are no well-known service's, as a file-sharing client does.
func LookAgain(lan []netip.Prefix) ([]AddrPort, error) {
	const most = 64
	var suspects []AddrPort
	// The first host that each port spoke to; zero after a second.
	spoke := map[AddrPort]Addr{}
	_, err := changeFlows(func(e *ctEntry) ctChange {
		switch {
		case e.proto != ProtoTCP && e.proto != ProtoUDP || !e.leaves(lan):
			return ctKeep
		case wellKnown(e.proto, e.origDst.Port):
			return ctHarmless
		case e.proto == ProtoTCP:
			return ctKeep
		case e.origDst.Port >= 1024:
			first, known := spoke[e.origSrc]
			switch {
			case !known:
				spoke[e.origSrc] = e.origDst.Addr
			case !first.IsZero() && first != e.origDst.Addr && len(suspects) < most:
				suspects = append(suspects, e.origSrc)
				spoke[e.origSrc] = Addr{}
			}
		}
		return ctRemove
	})
	return suspects, err
}

// wellKnown reports whether a port is that of a service that is no file sharing.
func wellKnown(proto uint8, port uint16) bool {
	if proto == ProtoTCP {
		switch port {
		case 21, 22, 25, 53, 80, 110, 143, 443, 465, 554, 587, 853, 993, 995, 1194, 1935,
			3389, 5060, 5061, 5222, 5223, 5228, 8080, 8443, 8883:
			return true
		}
		return false
	}
	switch port {
	case 53, 123, 443, 500, 1194, 3478, 3479, 3480, 3481, 4500, 5060, 51820:
		return true
	}
	return port >= 19302 && port <= 19309 // STUN
}

// inside reports whether an address is of one of the networks.
func inside(lan []netip.Prefix, a *Addr) bool {
	ip := a.Netip()
	for _, p := range lan {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// outside reports whether an address is of a host that is on none of the networks.
func outside(lan []netip.Prefix, a *Addr) bool {
	return !inside(lan, a) && a.Netip().IsGlobalUnicast()
}

// leaves reports whether a host of the networks opened the connection to elsewhere.
func (e *ctEntry) leaves(lan []netip.Prefix) bool {
	return inside(lan, &e.origSrc.Addr) && outside(lan, &e.origDst.Addr)
}

func removeIf(yes bool) ctChange {
	if yes {
		return ctRemove
	}
	return ctKeep
}

// changeFlows does to each connection what want says, and returns how many it
// changed.
func changeFlows(want func(*ctEntry) ctChange) (int, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, fmt.Errorf("connection table: %w", err)
	}
	defer c.Close()
	changed := 0
	for _, family := range [...]uint8{unix.AF_INET, unix.AF_INET6} {
		n, err := changeFamily(c, family, want)
		changed += n
		if err != nil {
			return changed, fmt.Errorf("connection table: %w", err)
		}
	}
	return changed, nil
}

func changeFamily(c *netlink.Conn, family uint8, want func(*ctEntry) ctChange) (int, error) {
	head := []byte{family, 0, 0, 0} // struct nfgenmsg
	all, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: subsysConntrack<<8 | ctGet, Flags: netlink.Request | netlink.Dump},
		Data:   head,
	})
	if err != nil {
		return 0, err
	}
	changed := 0
	var busy error
	for _, m := range all {
		e, ok := parseConntrack(m.Data)
		if !ok {
			continue
		}
		data := appendAttr(head[:4:4], ctaTupleOrig|unix.NLA_F_NESTED, e.orig)
		typ := netlink.HeaderType(subsysConntrack << 8)
		switch want(&e) {
		case ctKeep:
			continue
		case ctRemove:
			typ |= ctDelete
			data = appendAttr(data, ctaIDNum, e.id)
		case ctHarmless:
			typ |= ctNew
			data = appendAttr32(data, ctaMark, MarkDecided|MarkHarmless)
			data = appendAttr32(data, ctaMarkMask, MarkDecided|MarkHarmless)
		}
		_, err = c.Execute(netlink.Message{
			Header: netlink.Header{Type: typ, Flags: netlink.Request | netlink.Acknowledge},
			Data:   data,
		})
		switch {
		case err == nil:
			changed++
		case errors.Is(err, unix.ENOENT): // it ended by itself
		case errors.Is(err, unix.EBUSY): // offloaded, and the kernel keeps it
			busy = err
		default:
			return changed, err
		}
	}
	return changed, busy
}

// of reports whether the connection is between one of the pairs, whoever opened
// it. Behind address translation one of the two directions has both addresses.
func (e *ctEntry) of(pairs map[Pair]struct{}) bool {
	for _, p := range [...]Pair{
		{e.origSrc.Addr, e.origDst.Addr}, // opened by the LAN
		{e.replySrc.Addr, e.replyDst.Addr},
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
		case ctaMark:
			if len(a.Data) == 4 {
				e.mark = be.Uint32(a.Data)
			}
		case ctaIDNum:
			e.id = a.Data
		}
	}
	return e, e.orig != nil && e.id != nil
}

func parseTuple(b []byte) (src, dst AddrPort, proto uint8) {
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
			case outer == ctaTupleProto && t == ctaProtoSrcPort && len(v) == 2:
				src.Port = be.Uint16(v)
			case outer == ctaTupleProto && t == ctaProtoDstPort && len(v) == 2:
				dst.Port = be.Uint16(v)
			case outer != ctaTupleIP:
			case t == ctaIP4Src && len(v) == 4:
				src.Addr = AddrFrom4([4]byte(v))
			case t == ctaIP4Dst && len(v) == 4:
				dst.Addr = AddrFrom4([4]byte(v))
			case t == ctaIP6Src && len(v) == 16:
				src.Addr = Addr(v)
			case t == ctaIP6Dst && len(v) == 16:
				dst.Addr = Addr(v)
			}
		}
	}
	return src, dst, proto
}
