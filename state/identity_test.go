// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// game returns an unknown datagram.
func game(mac nfq.MAC, src string, sport uint16) *nfq.Packet {
	return udp(mac, src, sport, "203.0.113.9", 27015, []byte("\xff\xff\xff\xffTSource Engine Query\x00"))
}

// TestRepeater: two hosts share one MAC, as behind a repeater. Each is judged on its own.
func TestRepeater(t *testing.T) {
	for _, tt := range []struct {
		name   string
		sign   []byte
		change func(*Config)
		strict bool
	}{
		{"strict", kazaaPing, nil, true},
		{"selective", []byte(dhtPing), nil, false},
		{"FastTrack, selective", kazaaPing, func(c *Config) { c.Protocols[0].Lock = Selective }, false},
	} {
		for _, table := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, with a neighbour table: %v", tt.name, table), func(t *testing.T) {
				w := newWorld(t, tt.change)
				n := &neighbours{macs: map[nfq.Addr]nfq.MAC{ip(hostA): macA, ip(hostB): macA}, shared: true}
				if table {
					w.e.SetNeighbours(n)
				}
				port := uint16(27005)
				innocent := func(what string) {
					t.Helper()
					port++
					w.expect(what+": B's game", game(macA, hostB, port), nfq.Accept)
					w.expect(what+": B's SYN", tcp(macA, hostB, port, "203.0.113.80", 443, nfq.SYN, nil), nfq.Accept)
					w.expect(what+": what B hears", func() *nfq.Packet {
						p := udp(nfq.MAC{}, "203.0.113.9", 27015, hostB, port, []byte("\xff\xff\xff\xffI\x11"))
						p.InDev, p.OutDev = wanDev, lanDev
						return p
					}(), nfq.Accept)
				}
				sign := func(src, dst string) {
					t.Helper()
					w.expect(src+"'s sign", udp(macA, src, 1214, dst, 1214, tt.sign), nfq.Drop)
					n.answer(w)
				}
				innocent("before")
				sign(hostA, firstPeer)
				innocent("after one sign")
				sign(hostA, "198.51.100.7")
				innocent("after two")
				if c := w.e.Clients(w.now); len(c) != 1 || !c[0].Locked || c[0].Addr != ip(hostA) || len(c[0].Addrs) != 1 || !c[0].MAC.IsZero() {
					t.Fatalf("clients %+v", c)
				}
				verdict := nfq.Accept
				if tt.strict {
					verdict = nfq.Drop
				}
				w.expect("A's SYN", tcp(macA, hostA, 5000, "203.0.113.80", 443, nfq.SYN, nil), verdict)
				if tt.strict && (len(w.sets.locks) != 1 || w.sets.locks[hostA] == 0) || !tt.strict && (len(w.sets.watched) != 1 || w.sets.watched[hostA] == 0) {
					t.Errorf("sets %+v", w.sets)
				}
				// As long as both addresses are used, the hosts stay separate.
				for range 15 {
					w.pass(10 * time.Minute)
					innocent("later")
					w.expect("A's game", game(macA, hostA, port), nfq.Accept)
				}
				if w.e.Counters.Forged != 0 || w.sets.cut() != 0 {
					t.Errorf("%d forged, sets %+v", w.e.Counters.Forged, w.sets)
				}
				sign(hostB, firstPeer)
				sign(hostA, "198.51.100.7")
				if _, locked := w.e.Len(); locked != 0 {
					t.Fatalf("one sign of each proved something: %+v", w.e.Clients(w.now))
				}
				sign(hostB, "198.51.100.7")
				if !w.locked(hostB) || w.locked(hostA) {
					t.Errorf("clients %+v", w.e.Clients(w.now))
				}
			})
		}
	}
}

// A MAC was asked and then turned out to be shared: the answer proves nothing about either
// host.
func TestAnswerOfAMACThatIsShared(t *testing.T) {
	w := newWorld(t, nil)
	p := &prober{}
	w.e.SetProber(p)
	w.expect("a mapping", mapping(), nfq.Accept)
	for _, src := range []string{hostB, hostA, hostB} {
		w.expect("a game", game(macA, src, 27005), nfq.Accept)
	}
	w.e.ProbedTCP(p.id, []byte(random(300)), w.now)
	w.e.Advance(w.now)
	if len(w.e.Clients(w.now)) != 0 {
		t.Errorf("clients %+v", w.e.Clients(w.now))
	}
	consistent(t, w.e, w.sets)
}

