// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// idleSets and idleSender stand for a kernel that accepts everything at no cost.
type idleSets struct{}

func (idleSets) Cut(_, _ nfq.Addr, _ time.Duration)              {}
func (idleSets) Uncut(_, _ nfq.Addr)                             {}
func (idleSets) Lock(_ nfq.Addr, _ time.Duration)                {}
func (idleSets) Unlock(_ nfq.Addr)                               {}
func (idleSets) Own(nfq.Addr, uint8, uint16, time.Duration)      {}
func (idleSets) Disown(nfq.Addr, uint8, uint16)                  {}
func (idleSets) Watch(_ nfq.Addr, _ time.Duration)               {}
func (idleSets) Unwatch(_ nfq.Addr)                              {}
func (idleSets) Mark(_ nfq.Addr, _ time.Duration)                {}
func (idleSets) Unmark(_ nfq.Addr)                               {}
func (idleSets) Flush() uint64                                   { return 0 }
func (idleSets) Room() int                                       { return 1 << 20 }
func (idleSets) Lost() bool                                      { return false }
func (idleSets) UDP(_ uint32, _, _ nfq.AddrPort, _ []byte) error { return nil }
func (idleSets) Reset(_ *nfq.Packet) error                       { return nil }
func (idleSets) Answer(*nfq.Packet, []byte) error                { return nil }
func (idleSets) Reject(_ *nfq.Packet) error                      { return nil }

// benchEngine returns an engine with that many clients. Each has pinged that many peers.
func benchEngine(clients, peers int) (*Engine, Time) {
	cfg := DefaultConfig()
	e := New(cfg, idleSets{}, idleSets{}, 7)
	e.SetDevices([]Device{lan()})
	now := earliest
	for p := range peers {
		for c := range clients {
			e.Packet(benchPing(c, p), now)
			now++
		}
		e.Advance(now)
	}
	return e, now
}

func benchMAC(client int) nfq.MAC { return nfq.MAC{2, 1, 0, 0, byte(client >> 8), byte(client)} }

func benchClient(client int) nfq.Addr { return nfq.AddrFrom4([4]byte{192, 168, 1, byte(50 + client)}) }

func benchPeer(peer int) nfq.Addr {
	return nfq.AddrFrom4([4]byte{198, 51, byte(100 + peer>>8), byte(peer)})
}

func benchUDP(client, peer int, b []byte) *nfq.Packet {
	return &nfq.Packet{
		Hook: nfq.HookForward, InDev: lanDev, OutDev: wanDev, MAC: benchMAC(client), Version: 4, Proto: nfq.ProtoUDP,
		Src: benchClient(client), Dst: benchPeer(peer), SrcPort: 1214, DstPort: 1214, Payload: b, PayloadLen: len(b),
	}
}

func benchPing(client, peer int) *nfq.Packet { return benchUDP(client, peer, kazaaPing) }

func benchTCP(client, peer int, flags uint8, b []byte) *nfq.Packet {
	p := benchUDP(client, peer, b)
	p.Proto, p.TCPFlags, p.DstPort = nfq.ProtoTCP, flags, 80
	return p
}

// utpData is data in the middle of a uTP flow; secret is how an encrypted session begins.
var (
	utpData = "\x01\x00\xfd\xde\x32\xe3\x7e\x70\x00\x00\x01\x00\x00\x04\x00\x00\xf9\xce\x00\x07" + random(1380)
	secret  = random(200)
)

// benchTorrent returns a client's packet to a BitTorrent peer.
func benchTorrent(client int, b string) *nfq.Packet {
	p := benchUDP(client, 5, []byte(b))
	p.SrcPort, p.DstPort = 51413, 6881
	return p
}

// newFlow and newAddr change the n-th packet: newFlow to another connection, newAddr to
// another address.
func newFlow(p *nfq.Packet, n uint32) {
	p.SrcPort, p.Seq = uint16(n), n<<16
}

func newAddr(p *nfq.Packet, n uint32) {
	p.Dst[13], p.Dst[14], p.Dst[15] = byte(n>>16), byte(n>>8), byte(n)
	newFlow(p, n)
}

// tableSizes are nearly empty tables, and full ones.
var tableSizes = []struct{ clients, peers int }{{1, 1}, {DefaultMaxClients, MaxPeers}}

