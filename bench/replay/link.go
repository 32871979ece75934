// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"encoding/binary"

	"github.com/gopacket/gopacket/layers"

	"github.com/p2pwall/p2pwall/nfq"
)

// Link types by their number in capture files (tcpdump.org/linktypes.html).
const (
	linkNull      = 0
	linkEthernet  = 1
	linkPPP       = 9
	linkRawBSD    = 12
	linkRawOBSD   = 14
	linkPPPHDLC   = 50
	linkPPPEther  = 51
	linkRaw       = 101
	linkCHDLC     = 104
	linkIEEE80211 = 105
	linkLoop      = 108
	linkSLL       = 113
	linkRadiotap  = 127
	linkIPv4      = 228
	linkIPv6      = 229
	linkSLL2      = 276
)

func linkNumber(v any) uint32 {
	if t, ok := v.(layers.LinkType); ok {
		return uint32(t)
	}
	return ^uint32(0)
}

// decode peels the link layer off b. It returns false for a link type that it
// does not know; a frame that is cut short, or holds no IP, is none of the
// tool's business and not an error.
func decode(link uint32, b []byte, f *Frame) bool {
	switch link & 0x03ffffff { // the rest is about checksums
	case linkEthernet:
		ethernet(b, f)
	case linkSLL:
		if len(b) >= 16 {
			station(b[4:], b[6:14], f)
			etherType(binary.BigEndian.Uint16(b[14:]), b[16:], f)
		}
	case linkSLL2:
		if len(b) >= 20 {
			station([]byte{0, b[11]}, b[12:20], f)
			etherType(binary.BigEndian.Uint16(b), b[20:], f)
		}
	case linkNull, linkLoop:
		// The address family has the byte order of some machine; what
		// it says, the IP header says as well.
		if len(b) > 4 {
			rawIP(b[4:], f)
		}
	case linkRaw, linkRawBSD, linkRawOBSD, linkIPv4, linkIPv6:
		rawIP(b, f)
	case linkPPP, linkPPPHDLC:
		ppp(b, f)
	case linkPPPEther:
		pppoe(b, f)
	case linkCHDLC:
		if len(b) > 4 {
			etherType(binary.BigEndian.Uint16(b[2:]), b[4:], f)
		}
	case linkRadiotap:
		if len(b) >= 4 {
			if n := int(binary.LittleEndian.Uint16(b[2:])); n <= len(b) {
				ieee80211(b[n:], f)
			}
		}
	case linkIEEE80211:
		ieee80211(b, f)
	default:
		return false
	}
	return true
}

// station takes the sender's address of a cooked frame, when it is one of
// Ethernet: length is the field of two bytes that says so.
func station(length, addr []byte, f *Frame) {
	if length[0] == 0 && length[1] == 6 {
		copy(f.Src[:], addr)
	}
}

func ethernet(b []byte, f *Frame) {
	if len(b) < 14 {
		return
	}
	f.Dst, f.Src = nfq.MAC(b[:6]), nfq.MAC(b[6:12])
	etherType(binary.BigEndian.Uint16(b[12:]), b[14:], f)
}

// maxTags bounds VLAN tags and MPLS labels.
const maxTags = 4

// etherType goes on behind an EtherType.
func etherType(t uint16, b []byte, f *Frame) {
	for range maxTags {
		switch t {
		case 0x0800, 0x86dd:
			rawIP(b, f)
			return
		case 0x0806:
			f.ARP = b
			return
		case 0x8864: // PPPoE session
			pppoe(b, f)
			return
		case 0x8847, 0x8848: // MPLS
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
			return
		case 0x8100, 0x88a8, 0x9100: // VLAN
			if len(b) < 4 {
				return
			}
			t, b = binary.BigEndian.Uint16(b[2:]), b[4:]
		default:
			if t <= 1500 { // IEEE 802.3: a length, then LLC
				snap(b, f)
			}
			return
		}
	}
}

// snap goes on behind LLC, if it is a SNAP header with an EtherType.
func snap(b []byte, f *Frame) {
	if len(b) < 8 || b[0] != 0xaa || b[1] != 0xaa || b[2] != 3 || b[3]|b[4]|b[5] != 0 {
		return
	}
	if t := binary.BigEndian.Uint16(b[6:]); t > 1500 {
		etherType(t, b[8:], f)
	}
}

func pppoe(b []byte, f *Frame) {
	if len(b) > 6 {
		ppp(b[6:], f)
	}
}

// ppp reads the protocol field; address and control before it may be left out,
// and the field itself may be shortened to one byte (RFC 1661).
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

// ieee80211 reads a data frame that is not encrypted.
func ieee80211(b []byte, f *Frame) {
	if len(b) < 24 || b[0]&0x0c != 0x08 || b[0]&0x40 != 0 || b[1]&0x40 != 0 {
		return
	}
	n := 24
	switch a1, a2, a3 := nfq.MAC(b[4:10]), nfq.MAC(b[10:16]), nfq.MAC(b[16:22]); b[1] & 3 {
	case 0: // station to station
		f.Dst, f.Src = a1, a2
	case 1: // to the access point
		f.Dst, f.Src = a3, a2
	case 2: // from it
		f.Dst, f.Src = a1, a3
	default: // between access points
		if n = 30; len(b) < n {
			return
		}
		f.Dst, f.Src = a3, nfq.MAC(b[24:30])
	}
	if b[0]&0x80 != 0 { // quality of service
		n += 2
	}
	if n < len(b) {
		snap(b[n:], f)
	}
}

func rawIP(b []byte, f *Frame) {
	if len(b) > 0 && (b[0]>>4 == 4 || b[0]>>4 == 6) {
		f.IP = b
	}
}