// Two hosts are not known to be two yet. One sign of each proves nothing.
func TestOneSignOfEach(t *testing.T) {
	w := newWorld(t, nil)
	w.expect("A's ping", udp(macA, hostA, 1214, firstPeer, 1214, kazaaPing), nfq.Drop)
	w.expect("B's ping", udp(macA, hostB, 1214, "198.51.100.7", 1214, kazaaPing), nfq.Drop)
	if len(w.e.Clients(w.now)) != 0 {
		t.Errorf("clients %+v", w.e.Clients(w.now))
	}
}

// The neighbour table finds that two hosts share a MAC. Only the proved address is locked,
// whatever the other sent meanwhile.
func TestTwoWhileTheTableIsAsked(t *testing.T) {
	w, n := withNeighbours(t, nil)
	n.macs[ip(hostB)], n.shared = macA, true
	w.prove()
	w.expect("A's ping", w.ping("198.51.100.7"), nfq.Drop)
	w.expect("B's ping", udp(macA, hostB, 1214, "198.51.100.9", 1214, kazaaPing), nfq.Drop)
	n.answer(w)
	if !w.locked(hostA) || len(w.sets.locks) != 1 || w.sets.locks[hostA] == 0 {
		t.Errorf("clients %+v, sets %+v", w.e.Clients(w.now), w.sets)
	}
	w.expect("B's SYN", tcp(macA, hostB, 4000, "203.0.113.80", 443, nfq.SYN, nil), nfq.Accept)
}

// An address that another host has taken is not probed.
func TestProbedOnlyAtItsOwnAddress(t *testing.T) {
	for _, taken := range []bool{false, true} {
		w := lockedTorrent(t, func(c *Config) { c.LockTime = 20 * time.Minute })
		w.pass(6 * time.Minute)
		if taken {
			w.expect("another host with its address", tcp(macB, hostA, 4000, "203.0.113.80", 443, nfq.SYN, nil), nfq.Accept)
		}
		w.pass(5 * time.Minute)
		if q := w.questions(); (len(q) == 0) != taken {
			t.Errorf("taken: %v, probed: %+v", taken, q)
		}
	}
}

// When only one address was used for a long time, the MAC belongs to one host again.
func TestSharingEnds(t *testing.T) {
	w := newWorld(t, nil)
	for _, src := range []string{hostA, hostB, hostA} {
		w.expect("a game", game(macA, src, 27005), nfq.Accept)
	}
	w.prove()
	w.expect("A's ping", w.ping("198.51.100.7"), nfq.Drop)
	if w.sets.locks[hostA] == 0 {
		t.Fatalf("sets %+v", w.sets)
	}
	for range 3 * 60 {
		w.pass(time.Minute)
		w.expect("A's game", game(macA, hostA, 27005), nfq.Accept)
	}
	w.prove()
	w.expect("A's ping", w.ping("198.51.100.7"), nfq.Drop)
	if w.sets.locks["192.168.1.50"] == 0 || len(w.sets.locks) != 1 || w.e.Counters.Forged != 0 {
		t.Errorf("sets %+v, %d forged", w.sets, w.e.Counters.Forged)
	}
}

// After a restart, hosts that share a MAC are still separate.
func TestRepeaterAfterARestart(t *testing.T) {
	w := newWorld(t, nil)
	for _, src := range []string{hostA, hostB, hostA} {
		w.expect("a game", game(macA, src, 27005), nfq.Accept)
	}
	w.prove()
	w.expect("A's ping", w.ping("198.51.100.7"), nfq.Drop)
	x := newWorld(t, nil)
	if err := x.e.Restore(w.e.Snapshot(nil, w.now), x.now); err != nil {
		t.Fatal(err)
	}
	x.expect("A's SYN", tcp(macA, hostA, 4000, "203.0.113.80", 443, nfq.SYN, nil), nfq.Drop)
	x.expect("B's SYN", tcp(macA, hostB, 4000, "203.0.113.80", 443, nfq.SYN, nil), nfq.Accept)
	x.expect("A's SYN", tcp(macA, hostA, 4001, "203.0.113.80", 443, nfq.SYN, nil), nfq.Drop)
	if x.e.Counters.Forged != 0 || len(x.sets.locks) != 1 || x.sets.locks[hostA] == 0 {
		t.Errorf("%d forged, sets %+v", x.e.Counters.Forged, x.sets)
	}
}

