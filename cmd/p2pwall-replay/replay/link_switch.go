// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"encoding/binary"

	"github.com/p2pwall/p2pwall/nfq"
)

// In a router with a switch, each frame between switch and processor has a tag. It says
// at which port of the switch the frame came in or goes out. Most tags are between the
// MAC addresses and the EtherType. A capture on the switch's own device contains the
// tags.

const (
	tagLength  = 4
	edsaLength = 8      // Marvell's tag after an EtherType of its own
	edsaType   = 0xdada // that EtherType
)

// marvell reads a frame with either form of Marvell's tag.
func marvell(b []byte, f *Frame) {
	n := tagLength
	if len(b) >= 14 && binary.BigEndian.Uint16(b[12:]) == edsaType {
		n = edsaLength
	}
	tagged(b, n, f)
}

// tagged reads a frame whose tag has n bytes.
func tagged(b []byte, n int, f *Frame) {
	if len(b) < 14+n {
		return
	}
	f.Dst, f.Src = nfq.MAC(b[:6]), nfq.MAC(b[6:12])
	etherType(binary.BigEndian.Uint16(b[12+n:]), b[14+n:], f)
}

// prepended reads a frame with the tag before it.
func prepended(b []byte, f *Frame) {
	if len(b) > tagLength {
		ethernet(b[tagLength:], f)
	}
}

// switchTag looks for a tag in a frame whose link type is plain Ethernet. Captures on
// MediaTek, Qualcomm and Realtek switches have such frames. In them the tag begins at the
// two bytes of the EtherType; b is what follows these two.
func switchTag(b []byte, f *Frame) {
	for _, n := range [...]int{tagLength - 2, 0, edsaLength - 2} {
		if len(b) < n+2 {
			continue
		}
		t, rest := binary.BigEndian.Uint16(b[n:]), b[n+2:]
		if t == etherVLAN && len(rest) >= 4 {
			t, rest = binary.BigEndian.Uint16(rest[2:]), rest[4:]
		}
		switch t {
		case etherIPv4, etherIPv6:
			if wholeIP(t, rest) {
				f.IP = rest
				return
			}
		case etherPPPoE:
			if len(rest) > 0 && rest[0] == 0x11 { // version and type
				pppoe(rest, f)
				return
			}
		case etherARP:
			if len(rest) >= 28 && binary.BigEndian.Uint32(rest) == 0x00010800 {
				f.ARP = rest
				return
			}
		}
	}
}

// wholeIP reports whether b begins with an IP header that fits the EtherType t. Without
// this check t could be there by chance. The packet may be cut short.
func wholeIP(t uint16, b []byte) bool {
	if t == etherIPv6 {
		return len(b) >= 40 && b[0]>>4 == 6
	}
	if len(b) < 20 || b[0]>>4 != 4 {
		return false
	}
	n := int(b[0]&15) * 4
	return n >= 20 && int(binary.BigEndian.Uint16(b[2:])) >= n
}
