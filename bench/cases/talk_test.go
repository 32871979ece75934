// SPDX-License-Identifier: GPL-2.0-or-later

package cases

import (
	"encoding/hex"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// step is the time between two packets of the host; trip is the round trip to the
// server.
const (
	step  = time.Millisecond
	trip  = 21 * time.Millisecond
	mss   = 1448
	begin = 1_700_000_000 // Unix time of the first packet
)

var (
	routerMAC  = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	routerAddr = netip.MustParseAddr("192.168.1.1")
	lan        = netip.MustParsePrefix("192.168.1.0/24")
)

// packet is one frame of a conversation.
type packet struct {
	at    time.Duration
	frame []byte
	peer  bool       // the file sharing itself: the wall may drop it
	host  netip.Addr // the LAN host that it is from or for
}

// talk is a conversation between a LAN host, the router and servers outside.
type talk struct {
	packets []packet
	now     time.Duration
	mac     net.HardwareAddr
	addr    netip.Addr // of the host that speaks
	peer    bool       // the packets that follow are the file sharing itself
	rnd     *rand.Rand
}

// newTalk begins a conversation of the host 192.168.1.x. An ARP reply tells the
// router's address.
func newTalk(name string, x byte) *talk {
	h := fnv.New64a()
	h.Write([]byte(name))
	t := &talk{
		mac: net.HardwareAddr{2, 0, 0, 0, 0, x}, addr: netip.AddrFrom4([4]byte{192, 168, 1, x}),
		rnd: rand.New(rand.NewPCG(h.Sum64(), 1)),
	}
	t.add(0, serialize(
		&layers.Ethernet{SrcMAC: routerMAC, DstMAC: t.mac, EthernetType: layers.EthernetTypeARP},
		&layers.ARP{
			AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: layers.ARPReply, SourceHwAddress: routerMAC, SourceProtAddress: routerAddr.AsSlice(),
			DstHwAddress: t.mac, DstProtAddress: t.addr.AsSlice(),
		},
	))
	return t
}

// neighbour makes 192.168.1.x the host that speaks from now on. The hardware address
// stays the same.
func (t *talk) neighbour(x byte) { t.addr = netip.AddrFrom4([4]byte{192, 168, 1, x}) }

// wait lets time pass.
func (t *talk) wait(d time.Duration) { t.now += d }

// until lets time pass up to a moment after the first packet.
func (t *talk) until(d time.Duration) { t.now = max(t.now, d) }

// random returns n bytes that are the same in each run of the test.
func (t *talk) random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(t.rnd.Uint32())
	}
	return b
}

// filled returns n random bytes behind the given beginning.
func (t *talk) filled(beginning string, n int) []byte {
	return append(unhex(beginning), t.random(n-len(beginning)/2)...)
}

func (t *talk) add(after time.Duration, frame []byte) {
	t.now += after
	t.packets = append(t.packets, packet{t.now, frame, t.peer, t.addr})
}

