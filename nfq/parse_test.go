// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// dirty returns a view full of an earlier packet's values. ParsePacket must overwrite all
// of them, except the fields that it does not set.
func dirty() Packet {
	return Packet{
		ID: 7, Hook: HookForward, InDev: 2, OutDev: 3, Mark: 4, MAC: MAC{1, 2, 3, 4, 5, 6},
		Version: 4, Proto: ProtoTCP, Fragment: true, MoreFragments: true,
		Src: dst6, Dst: src6, SrcPort: 1, DstPort: 2, TCPFlags: 0xff, Seq: 1, Ack: 2,
		Payload: []byte("old"), PayloadLen: 3, Raw: []byte("old"),
	}
}

func TestParsePacket(t *testing.T) {
	for _, tt := range packetCases {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			d := dirty()
			want.ID, want.Hook, want.InDev, want.OutDev, want.Mark, want.MAC = d.ID, d.Hook, d.InDev, d.OutDev, d.Mark, d.MAC
			want.Raw = tt.raw
			got := dirty()
			// Another packet follows in memory. ParsePacket must not read it.
			raw := append(bytes.Clone(tt.raw), bytes.Repeat([]byte{0xee}, 64)...)[:len(tt.raw):len(tt.raw)]
			if n := testing.AllocsPerRun(10, func() { ParsePacket(raw, &got) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if len(got.Raw) == 0 {
				got.Raw = nil
			}
			if len(want.Raw) == 0 {
				want.Raw = nil
			}
			if diff := cmp.Diff(want, got, emptyIsNil); diff != "" {
				t.Errorf("packet % x (-want +got):\n%s", tt.raw, diff)
			}
		})
	}
}

// emptyIsNil compares empty slices as equal, nil or not.
var emptyIsNil = cmp.Comparer(bytes.Equal)

// TestParsePacketCut cuts every packet off at every length. The view of a cut packet must
// be empty, or the same with less payload.
func TestParsePacketCut(t *testing.T) {
	for _, tt := range packetCases {
		var whole Packet
		ParsePacket(tt.raw, &whole)
		for n := range tt.raw {
			var p Packet
			ParsePacket(tt.raw[:n:n], &p)
			if p.Version == 0 {
				continue
			}
			if len(p.Payload) > len(whole.Payload) || !bytes.HasPrefix(whole.Payload, p.Payload) {
				t.Fatalf("%s cut to %d: payload %q of %q", tt.name, n, p.Payload, whole.Payload)
			}
			want := whole
			want.Raw, want.Payload = p.Raw, p.Payload
			if diff := cmp.Diff(want, p, emptyIsNil); diff != "" {
				t.Fatalf("%s cut to %d (-whole +cut):\n%s", tt.name, n, diff)
			}
		}
	}
}

// checkView checks what must hold for every view.
func checkView(t *testing.T, raw []byte, p *Packet) {
	t.Helper()
	if !bytes.Equal(p.Raw, raw) {
		t.Fatal("Raw is not the packet")
	}
	if len(p.Payload) > p.PayloadLen || p.PayloadLen > 65535 || len(p.Payload) > len(raw) {
		t.Fatalf("payload of %d, by the headers %d, in a packet of %d", len(p.Payload), p.PayloadLen, len(raw))
	}
	switch {
	case p.Version == 0:
		empty := Packet{ID: p.ID, Hook: p.Hook, InDev: p.InDev, OutDev: p.OutDev, Mark: p.Mark, MAC: p.MAC, Raw: p.Raw}
		if diff := cmp.Diff(empty, *p, emptyIsNil); diff != "" {
			t.Fatalf("an unreadable packet has a view (-want +got):\n%s", diff)
		}
	case p.Version != 4 && p.Version != 6, p.Version == 4 && (!p.Src.Is4() || !p.Dst.Is4()):
		t.Fatalf("version %d, addresses %v, %v", p.Version, p.Src, p.Dst)
	case p.Fragment || (p.Proto != ProtoTCP && p.Proto != ProtoUDP):
		if p.SrcPort|p.DstPort != 0 || p.Payload != nil || p.PayloadLen != 0 || p.TCPFlags != 0 || p.Seq|p.Ack != 0 {
			t.Fatalf("a packet without transport header has one: %+v", p)
		}
	}
}