// A client that appears at another address may be another host behind the same repeater. It
// is found there again, at once.
func TestHostThatMoves(t *testing.T) {
	w := newWorld(t, nil)
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	const there = "192.168.1.99"
	w.expect("SYN from another address", tcp(macA, there, 4000, "203.0.113.80", 443, nfq.SYN, nil), nfq.Accept)
	for _, dst := range []string{"198.51.100.7", "198.51.100.8"} {
		w.expect("ping from there", udp(macA, there, 1214, dst, 1214, kazaaPing), nfq.Drop)
	}
	w.expect("SYN from there", tcp(macA, there, 4001, "203.0.113.80", 443, nfq.SYN, nil), nfq.Drop)
	if !w.locked(there) || !w.locked(hostA) || w.sets.cuts[there+" 198.51.100.7"] == 0 || len(w.sets.locks) != 2 {
		t.Errorf("clients %+v, sets %+v", w.e.Clients(w.now), w.sets)
	}
	w.pass(81 * time.Second)
	if len(w.sets.locks)+len(w.sets.cuts) != 0 {
		t.Errorf("left: %+v", w.sets)
	}
}

// Privacy addresses: a host may use any number of IPv6 addresses.
func TestManyAddressesOfOneHost(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Protocols[torrent].Lock = Strict })
	w.proveTorrent()
	w.expect("a query", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	for i := range 3 * addrsPerHost {
		p := tcp(macA, fmt.Sprintf("2001:db8:1::%x", 0x1000+i), 4000, "2001:db8:ff::80", 443, nfq.SYN, nil)
		p.Version = 6
		w.expect("SYN from one more address", p, nfq.Drop)
		w.pass(100 * time.Millisecond)
	}
	c := w.e.Clients(w.now)
	if len(c) != 1 || len(c[0].Addrs) != addrsPerHost {
		t.Fatalf("clients %+v", c)
	}
	for _, a := range c[0].Addrs {
		if w.sets.watched[a.String()] == 0 {
			t.Errorf("%s is not watched", a)
		}
	}
	if n := len(w.sets.watched); n != addrsPerHost {
		t.Errorf("%d elements: %v", n, w.sets.watched)
	}
	w.pass(81 * time.Second)
	if w.sets.cut() != 0 {
		t.Errorf("left: %+v", w.sets)
	}
}

// TestSourcesOffTheLink: nobody knows whose such a packet is. What is recognised is
// dropped. Nothing is sent, noted or locked.
func TestSourcesOffTheLink(t *testing.T) {
	const guestDev = 4
	for _, tt := range []struct {
		name string
		dev  uint32
		src  string
	}{
		{"a guest with an address of the main network", guestDev, hostA},
		{"a guest with the router's address", guestDev, "192.168.1.1"},
		{"an address of the Internet", lanDev, "8.8.8.8"},
		{"an address of the Internet, IPv6", lanDev, "2001:4860:4860::8888"},
		{"no address at all", lanDev, "0.0.0.0"},
		{"a private address of nobody's", lanDev, "10.1.2.3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			guest := Device{
				Index: guestDev, Name: "br-guest", Addrs: []nfq.Addr{ip("192.168.2.1")},
				Prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.2.0/24")},
			}
			w.e.SetDevices([]Device{lan(), guest})
			p := &prober{}
			w.e.SetProber(p)
			w.expect("the owner's SYN", w.syn("203.0.113.1"), nfq.Accept)
			from := func(p *nfq.Packet) *nfq.Packet {
				p.InDev, p.MAC, p.Src = tt.dev, macB, ip(tt.src)
				if !p.Src.Is4() {
					p.Version = 6
				}
				return p
			}
			hosts := len(w.e.freeHosts)
			for _, dst := range []string{"198.51.100.7", "203.0.113.9"} {
				w.expect("a ping", from(w.ping(dst)), nfq.Drop)
				w.expect("a query", from(w.speaks(dst, 6881, dhtPing)), nfq.Drop)
				w.expect("a hello", from(w.data(4000, dst, 80, 1000, string(giftHello))), nfq.Drop)
				w.expect("a SYN", from(w.syn(dst)), nfq.Accept)
				w.expect("TLS", from(w.data(4001, dst, 443, 1000, hello("www.example.org"))), nfq.Accept)
				w.expect("something unknown", from(w.speaks(dst, 7000, "whatever this is")), nfq.Accept)
			}
			m := from(mapping())
			m.OutDev = 0
			w.expect("a mapping", m, nfq.Accept)
			w.pass(time.Minute)
			if len(w.out.udp)+len(p.asked)+w.out.resets+w.out.icmps != 0 {
				t.Errorf("sent %+v, asked %v", w.out.udp, p.asked)
			}
			if len(w.e.freeHosts) != hosts {
				t.Error("entered as a host")
			}
			w.nothing()
			w.goesOn("the owner", "198.51.100.7", "203.0.113.9")
		})
	}
}

