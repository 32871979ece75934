// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"os"
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
	ctZero   = 3 // read an entry, and set its counters to zero
	ctStats  = 4 // of each processor

	ctaTupleOrig    = 1
	ctaTupleReply   = 2
	ctaStatus       = 3
	ctaProtoInfo    = 4 // nested: that of TCP, and in it the state
	ctaTupleIP      = 1
	ctaTupleProto   = 2
	ctaProtoNum     = 1
	ctaProtoSrcPort = 2
	ctaProtoDstPort = 3
	ctaMark         = 8
	ctaCounters     = 9 // of the packets from who opened it
	ctaIDNum        = 12
	ctaMarkMask     = 21

	ctOffloaded = 3 << 14 // bits of ctaStatus: to a flow table, or to hardware

	ctaIP4Src = 1
	ctaIP4Dst = 2
	ctaIP6Src = 3
	ctaIP6Dst = 4
)

// ctEntry is what is needed of an entry to know and to change it.
type ctEntry struct {
	family                               uint8 // unix.AF_INET, unix.AF_INET6
	origSrc, origDst, replySrc, replyDst AddrPort
	proto                                uint8
	state                                uint8 // of TCP
	mark                                 uint32
	counted, offloaded                   bool
	orig                                 []byte // the whole attribute's payload
	id                                   []byte
}

// dumpSize is the room for one part of a dump, in bytes; the kernel makes none larger.
const dumpSize = 32 << 10

// readFlows calls f for each connection of both families. It asks for both in one dump,
// because the kernel goes through its whole table for each dump. The table may hold tens
// of thousands of connections, too many for a router's memory at once. So readFlows works
// on one part at a time, in one buffer: the entry is valid only until f returns.
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

// receive waits for the kernel's next message and reads it into buf.
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

// parse reads an entry of a dump. The entry points into b afterwards.
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
		case ctaStatus:
			e.offloaded = len(v) == 4 && be.Uint32(v)&ctOffloaded != 0
		case ctaCounters:
			e.counted = true
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
