// SPDX-License-Identifier: GPL-2.0-or-later

package replay

// Link types by their number in capture files (tcpdump.org/linktypes.html).
const (
	linkNull        = 0
	linkEthernet    = 1
	linkPPP         = 9
	linkRawBSD      = 12
	linkRawOBSD     = 14
	linkPPPHDLC     = 50
	linkPPPEther    = 51
	linkRaw         = 101
	linkCHDLC       = 104
	linkIEEE80211   = 105
	linkLoop        = 108
	linkSLL         = 113
	linkPFLOG       = 117
	linkRadiotap    = 127
	linkPPPWithDir  = 204
	linkIPv4        = 228
	linkIPv6        = 229
	linkNFLOG       = 239
	linkPKTAP       = 258
	linkSLL2        = 276
	linkBroadcom    = 281 // a switch's tag after the MAC addresses
	linkBroadcomPre = 282 // the same tag before them
	linkMarvell     = 284
	linkMarvellEDSA = 285

	// linkMask removes the bits about checksums.
	linkMask = 0x03ffffff
)

// decode removes the link layer of b and sets f. It returns false for an unknown link
// type. A frame that is cut short, or holds no IP, is no error.
func decode(link uint32, b []byte, f *Frame) bool {
	switch link & linkMask {
	case linkNull, linkLoop:
		null(b, f)
	case linkEthernet:
		ethernet(b, f)
	case linkPPP, linkPPPHDLC:
		ppp(b, f)
	case linkPPPEther:
		pppoe(b, f)
	case linkPPPWithDir:
		pppWithDirection(b, f)
	case linkRaw, linkRawBSD, linkRawOBSD, linkIPv4, linkIPv6:
		rawIP(b, f)
	case linkCHDLC:
		hdlc(b, f)
	case linkIEEE80211:
		ieee80211(b, f)
	case linkRadiotap:
		radiotap(b, f)
	case linkSLL:
		cooked(b, f)
	case linkSLL2:
		cooked2(b, f)
	case linkBroadcom:
		tagged(b, tagLength, f)
	case linkBroadcomPre:
		prepended(b, f)
	case linkMarvell, linkMarvellEDSA:
		marvell(b, f)
	case linkNFLOG:
		nflog(b, f)
	case linkPFLOG:
		pflog(b, f)
	case linkPKTAP:
		pktap(b, f)
	default:
		return false
	}
	return true
}

func rawIP(b []byte, f *Frame) {
	if len(b) > 0 && (b[0]>>4 == 4 || b[0]>>4 == 6) {
		f.IP = b
	}
}

// null skips the address family, whose byte order is unknown. The IP header has the same
// information.
func null(b []byte, f *Frame) {
	if len(b) > 4 {
		rawIP(b[4:], f)
	}
}
