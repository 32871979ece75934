// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"net/netip"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// What comes in is looked at when the LAN host has answered, and not before: the
// firewall may still drop it.
func TestWhatComesInIsLookedAtWhenAnswered(t *testing.T) {
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
	type step struct {
		out   bool
		flags uint8
		want  way
	}
	for _, c := range []struct {
		name  string
		proto uint8
		sift  bool
		steps []step
	}{
		{"TCP, answered", nfq.ProtoTCP, false, []step{{false, nfq.SYN, pass}, {true, nfq.SYN | nfq.ACK, pass}, {false, nfq.PSH | nfq.ACK, queued}}},
		{"TCP, not answered", nfq.ProtoTCP, false, []step{{false, nfq.SYN, pass}, {false, nfq.PSH | nfq.ACK, pass}}},
		{"TCP, the host opened it", nfq.ProtoTCP, false, []step{{true, nfq.SYN, queued}, {false, nfq.PSH | nfq.ACK, queued}}},
		{"UDP to a locked host, not answered", nfq.ProtoUDP, true, []step{{false, 0, pass}, {false, 0, pass}}},
		{"UDP to a locked host, answered", nfq.ProtoUDP, true, []step{{false, 0, pass}, {true, 0, queued}, {false, 0, queued}}},
	} {
		k := newKernel(true, true, 2*time.Minute)
		k.now = state.Time(time.Hour)
		if c.sift {
			k.Sift(host, time.Minute)
		}
		for i, s := range c.steps {
			p := packet(far, host, 40000, 80, c.proto, s.flags)
			if s.out {
				p = packet(host, far, 80, 40000, c.proto, s.flags)
			}
			if got, _, _, _ := k.forward(p, s.out); got != s.want {
				t.Errorf("%s: packet %d goes way %d, want %d", c.name, i+1, got, s.want)
			}
		}
	}
}
