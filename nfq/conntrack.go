// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"net/netip"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
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

// HostPort is a port of a LAN host, of ProtoTCP or ProtoUDP.
type HostPort struct {
	Addr  Addr
	Proto uint8
	Port  uint16
}

// CutFlows changes connections in the kernel's connection table, so that the rules look
// at them anew, also at those that were decided or offloaded past the rules. It returns
// how many it changed.
//
// It removes all between the given pairs, and all that the given ports of LAN hosts have
// with elsewhere, whoever opened them. Translated ones get no more replies.
//
// It clears the mark of the TCP connections that the given hosts opened to elsewhere, and
// of their UDP flows, if they were decided, but for those that are marked, and for those to
// ports of which but reports true.
// They stay in the connection table and go on without a gap; where the host is watched (see
// SetWriter.Watch), the next data that it sends in a connection is queued, and what may be
// of WebRTC in a flow. One that is offloaded comes back to the rules only when the kernel
// ends that.
//
// It reads the whole table, so it is nothing for the packet path.
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

// MarkFlows marks the connections that CutFlows would remove: all between the given
// pairs, and all that the given ports of LAN hosts have with elsewhere. It takes the marks
// off those of the freed hosts, so that the rules look at them anew. It returns how many it
// changed. One that is offloaded stays so, past the rules, until the kernel ends that.
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

// DeleteUDPFlows removes the UDP flows that hosts of the given networks opened
// to elsewhere. What was counted past its first packets before the rules were
// loaded would never be looked at.
func DeleteUDPFlows(lan []netip.Prefix) (int, error) {
	return changeFlows(nil, func(e *ctEntry) ctChange { return removeIf(e.proto == ProtoUDP && e.leaves(lan)) })
}

// LookAgain does what DeleteUDPFlows does, but leaves those alone to ports of which but
// reports true. It returns ports of LAN hosts from which several hosts outside were
// spoken to at other ports from 1024 on.
func LookAgain(lan []netip.Prefix, but func(proto uint8, port uint16) bool) ([]AddrPort, error) {
	const most = 64
	var suspects []AddrPort
	// The first host that each port spoke to; zero after a second.
	spoke := map[AddrPort]Addr{}
	_, err := changeFlows(nil, func(e *ctEntry) ctChange {
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
		return ctRemove
	})
	return suspects, err
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

// of reports whether the connection is between one of the pairs, whoever opened
// it. Behind address translation one of the two directions has both addresses.
func (e *ctEntry) of(pairs map[Pair]struct{}) bool {
	_, opened := pairs[Pair{e.origSrc.Addr, e.origDst.Addr}]
	_, accepted := pairs[Pair{e.replySrc.Addr, e.replyDst.Addr}]
	return opened || accepted
}

// ofPorts reports whether the connection is between one of the ports and elsewhere.
// Behind address translation the side of the LAN host has its own address only as the
// one that opened the connection, or as the one that replies.
func (e *ctEntry) ofPorts(ports map[HostPort]struct{}, lan []netip.Prefix) bool {
	_, opened := ports[HostPort{e.origSrc.Addr, e.proto, e.origSrc.Port}]
	_, accepted := ports[HostPort{e.replySrc.Addr, e.proto, e.replySrc.Port}]
	return opened && outside(lan, &e.origDst.Addr) || accepted && outside(lan, &e.origSrc.Addr)
}