// TestForgedNeighbour: a host sends in another's name. The router sends the owner nothing,
// and does nothing to its address.
func TestForgedNeighbour(t *testing.T) {
	for _, ownerFirst := range []bool{true, false} {
		w, n := withNeighbours(t, nil)
		p := &prober{}
		w.e.SetProber(p)
		if ownerFirst {
			w.expect("the owner's SYN", w.syn("203.0.113.1"), nfq.Accept)
		}
		for _, dst := range []string{firstPeer, "198.51.100.7", "203.0.113.9"} {
			w.expect("a ping in its name", udp(macB, hostA, 1214, dst, 1214, kazaaPing), nfq.Drop)
			w.expect("a query in its name", udp(macB, hostA, 51413, dst, 6881, []byte(dhtPing)), nfq.Drop)
			n.answer(w)
		}
		if ownerFirst && len(w.out.udp)+len(p.asked) != 0 {
			t.Errorf("sent to the owner: %+v, %v", w.out.udp, p.asked)
		}
		if w.e.Counters.Forged == 0 {
			t.Error("not counted")
		}
		if n, locked := w.e.Len(); n+locked != 0 || w.sets.cut() != 0 {
			t.Errorf("clients %+v, sets %+v", w.e.Clients(w.now), w.sets)
		}
		w.goesOn("the owner", "198.51.100.7")
		w.pass(time.Minute)
		n.answer(w)
		w.goesOn("the owner", "198.51.100.7")
		// The forger's own packets are handled as usual.
		for _, dst := range []string{firstPeer, "198.51.100.7"} {
			w.expect("the forger's ping", udp(macB, hostB, 1214, dst, 1214, kazaaPing), nfq.Drop)
		}
		w.pass(11 * time.Second)
		w.expect("the forger's ping", udp(macB, hostB, 1214, "203.0.113.9", 1214, kazaaPing), nfq.Drop)
		n.answer(w)
		if !w.locked(hostB) || w.sets.locks[hostB] == 0 || len(w.sets.locks) != 1 {
			t.Errorf("clients %+v, sets %+v", w.e.Clients(w.now), w.sets)
		}
	}
}

