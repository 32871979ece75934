// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"syscall"

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
	ctaProtoInfo    = 4 // nested: that of TCP, and in it the state
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

// HostPort is a port of a LAN host, of ProtoTCP or ProtoUDP.
type HostPort struct {
	Addr  Addr
	Proto uint8
	Port  uint16
}

// ctEntry is what is needed of an entry to know and to change it.
type ctEntry struct {
	family                               uint8 // unix.AF_INET, unix.AF_INET6
	origSrc, origDst, replySrc, replyDst AddrPort
	proto                                uint8
	state                                uint8 // of TCP
	mark                                 uint32
	orig                                 []byte // the whole attribute's payload
	id                                   []byte
}

// ctChange is what becomes of an entry.
type ctChange uint8

const (
	ctKeep   ctChange = iota
	ctRemove          // delete it
	ctUnmark          // clear the bits of Marks.Mask
)

// CutFlows changes connections in the kernel's connection table, so that the rules look
// at them anew, also at those that were decided or offloaded past the rules. It returns
// how many it changed.
//
// It removes all between the given pairs, and all that the given ports of LAN hosts have
// with elsewhere, whoever opened them. Translated ones get no more replies.
//
// It clears the mark of the TCP connections that the given hosts opened to elsewhere, and
// of their UDP flows, if they were decided, but for those to ports of well-known services.
// They stay in the connection table and go on without a gap; where the host is watched (see
// SetWriter.Watch), the next data that it sends in a connection is queued, and what may be
// of WebRTC in a flow. One that is offloaded comes back to the rules only when the kernel
// ends that.
//
// It reads the whole table, so it is nothing for the packet path.
func CutFlows(m Marks, pairs map[Pair]struct{}, ports map[HostPort]struct{}, hosts map[Addr]struct{}, lan []netip.Prefix) (int, error) {
	return changeFlows(&m, func(e *ctEntry) ctChange {
		_, opened := hosts[e.origSrc.Addr]
		_, accepted := hosts[e.replySrc.Addr]
		switch {
		case e.of(pairs) || e.ofPorts(ports, lan):
			return ctRemove
		case !m.decided(e.mark):
		case opened && outside(lan, &e.origDst.Addr) && !WellKnown(e.proto, e.origDst.Port),
			// The other side may have spoken first.
			accepted && e.proto == ProtoUDP && outside(lan, &e.origSrc.Addr) && !WellKnown(ProtoUDP, e.origSrc.Port):
			return ctUnmark
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

// LookAgain does what DeleteUDPFlows does, but leaves those to well-known services alone.
// It returns ports of LAN hosts from which several hosts outside were spoken to at
// ports that are no well-known service's, as a file-sharing client does.
func LookAgain(lan []netip.Prefix) ([]AddrPort, error) {
	const most = 64
	var suspects []AddrPort
	// The first host that each port spoke to; zero after a second.
	spoke := map[AddrPort]Addr{}
	_, err := changeFlows(nil, func(e *ctEntry) ctChange {
		switch {
		case e.proto != ProtoUDP || !e.leaves(lan) || WellKnown(ProtoUDP, e.origDst.Port):
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

// The ports of services that are no file sharing.
var (
	wellKnownTCP = [...]uint16{
		21, 22, 25, 53, 80, 110, 143, 443, 465, 554, 587, 853, 993, 995, 1194, 1935,
		3389, 5060, 5061, 5222, 5223, 5228, 8080, 8443, 8883,
	}
	wellKnownUDP = [...]uint16{
		53, 123, 443, 500, 1194, 3478, 3479, 3480, 3481, 4500, 5060, 51820,
		19302, 19303, 19304, 19305, 19306, 19307, 19308, 19309, // STUN
	}
)

// WellKnown reports whether a port is that of a service that is no file sharing, by
// ProtoTCP or ProtoUDP.
//
//go:noinline
func WellKnown(proto uint8, port uint16) bool {
	ports := wellKnownUDP[:]
	if proto == ProtoTCP {
		ports = wellKnownTCP[:]
	}
	return slices.Contains(ports, port) // what has no ports has 0
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
// changed. Without marks it can only remove.
func changeFlows(m *Marks, want func(*ctEntry) ctChange) (int, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, fmt.Errorf("connection table: %w", err)
	}
	defer c.Close()
	changed := 0
	buf := make([]byte, dumpSize)
	var edits []ctEdit
	err = readFlows(c, buf, func(e *ctEntry) {
		if x := want(e); x != ctKeep {
			edits = append(edits, ctEdit{x, e.family, slices.Clone(e.orig), [4]byte(e.id)})
		}
	})
	if err == nil {
		changed, err = editFlows(c, m, buf, edits)
	}
	if err != nil {
		return changed, fmt.Errorf("connection table: %w", err)
	}
	return changed, nil
}

// dumpSize is the room for a part of a dump; the kernel makes none larger.
const dumpSize = 32 << 10

// readFlows calls f with each connection, of both families in one go: the kernel looks
// through its whole table for each dump, also where that is almost empty. The table may
// have tens of thousands, more than a router has memory for at once: each part is worked
// on as it comes, in one buffer, and what f is given is gone when it returns.
func readFlows(c *netlink.Conn, buf []byte, f func(*ctEntry)) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if _, err := c.Send(netlink.Message{
		Header: netlink.Header{Type: subsysConntrack<<8 | ctGet, Flags: netlink.Request | netlink.Dump},
		Data:   []byte{unix.AF_UNSPEC, 0, 0, 0}, // struct nfgenmsg
	}); err != nil {
		return err
	}
	for {
		b, err := receive(raw, buf)
		if err != nil {
			return err
		}
		for {
			typ, body, rest, ok := nextMessage(b)
			if !ok {
				break
			}
			switch typ {
			case unix.NLMSG_DONE:
				return nil
			case unix.NLMSG_ERROR:
				return messageErrno(body)
			}
			var e ctEntry
			if e.parse(body) {
				f(&e)
			}
			b = rest
		}
	}
}

// ctEdit is what is to become of an entry.
type ctEdit struct {
	change ctChange
	family uint8
	orig   []byte
	id     [4]byte
}

// editsAtATime is how many changes the kernel is told at a time. It answers to those
// that fail and to the last; so many answers fit into a socket's buffer.
const editsAtATime = 64

func editFlows(c *netlink.Conn, m *Marks, buf []byte, edits []ctEdit) (changed int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var out []byte
	var busy error
	for len(edits) > 0 {
		n := min(len(edits), editsAtATime)
		out = appendEdits(out[:0], m, edits[:n])
		edits = edits[n:]
		var serr error
		if err := raw.Control(func(fd uintptr) { _, serr = unix.Write(int(fd), out) }); err != nil {
			return changed, err
		}
		if serr != nil {
			return changed, os.NewSyscallError("write", serr)
		}
		failed, err := editAnswers(raw, buf, uint32(n))
		changed += n - failed
		switch {
		case err == unix.EBUSY: // offloaded, and the kernel keeps it
			busy = err
		case err != nil:
			return changed, err
		}
	}
	return changed, busy
}

// appendEdits appends a message for each change, with its number from 1 on. The last
// is to be answered in any case.
func appendEdits(b []byte, m *Marks, edits []ctEdit) []byte {
	for i := range edits {
		x := &edits[i]
		typ, flags := uint16(subsysConntrack<<8|ctNew), uint16(unix.NLM_F_REQUEST)
		if x.change == ctRemove {
			typ = subsysConntrack<<8 | ctDelete
		}
		if i == len(edits)-1 {
			flags |= unix.NLM_F_ACK
		}
		var at int
		b, at = beginMessage(b, typ, flags, uint32(i)+1, x.family, 0)
		b = appendAttr(b, ctaTupleOrig|unix.NLA_F_NESTED, x.orig)
		if x.change == ctRemove {
			b = appendAttr(b, ctaIDNum, x.id[:])
		} else {
			b = appendAttr32(b, ctaMark, 0)
			b = appendAttr32(b, ctaMarkMask, m.Mask)
		}
		b = endMessage(b, at)
	}
	return b
}

// editAnswers reads the answers up to that to the last of so many changes, and returns
// how many were not made. That a connection has ended by itself is no error.
func editAnswers(raw syscall.RawConn, buf []byte, last uint32) (failed int, err error) {
	for {
		b, rerr := receive(raw, buf)
		if rerr != nil {
			return failed, rerr
		}
		for {
			typ, body, rest, ok := nextMessage(b)
			if !ok {
				break
			}
			b = rest
			if typ != unix.NLMSG_ERROR || len(body) < 4+nlmsgHeaderLen {
				continue
			}
			if e := messageErrno(body); e != 0 {
				failed++
				if e != unix.ENOENT && (err == nil || err == unix.EBUSY) {
					err = e
				}
			}
			if native.Uint32(body[4+8:]) == last { // the number of the message it is about
				return failed, err
			}
		}
	}
}

// receive waits for what the kernel has to say and reads it into buf.
func receive(raw syscall.RawConn, buf []byte) ([]byte, error) {
	for {
		var n int
		var rerr error
		if err := raw.Read(func(fd uintptr) bool {
			n, _, rerr = unix.Recvfrom(int(fd), buf, 0)
			return rerr != unix.EAGAIN
		}); err != nil {
			return nil, err
		}
		if rerr == nil {
			return buf[:n], nil
		}
		if rerr != unix.EINTR {
			return nil, os.NewSyscallError("recvfrom", rerr)
		}
	}
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

// parse reads an entry of a dump, and points into it.
func (e *ctEntry) parse(b []byte) bool {
	if len(b) < nfgenLen {
		return false
	}
	e.family = b[0]
	for b = b[nfgenLen:]; ; {
		typ, v, rest, ok := nextAttr(b)
		if !ok {
			return e.orig != nil && len(e.id) == 4
		}
		switch typ {
		case ctaTupleOrig:
			e.orig = v
			e.origSrc, e.origDst, e.proto = parseTuple(v)
		case ctaTupleReply:
			e.replySrc, e.replyDst, _ = parseTuple(v)
		case ctaProtoInfo:
			e.state = parseTCPState(v)
		case ctaMark:
			if len(v) == 4 {
				e.mark = be.Uint32(v)
			}
		case ctaIDNum:
			e.id = v
		}
		b = rest
	}
}

func parseTuple(b []byte) (src, dst AddrPort, proto uint8) {
	for {
		outer, part, rest, ok := nextAttr(b)
		if !ok {
			return src, dst, proto
		}
		for {
			typ, v, next, ok := nextAttr(part)
			if !ok {
				break
			}
			switch {
			case outer == ctaTupleProto && typ == ctaProtoNum && len(v) == 1:
				proto = v[0]
			case outer == ctaTupleProto && typ == ctaProtoSrcPort && len(v) == 2:
				src.Port = be.Uint16(v)
			case outer == ctaTupleProto && typ == ctaProtoDstPort && len(v) == 2:
				dst.Port = be.Uint16(v)
			case outer != ctaTupleIP:
			case typ == ctaIP4Src && len(v) == 4:
				src.Addr = AddrFrom4([4]byte(v))
			case typ == ctaIP4Dst && len(v) == 4:
				dst.Addr = AddrFrom4([4]byte(v))
			case typ == ctaIP6Src && len(v) == 16:
				src.Addr = Addr(v)
			case typ == ctaIP6Dst && len(v) == 16:
				dst.Addr = Addr(v)
			}
			part = next
		}
		b = rest
	}
}
