// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"testing"

	"github.com/p2pwall/p2pwall/nfq"
)

var linkTypes = [...]uint32{
	linkNull, linkEthernet, linkPPP, linkRawBSD, linkRawOBSD, linkPPPHDLC, linkPPPEther, linkRaw,
	linkCHDLC, linkIEEE80211, linkLoop, linkSLL, linkRadiotap, linkIPv4, linkIPv6, linkSLL2,
}

// No frame, however short, is read beyond its end, and what is taken for IP ends
// where the frame ends.
func FuzzDecode(f *testing.F) {
	ip := []byte{
		0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0, 1, 0, 2, 0, 9, 0, 0, 7,
	}
	for i := range linkTypes {
		f.Add(uint8(i), ip)
		f.Add(uint8(i), append([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 0, 8, 0}, ip...))
		f.Add(uint8(i), append([]byte{0xff, 3, 0, 0x21}, ip...))
	}
	f.Fuzz(func(t *testing.T, link uint8, b []byte) {
		var fr Frame
		if !decode(linkTypes[int(link)%len(linkTypes)], b, &fr) {
			t.Fatal("a known link type is refused")
		}
		for _, part := range [][]byte{fr.IP, fr.ARP} {
			if len(part) > 0 && &part[len(part)-1] != &b[len(b)-1] {
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
