// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/nfq"
)

func address(s string) nfq.Addr { return nfq.AddrFrom(netip.MustParseAddr(s)) }

// datagram returns an IP packet with a TCP or UDP header and some payload. The ports are
// sport and dport.
func datagram(proto uint8, src, dst string, sport, dport uint16, flags uint8, payload int) []byte {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	l4 := make([]byte, 8, 20+payload)
	if proto == nfq.ProtoTCP {
		l4 = l4[:20]
		l4[12], l4[13] = 5<<4, flags
	} else {
		binary.BigEndian.PutUint16(l4[4:], uint16(8+payload))
	}
	binary.BigEndian.PutUint16(l4, sport)
	binary.BigEndian.PutUint16(l4[2:], dport)
	l4 = append(l4, make([]byte, payload)...)
	b := make([]byte, 20, 40+len(l4))
	if s.Is4() {
		b[0], b[8], b[9] = 0x45, 64, proto
		binary.BigEndian.PutUint16(b[2:], uint16(20+len(l4)))
		copy(b[12:], s.AsSlice())
		copy(b[16:], d.AsSlice())
	} else {
		b = b[:40]
		b[0], b[6], b[7] = 0x60, proto, 64
		binary.BigEndian.PutUint16(b[4:], uint16(len(l4)))
		copy(b[8:], s.AsSlice())
		copy(b[24:], d.AsSlice())
	}
	return append(b, l4...)
}

func parsed(raw []byte) *nfq.Packet {
	p := &nfq.Packet{Hook: nfq.HookForward}
	nfq.ParsePacket(raw, p)
	return p
}

// mac returns a MAC with a last byte.
func mac(n byte) nfq.MAC { return nfq.MAC{2, 0, 0, 0, 0, n} }

// from returns a frame with a UDP packet. Its words are the last bytes of both MACs, and the
// addresses.
func from(src, dst byte, a, b string) *Frame {
	return &Frame{Src: mac(src), Dst: mac(dst), IP: datagram(nfq.ProtoUDP, a, b, 5000, 6000, 0, 20)}
}

// tells returns a frame with an ARP message: a MAC has an address.
func tells(n byte, addr string) *Frame {
	m := mac(n)
	b := append([]byte{0, 1, 8, 0, 6, 4, 0, 2}, m[:]...)
	b = append(b, netip.MustParseAddr(addr).AsSlice()...)
	return &Frame{Src: m, ARP: append(b, make([]byte, 10)...)}
}

// with returns a frame after a change of its ARP message.
func with(f *Frame, change func(b []byte) []byte) *Frame { f.ARP = change(f.ARP); return f }

func surveyed(lan []netip.Prefix, frames ...*Frame) *sides {
	v := survey{
		opened: map[flowKey]bool{}, sources: map[nfq.MAC]map[nfq.Addr]bool{}, pairs: map[pair]bool{},
		arp: map[nfq.Addr]nfq.MAC{}, search: map[nfq.Addr]bool{},
	}
	for _, f := range frames {
		v.frame(f)
	}
	return v.sides(lan)
}

