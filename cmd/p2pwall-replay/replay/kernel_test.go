// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"net/netip"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
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

// The times of these tests count from begin.
const begin = state.Time(time.Hour)

// A seen is a packet at a time, and what the rules do with it.
type seen struct {
	at    time.Duration
	out   bool
	raw   []byte
	want  way
	isNew bool
}

func expectWays(t *testing.T, name string, k *kernel, packets []seen) {
	t.Helper()
	for i, s := range packets {
		k.now = begin.After(s.at)
		if got, _, _, isNew := k.forward(parsed(s.raw), s.out); got != s.want || isNew != s.isNew {
			t.Errorf("%s: packet %d goes way %d (new: %v), want %d (%v)", name, i+1, got, isNew, s.want, s.isNew)
		}
	}
}

const (
	inLAN   = "192.168.1.10"
	outside = "203.0.113.9"
)

func newTestKernel() *kernel {
	k := newKernel(true, true, 2*time.Minute)
	k.now = begin
	return k
}

// TestSetsOfAPair: a cut stops all packets between a client and a peer, also those without
// ports, until it ends. Other pairs go on.
func TestSetsOfAPair(t *testing.T) {
	const other = "203.0.113.10"
	icmp := func(src, dst string) []byte {
		b := datagram(nfq.ProtoUDP, src, dst, 0, 0, 0, 20)
		b[9] = 1
		return b
	}
	later := func(raw []byte) []byte { // a fragment that is not the first
		raw[7] = 1
		return raw
	}
	k := newTestKernel()
	k.Cut(address(inLAN), address(outside), time.Minute)
	expectWays(t, "cut", k, []seen{
		{0, false, icmp(outside, inLAN), gone, false},
		{0, false, later(datagram(17, outside, inLAN, 1, 2, 0, 20)), gone, false},
		{0, true, icmp(inLAN, outside), sample, false},
		{0, true, icmp(inLAN, other), pass, false},
		{0, false, icmp(other, inLAN), pass, false},
		{59 * time.Second, false, icmp(outside, inLAN), gone, false},
		{60 * time.Second, false, icmp(outside, inLAN), pass, false},
		{60 * time.Second, true, icmp(inLAN, outside), pass, false},
	})
	k = newTestKernel()
	k.Cut(address(inLAN), address(outside), time.Hour)
	k.Uncut(address(inLAN), address(outside))
	expectWays(t, "no longer cut", k, []seen{{0, true, icmp(inLAN, outside), pass, false}})
	k = newTestKernel()
	k.Cut(address(inLAN), address(outside), time.Hour)
	k.Mark(address(inLAN), time.Minute)
	expectWays(t, "marked", k, []seen{
		{0, true, icmp(inLAN, outside), queued, false},
		{0, true, icmp(inLAN, outside), queued, false}, // no sample: it is not dropped
		{0, false, icmp(outside, inLAN), pass, false},
		{time.Minute, false, icmp(outside, inLAN), gone, false},
	})
	k.Mark(address(inLAN), time.Hour)
	k.Unmark(address(inLAN))
	expectWays(t, "no longer marked", k, []seen{{2 * time.Minute, false, icmp(outside, inLAN), gone, false}})
}

// TestSetOfLocked: a locked host opens no TCP connection. All else passes as before.
func TestSetOfLocked(t *testing.T) {
	k := newTestKernel()
	k.Lock(address(inLAN), time.Minute)
	open := func(port uint16) []byte { return datagram(6, inLAN, outside, port, 80, nfq.SYN, 0) }
	expectWays(t, "locked", k, []seen{
		{0, true, open(1000), sample, true},
		{1 * time.Second, true, open(1001), gone, true},
		{1 * time.Second, true, datagram(6, "192.168.1.11", outside, 1000, 80, nfq.SYN, 0), queued, true},
		{1 * time.Second, true, datagram(6, inLAN, outside, 2000, 80, nfq.SYN|nfq.ACK, 0), pass, true},
		{1 * time.Second, true, datagram(17, inLAN, outside, 2000, 80, 0, 20), queued, true},
		{1 * time.Second, false, datagram(6, outside, inLAN, 80, 3000, nfq.SYN, 0), pass, true},
		{time.Minute, true, open(1002), queued, true},
	})
	k.Lock(address(inLAN), time.Hour)
	k.Unlock(address(inLAN))
	expectWays(t, "no longer locked", k, []seen{{2 * time.Minute, true, open(1003), queued, true}})
}

