// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"testing"

	"github.com/p2pwall/p2pwall/nfq"
)

var linkTypes = [...]uint32{
	linkNull, linkEthernet, linkPPP, linkRawBSD, linkRawOBSD, linkPPPHDLC, linkPPPEther, linkRaw,
	linkCHDLC, linkIEEE80211, linkLoop, linkSLL, linkRadiotap, linkIPv4, linkIPv6, linkSLL2,
	linkPPPWithDir, linkBroadcom, linkBroadcomPre, linkMarvell, linkMarvellEDSA, linkNFLOG, linkPFLOG, linkPKTAP,
}

// FuzzDecode: no frame is read beyond its end. The IP packet ends where the frame ends.
// In a firewall's log it may end earlier.
func FuzzDecode(f *testing.F) {
	ip := []byte{
		0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0, 1, 0, 2, 0, 9, 0, 0, 7,
	}
	for i := range linkTypes {
		f.Add(uint8(i), ip)
		f.Add(uint8(i), append([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 0, 8, 0}, ip...))
		f.Add(uint8(i), append([]byte{0xff, 3, 0, 0x21}, ip...))
		f.Add(uint8(i), append([]byte{1, 0xff, 3, 0, 0x21}, ip...))
		for _, tag := range []string{"\x40\x08\x00\x00", "\xda\xda\x00\x00\x40\x08\x00\x00", "\x80\x02"} {
			f.Add(uint8(i), append([]byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x10"+tag+"\x08\x00"), ip...))
		}
		f.Add(uint8(i), append([]byte("\x02\x00\x00\x00\x08\x00\x01\x00\x08\x00\x01\x00\x21\x00\x09\x00"), ip...))
		f.Add(uint8(i), append([]byte("\x04\x02\x00\x00"), ip...))
		f.Add(uint8(i), append([]byte("\x0c\x00\x00\x00\x01\x00\x00\x00\x0c\x00\x00\x00"), ip...))
	}
	f.Fuzz(func(t *testing.T, link uint8, b []byte) {
		var fr Frame
		number := linkTypes[int(link)%len(linkTypes)]
		if !decode(number, b, &fr) {
			t.Fatal("a known link type is refused")
		}
		for _, part := range [][]byte{fr.IP, fr.ARP} {
			// PKTAP may carry NFLOG.
			if len(part) > 0 && number != linkNFLOG && number != linkPKTAP && &part[len(part)-1] != &b[len(b)-1] {
				t.Fatal("what was decoded does not end with the frame")
			}
		}
		if src, dst, ok := addresses(fr.IP); ok {
			var p nfq.Packet
			nfq.ParsePacket(fr.IP, &p)
			if p.Version != 0 && (p.Src != src || p.Dst != dst) {
				t.Fatalf("addresses %v %v, the parser has %v %v", src, dst, p.Src, p.Dst)
			}
		}
	})
}
