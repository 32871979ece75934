// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// CheckConntrack reports whether the connection table can be read and changed. That
// needs a kernel module of its own (nf_conntrack_netlink).
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

// HostPort is a port of a LAN host, of ProtoTCP or ProtoUDP.
type HostPort struct {
	Addr  Addr
	Proto uint8
	Port  uint16
}

// CutFlows changes entries of the kernel's connection table, so that the rules look at
// these connections again. They do so even if a connection was decided or offloaded. It
// returns how many entries it changed.
//
// It removes every connection between one of the pairs, and every connection between one
// of the ports and a host outside, no matter who opened it. A connection behind address
// translation gets no more replies after that.
//
// It clears the mark of decided TCP connections that one of the hosts opened to the
// outside, and of decided UDP flows of these hosts. It leaves those alone that are
// marked (see MarkFlows), or go to a port for which but reports true. A connection that lost its mark stays in the table and
// goes on without a gap. If the host is watched (see SetWriter.Watch), the next data that
// it sends in such a connection is queued, and so is what may be WebRTC in a flow. An
// offloaded connection comes back to the rules only when the kernel ends the offload.
//
// It reads the whole table, so it is too slow for the packet path.
func CutFlows(m Marks, pairs map[Pair]struct{}, ports map[HostPort]struct{}, hosts map[Addr]struct{}, lan []netip.Prefix, but func(proto uint8, port uint16) bool) (int, error) {
	return changeFlows(&m, func(e *ctEntry) ctChange {
		_, opened := hosts[e.origSrc.Addr]
		_, accepted := hosts[e.replySrc.Addr]
		switch {
		case e.of(pairs) || e.ofPorts(ports, lan):
			return ctRemove
		case !m.decided(e.mark) || m.marked(e.mark):
		case opened && outside(lan, &e.origDst.Addr) && !but(e.proto, e.origDst.Port),
			// The other side may have spoken first.
			accepted && e.proto == ProtoUDP && outside(lan, &e.origSrc.Addr) && !but(ProtoUDP, e.origSrc.Port):
			return ctUnmark
		}
		return ctKeep
	})
}

// MarkFlows marks the connections that CutFlows would remove: those between one of the
// pairs, and those between one of the ports and a host outside. It takes the mark off the
// connections of the freed hosts, so that the rules look at them again. It returns how many
// it changed. The rules do not see an offloaded connection until the kernel ends the
// offload.
func MarkFlows(m Marks, pairs map[Pair]struct{}, ports map[HostPort]struct{}, freed map[Addr]struct{}, lan []netip.Prefix) (int, error) {
	return changeFlows(&m, func(e *ctEntry) ctChange {
		_, opened := freed[e.origSrc.Addr]
		_, accepted := freed[e.replySrc.Addr]
		switch marked := m.marked(e.mark); {
		case !marked && (e.of(pairs) || e.ofPorts(ports, lan)):
			return ctMark
		case marked && (opened || accepted):
			return ctFree
		}
		return ctKeep
	})
}

// LookAgain has the rules look again at the UDP flows that hosts of the given networks opened
// to the outside, but for those to a port for which but reports true. The rules look only at
// the first packets of a flow. A flow that had more than these before the rules were loaded
// would never be looked at. So the kernel counts its packets from zero, and its mark is
// cleared.
//
// A flow stays in the table, because behind address translation it would get another port if
// an answer came before its host's next packet. But a flow that is offloaded or marked (see
// MarkFlows), or that the kernel does not count, is removed.
//
// LookAgain returns those ports of LAN hosts that sent to several hosts outside, at ports from
// 1024 on.
func LookAgain(m Marks, lan []netip.Prefix, but func(proto uint8, port uint16) bool) ([]AddrPort, error) {
	const most = 64
	var suspects []AddrPort
	// The first host that each port sent to; zero once it sent to a second one.
	spoke := map[AddrPort]Addr{}
	_, err := changeFlows(&m, func(e *ctEntry) ctChange {
		switch {
		case e.proto != ProtoUDP || !e.leaves(lan) || but(ProtoUDP, e.origDst.Port):
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
		if e.counted && !e.offloaded && !m.marked(e.mark) {
			return ctAnew
		}
		return ctRemove
	})
	return suspects, err
}

// inside reports whether an address is in one of the networks.
func inside(lan []netip.Prefix, a *Addr) bool {
	ip := a.Netip()
	for _, p := range lan {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// outside reports whether an address is a host's, and in none of the networks.
func outside(lan []netip.Prefix, a *Addr) bool {
	return !inside(lan, a) && a.Netip().IsGlobalUnicast()
}

// leaves reports whether a host in the networks opened the connection to the outside.
func (e *ctEntry) leaves(lan []netip.Prefix) bool {
	return inside(lan, &e.origSrc.Addr) && outside(lan, &e.origDst.Addr)
}

// of reports whether the connection is between one of the pairs, whoever opened
// it. Behind address translation one of the two directions has both addresses.
func (e *ctEntry) of(pairs map[Pair]struct{}) bool {
	_, opened := pairs[Pair{e.origSrc.Addr, e.origDst.Addr}]
	_, accepted := pairs[Pair{e.replySrc.Addr, e.replyDst.Addr}]
	return opened || accepted
}

// ofPorts reports whether the connection is between one of the ports and the outside.
// Behind address translation, the LAN host's own address stands only where it opened the
// connection, or where it replies.
func (e *ctEntry) ofPorts(ports map[HostPort]struct{}, lan []netip.Prefix) bool {
	_, opened := ports[HostPort{e.origSrc.Addr, e.proto, e.origSrc.Port}]
	_, accepted := ports[HostPort{e.replySrc.Addr, e.proto, e.replySrc.Port}]
	return opened && outside(lan, &e.origDst.Addr) || accepted && outside(lan, &e.origSrc.Addr)
}
