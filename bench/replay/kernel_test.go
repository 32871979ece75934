// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// Only what the LAN host says is looked at, and what name servers answer. What goes from
// or to a port of the client's own is dropped.
func TestWhatIsLookedAt(t *testing.T) {
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
	const data, hostPort = nfq.PSH | nfq.ACK, 40000
	type step struct {
		out   bool
		flags uint8
		want  way
	}
	for _, c := range []struct {
		name  string
		proto uint8
		port  uint16
		set   func(*kernel)
		steps []step
	}{
		{"TCP that the outside opens", nfq.ProtoTCP, 80, nil, []step{{false, nfq.SYN, pass}, {true, nfq.SYN | nfq.ACK, pass}, {false, data, pass}, {true, data, queued}}},
		{"TCP that is not answered", nfq.ProtoTCP, 80, nil, []step{{false, nfq.SYN, pass}, {false, data, pass}}},
		{"TCP that the host opens", nfq.ProtoTCP, 80, nil, []step{{true, nfq.SYN, queued}, {false, nfq.SYN | nfq.ACK, pass}, {true, data, queued}, {false, data, pass}}},
		{"UDP that the outside opens", nfq.ProtoUDP, 4000, nil, []step{{false, 0, pass}, {true, 0, queued}, {false, 0, pass}}},
		{"a name server", nfq.ProtoUDP, 53, func(k *kernel) { k.names = true }, []step{{true, 0, queued}, {false, 0, queued}}},
		{"a name server, without names", nfq.ProtoUDP, 53, nil, []step{{true, 0, queued}, {false, 0, pass}}},
		{"the client's own port, UDP", nfq.ProtoUDP, 4000, func(k *kernel) { k.Own(host, nfq.ProtoUDP, hostPort, time.Minute) }, []step{{true, 0, sample}, {true, 0, gone}, {false, 0, gone}}},
		{"the client's own port, TCP", nfq.ProtoTCP, 4000, func(k *kernel) { k.Own(host, nfq.ProtoTCP, hostPort, time.Minute) }, []step{{false, nfq.SYN, gone}, {true, nfq.SYN | nfq.ACK, sample}}},
		{"the same port by the other protocol", nfq.ProtoTCP, 4000, func(k *kernel) { k.Own(host, nfq.ProtoUDP, hostPort, time.Minute) }, []step{{true, nfq.SYN, queued}}},
		{"a port that was given back", nfq.ProtoUDP, 4000, func(k *kernel) {
			k.Own(host, nfq.ProtoUDP, hostPort, time.Minute)
			k.Disown(host, nfq.ProtoUDP, hostPort)
		}, []step{{true, 0, queued}}},
		{"many packets", nfq.ProtoTCP, 4000, nil, append(slices.Repeat([]step{{true, data, queued}}, tcpPackets), step{true, data, pass})},
		{"many packets of a host that is watched", nfq.ProtoTCP, 4000, func(k *kernel) { k.Watch(host, time.Minute) }, slices.Repeat([]step{{true, data, queued}}, tcpPackets+1)},
	} {
		k := newKernel(true, true, 2*time.Minute)
		k.now = state.Time(time.Hour)
		if c.set != nil {
			c.set(k)
		}
		for i, s := range c.steps {
			p := packet(far, host, c.port, hostPort, c.proto, s.flags)
			if s.out {
				p = packet(host, far, hostPort, c.port, c.proto, s.flags)
			}
			if got, _, _, _ := k.forward(p, s.out); got != s.want {
				t.Errorf("%s: packet %d goes way %d, want %d", c.name, i+1, got, s.want)
			}
		}
	}
}
