// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"encoding/binary"

	"github.com/p2pwall/p2pwall/nfq"
)

// The attributes of a packet that Linux' firewall logs (linux/nfnetlink_log.h).
const (
	logHardware = 8 // the sender's hardware address
	logPayload  = 9 // the IP packet
)

// nflog reads a packet that a rule of Linux' firewall handed over: a header of four
// bytes, and attributes whose lengths are in the byte order of the machine that
// captured.
func nflog(b []byte, f *Frame) {
	if len(b) < 4 {
		return
	}
	if !logAttributes(b[4:], binary.LittleEndian, f) {
		logAttributes(b[4:], binary.BigEndian, f)
	}
}

// logAttributes looks for the packet. It returns false when there is none, as in the
// wrong byte order.
func logAttributes(b []byte, order binary.ByteOrder, f *Frame) bool {
	for len(b) >= 4 {
		n, kind := int(order.Uint16(b)), order.Uint16(b[2:])
		if n < 4 {
			return false
		}
		value := b[4:min(n, len(b))] // the last may be cut short
		switch kind {
		case logHardware:
			if len(value) >= 10 && binary.BigEndian.Uint16(value) == 6 {
				f.Src = nfq.MAC(value[4:10])
			}
		case logPayload:
			rawIP(value, f)
			return true
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return false
}

// pflog reads a packet that OpenBSD's firewall logged, or one of its relatives'. The
// first byte is the header's length without what fills it up to a multiple of four.
func pflog(b []byte, f *Frame) {
	if len(b) == 0 {
		return
	}
	if n := (int(b[0]) + 3) &^ 3; n > 0 && n < len(b) {
		rawIP(b[n:], f)
	}
}