// TestSamples: the engine sees some of what a blocked host sends. How often depends on the
// time of the lock; small UDP has a rate of its own.
func TestSamples(t *testing.T) {
	for _, c := range []struct {
		name     string
		lockTime time.Duration
		payload  int
		every    time.Duration
		tcp      way // of TCP at the time of a sample
	}{
		{"no lock time", 0, 200, 10 * time.Second, gone},
		{"a long lock", time.Hour, 200, 10 * time.Second, gone},
		{"of 160 seconds", 160 * time.Second, 200, 10 * time.Second, gone},
		{"of two minutes, whole seconds", 2 * time.Minute, 200, 7 * time.Second, gone},
		{"a short lock", 8 * time.Second, 200, 500 * time.Millisecond, gone},
		{"small UDP", time.Hour, 160, 100 * time.Millisecond, sample},
		{"UDP just too large", time.Hour, 161, 10 * time.Second, gone},
	} {
		k := newKernel(true, true, c.lockTime)
		k.now = begin
		k.Cut(address(inLAN), address(outside), time.Hour)
		raw := datagram(17, inLAN, outside, 1, 2, 0, c.payload)
		expectWays(t, c.name, k, []seen{
			{0, true, raw, sample, true},
			{c.every - 1, true, raw, gone, false},
			{c.every, true, raw, sample, false},
			{2*c.every - 1, true, raw, gone, false},
			{c.every * 2, true, raw, sample, false},
			{c.every * 2, true, datagram(6, inLAN, outside, 1, 2, nfq.ACK, 20), c.tcp, true},
		})
	}
}

// TestConntrackEnds: entries time out as OpenWrt's do. Then the next packet begins anew.
func TestConntrackEnds(t *testing.T) {
	udpOut, udpIn := datagram(17, inLAN, outside, 1, 2, 0, 20), datagram(17, outside, inLAN, 2, 1, 0, 20)
	tcpOut := func(flags uint8) []byte { return datagram(6, inLAN, outside, 1, 2, flags, 0) }
	tcpIn := datagram(6, outside, inLAN, 2, 1, nfq.SYN|nfq.ACK, 0)
	for _, c := range []struct {
		name    string
		packets []seen
	}{
		{"UDP without an answer", []seen{
			{0, true, udpOut, queued, true},
			{59 * time.Second, true, udpOut, queued, false},
			{119 * time.Second, true, udpOut, queued, true},
		}},
		{"UDP that ends between two sweeps", []seen{
			{0, true, datagram(17, inLAN, outside, 9, 9, 0, 20), queued, true},
			{30 * time.Second, true, udpOut, queued, true},
			{60 * time.Second, true, datagram(17, inLAN, outside, 9, 9, 0, 20), queued, true},
			{90 * time.Second, true, udpOut, queued, true},
		}},
		{"UDP with an answer", []seen{
			{0, true, udpOut, queued, true},
			{0, false, udpIn, pass, false},
			{179 * time.Second, true, udpOut, queued, false},
			{359 * time.Second, false, udpIn, pass, true},
		}},
		{"TCP", []seen{
			{0, true, tcpOut(nfq.SYN), queued, true},
			{7439 * time.Second, true, tcpOut(nfq.SYN), queued, false},
			{7439 * time.Second, false, tcpIn, pass, false},
			{2 * 7439 * time.Second, true, tcpOut(nfq.ACK), pass, false},
			{2*7439*time.Second + 7440*time.Second, true, tcpOut(nfq.ACK), pass, true},
		}},
		{"TCP with the ports of an older connection", []seen{
			{0, true, tcpOut(nfq.SYN), queued, true},
			{0, true, tcpOut(nfq.SYN), queued, false},
			{0, false, tcpIn, pass, false},
			{time.Second, true, tcpOut(nfq.SYN), queued, true},
		}},
	} {
		expectWays(t, c.name, newTestKernel(), c.packets)
	}
	// What has ended takes no memory, or a long capture would need a lot of it.
	k := newTestKernel()
	for port := range uint16(1000) {
		k.forward(parsed(datagram(17, inLAN, outside, port, 2, 0, 20)), true)
	}
	k.now = begin.After(trackUDP + sweepEvery)
	k.forward(parsed(tcpIn), false)
	if len(k.conns) != 1 {
		t.Errorf("%d entries are left", len(k.conns))
	}
}

