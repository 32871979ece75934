// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

type packet struct {
	at       time.Time // zero: a millisecond after the packet before
	src, dst net.HardwareAddr
	ip       []byte
	arp      []byte
	frame    []byte // nil: an Ethernet frame with the fields below
}

var (
	start     = time.Date(2003, 11, 1, 12, 0, 0, 0, time.UTC)
	macClient = net.HardwareAddr{2, 0, 0, 0, 0, 0x50}
	macOther  = net.HardwareAddr{2, 0, 0, 0, 0, 0x60}
	macRouter = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	kazaaPing = unhex("27000000a9804b615a614100")
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func serialize(l ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		panic(err)
	}
	return b.Bytes()
}

type transport interface {
	gopacket.SerializableLayer
	SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
}

func ipPacket(srcMAC, dstMAC net.HardwareAddr, src, dst string, proto layers.IPProtocol, t transport, payload []byte) packet {
	from, to := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	var n interface {
		gopacket.NetworkLayer
		gopacket.SerializableLayer
	} = &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	if from.Is6() {
		n = &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	}
	if err := t.SetNetworkLayerForChecksum(n); err != nil {
		panic(err)
	}
	return packet{src: srcMAC, dst: dstMAC, ip: serialize(n, t, gopacket.Payload(payload))}
}

func udp(srcMAC, dstMAC net.HardwareAddr, src string, sport uint16, dst string, dport uint16, payload []byte) packet {
	return ipPacket(srcMAC, dstMAC, src, dst, layers.IPProtocolUDP,
		&layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}, payload)
}

func tcp(srcMAC, dstMAC net.HardwareAddr, src string, sport uint16, dst string, dport uint16, flags string, payload []byte) packet {
	seq := uint32(1001)
	if strings.Contains(flags, "S") {
		seq = 1000
	}
	return ipPacket(srcMAC, dstMAC, src, dst, layers.IPProtocolTCP, &layers.TCP{
		SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), Seq: seq, Window: 1024,
		SYN: strings.Contains(flags, "S"), ACK: strings.Contains(flags, "A"), PSH: strings.Contains(flags, "P"),
	}, payload)
}

func dns(mac net.HardwareAddr, src string) packet { return dnsTo(mac, src, "192.0.2.53") }

func dnsTo(mac net.HardwareAddr, src, server string) packet {
	return udp(mac, macRouter, src, 5353, server, 53, unhex("1234010000010000000000000765786d61706c6503636f6d0000010001"))
}

func arpReply(mac net.HardwareAddr, ip string, to net.HardwareAddr) packet {
	return packet{src: mac, dst: to, arp: serialize(&layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPReply, SourceHwAddress: mac, SourceProtAddress: netip.MustParseAddr(ip).AsSlice(),
		DstHwAddress: to, DstProtAddress: []byte{192, 168, 1, 50},
	})}
}

// plain is a layer above IP whose checksum does not cover the addresses.
type plain struct{ gopacket.SerializableLayer }

func (plain) SetNetworkLayerForChecksum(gopacket.NetworkLayer) error { return nil }

func (p packet) from(mac net.HardwareAddr) packet { p.src = mac; return p }

func (p packet) after(d time.Duration) packet { p.at = start.Add(d); return p }

func repeat(p packet, n int) []packet {
	out := make([]packet, n)
	for i := range out {
		out[i] = p
	}
	return out
}

func (p packet) etherType() uint16 {
	switch {
	case p.arp != nil:
		return 0x0806
	case p.ip[0]>>4 == 6:
		return 0x86dd
	}
	return 0x0800
}

func be16(v uint16) []byte { return []byte{byte(v >> 8), byte(v)} }

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// ethernet returns the Ethernet frame, with VLAN tags of the given types.
func (p packet) ethernet(tags ...uint16) []byte {
	b := join(p.dst, p.src)
	for _, t := range tags {
		b = join(b, be16(t), be16(7))
	}
	return join(b, be16(p.etherType()), p.ip, p.arp)
}

func (p packet) pppoe() []byte {
	return join(p.dst, p.src, be16(0x8864), []byte{0x11, 0, 0, 1}, be16(uint16(len(p.ip)+2)), be16(0x21), p.ip)
}