// send adds an IP packet from or to the host.
func (t *talk) send(after time.Duration, src, dst netip.Addr, transport transportLayer, data []byte) {
	from, to := routerMAC, t.mac
	if src == t.addr {
		from, to = t.mac, routerMAC
	}
	ip := &layers.IPv4{Version: 4, TTL: 64, Id: 1, Flags: layers.IPv4DontFragment, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
	ip.Protocol = layers.IPProtocolUDP
	if transport.LayerType() == layers.LayerTypeTCP {
		ip.Protocol = layers.IPProtocolTCP
	}
	if err := transport.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	ether := &layers.Ethernet{SrcMAC: from, DstMAC: to, EthernetType: layers.EthernetTypeIPv4}
	t.add(after, serialize(ether, ip, transport, gopacket.Payload(data)))
}

type transportLayer interface {
	gopacket.SerializableLayer
	SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
}

func serialize(l ...gopacket.SerializableLayer) []byte {
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// datagrams is a UDP flow of the host.
type datagrams struct {
	t      *talk
	port   uint16
	server netip.AddrPort
}

func (t *talk) udp(port uint16, server string) datagrams {
	return datagrams{t, port, netip.MustParseAddrPort(server)}
}

func (d datagrams) out(data []byte) datagrams {
	d.t.send(step, d.t.addr, d.server.Addr(), &layers.UDP{SrcPort: layers.UDPPort(d.port), DstPort: layers.UDPPort(d.server.Port())}, data)
	return d
}

func (d datagrams) in(data []byte) datagrams {
	d.t.send(trip, d.server.Addr(), d.t.addr, &layers.UDP{SrcPort: layers.UDPPort(d.server.Port()), DstPort: layers.UDPPort(d.port)}, data)
	return d
}

// exchange sends a datagram each way, n times, 50 ms apart.
func (d datagrams) exchange(n int, out, in []byte) {
	for range n {
		d.out(out).in(in)
		d.t.wait(50 * time.Millisecond)
	}
}

// connection is a TCP connection between the host and somebody outside.
type connection struct {
	t           *talk
	port        uint16 // the host's
	far         netip.AddrPort
	seq, farSeq uint32 // of the next byte
}

func (t *talk) connection(port uint16, far string) *connection {
	return &connection{t: t, port: port, far: netip.MustParseAddrPort(far), seq: t.rnd.Uint32(), farSeq: t.rnd.Uint32()}
}

// tcp opens a connection.
func (t *talk) tcp(port uint16, server string) *connection {
	c := t.connection(port, server)
	c.segment(step, true, "S", nil)
	c.segment(trip, false, "SA", nil)
	c.segment(step, true, "A", nil)
	return c
}

// accept opens a connection from somebody outside to the host.
func (t *talk) accept(port uint16, stranger string) *connection {
	c := t.connection(port, stranger)
	c.segment(trip, false, "S", nil)
	c.segment(step, true, "SA", nil)
	c.segment(trip, false, "A", nil)
	return c
}

func (c *connection) segment(after time.Duration, out bool, flags string, data []byte) {
	tcp := &layers.TCP{Window: 1024}
	for _, f := range flags {
		switch f {
		case 'S':
			tcp.SYN = true
		case 'A':
			tcp.ACK = true
		case 'P':
			tcp.PSH = true
		case 'R':
			tcp.RST = true
		}
	}
	n := uint32(len(data))
	if tcp.SYN {
		n = 1
	}
	if out {
		tcp.SrcPort, tcp.DstPort, tcp.Seq, tcp.Ack = layers.TCPPort(c.port), layers.TCPPort(c.far.Port()), c.seq, c.farSeq
		c.seq += n
		c.t.send(after, c.t.addr, c.far.Addr(), tcp, data)
		return
	}
	tcp.SrcPort, tcp.DstPort, tcp.Seq, tcp.Ack = layers.TCPPort(c.far.Port()), layers.TCPPort(c.port), c.farSeq, c.seq
	c.farSeq += n
	c.t.send(after, c.far.Addr(), c.t.addr, tcp, data)
}

// out sends data of the host, in segments.
func (c *connection) out(data []byte) *connection {
	for len(data) > 0 {
		n := min(len(data), mss)
		c.segment(step, true, "PA", data[:n])
		data = data[n:]
	}
	return c
}

// in sends data to the host, in segments.
func (c *connection) in(data []byte) *connection {
	after := trip
	for len(data) > 0 {
		n := min(len(data), mss)
		c.segment(after, false, "PA", data[:n])
		data, after = data[n:], step
	}
	return c
}

func (c *connection) say(s string) *connection  { return c.out([]byte(s)) }
func (c *connection) hear(s string) *connection { return c.in([]byte(s)) }

// acknowledge sends an empty segment from the other side.
func (c *connection) acknowledge() { c.segment(step, false, "A", nil) }

// reset ends the connection from the other side.
func (c *connection) reset() { c.segment(trip, false, "RA", nil) }

// cipher sends n random messages of 60 bytes each way.
func (c *connection) cipher(n int) {
	for range n {
		c.out(c.t.random(60)).in(c.t.random(60))
		c.t.wait(200 * time.Millisecond)
	}
}

// write writes the conversation to a capture in a temporary folder.
func (t *talk) write(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "case.pcap")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
		tb.Fatal(err)
	}
	for _, p := range t.packets {
		info := gopacket.CaptureInfo{Timestamp: time.Unix(begin, 0).Add(p.at), CaptureLength: len(p.frame), Length: len(p.frame)}
		if err := w.WritePacket(info, p.frame); err != nil {
			tb.Fatal(err)
		}
	}
	return path
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
