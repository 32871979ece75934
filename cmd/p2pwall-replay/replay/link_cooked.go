// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import "encoding/binary"

// cooked reads what Linux makes of a frame when it captures on all devices.
func cooked(b []byte, f *Frame) {
	if len(b) >= 16 {
		station(b[4:], b[6:14], f)
		etherType(binary.BigEndian.Uint16(b[14:]), b[16:], f)
	}
}

// cooked2 reads its second version.
func cooked2(b []byte, f *Frame) {
	if len(b) >= 20 {
		station([]byte{0, b[11]}, b[12:20], f)
		etherType(binary.BigEndian.Uint16(b), b[20:], f)
	}
}

// station takes the sender's address of a cooked frame, when it is one of
// Ethernet: length is the field of two bytes that says so.
func station(length, addr []byte, f *Frame) {
	if length[0] == 0 && length[1] == 6 {
		copy(f.Src[:], addr)
	}
}
