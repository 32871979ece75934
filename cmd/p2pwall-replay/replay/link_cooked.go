// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import "encoding/binary"

// cooked reads version 1 of the header that Linux writes when it captures on all devices.
func cooked(b []byte, f *Frame) {
	if len(b) >= 16 {
		station(b[4:], b[6:14], f)
		etherType(binary.BigEndian.Uint16(b[14:]), b[16:], f)
	}
}

// cooked2 reads version 2 of that header.
func cooked2(b []byte, f *Frame) {
	if len(b) >= 20 {
		station([]byte{0, b[11]}, b[12:20], f)
		etherType(binary.BigEndian.Uint16(b), b[20:], f)
	}
}

// station takes the sender's address of a cooked frame, if length says that it has six
// bytes, as Ethernet's have. Length is a field of two bytes.
func station(length, addr []byte, f *Frame) {
	if length[0] == 0 && length[1] == 6 {
		copy(f.Src[:], addr)
	}
}