func (p packet) snap() []byte {
	return join(p.dst, p.src, be16(uint16(len(p.ip)+8)), []byte{0xaa, 0xaa, 3, 0, 0, 0}, be16(p.etherType()), p.ip)
}

func (p packet) mpls() []byte {
	return join(p.dst, p.src, be16(0x8847), []byte{0, 1, 0, 64}, []byte{0, 1, 1, 64}, p.ip)
}

func (p packet) cooked() []byte {
	return join(be16(0), be16(1), be16(6), p.src, be16(0), be16(p.etherType()), p.ip)
}

func (p packet) cooked2() []byte {
	return join(be16(p.etherType()), be16(0), []byte{0, 0, 0, 2}, be16(1), []byte{0, 6}, p.src, be16(0), p.ip)
}

// wireless returns a WLAN data frame with quality of service, sent to the access point.
func (p packet) wireless() []byte {
	radiotap := []byte{0, 0, 8, 0, 0, 0, 0, 0}
	head := join([]byte{0x88, 0x01, 0, 0}, macRouter, p.src, p.dst, be16(0), be16(0))
	return join(radiotap, head, []byte{0xaa, 0xaa, 3, 0, 0, 0}, be16(p.etherType()), p.ip)
}

// tag returns the frame with a switch's tag between the MAC addresses and the EtherType.
func (p packet) tag(tag string) []byte {
	b := p.ethernet()
	return join(b[:12], unhex(tag), b[12:])
}

// logged returns the packet as a rule of Linux' firewall logs it.
func (p packet) logged(order binary.ByteOrder) []byte {
	attribute := func(kind int, value []byte) []byte {
		b := make([]byte, 4, 4+len(value)+3)
		order.PutUint16(b, uint16(4+len(value)))
		order.PutUint16(b[2:], uint16(kind))
		b = append(b, value...)
		return append(b, make([]byte, -len(value)&3)...)
	}
	return join([]byte{2, 0, 0, 0}, attribute(1, unhex("08000200")),
		attribute(8, join(be16(6), be16(0), p.src, be16(0))), attribute(9, p.ip), attribute(10, []byte("lan\x00")))
}

// filtered returns the packet as OpenBSD's firewall logs it.
func (p packet) filtered() []byte {
	return join([]byte{61, 2, 1, 0}, make([]byte, 60), p.ip)
}

// tapped returns the packet as in a capture on all devices of a Mac.
func (p packet) tapped(order binary.ByteOrder) []byte {
	b := make([]byte, 108)
	order.PutUint32(b, 108)
	order.PutUint32(b[4:], 1)
	order.PutUint32(b[8:], uint32(layers.LinkTypeEthernet))
	copy(b[12:], "en0")
	return join(b, p.ethernet())
}

func write(t *testing.T, packets []packet, w interface {
	WritePacket(gopacket.CaptureInfo, []byte) error
},
) {
	t.Helper()
	at := start
	for _, p := range packets {
		at = at.Add(time.Millisecond)
		if !p.at.IsZero() {
			at = p.at
		}
		b := p.frame
		if b == nil {
			b = p.ethernet()
		}
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(b), Length: len(b)}, b); err != nil {
			t.Fatal(err)
		}
	}
}

func create(t *testing.T, file string) *os.File {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func writePcap(t *testing.T, file string, link layers.LinkType, packets []packet) {
	t.Helper()
	f := create(t, file)
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, link); err != nil {
		t.Fatal(err)
	}
	write(t, packets, w)
}