// BenchmarkPacket measures the engine's decision about one packet of every kind.
func BenchmarkPacket(b *testing.B) {
	var (
		dns    = mustHex("12340100000100000000000003777777076578616d706c6503636f6d0000010001")
		tls    = append([]byte{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, make([]byte, 500)...)
		web    = []byte("GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\nAccept-Language: en\r\nConnection: keep-alive\r\n\r\n")
		kazaa  = []byte("GET /.hash=0123456789abcdef0123456789abcdef01234567 HTTP/1.1\r\nUserAgent: KazaaClient Jul 27 2004 21:15:16\r\nX-Kazaa-Username: u\r\nX-Kazaa-SupernodeIP: 198.51.100.10:1214\r\n\r\n")
		others = DefaultMaxClients + 7 // a host without a client
	)
	kinds := []struct {
		name string
		make func(client, peer int) *nfq.Packet
		next func(p *nfq.Packet, n uint32) // makes it differ from earlier ones
		// pace is the time between two packets of one client; 0: no time.
		pace time.Duration
	}{
		{"accept UDP", func(_, _ int) *nfq.Packet { return benchUDP(others, 9, dns) }, nil, 0},
		{"accept SYN", func(_, _ int) *nfq.Packet { return benchTCP(others, 9, nfq.SYN, nil) }, newFlow, 0},
		{"drop UDP to a peer", func(c, p int) *nfq.Packet { return benchUDP(c, p, []byte("x")) }, nil, 0},
		{"drop SYN to a peer", func(c, p int) *nfq.Packet { return benchTCP(c, p, nfq.SYN, nil) }, nil, 0},
		{"lock, drop SYN elsewhere", func(c, _ int) *nfq.Packet { return benchTCP(c, 3000, nfq.SYN, nil) }, newFlow, 0},
		{"pong", benchPing, nil, 0},
		{"pong, new peer", func(c, _ int) *nfq.Packet { return benchPing(c, 1000) }, newAddr, 0},
		{"HTTP, harmless", func(_, _ int) *nfq.Packet { return benchTCP(others, 9, nfq.ACK, web) }, newFlow, 0},
		{"HTTP, transfer", func(_, _ int) *nfq.Packet { return benchTCP(0, 3000, nfq.ACK, kazaa) }, newAddr, 0},
		{"DHT query, answered", func(c, _ int) *nfq.Packet { return benchTorrent(c, dhtFind) }, nil, time.Second / answersPerSecond},
		{"DHT query of a busy client", func(c, _ int) *nfq.Packet { return benchTorrent(c, dhtFind) }, nil, time.Second / 85},
		{"DHT query, new node", func(c, _ int) *nfq.Packet { return benchTorrent(c, dhtPing) }, newAddr, 0},
		{"uTP of a client, its own port", func(c, _ int) *nfq.Packet { return benchTorrent(c, utpData) }, newFlow, 0},
		{"unknown TCP of a sifted client", func(c, _ int) *nfq.Packet {
			p := benchTorrent(c, secret)
			p.Proto, p.TCPFlags = nfq.ProtoTCP, nfq.ACK
			return p
		}, newFlow, 0},
		{"QUIC", func(_, _ int) *nfq.Packet { return benchUDP(others, 9, []byte(quic())) }, nil, 0},
		{"TLS with a name", func(_, _ int) *nfq.Packet { return benchTCP(others, 9, nfq.ACK, []byte(hello("www.example.org"))) }, newFlow, 0},
		{"TLS", func(_, _ int) *nfq.Packet { return benchTCP(others, 9, nfq.ACK, tls) }, newFlow, 0},
	}
	for _, size := range tableSizes {
		for _, k := range kinds {
			b.Run(fmt.Sprintf("%s/%dx%d", k.name, size.clients, size.peers), func(b *testing.B) {
				e, now := benchEngine(size.clients, size.peers)
				// All clients and peers in turn, so that the whole tables are used and not
				// one cache line.
				packets := make([]*nfq.Packet, 0, size.clients*size.peers)
				for p := range size.peers {
					for c := range size.clients {
						packets = append(packets, k.make(c, p))
					}
				}
				b.ReportAllocs()
				i, n, step := 0, uint32(0), 1000+Time(k.pace)/Time(size.clients)
				for b.Loop() {
					p := packets[i]
					if i++; i == len(packets) {
						i = 0
					}
					now += step
					if k.next != nil {
						n++
						k.next(p, n)
					}
					e.Packet(p, now)
				}
			})
		}
	}
}

// BenchmarkLookBack measures the recognition of a client that has just opened a burst of
// connections, and its end.
func BenchmarkLookBack(b *testing.B) {
	e, now := benchEngine(1, 1)
	b.ReportAllocs()
	addr := benchClient(1)
	syn, ping := benchTCP(1, 100, nfq.SYN, nil), benchPing(1, 2)
	for b.Loop() {
		for i := range synsPerHost {
			syn.Dst, syn.Seq = benchPeer(100+i), uint32(now)
			e.Packet(syn, now)
			now += Time(time.Millisecond)
		}
		e.Packet(ping, now)
		now += Time(time.Second)
		e.forget(e.clientAt(&addr))
		e.Advance(now)
	}
}

// BenchmarkBetweenBatches measures what the loop needs from the engine besides packets.
func BenchmarkBetweenBatches(b *testing.B) {
	for _, size := range tableSizes {
		b.Run(fmt.Sprintf("%dx%d", size.clients, size.peers), func(b *testing.B) {
			e, now := benchEngine(size.clients, size.peers)
			b.ReportAllocs()
			for b.Loop() {
				now += 1000
				e.Advance(now)
				e.Next()
			}
		})
	}
}