// TestWhatIsQueued: which packets the rules queue, depending on what the engine looks for.
func TestWhatIsQueued(t *testing.T) {
	type set func(*kernel)
	noTCP, noLooks, names := func(k *kernel) { k.readsTCP = false }, func(k *kernel) { k.looks = false }, func(k *kernel) { k.names = true }
	nothing := func(*kernel) {}
	const in6, out6 = "fd00::10", "2001:db8::9"
	for _, c := range []struct {
		name    string
		set     set
		packets []seen
	}{
		{"large UDP", noLooks, []seen{{0, true, datagram(17, inLAN, outside, 1, 2, 0, 161), pass, true}, {0, true, datagram(17, inLAN, outside, 1, 2, 0, 160), queued, false}}},
		{"large UDP, the first of a flow", nothing, []seen{
			{0, true, datagram(17, inLAN, outside, 1, 2, 0, 161), queued, true}, {0, true, datagram(17, inLAN, outside, 1, 2, 0, 161), pass, false},
		}},
		{"TCP that is not read", noTCP, []seen{
			{0, true, datagram(6, inLAN, outside, 1, 2, nfq.SYN, 0), queued, true},
			{0, false, datagram(6, outside, inLAN, 2, 1, nfq.SYN|nfq.ACK, 0), pass, false},
			{0, true, datagram(6, inLAN, outside, 1, 2, nfq.PSH|nfq.ACK, 9), pass, false},
		}},
		{"an answer of a name server", names, []seen{
			{0, true, datagram(17, inLAN, outside, 5000, 53, 0, 30), queued, true}, {0, false, datagram(17, outside, inLAN, 53, 5000, 0, 200), queued, false},
		}},
		{"an answer that nobody asked for", names, []seen{{0, false, datagram(17, outside, inLAN, 53, 5000, 0, 200), pass, true}}},
		{"an answer while no name is known", nothing, []seen{
			{0, true, datagram(17, inLAN, outside, 5000, 53, 0, 30), queued, true}, {0, false, datagram(17, outside, inLAN, 53, 5000, 0, 200), pass, false},
		}},
		{"data without PSH", nothing, []seen{
			{0, true, datagram(6, inLAN, outside, 1, 2, nfq.ACK, 13), queued, true}, // longer than with the time stamp option
			{0, true, datagram(6, inLAN, outside, 1, 2, nfq.ACK, 12), pass, false},
			{0, true, datagram(6, inLAN, outside, 1, 2, nfq.ACK|nfq.RST, 13), pass, false},
		}},
		{"data without PSH, IPv6", nothing, []seen{
			{0, true, datagram(6, in6, out6, 1, 2, nfq.ACK, 13), queued, true}, {0, true, datagram(6, in6, out6, 1, 2, nfq.ACK, 12), pass, false},
		}},
		{"a later fragment", nothing, []seen{{0, true, func() []byte {
			b := datagram(17, inLAN, outside, 1, 2, 0, 20)
			b[7] = 1
			return b
		}(), pass, false}}},
		{"what nobody can read", nothing, []seen{{0, true, datagram(17, inLAN, outside, 1, 2, 0, 20)[:22], pass, false}}},
	} {
		k := newTestKernel()
		c.set(k)
		expectWays(t, c.name, k, c.packets)
	}
}

// TestToRouter: of what the LAN sends to the router itself, the engine sees answers to
// probes, requests for a port, and searches of the LAN.
func TestToRouter(t *testing.T) {
	const router, group = "192.168.1.1", "239.192.152.143"
	for _, c := range []struct {
		name string
		raw  []byte
		want way
	}{
		{"answer to a probe", datagram(17, inLAN, router, 6881, detect.ProbePort, 0, 20), queued},
		{"the same port of TCP", datagram(6, inLAN, router, 6881, detect.ProbePort, nfq.PSH, 20), pass},
		{"NAT-PMP", datagram(17, inLAN, router, 1, 5351, 0, 20), queued},
		{"UPnP", datagram(6, inLAN, router, 1, 5000, nfq.PSH|nfq.ACK, 20), queued},
		{"UPnP without data", datagram(6, inLAN, router, 1, 5000, nfq.ACK, 0), pass},
		{"UDP at UPnP's port", datagram(17, inLAN, router, 1, 5000, 0, 20), pass},
		{"a search", datagram(17, inLAN, group, 6771, 6771, 0, 20), queued},
		{"a search, IPv6", datagram(17, "fe80::10", "ff15::efc0:988f", 6771, 6771, 0, 20), queued},
		{"the group, another port", datagram(17, inLAN, group, 6771, 6772, 0, 20), pass},
		{"a search's port at the router", datagram(17, inLAN, router, 6771, 6771, 0, 20), pass},
		{"a name", datagram(17, inLAN, router, 1, 53, 0, 20), pass},
	} {
		if got := newTestKernel().toRouter(parsed(c.raw)); got != c.want {
			t.Errorf("%s: way %d, want %d", c.name, got, c.want)
		}
	}
}
