// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import "encoding/binary"

func pppoe(b []byte, f *Frame) {
	if len(b) > 6 {
		ppp(b[6:], f)
	}
}

// ppp reads the protocol field. The address and control bytes before it may be missing,
// and the field may have one byte instead of two (RFC 1661).
func ppp(b []byte, f *Frame) {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 3 {
		b = b[2:]
	}
	switch {
	case len(b) >= 2 && b[0] == 0 && (b[1] == 0x21 || b[1] == 0x57):
		rawIP(b[2:], f)
	case len(b) >= 1 && (b[0] == 0x21 || b[0] == 0x57):
		rawIP(b[1:], f)
	}
}

// pppWithDirection skips the byte with the frame's direction.
func pppWithDirection(b []byte, f *Frame) {
	if len(b) > 1 {
		ppp(b[1:], f)
	}
}

// hdlc reads Cisco's form of HDLC: an address, a control byte, an EtherType.
func hdlc(b []byte, f *Frame) {
	if len(b) > 4 {
		etherType(binary.BigEndian.Uint16(b[2:]), b[4:], f)
	}
}
