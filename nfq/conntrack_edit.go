// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ctChange is what becomes of an entry.
type ctChange uint8

const (
	ctKeep   ctChange = iota
	ctRemove          // delete it
	ctUnmark          // clear the bits of Marks.Mask
	ctMark            // mark it as Marks.Marked says
	ctFree            // undo that
	ctAnew            // as ctUnmark, and count its packets from zero
)

// changeFlows asks want about each connection, does that, and returns how many
// connections it changed. Without marks it can only remove them.
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

// ctEdit is one change of an entry.
type ctEdit struct {
	change ctChange
	family uint8
	orig   []byte
	id     [4]byte
}

// editsAtATime is how many changes are sent to the kernel at a time. The kernel answers
// each that fails, those that set counters to zero, and the last one. So many answers fit
// into a socket's buffer.
const editsAtATime = 16

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
		failed, err := editAnswers(raw, buf, uint32(2*n))
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

// appendEdits appends the messages for each change. The number of a change's last message
// is twice the change's place, counted from 1. It asks for an answer to the last one.
func appendEdits(b []byte, m *Marks, edits []ctEdit) []byte {
	at := 0
	for i := range edits {
		x := &edits[i]
		typ, flags, number := uint16(ctNew), uint16(unix.NLM_F_REQUEST), uint32(2*i+2)
		switch x.change {
		case ctRemove:
			typ = ctDelete
		case ctAnew:
			b, at = x.begin(b, ctZero, flags, number-1)
			b = endMessage(b, at)
		}
		if i == len(edits)-1 {
			flags |= unix.NLM_F_ACK
		}
		b, at = x.begin(b, typ, flags, number)
		if x.change == ctRemove {
			b = appendAttr(b, ctaIDNum, x.id[:])
		} else {
			value, mask := uint32(0), m.Mask
			if x.change == ctMark || x.change == ctFree {
				mask |= m.ConnMask
			}
			if x.change == ctMark {
				value = m.Marked | m.Conn
			}
			b = appendAttr32(b, ctaMark, value)
			b = appendAttr32(b, ctaMarkMask, mask)
		}
		b = endMessage(b, at)
	}
	return b
}

// begin begins a message about the entry.
func (x *ctEdit) begin(b []byte, typ, flags uint16, number uint32) (out []byte, at int) {
	b, at = beginMessage(b, subsysConntrack<<8|typ, flags, number, x.family, 0)
	return appendAttr(b, ctaTupleOrig|unix.NLA_F_NESTED, x.orig), at
}

// editAnswers reads answers until the one to message number last, and returns how many
// changes failed. A connection that has ended by itself is no error.
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
			number := native.Uint32(body[4+8:]) // of the message it is about
			if e := messageErrno(body); e != 0 {
				if number%2 == 0 {
					failed++
				}
				if e != unix.ENOENT && (err == nil || err == unix.EBUSY) {
					err = e
				}
			}
			if number == last {
				return failed, err
			}
		}
	}
}
