// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"encoding/binary"

	"github.com/p2pwall/p2pwall/nfq"
)

// The EtherTypes that lead on to IP.
const (
	etherIPv4  = 0x0800
	etherARP   = 0x0806
	etherVLAN  = 0x8100
	etherIPv6  = 0x86dd
	etherPPPoE = 0x8864 // a session
)

func ethernet(b []byte, f *Frame) {
	if len(b) < 14 {
		return
	}
	f.Dst, f.Src = nfq.MAC(b[:6]), nfq.MAC(b[6:12])
	etherType(binary.BigEndian.Uint16(b[12:]), b[14:], f)
}

// maxTags bounds VLAN tags and MPLS labels.
const maxTags = 4

// etherType decodes what follows an EtherType.
func etherType(t uint16, b []byte, f *Frame) {
	for range maxTags {
		switch t {
		case etherIPv4, etherIPv6:
			rawIP(b, f)
			return
		case etherARP:
			f.ARP = b
			return
		case etherPPPoE:
			pppoe(b, f)
			return
		case 0x8847, 0x8848:
			mpls(b, f)
			return
		case etherVLAN, 0x88a8, 0x9100:
			if len(b) < 4 {
				return
			}
			t, b = binary.BigEndian.Uint16(b[2:]), b[4:]
		default:
			// IEEE 802.3 has a length here, followed by LLC.
			if t > 1500 || !snap(b, f) {
				switchTag(b, f)
			}
			return
		}
	}
}

// mpls decodes what follows the last label.
func mpls(b []byte, f *Frame) {
	for range maxTags {
		if len(b) < 4 {
			return
		}
		last := b[2]&1 != 0
		if b = b[4:]; last {
			rawIP(b, f)
			return
		}
	}
}

// snap decodes what follows an LLC header. It returns false if that is not a SNAP header
// with an EtherType.
func snap(b []byte, f *Frame) bool {
	if len(b) < 8 || b[0] != 0xaa || b[1] != 0xaa || b[2] != 3 || b[3]|b[4]|b[5] != 0 {
		return false
	}
	if t := binary.BigEndian.Uint16(b[6:]); t > 1500 {
		etherType(t, b[8:], f)
	}
	return true
}
