// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"encoding/binary"

	"github.com/p2pwall/p2pwall/nfq"
)

// The attributes of a packet logged by Linux' firewall (linux/nfnetlink_log.h).
const (
	logHardware = 8 // the sender's hardware address
	logPayload  = 9 // the IP packet
)

// nflog reads a packet logged by Linux' firewall: a header of four bytes, then
// attributes. Their lengths have the byte order of the machine that captured.
func nflog(b []byte, f *Frame) {
	if len(b) < 4 {
		return
	}
	if !logAttributes(b[4:], binary.LittleEndian, f) {
		logAttributes(b[4:], binary.BigEndian, f)
	}
}

// logAttributes looks for the packet. It returns false if it finds none, for example with
// the wrong byte order.
func logAttributes(b []byte, order binary.ByteOrder, f *Frame) bool {
	for len(b) >= 4 {
		n, kind := int(order.Uint16(b)), order.Uint16(b[2:])
		if n < 4 {
			return false
		}
		value := b[4:min(n, len(b))] // the last attribute may be cut short
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

// pflog reads a packet logged by the firewall pf of OpenBSD and other BSDs. The first
// byte is the header's length, without the padding to a multiple of four.
func pflog(b []byte, f *Frame) {
	if len(b) == 0 {
		return
	}
	if n := (int(b[0]) + 3) &^ 3; n > 0 && n < len(b) {
		rawIP(b[n:], f)
	}
}