// checkGopacket compares the view with gopacket's. The two differ for damaged packets,
// but what ParsePacket can read, gopacket must read the same way.
func checkGopacket(t *testing.T, raw []byte, p *Packet) {
	t.Helper()
	if p.Version == 0 {
		return
	}
	first := layers.LayerTypeIPv4
	if p.Version == 6 {
		first = layers.LayerTypeIPv6
	}
	var src, dst netip.Addr
	var proto uint8
	g := gopacket.NewPacket(raw, first, gopacket.NoCopy)
	switch ip := g.NetworkLayer().(type) {
	case *layers.IPv4:
		src, _ = netip.AddrFromSlice(ip.SrcIP.To4())
		dst, _ = netip.AddrFromSlice(ip.DstIP.To4())
		proto = uint8(ip.Protocol)
		if fragment := ip.FragOffset != 0; fragment != p.Fragment || (ip.Flags&layers.IPv4MoreFragments != 0) != p.MoreFragments {
			t.Fatalf("gopacket: offset %d, flags %v; %+v", ip.FragOffset, ip.Flags, p)
		}
		if proto != p.Proto {
			t.Fatalf("gopacket: protocol %d; %+v", proto, p)
		}
	case *layers.IPv6:
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
	default:
		t.Fatalf("gopacket reads no IP header (%v); %+v", g.ErrorLayer(), p)
	}
	// Addr cannot tell a mapped address in an IPv6 header from IPv4.
	if AddrFrom(src) != p.Src || AddrFrom(dst) != p.Dst {
		t.Fatalf("gopacket: %v to %v; %+v", src, dst, p)
	}
	// For a tunnel, gopacket shows the inner transport header.
	if p.Fragment || p.MoreFragments || (p.Proto != ProtoTCP && p.Proto != ProtoUDP) {
		return
	}
	switch l := g.TransportLayer().(type) {
	case *layers.UDP:
		if p.Proto != ProtoUDP || uint16(l.SrcPort) != p.SrcPort || uint16(l.DstPort) != p.DstPort ||
			int(l.Length)-8 != p.PayloadLen || !bytes.Equal(l.Payload, p.Payload) {
			t.Fatalf("gopacket: %+v; %+v", l, p)
		}
	case *layers.TCP:
		// gopacket ignores the padding of options that it cannot read.
		if p.Proto != ProtoTCP || uint16(l.SrcPort) != p.SrcPort || uint16(l.DstPort) != p.DstPort ||
			l.Seq != p.Seq || l.Ack != p.Ack || l.SYN != (p.TCPFlags&SYN != 0) || l.ACK != (p.TCPFlags&ACK != 0) ||
			l.RST != (p.TCPFlags&RST != 0) || l.FIN != (p.TCPFlags&FIN != 0) || l.PSH != (p.TCPFlags&PSH != 0) ||
			!bytes.Equal(l.Payload, p.Payload) {
			t.Fatalf("gopacket: %+v; %+v", l, p)
		}
	}
}

func TestParsePacketGopacket(t *testing.T) {
	seen := 0
	for _, tt := range packetCases {
		var p Packet
		ParsePacket(tt.raw, &p)
		checkGopacket(t, tt.raw, &p)
		if p.Version == 0 || p.Fragment || p.MoreFragments || (p.Proto != ProtoTCP && p.Proto != ProtoUDP) {
			continue
		}
		// Both must read the transport header of an intact packet. gopacket fails on TCP
		// options that are cut off, and does not know HIP and Shim6.
		if g := gopacket.NewPacket(tt.raw, gopacket.LayerType(map[uint8]gopacket.LayerType{
			4: layers.LayerTypeIPv4, 6: layers.LayerTypeIPv6,
		}[p.Version]), gopacket.NoCopy); g.TransportLayer() != nil {
			seen++
		} else {
			t.Logf("%s: gopacket reads no transport header: %v", tt.name, g.ErrorLayer())
		}
	}
	if seen < 20 {
		t.Errorf("gopacket read the transport header of %d packets only", seen)
	}
}

func FuzzParsePacket(f *testing.F) {
	for _, tt := range packetCases {
		f.Add(tt.raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = raw[:len(raw):len(raw)]
		p := Packet{Version: 9, Fragment: true, SrcPort: 1, Payload: []byte("old")}
		ParsePacket(raw, &p)
		checkView(t, raw, &p)
		tcpTimestamps(&p)
	})
}

func BenchmarkParsePacket(b *testing.B) {
	for _, name := range []string{"IPv4 UDP", "IPv4 TCP", "IPv6 UDP", "IPv6 every extension header"} {
		for _, tt := range packetCases {
			if tt.name != name {
				continue
			}
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				var p Packet
				for b.Loop() {
					ParsePacket(tt.raw, &p)
				}
			})
		}
	}
}