// TestContestedAddress: a neighbour forges the address of a locked client. The client is
// asked as before, and only its own answer counts.
func TestContestedAddress(t *testing.T) {
	for _, tt := range []struct {
		name string
		by   nfq.MAC
		want bool
	}{{"the client answers", macA, true}, {"the neighbour answers", macB, false}} {
		t.Run(tt.name, func(t *testing.T) {
			w, n := withNeighbours(t, nil)
			w.prove()
			w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
			n.answer(w)
			w.pass(30 * time.Second)
			w.expect("a SYN in its name", tcp(macB, hostA, 4000, "203.0.113.1", 80, nfq.SYN, nil), nfq.Accept)
			if w.e.Counters.Forged == 0 || w.sets.locks[hostA] != 0 {
				t.Fatalf("the address is not contested: %d forged, sets %+v", w.e.Counters.Forged, w.sets)
			}
			w.out.udp = nil
			w.pass(12 * time.Second)
			if len(w.out.udp) != 1 || w.out.udp[0].dst.Addr != ip(hostA) {
				t.Fatalf("questions: %+v", w.out.udp)
			}
			answer := udp(tt.by, hostA, 1214, "192.168.1.1", detect.ProbePort, kazaaPong)
			answer.Hook, answer.OutDev = nfq.HookInput, 0
			w.e.Packet(answer, w.now)
			w.pass(60 * time.Second)
			if w.locked(hostA) != tt.want {
				t.Errorf("locked: %v, a lock time after its last packet", w.locked(hostA))
			}
		})
	}
}

// An address moved from one host to another a moment ago. It belongs to the latter if the
// neighbour table says so.
func TestAddressThatMoved(t *testing.T) {
	w, n := withNeighbours(t, nil)
	w.expect("the former owner's SYN", w.syn("203.0.113.1"), nfq.Accept)
	n.macs[ip(hostA)] = macB
	for _, dst := range []string{firstPeer, "198.51.100.7"} {
		w.expect("the new owner's query", udp(macB, hostA, 51413, dst, 6881, []byte(dhtPing)), nfq.Drop)
	}
	n.answer(w)
	if c := w.e.Clients(w.now); len(c) != 1 || c[0].MAC != macB || !c[0].Locked || w.sets.watched[hostA] == 0 {
		t.Errorf("clients %+v, sets %+v", c, w.sets)
	}
	w.expect("the former owner's SYN from its new address", tcp(macA, "192.168.1.77", 4000, "203.0.113.1", 443, nfq.SYN, nil), nfq.Accept)
	w.pass(81*time.Second + watchTime)
	if w.sets.cut()+len(w.sets.watched) != 0 {
		t.Errorf("left: %v", w.sets.watched)
	}
}

// TestBehindAnotherRouter: hosts there are identified by address, asked and locked.
func TestBehindAnotherRouter(t *testing.T) {
	const far, near = "10.9.0.5", "10.9.0.6"
	w, n := withNeighbours(t, nil)
	d := lan()
	d.Routed = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
	w.e.SetDevices([]Device{d})
	for _, dst := range []string{firstPeer, "198.51.100.7"} {
		w.expect("a query", udp(macB, far, 51413, dst, 6881, []byte(dhtPing)), nfq.Drop)
		w.expect("its neighbour's SYN", tcp(macB, near, 4000, "203.0.113.1", 443, nfq.SYN, nil), nfq.Accept)
		w.expect("the router's own SYN", tcp(macB, hostB, 4000, "203.0.113.1", 443, nfq.SYN, nil), nfq.Accept)
	}
	if len(n.asked) != 0 || !w.locked(far) || len(w.sets.watched) != 1 || w.sets.watched[far] == 0 {
		t.Errorf("%d questions about neighbours, clients %+v, sets %+v", len(n.asked), w.e.Clients(w.now), w.sets)
	}
	// Proved by an answer.
	m := mapping()
	m.MAC, m.Src = macB, ip(near)
	w.expect("a mapping", m, nfq.Accept)
	a := toRouter(51413, krpcAnswer(w.asked("krpc")))
	a.MAC, a.Src = macB, ip(near)
	w.expect("the answer", a, nfq.Drop)
	if !w.locked(near) {
		t.Errorf("clients %+v", w.e.Clients(w.now))
	}
	// A host on the link uses such an address.
	const victim = "10.9.0.7"
	w.expect("the owner's SYN", tcp(macB, victim, 4000, "203.0.113.1", 443, nfq.SYN, nil), nfq.Accept)
	for _, dst := range []string{firstPeer, "198.51.100.7"} {
		w.expect("a forged query", udp(macA, victim, 51413, dst, 6881, []byte(dhtPing)), nfq.Drop)
	}
	if w.locked(victim) || w.e.Counters.Forged == 0 {
		t.Errorf("locked by somebody else, %d forged", w.e.Counters.Forged)
	}
}
