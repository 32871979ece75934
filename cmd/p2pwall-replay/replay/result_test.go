// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// TestHintTexts: each reason why nothing may be found, word by word. The texts are what the
// user has to go by.
func TestHintTexts(t *testing.T) {
	const (
		stays    = "all packets stay in the LAN, and none goes through the router: if one side of them is not your LAN, say with -lan what is"
		noIP     = "no frame holds an IP packet in a form that is known here"
		noLAN    = "no packet has one end in the LAN: say with -lan what it is"
		oneSide  = "nothing that the LAN sends is in the capture"
		noBegin  = "no connection begins in the capture: what is said first in each is missing"
		inTunnel = "%d of %d packets are in a tunnel (%s), into which nothing looks: capture inside it"
	)
	udp := func(src, dst string, dport uint16) []byte {
		return datagram(nfq.ProtoUDP, src, dst, 4000, dport, 0, 20)
	}
	tcp := func(src, dst string, flags uint8) []byte {
		return datagram(nfq.ProtoTCP, src, dst, 4000, 80, flags, 20)
	}
	proto := func(n uint8) []byte {
		b := udp(inLAN, outside, 80)
		b[9] = n
		return b
	}
	tunnel := func(n, of int, names string) []string { return []string{fmt.Sprintf(inTunnel, n, of, names)} }
	for _, c := range []struct {
		name   string
		frames int // without IP
		sealed int // of these, encrypted
		ip     [][]byte
		want   []string
	}{
		{"nothing", 0, 0, nil, []string{"there is no packet in the capture"}},
		{"no IP", 2, 0, nil, []string{noIP}},
		{"encrypted", 3, 2, nil, []string{"2 WLAN frames are encrypted", noIP}},
		{"some encrypted", 3, 1, [][]byte{udp(inLAN, outside, 80)}, []string{"1 WLAN frames are encrypted"}},
		{"cut short", 0, 0, [][]byte{udp(inLAN, outside, 80), udp(inLAN, outside, 80)[:40]}, []string{"1 of 2 packets are cut short: capture them whole (tcpdump -s 0)"}},
		{"in the LAN", 0, 0, [][]byte{udp(inLAN, "192.168.1.11", 80)}, []string{stays}},
		{"outside", 0, 0, [][]byte{udp(outside, "198.51.100.7", 80)}, []string{noLAN}},
		{"inbound", 0, 0, [][]byte{udp(outside, inLAN, 80)}, []string{oneSide}},
		{"without the beginnings", 0, 0, [][]byte{tcp(inLAN, outside, nfq.ACK)}, []string{noBegin}},
		{"answers are no beginnings", 0, 0, [][]byte{tcp(inLAN, outside, nfq.SYN|nfq.ACK)}, []string{noBegin}},
		{"with a beginning", 0, 0, [][]byte{tcp(inLAN, outside, nfq.ACK), tcp(inLAN, outside, nfq.SYN)}, nil},
		{"in the LAN as well", 0, 0, [][]byte{udp(inLAN, outside, 80), udp(inLAN, "192.168.1.11", 80)}, nil},
		{"beginnings from outside", 0, 0, [][]byte{tcp(outside, inLAN, nfq.SYN), tcp(inLAN, outside, nfq.ACK)}, []string{noBegin}},
		{"IP in IP", 0, 0, [][]byte{proto(4)}, tunnel(1, 1, "IP in IP")},
		{"6in4", 0, 0, [][]byte{proto(41)}, tunnel(1, 1, "IPv6 in IPv4")},
		{"IPsec and GRE", 0, 0, [][]byte{proto(50), proto(47), proto(50)}, tunnel(3, 3, "GRE, IPsec")},
		{"VXLAN with both numbers", 0, 0, [][]byte{udp(inLAN, outside, 4789), udp(inLAN, outside, 8472), udp(inLAN, outside, 80)}, tunnel(2, 3, "VXLAN")},
		{"other tunnels of UDP", 0, 0, [][]byte{
			udp(inLAN, outside, 1701), udp(inLAN, outside, 2152), udp(inLAN, outside, 6081), udp(inLAN, outside, 37008),
		}, tunnel(4, 4, "GTP, Geneve, L2TP, TZSP")},
		{"TCP at the port of a tunnel", 0, 0, [][]byte{datagram(nfq.ProtoTCP, inLAN, outside, 1, 1701, nfq.SYN, 0)}, nil},
	} {
		h := hints{tunnels: map[string]int{}}
		s := &sides{private: [2]bool{true, true}}
		for i := range c.frames {
			h.frame(&Frame{Encrypted: i < c.sealed})
		}
		for _, ip := range c.ip {
			src, dst, _ := addresses(ip)
			h.packet(parsed(ip), ip, src, dst, s)
		}
		if d := cmp.Diff(c.want, h.lines(c.frames+len(c.ip))); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

// TestClientsOfAResult: a host is one client, whatever of its addresses it uses, and whether
// its MAC is known from the beginning or later.
func TestClientsOfAResult(t *testing.T) {
	type step struct {
		mac  byte // 0: not known
		addr string
	}
	for _, c := range []struct {
		name  string
		steps []step
		want  []step // clients with their MAC in the end
	}{
		{"one", []step{{16, inLAN}, {16, inLAN}}, []step{{16, inLAN}}},
		{"two addresses of one MAC", []step{{16, inLAN}, {16, "2001:db8:1::10"}}, []step{{16, inLAN}}},
		{"two MACs", []step{{16, inLAN}, {17, "192.168.1.11"}}, []step{{16, inLAN}, {17, "192.168.1.11"}}},
		{"without a MAC", []step{{0, inLAN}, {0, "192.168.1.11"}, {0, inLAN}}, []step{{0, inLAN}, {0, "192.168.1.11"}}},
		{"the MAC comes later", []step{{0, inLAN}, {16, inLAN}, {16, "2001:db8:1::10"}}, []step{{16, inLAN}}},
		{"the MAC is missing later", []step{{16, inLAN}, {16, "2001:db8:1::10"}, {0, "2001:db8:1::10"}, {0, inLAN}}, []step{{16, inLAN}}},
		{"the MAC is missing with another's address", []step{{16, inLAN}, {0, "192.168.1.11"}}, []step{{16, inLAN}, {0, "192.168.1.11"}}},
	} {
		r := &run{result: &Result{}, clients: map[lockKey]*Client{}, at: map[nfq.Addr]*Client{}}
		name := func(n byte) string {
			if n == 0 {
				return nfq.MAC{}.String()
			}
			return mac(n).String()
		}
		for _, s := range c.steps {
			f := finding{addr: address(s.addr), protocol: detect.All[0]}
			if s.mac != 0 {
				f.mac = mac(s.mac)
			}
			r.enter(f)
		}
		var got, want []string
		for _, x := range r.result.Clients {
			got = append(got, x.Address+" "+x.MAC)
		}
		for _, s := range c.want {
			want = append(want, s.addr+" "+name(s.mac))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

// capture writes a pcap file with an IP packet every ten milliseconds.
func capture(t *testing.T, packets ...[]byte) string {
	t.Helper()
	le := binary.LittleEndian
	b := append(le.AppendUint32(nil, pcapNanoseconds), 2, 0, 4, 0)
	b = append(b, make([]byte, 12)...)
	b = le.AppendUint32(b, linkRaw)
	for i, p := range packets {
		for _, v := range []int{1_700_000_000 + i/100, i % 100 * 10_000_000, len(p), len(p)} {
			b = le.AppendUint32(b, uint32(v))
		}
		b = append(b, p...)
	}
	file := filepath.Join(t.TempDir(), "capture")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// pings returns queries of a client of BitTorrent's DHT.
func pings(src string, dst ...string) [][]byte {
	var out [][]byte
	for _, d := range dst {
		const query = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
		b := datagram(nfq.ProtoUDP, src, d, 51413, 6881, 0, len(query))
		copy(b[len(b)-len(query):], query)
		out = append(out, b)
	}
	return out
}

// TestRunIsTheSameAgain: the same capture gives the same result each time, also where it is
// not clear which side is the LAN.
func TestRunIsTheSameAgain(t *testing.T) {
	// Each of seven hosts asks the next three, so that none has more flows than another.
	var packets [][]byte
	for i := range 7 {
		next := func(n int) string { return fmt.Sprintf("203.0.113.%d", 1+(i+n)%7) }
		packets = append(packets, pings(next(0), next(1), next(2), next(3))...)
	}
	file := capture(t, packets...)
	o := Options{Engine: state.DefaultConfig()}
	first := ""
	for n := range 20 {
		r, err := Run(file, o)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if first = string(b); len(r.Clients) < 2 {
				t.Fatalf("%d clients: this capture tests nothing", len(r.Clients))
			}
		} else if d := cmp.Diff(first, string(b)); d != "" {
			t.Fatalf("run %d differs:\n%s", n+1, d)
		}
	}
}

// TestRunCounts: what becomes of each packet of a client that is blocked, and of those that do
// not go through the router.
func TestRunCounts(t *testing.T) {
	dst := []string{"203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"}
	packets := pings(inLAN, dst...)
	packets = append(packets, datagram(nfq.ProtoUDP, inLAN, "192.168.1.11", 1, 2, 0, 9)[:30], []byte{0x45, 0})
	r, err := Run(capture(t, packets...), Options{Engine: state.DefaultConfig()})
	if err != nil {
		t.Fatal(err)
	}
	if r.Packets != 6 || r.Accepted+r.Dropped != 4 || r.Dropped != len(r.DroppedPackets) || r.Dropped == 0 {
		t.Errorf("%d packets, %d accepted, %d dropped: %v", r.Packets, r.Accepted, r.Dropped, r.DroppedPackets)
	}
	if r.Span() != 50*time.Millisecond {
		t.Errorf("the capture takes %v", r.Span())
	}
	if len(r.Clients) != 1 || r.Clients[0].Dropped != r.Dropped || len(r.Hints) > 0 {
		t.Errorf("%d clients, hints %q", len(r.Clients), r.Hints) // a hint would be that a packet is cut short
	}
	told, err := Run(capture(t, packets...), Options{Engine: state.DefaultConfig(), LAN: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	if err != nil || told.Accepted+told.Dropped != 0 || len(told.Clients) != 0 || len(told.Hints) == 0 {
		t.Errorf("with another LAN: %+v, %v", told, err)
	}
}