// said lists addresses in one fixed form.
func said(addrs map[nfq.Addr]bool) string {
	var out []string
	for a, is := range addrs {
		if is {
			out = append(out, a.String())
		}
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}

// TestRouterOfACapture: the router's own addresses are found, because probes come from them
// and answers go to them. In these frames the hosts have the MACs 10 and 11, the router has
// 1, and MAC 2 is another router in the LAN.
func TestRouterOfACapture(t *testing.T) {
	const host, other, far = "192.168.1.10", "192.168.1.11", "198.51.100.7"
	for _, c := range []struct {
		name   string
		frames []*Frame
		router string
		shared byte // the MAC that says nothing about the host, by its last byte
	}{
		{"nothing tells", []*Frame{from(10, 1, host, far), from(1, 10, far, host)}, "", 0},
		{"ARP tells", []*Frame{from(10, 1, host, far), tells(1, "192.168.1.1"), tells(10, host)}, "192.168.1.1", 0},
		{"ARP tells two addresses", []*Frame{from(10, 1, host, far), tells(1, "192.168.1.1"), tells(1, "10.0.0.1")}, "10.0.0.1 192.168.1.1", 0},
		{"ARP of a machine that is no router", []*Frame{from(10, 1, host, far), tells(9, "192.168.1.9")}, "", 0},
		{"ARP of the router's outside", []*Frame{from(10, 1, host, far), tells(1, "203.0.113.1")}, "", 0},
		{
			"ARP that is cut short",
			[]*Frame{from(10, 1, host, far), with(tells(1, "192.168.1.1"), func(b []byte) []byte { return b[:27] })},
			"", 0,
		},
		{
			"ARP of another network",
			[]*Frame{from(10, 1, host, far), with(tells(1, "192.168.1.1"), func(b []byte) []byte { b[1] = 6; return b })},
			"", 0,
		},
		{
			"ARP with longer addresses",
			[]*Frame{from(10, 1, host, far), with(tells(1, "192.168.1.1"), func(b []byte) []byte { b[4] = 8; return b })},
			"", 0,
		},
		{"an answer of its own tells", []*Frame{from(10, 1, host, far), from(1, 10, "192.168.1.1", host)}, "192.168.1.1", 0},
		{"ARP counts more than a packet", []*Frame{
			from(10, 1, host, far), from(1, 10, "192.168.1.2", host), tells(1, "192.168.1.1"),
		}, "192.168.1.1", 0},
		{"one host behind the router's MAC, beside the router", []*Frame{
			from(10, 1, host, far), from(1, 10, "192.168.1.2", host), from(1, 10, "192.168.1.1", host), tells(1, "192.168.1.1"),
		}, "192.168.1.1", 0},
		{"two hosts behind the router's MAC", []*Frame{
			from(10, 1, host, far), from(1, 10, "192.168.1.1", host), from(1, 10, "192.168.1.2", host),
		}, "", 1},
		{"a host that sends to the outside with the router's MAC", []*Frame{from(1, 2, host, far), from(1, 10, far, host), tells(1, host)}, "", 1},
		{"two hosts with one MAC", []*Frame{from(10, 1, host, far), from(10, 1, other, far)}, "", 10},
		{"a host with both versions of IP", []*Frame{from(10, 1, host, far), from(10, 1, "fd00::10", "2001:db8::7")}, "", 0},
		{"no MACs", []*Frame{{IP: datagram(17, host, far, 1, 2, 0, 9)}, {IP: datagram(17, far, host, 2, 1, 0, 9)}}, "", 0},
	} {
		s := surveyed(nil, c.frames...)
		if got := said(s.router); got != c.router {
			t.Errorf("%s: router %q, want %q", c.name, got, c.router)
		}
		for n := range byte(20) {
			if is := s.shared[mac(n)]; is != (n > 0 && n == c.shared) {
				t.Errorf("%s: several hosts share MAC %d: %v", c.name, n, is)
			}
		}
	}
}

// TestInsideOfACapture: which addresses are in the LAN beside the private ones.
func TestInsideOfACapture(t *testing.T) {
	const host, far, six, far6 = "192.168.1.10", "198.51.100.7", "2001:db8:1::10", "2001:db8:ffff::7"
	syn := func(src, dst string, sport, dport uint16, flags uint8) *Frame {
		return &Frame{IP: datagram(nfq.ProtoTCP, src, dst, sport, dport, flags, 0)}
	}
	for _, c := range []struct {
		name   string
		lan    []netip.Prefix
		frames []*Frame
		want   string
	}{
		{"private addresses need no list", nil, []*Frame{from(10, 1, host, far)}, ""},
		{"IPv6 by the MAC", nil, []*Frame{from(10, 1, host, far), from(10, 1, six, far6)}, six},
		{"not by the router's MAC", nil, []*Frame{
			from(10, 1, host, far), from(1, 10, "192.168.1.1", host), from(1, 10, far6, six), from(10, 1, six, far6),
		}, six},
		{"not by a MAC without an address in the LAN", nil, []*Frame{
			from(10, 1, host, far), from(10, 1, six, far6), from(12, 11, far6, six),
		}, six},
		{"not who opened, where a MAC tells", nil, []*Frame{
			from(10, 1, host, far), from(10, 1, six, far6), from(12, 1, "2001:db8:1::77", far6),
		}, six},
		{"not an address that is never routed", nil, []*Frame{from(10, 1, host, far), from(10, 1, "fe80::10", "ff02::1")}, ""},
		{"by a search", nil, []*Frame{from(10, 1, host, far), from(11, 1, "203.0.113.5", "239.192.152.143")}, "203.0.113.5"},
		{"no search", nil, []*Frame{from(10, 1, host, far), from(11, 1, "203.0.113.5", "239.255.255.250")}, ""},
		{"who opened", nil, []*Frame{syn("203.0.113.5", far, 1000, 80, nfq.SYN)}, "203.0.113.5"},
		{"who opened, told by the answer", nil, []*Frame{syn(far, "203.0.113.5", 80, 1000, nfq.SYN|nfq.ACK)}, "203.0.113.5"},
		{"a flow counts once", nil, []*Frame{
			syn("203.0.113.5", far, 1000, 80, nfq.SYN), syn(far, "203.0.113.5", 80, 1000, nfq.SYN|nfq.ACK), syn(far, "203.0.113.5", 80, 1000, nfq.ACK),
		}, "203.0.113.5"},
		{"who opened most", nil, []*Frame{
			syn("198.51.100.1", "203.0.113.5", 9, 80, nfq.SYN), syn("198.51.100.2", "203.0.113.5", 9, 80, nfq.SYN),
			syn("203.0.113.5", "198.51.100.3", 9, 80, nfq.SYN), syn("203.0.113.5", "198.51.100.4", 9, 80, nfq.SYN),
		}, "203.0.113.5"},
		{"as many opened: who has more flows", nil, []*Frame{
			syn("198.51.100.1", "203.0.113.5", 9, 80, nfq.SYN), syn("203.0.113.5", "198.51.100.3", 9, 80, nfq.SYN),
		}, "203.0.113.5"},
		{"two hosts", nil, []*Frame{
			syn("203.0.113.5", "198.51.100.1", 9, 80, nfq.SYN), syn("203.0.113.6", "198.51.100.2", 9, 80, nfq.SYN),
			syn("203.0.113.5", "198.51.100.2", 9, 80, nfq.SYN), syn("203.0.113.6", "198.51.100.1", 9, 80, nfq.SYN),
		}, "203.0.113.5 203.0.113.6"},
		{"as many of all: the lower address", nil, []*Frame{{IP: datagram(17, "203.0.113.5", "203.0.113.5", 1, 2, 0, 9)}, {
			IP: datagram(17, "203.0.113.9", "203.0.113.6", 1, 2, 0, 9),
		}, {IP: datagram(17, "203.0.113.6", "203.0.113.9", 1, 3, 0, 9)}}, "203.0.113.6"},
		{"IPv4 of its own, IPv6 by who opened", nil, []*Frame{{IP: datagram(17, host, far, 1, 2, 0, 9)}, {IP: datagram(17, six, far6, 1, 2, 0, 9)}}, six},
		{
			"told by the user",
			[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			[]*Frame{from(10, 1, host, far), from(10, 1, six, far6), from(10, 1, host, "239.192.152.143")},
			"",
		},
	} {
		if got := said(surveyed(c.lan, c.frames...).inside); got != c.want {
			t.Errorf("%s: inside are %q, want %q", c.name, got, c.want)
		}
	}
}

// TestDirection: where a router sends a packet, by its addresses.
func TestDirection(t *testing.T) {
	auto := surveyed(nil, from(10, 1, "192.168.1.10", "198.51.100.7"), tells(1, "192.168.1.1"))
	told := surveyed([]netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8:1::/48")},
		from(10, 1, "203.0.113.5", "198.51.100.7"), tells(1, "203.0.113.1"))
	for _, c := range []struct {
		s        *sides
		src, dst string
		want     direction
	}{
		{auto, "192.168.1.10", "198.51.100.7", outbound},
		{auto, "198.51.100.7", "192.168.1.10", inbound},
		{auto, "192.168.1.10", "10.9.9.9", elsewhere}, // both private
		{auto, "198.51.100.7", "203.0.113.5", elsewhere},
		{auto, "192.168.1.10", "192.168.1.1", toRouter},
		{auto, "198.51.100.7", "192.168.1.1", elsewhere}, // the router's own connections
		{auto, "192.168.1.1", "198.51.100.7", elsewhere},
		{auto, "192.168.1.1", "192.168.1.10", elsewhere},
		{auto, "192.168.1.10", "239.192.152.143", toRouter}, // BEP 14
		{auto, "192.168.1.1", "239.192.152.143", elsewhere},
		{auto, "198.51.100.7", "239.192.152.143", elsewhere},
		{auto, "fe80::10", "ff15::efc0:988f", toRouter},
		{auto, "192.168.1.10", "239.255.255.250", elsewhere},
		{auto, "192.168.1.10", "255.255.255.255", elsewhere},
		{auto, "192.168.1.10", "240.0.0.1", elsewhere},
		{auto, "192.168.1.10", "0.0.0.1", elsewhere},
		{auto, "192.168.1.10", "127.0.0.1", elsewhere},
		{auto, "192.168.1.10", "169.254.1.1", elsewhere},
		{auto, "0.0.0.0", "198.51.100.7", elsewhere},
		{auto, "fe80::10", "2001:db8::7", elsewhere},
		{told, "203.0.113.5", "198.51.100.7", outbound},
		{told, "203.0.113.5", "192.168.1.10", outbound}, // private addresses are outside now
		{told, "192.168.1.10", "198.51.100.7", elsewhere},
		{told, "203.0.113.5", "203.0.113.6", elsewhere},
		{told, "203.0.113.5", "203.0.113.1", toRouter},
		{told, "2001:db8:1:2::3", "2001:db8:ffff::7", outbound},
		{told, "2001:db8:ffff::7", "2001:db8:1:2::3", inbound},
	} {
		src, dst := address(c.src), address(c.dst)
		if got := c.s.direction(&src, &dst); got != c.want {
			t.Errorf("from %s to %s: direction %d, want %d", c.src, c.dst, got, c.want)
		}
	}
}

// TestFlowKey: both directions of a flow have the same key, and no other flow has it.
func TestFlowKey(t *testing.T) {
	const a, b = "192.168.1.10", "198.51.100.7"
	forth, isForth := keyOf(parsed(datagram(6, a, b, 1000, 80, 0, 0)))
	back, isBack := keyOf(parsed(datagram(6, b, a, 80, 1000, 0, 0)))
	if forth != back || isForth == isBack {
		t.Errorf("keys %v and %v, from a to b: %v and %v", forth, back, isForth, isBack)
	}
	// A host that talks to itself: the ports tell the directions apart.
	one, isOne := keyOf(parsed(datagram(17, a, a, 5, 6, 0, 0)))
	two, isTwo := keyOf(parsed(datagram(17, a, a, 6, 5, 0, 0)))
	if one != two || isOne == isTwo {
		t.Errorf("keys %v and %v, from a to b: %v and %v", one, two, isOne, isTwo)
	}
	var others []flowKey
	for _, raw := range [][]byte{
		datagram(6, a, b, 1000, 80, 0, 0), datagram(17, a, b, 1000, 80, 0, 0), datagram(6, a, b, 80, 1000, 0, 0),
		datagram(6, a, b, 1001, 80, 0, 0), datagram(6, a, "198.51.100.8", 1000, 80, 0, 0),
	} {
		k, _ := keyOf(parsed(raw))
		if slices.Contains(others, k) {
			t.Errorf("two flows have the key %v", k)
		}
		others = append(others, k)
	}
}