func writePcapNG(t *testing.T, file string, packets []packet) {
	t.Helper()
	f := create(t, file)
	defer f.Close()
	w, err := pcapgo.NewNgWriter(f, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	write(t, packets, w)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// writeOld writes a pcap file of version 2.minor. Each record has extra bytes beyond the
// sent length. If swapped is set, its two lengths are exchanged.
func writeOld(t *testing.T, file string, order binary.AppendByteOrder, minor uint16, swapped bool, extra int, packets []packet) {
	t.Helper()
	b := order.AppendUint32(nil, 0xa1b2c3d4)
	b = order.AppendUint16(b, 2)
	b = order.AppendUint16(b, minor)
	b = append(b, make([]byte, 8)...)
	b = order.AppendUint32(b, 65535)
	b = order.AppendUint32(b, uint32(layers.LinkTypeEthernet))
	for i, p := range packets {
		frame := append(p.ethernet(), make([]byte, max(extra, 0))...)
		captured, sent := len(frame), len(frame)-extra
		if swapped {
			captured, sent = sent, captured
		}
		b = order.AppendUint32(b, uint32(start.Unix()))
		b = order.AppendUint32(b, uint32(i)*1000)
		b = order.AppendUint32(b, uint32(captured))
		b = order.AppendUint32(b, uint32(sent))
		b = append(b, frame...)
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// torrent returns the packets of a client that asks nodes of the DHT.
func torrent() []packet {
	ping := func(dst string) packet {
		return udp(macClient, macRouter, "192.168.1.10", 51413, dst, 6881, []byte("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"))
	}
	return []packet{ping("203.0.113.99"), ping("198.51.100.77"), ping("203.0.113.150")}
}

// kazaa returns the packets of a client in all situations: pings, SYNs to peers and to
// other hosts, the answer to a probe, the end of the lock. There is an innocent host as
// well.
func kazaa() []packet {
	const host, other = "192.168.1.50", "192.168.1.60"
	ping := func(dst string) packet { return udp(macClient, macRouter, host, 1214, dst, 1214, kazaaPing) }
	syn := func(port uint16, dst string) packet {
		return tcp(macClient, macRouter, host, port, dst, 1214, "S", nil)
	}
	return []packet{
		arpReply(macRouter, "192.168.1.1", macClient),
		syn(40000, "203.0.113.80").after(0), // before the first ping: not suspected
		ping("198.51.100.7").after(5 * time.Second),
		ping("198.51.100.8"),
		udp(macRouter, macClient, "198.51.100.8", 1214, host, 1214, unhex("28000000a9004d3c1328054b615a614100")),
		syn(40001, "198.51.100.7"),
		tcp(macRouter, macClient, "198.51.100.7", 1214, host, 40001, "SA", nil),
		syn(40002, "203.0.113.81"), // locked
		tcp(macOther, macRouter, other, 40003, "203.0.113.81", 443, "S", nil),
		dns(macOther, other),
		dns(macClient, host),
		// It answers the probe at half the lock time.
		udp(macClient, macRouter, host, 1214, "192.168.1.1", 1214, unhex("28000000a9004d3c1328054b615a614100")).after(66 * time.Second),
		syn(40004, "203.0.113.81").after(180 * time.Second), // still locked because of the answer
		syn(40005, "203.0.113.81").after(190 * time.Second), // released
	}
}

// innocent returns the packets of a host that becomes a suspect, but is no client.
func innocent() []packet {
	const host, far = "192.168.1.60", "203.0.113.80"
	return []packet{
		dns(macOther, host).after(0),
		tcp(macOther, macRouter, host, 40000, far, 80, "S", nil),
		tcp(macRouter, macOther, far, 80, host, 40000, "SA", nil),
		tcp(macOther, macRouter, host, 40000, far, 80, "PA", []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")),
		tcp(macRouter, macOther, far, 80, host, 40000, "PA", []byte("HTTP/1.1 200 OK\r\n\r\nhello")),
		udp(macOther, macRouter, host, 5000, far, 5000, []byte("twelve bytes")),
		udp(macOther, macRouter, host, 68, "255.255.255.255", 67, []byte("a broadcast")),
	}
}

// ipv6 returns the packets of a client without a private address.
func ipv6() []packet {
	const host = "2001:db8:1::50"
	return []packet{
		udp(macClient, macRouter, host, 1214, "2001:db8:ffff::7", 1214, kazaaPing).after(0),
		udp(macClient, macRouter, host, 1214, "2001:db8:ffff::8", 1214, kazaaPing),
		tcp(macClient, macRouter, host, 40000, "2001:db8:eeee::1", 80, "S", nil),
	}
}
