// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Netlink headers and attribute headers are in the byte order of the machine;
// the values of netfilter's attributes are big-endian on every machine.
var (
	native = binary.NativeEndian
	be     = binary.BigEndian
)

const (
	nlmsgHeaderLen = unix.NLMSG_HDRLEN // struct nlmsghdr
	nfgenLen       = 4                 // struct nfgenmsg
	nlaHeaderLen   = 4                 // struct nlattr
	nlaTypeMask    = 0x3fff            // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
)

// netfilter subsystems (linux/netfilter/nfnetlink.h), the upper byte of a
// message type.
const (
	subsysQueue    = 3
	subsysIPSet    = 6
	subsysNFTables = 10
)

func align4(n int) int { return (n + 3) &^ 3 }

// nextMessage takes the first netlink message off b: its type, what follows
// its header, and the rest of b. A message that claims to be longer than b was
// cut off by the receive buffer: it is returned as far as it came. ok is false
// when there is no further message.
func nextMessage(b []byte) (typ uint16, body, rest []byte, ok bool) {
	if len(b) < nlmsgHeaderLen {
		return 0, nil, nil, false
	}
	n := uint64(native.Uint32(b))
	if n < nlmsgHeaderLen {
		return 0, nil, nil, false
	}
	end := len(b)
	if n < uint64(end) {
		end = int(n)
		rest = b[min(align4(end), len(b)):]
	}
	return native.Uint16(b[4:]), b[nlmsgHeaderLen:end], rest, true
}

// nextAttr takes the first attribute off b, as nextMessage does with messages; one
// that claims to be longer than b is none.
func nextAttr(b []byte) (typ uint16, value, rest []byte, ok bool) {
	if len(b) < nlaHeaderLen {
		return 0, nil, nil, false
	}
	n := int(native.Uint16(b))
	if n < nlaHeaderLen || n > len(b) {
		return 0, nil, nil, false
	}
	return native.Uint16(b[2:]) & nlaTypeMask, b[nlaHeaderLen:n], b[min(align4(n), len(b)):], true
}

// messageErrno returns the errno (a positive number, 0 for an
// acknowledgement) in the body of an NLMSG_ERROR message.
func messageErrno(body []byte) unix.Errno {
	if len(body) < 4 {
		return unix.EBADMSG
	}
	return unix.Errno(-int32(native.Uint32(body)))
}

// The builders below append to a slice; with a buffer of sufficient capacity
// they do not allocate.

// beginMessage appends a netlink header and a struct nfgenmsg and returns the
// offset that endMessage needs.
func beginMessage(b []byte, typ, flags uint16, seq uint32, family uint8, resID uint16) ([]byte, int) {
	at := len(b)
	b = native.AppendUint32(b, 0) // length, by endMessage
	b = native.AppendUint16(b, typ)
	b = native.AppendUint16(b, flags)
	b = native.AppendUint32(b, seq)
	b = native.AppendUint32(b, 0) // port id: the kernel knows the sender
	b = append(b, family, 0)
	return be.AppendUint16(b, resID), at
}

func endMessage(b []byte, at int) []byte {
	native.PutUint32(b[at:], uint32(len(b)-at))
	return b
}

func beginAttr(b []byte, typ uint16) ([]byte, int) {
	at := len(b)
	b = native.AppendUint16(b, 0) // length, by endAttr
	return native.AppendUint16(b, typ), at
}

// endAttr writes the length of the attribute and pads it to four bytes, which
// the length does not count.
func endAttr(b []byte, at int) []byte {
	native.PutUint16(b[at:], uint16(len(b)-at))
	for len(b)&3 != 0 {
		b = append(b, 0)
	}
	return b
}

func appendAttr(b []byte, typ uint16, value []byte) []byte {
	b, at := beginAttr(b, typ)
	return endAttr(append(b, value...), at)
}

func appendAttr32(b []byte, typ uint16, value uint32) []byte {
	b, at := beginAttr(b, typ)
	return endAttr(be.AppendUint32(b, value), at)
}

// AppendAttrString appends a string with the final zero byte that the kernel
// expects of a name.
func AppendAttrString(b []byte, typ uint16, value string) []byte {
	b, at := beginAttr(b, typ)
	return endAttr(append(append(b, value...), 0), at)
}

// EachAttr calls f with the type and the value of each attribute in b.
func EachAttr(b []byte, f func(typ uint16, value []byte)) {
	for {
		typ, value, rest, ok := nextAttr(b)
		if !ok {
			return
		}
		f(typ, value)
		b = rest
	}
}
