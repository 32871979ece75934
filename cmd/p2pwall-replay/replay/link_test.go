// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"bytes"
	"encoding/hex"
	"strings"
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

// unhex reads hexadecimal digits with spaces. "IP" stands for a packet.
func unhex(t *testing.T, s string, ip []byte) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(strings.ReplaceAll(s, "IP", hex.EncodeToString(ip)), " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDecode: what each link layer says of a frame, and where its packet begins. The tests of
// the program replay whole captures; these are the forms that they do not have.
func TestDecode(t *testing.T) {
	const (
		d, s, x = "020000000001", "020000000010", "0200000000ff" // MACs: to, from, another
		yes, no = true, false
	)
	ip := datagram(nfq.ProtoUDP, "192.168.1.10", "198.51.100.7", 1, 2, 0, 9)
	arp := hex.EncodeToString(tells(16, "192.168.1.10").ARP)
	for _, c := range []struct {
		name  string
		link  uint32
		frame string
		isIP  bool
		macs  string // to and from
	}{
		{"Ethernet", linkEthernet, d + s + "0800 IP", yes, d + s},
		{"Ethernet, bits about checksums in the link type", linkEthernet | 4<<28, d + s + "0800 IP", yes, d + s},
		{"Ethernet, another protocol", linkEthernet, d + s + "88cc IP", no, d + s},
		{"Ethernet, no IP after IP's type", linkEthernet, d + s + "0800 00 IP", no, d + s},
		{"Ethernet, nothing", linkEthernet, d + s + "08", no, ""},
		{"three VLANs", linkEthernet, d + s + "9100 0001 88a8 0002 8100 0003 0800 IP", yes, d + s},
		{"too many VLANs", linkEthernet, d + s + "8100 0001 8100 0002 8100 0003 8100 0004 0800 IP", no, d + s},
		{"a VLAN that is cut short", linkEthernet, d + s + "8100 0001 08", no, d + s},
		{"PPPoE in a VLAN", linkEthernet, d + s + "8100 0007 8864 1100 0001 001f 0021 IP", yes, d + s},
		{"PPPoE, its negotiation", linkEthernet, d + s + "8864 1100 0001 001f c021 IP", no, d + s},
		{"two labels of MPLS", linkEthernet, d + s + "8847 00010040 00010140 IP", yes, d + s},
		{"MPLS without a last label", linkEthernet, d + s + "8847 00010040 00010040 00010040 00010040 IP", no, d + s},
		{"MPLS that is cut short", linkEthernet, d + s + "8848 000100", no, d + s},
		{"a length and SNAP", linkEthernet, d + s + "0030 aaaa03 000000 0800 IP", yes, d + s},
		{"a length, and a length again", linkEthernet, d + s + "0030 aaaa03 000000 0030 aaaa03 000000 0800 IP", no, d + s},
		{"ARP", linkEthernet, d + s + "0806" + arp, no, d + s},
		{"a switch's tag, ARP", linkEthernet, d + s + "4008 0000 0806" + arp, no, d + s},
		{"a switch's tag, PPPoE", linkEthernet, d + s + "4008 0000 8864 1100 0001 001f 0021 IP", yes, d + s},
		{"a switch's longer tag and a VLAN", linkEthernet, d + s + "dada 0000 4008 0000 8100 0007 0800 IP", yes, d + s},
		{"a switch's tag, and no IP header", linkEthernet, d + s + "4008 0000 0800 46000010 000000000000000000000000000000000000000000", no, d + s},
		{"Broadcom's tag is not guessed in its own link type", linkBroadcom, d + s + "00000008 0800 IP", yes, d + s},
		{"Broadcom's tag that is cut short", linkBroadcom, d + s + "00000008 08", no, ""},
		{"PPP, IPv6's number", linkPPP, "ff03 0057 IP", yes, ""},
		{"PPP, one byte", linkPPP, "57 IP", yes, ""},
		{"PPP, compressed", linkPPP, "ff03 00fd IP", no, ""},
		{"PPP, an address alone", linkPPP, "ff03", no, ""},
		{"PPPoE as the link", linkPPPEther, "1100 0001 001f 0021 IP", yes, ""},
		{"PPPoE as the link, a header alone", linkPPPEther, "1100 0001 001f", no, ""},
		{"PPP in HDLC", linkPPPHDLC, "ff03 0021 IP", yes, ""},
		{"PPP with direction, sent", linkPPPWithDir, "01 21 IP", yes, ""},
		{"Cisco's HDLC, IPv6", linkCHDLC, "0f00 86dd IP", yes, ""},
		{"Cisco's HDLC, its own messages", linkCHDLC, "8f00 8035 IP", no, ""},
		{"BSD's null, its other byte order", linkNull, "00000002 IP", yes, ""},
		{"null, a header alone", linkNull, "02000000", no, ""},
		{"raw IP", linkRaw, "IP", yes, ""},
		{"raw, OpenBSD's number", linkRawOBSD, "IP", yes, ""},
		{"raw, neither version", linkRaw, "05 IP", no, ""},
		{"cooked", linkSLL, "0000 0001 0006 " + s + "0000 0800 IP", yes, "000000000000" + s},
		{"cooked, an address that is no MAC", linkSLL, "0000 0001 0008 " + s + "0001 0800 IP", yes, ""},
		{"cooked, no address", linkSLL, "0000 0304 0000 0000000000000000 0800 IP", yes, ""},
		{"cooked, version 2", linkSLL2, "0800 0000 00000002 0001 00 06 " + s + "0000 IP", yes, "000000000000" + s},
		{"cooked, version 2, an address that is no MAC", linkSLL2, "0800 0000 00000002 0001 00 08 " + s + "0001 IP", yes, ""},
		{"WLAN, to the access point", linkIEEE80211, "0801 0000" + x + s + d + "0000 aaaa03 000000 0800 IP", yes, d + s},
		{"WLAN, from the access point", linkIEEE80211, "0802 0000" + d + x + s + "0000 aaaa03 000000 0800 IP", yes, d + s},
		{"WLAN, between stations", linkIEEE80211, "0800 0000" + d + s + x + "0000 aaaa03 000000 0800 IP", yes, d + s},
		{"WLAN, between access points", linkIEEE80211, "0803 0000" + x + x + d + "0000" + s + "aaaa03 000000 0800 IP", yes, d + s},
		{"WLAN, between access points, cut short", linkIEEE80211, "0803 0000" + x + x + d + "0000" + "0200", no, ""},
		{"WLAN with quality of service", linkIEEE80211, "8801 0000" + x + s + d + "0000 0000 aaaa03 000000 0800 IP", yes, d + s},
		{"WLAN, SNAP of a company's own", linkIEEE80211, "0801 0000" + x + s + d + "0000 aaaa03 00000c 0800 IP", no, d + s},
		{"WLAN, no data", linkIEEE80211, "4801 0000" + x + s + d + "0000 aaaa03 000000 0800 IP", no, ""},
		{"WLAN, a beacon", linkIEEE80211, "8000 0000" + x + s + d + "0000 aaaa03 000000 0800 IP", no, ""},
		{"WLAN, a header alone", linkIEEE80211, "0801 0000" + x + s + d + "0000", no, d + s},
		{"monitor mode, a longer header", linkRadiotap, "0000 0c00 00000000 00000000 0801 0000" + x + s + d + "0000 aaaa03 000000 0800 IP", yes, d + s},
		{"monitor mode, a header that is longer than all", linkRadiotap, "0000 ffff 00000000 0801 0000" + x + s + d + "0000 aaaa03 000000 0800 IP", no, ""},
		{"NFLOG without a packet", linkNFLOG, "02000000 0800 0100 08000200", no, ""},
		{"NFLOG, an attribute without a length", linkNFLOG, "02000000 0000 0900 IP", no, ""},
		{"NFLOG, the hardware address of something else", linkNFLOG, "02000000 1000 0800 0008 0000" + s + "0000 2900 0900 IP", yes, ""},
		{"PFLOG, a length that needs padding", linkPFLOG, "05 020100 00000000 IP", yes, ""},
		{"PFLOG, a header that is longer than all", linkPFLOG, "ff 020100 IP", no, ""},
		{"PFLOG, nothing", linkPFLOG, "", no, ""},
		{"PKTAP of raw IP", linkPKTAP, "0c000000 01000000 65000000 IP", yes, ""},
		{"PKTAP in PKTAP", linkPKTAP, "0c000000 01000000 02010000 0c000000 01000000 65000000 IP", no, ""},
		{"PKTAP, a header that is too short", linkPKTAP, "08000000 01000000 65000000 IP", no, ""},
		{"PKTAP, a header that is longer than all", linkPKTAP, "ff000000 01000000 65000000 IP", no, ""},
	} {
		var f Frame
		if !decode(c.link, unhex(t, c.frame, ip), &f) {
			t.Errorf("%s: the link type is refused", c.name)
		}
		if isARP := strings.Contains(c.frame, arp); f.IP != nil && !c.isIP || c.isIP && !bytes.Equal(f.IP, ip) || isARP != (len(f.ARP) == 28) {
			t.Errorf("%s: IP % x, ARP % x", c.name, f.IP, f.ARP)
		}
		if f.Encrypted {
			t.Errorf("%s: it is said to be encrypted", c.name)
		}
		want := append(unhex(t, c.macs, nil), make([]byte, 12)...)[:12]
		if got := append(f.Dst[:], f.Src[:]...); !bytes.Equal(got, want) {
			t.Errorf("%s: MACs % x, want % x", c.name, got, want)
		}
	}
	var f Frame
	if decode(147, ip, &f) || f.IP != nil {
		t.Error("a link type for private use is decoded")
	}
	// Encrypted WLAN frames are counted, because they are a reason to find nothing.
	decode(linkIEEE80211, unhex(t, "0841 0000"+x+s+d+"0000 aaaa03 000000 0800 IP", ip), &f)
	if !f.Encrypted || f.IP != nil {
		t.Errorf("an encrypted frame: %+v", f)
	}
}
