// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import "encoding/binary"

// pktapHeader is the smallest length of the header.
const pktapHeader = 12

// pktap reads a packet of a capture on all devices of a Mac. Its header has its own
// length and the link type of the frame after it, in the byte order of the machine that
// captured.
func pktap(b []byte, f *Frame) {
	if len(b) < pktapHeader {
		return
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if order.Uint32(b) > 0xffff {
		order = binary.BigEndian
	}
	n, link := order.Uint32(b), order.Uint32(b[8:])
	if n < pktapHeader || n > uint32(len(b)) || link == linkPKTAP {
		return
	}
	decode(link, b[n:], f)
}
