// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"net/netip"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// TestWhichWay tests what the rules do with the packets of one connection between a LAN
// host and the outside.
func TestWhichWay(t *testing.T) {
	host, far := nfq.AddrFrom(netip.MustParseAddr("192.168.1.10")), nfq.AddrFrom(netip.MustParseAddr("203.0.113.9"))
	packet := func(src, dst nfq.Addr, sport, dport uint16, proto, flags uint8) *nfq.Packet {
		raw := make([]byte, 60)
		raw[0], raw[3], raw[9] = 0x45, 60, proto
		copy(raw[12:], src[12:])
		copy(raw[16:], dst[12:])
		return &nfq.Packet{
			Version: 4, Proto: proto, Src: src, Dst: dst, SrcPort: sport, DstPort: dport,
			TCPFlags: flags, PayloadLen: 20, Raw: raw,
		}
	}
	const (
		syn, synAck, push = nfq.SYN, nfq.SYN | nfq.ACK, nfq.PSH | nfq.ACK
		long              = 60 // packets in each direction: more than all limits
	)
	type step struct {
		out   bool
		flags uint8
		times int
		want  way // of the last packet
	}
	for _, c := range []struct {
		name  string
		proto uint8
		sets  func(*kernel)
		steps []step
	}{
		{"TCP from outside", nfq.ProtoTCP, nil, []step{
			{false, syn, 1, pass}, {true, synAck, 1, pass}, {false, push, 1, pass}, {true, push, 1, queued},
		}},
		{"TCP from outside, not answered", nfq.ProtoTCP, nil, []step{{false, syn, 1, pass}, {false, push, 1, pass}}},
		{"TCP of the host", nfq.ProtoTCP, nil, []step{
			{true, syn, 1, queued}, {false, synAck, 1, pass}, {true, push, 1, queued}, {false, push, 1, pass}, {true, push, tcpPackets - 2, queued}, {true, push, 1, pass},
		}},
		{"TCP that is old", nfq.ProtoTCP, nil, []step{
			{true, syn, 1, queued}, {false, push, long, pass}, {true, nfq.ACK, long, pass}, {true, push, 1, pass},
		}},
		{"TCP that is old, watched", nfq.ProtoTCP, func(k *kernel) { k.Watch(host, time.Minute) }, []step{
			{true, syn, 1, queued}, {true, push, long, queued}, {false, push, long, pass}, {true, push, 1, queued}, {true, nfq.RST, 1, pass},
		}},
		{"TCP that is old, watched no more", nfq.ProtoTCP, func(k *kernel) { k.Watch(host, time.Minute); k.Unwatch(host) }, []step{
			{true, syn, 1, queued}, {true, push, long, pass}, {false, push, long, pass},
		}},
		{"UDP from outside", nfq.ProtoUDP, nil, []step{{false, 0, 2, pass}, {true, 0, 1, queued}, {false, 0, 1, pass}}},
		{"UDP where the outside says most", nfq.ProtoUDP, nil, []step{{true, 0, 1, queued}, {false, 0, udpPackets, pass}, {true, 0, 1, queued}, {false, 0, 1, pass}, {true, 0, 1, pass}}},
		{"UDP at an own port", nfq.ProtoUDP, func(k *kernel) { k.Own(host, nfq.ProtoUDP, 80, time.Minute) }, []step{
			{false, 0, 1, gone}, {true, 0, 1, sample}, {true, 0, 1, gone},
		}},
		{"UDP at a port of TCP's", nfq.ProtoUDP, func(k *kernel) { k.Own(host, nfq.ProtoTCP, 80, time.Minute) }, []step{{true, 0, 1, queued}}},
		{"UDP at another own port", nfq.ProtoUDP, func(k *kernel) { k.Own(host, nfq.ProtoUDP, 81, time.Minute) }, []step{{true, 0, 1, queued}}},
		{"UDP at the other's port", nfq.ProtoUDP, func(k *kernel) { k.Own(host, nfq.ProtoUDP, 40000, time.Minute) }, []step{{true, 0, 1, queued}}},
		{"UDP at a port that is given back", nfq.ProtoUDP, func(k *kernel) {
			k.Own(host, nfq.ProtoUDP, 80, time.Minute)
			k.Disown(host, nfq.ProtoUDP, 80)
		}, []step{{true, 0, 1, queued}}},
		{"TCP at an own port", nfq.ProtoTCP, func(k *kernel) { k.Own(host, nfq.ProtoTCP, 80, time.Minute) }, []step{
			{false, syn, 1, gone}, {false, push, 1, gone}, {true, push, 1, sample}, {true, push, 1, gone},
		}},
	} {
		k := newKernel(true, true, 2*time.Minute)
		k.now = state.Time(time.Hour)
		if c.sets != nil {
			c.sets(k)
		}
		for i, s := range c.steps {
			p := packet(far, host, 40000, 80, c.proto, s.flags)
			if s.out {
				p = packet(host, far, 80, 40000, c.proto, s.flags)
			}
			var got way
			for range s.times {
				got, _, _, _ = k.forward(p, s.out)
			}
			if got != s.want {
				t.Errorf("%s: step %d goes way %d, want %d", c.name, i+1, got, s.want)
			}
		}
	}
}
