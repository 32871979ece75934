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
// each that fails, and the last one. So many answers fit into a socket's buffer.
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

// appendEdits appends one message for each change, numbered from 1. It asks for an
// answer to the last one.
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
			value, mask := uint32(0), m.Mask
			if x.change != ctUnmark {
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

// editAnswers reads answers until the one to change number last, and returns how many
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
