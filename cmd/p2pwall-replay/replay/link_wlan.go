// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"encoding/binary"

	"github.com/p2pwall/p2pwall/nfq"
)

// radiotap skips the header before WLAN frames that were captured in monitor mode.
func radiotap(b []byte, f *Frame) {
	if len(b) < 4 {
		return
	}
	if n := int(binary.LittleEndian.Uint16(b[2:])); n <= len(b) {
		ieee80211(b[n:], f)
	}
}

// ieee80211 reads a data frame, if it is not encrypted.
func ieee80211(b []byte, f *Frame) {
	if len(b) < 24 || b[0]&0x0c != 0x08 || b[0]&0x40 != 0 {
		return
	}
	if b[1]&0x40 != 0 {
		f.Encrypted = true
		return
	}
	n := 24
	switch a1, a2, a3 := nfq.MAC(b[4:10]), nfq.MAC(b[10:16]), nfq.MAC(b[16:22]); b[1] & 3 {
	case 0: // station to station
		f.Dst, f.Src = a1, a2
	case 1: // to the access point
		f.Dst, f.Src = a3, a2
	case 2: // from the access point
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
