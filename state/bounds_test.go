// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// madeUp returns the n-th made-up source of a neighbour: with the neighbour's own MAC or a
// new one for each, and IPv4 or IPv6.
func madeUp(n int, own, six bool) (nfq.MAC, nfq.Addr) {
	mac := nfq.MAC{2, 0xee, 0, 0, 0, 1}
	if !own {
		mac = nfq.MAC{2, 0xef, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	}
	if six {
		return mac, nfq.Addr{0x20, 1, 0xd, 0xb8, 0, 1, 12: byte(n >> 24), 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
	}
	return mac, nfq.AddrFrom4([4]byte{192, 168, 1, byte(100 + n%100)})
}

// TestFloodOfSources: a neighbour makes up 10,000 sources. Another host's client is still
// found and stays locked. What the router does for the made-up sources is limited.
func TestFloodOfSources(t *testing.T) {
	const sources = 10_000
	for _, own := range []bool{true, false} {
		for _, six := range []bool{false, true} {
			for _, signs := range []int{0, 1, 2} {
				t.Run(fmt.Sprintf("own MAC %v, IPv6 %v, %d signs", own, six, signs), func(t *testing.T) {
					w, n := withNeighbours(t, nil)
					events := 0
					w.e.OnEvent = func(*Event) { events++ }
					w.expect("the host is known", w.syn("203.0.113.1"), nfq.Accept)
					w.pass(2 * time.Minute)
					start := w.now
					asked := 0
					for i := range sources {
						mac, src := madeUp(i, own, six)
						var packets []*nfq.Packet
						for j := range signs {
							packets = append(packets, udp(mac, hostB, 51413, fmt.Sprintf("198.51.100.%d", 1+j), 6881, []byte(dhtPing)))
						}
						packets = append(packets, tcp(mac, hostB, 4000, "203.0.113.1", 443, nfq.SYN, nil), udp(mac, hostB, 4000, "203.0.113.1", 4000, []byte("x")))
						for j, p := range packets {
							if p.Src = src; six {
								p.Version, p.Dst = 6, ip(fmt.Sprintf("2001:db8:ff::%x", 1+j))
							}
							w.e.Packet(p, w.now)
						}
						w.now = w.now.After(100 * time.Microsecond)
						w.e.Advance(w.now)
						if i%100 == 99 { // the neighbour table answers late
							asked += len(n.asked)
							n.answer(w)
						}
						// The client sends ten times a second.
						if i%1000 == 500 {
							w.expect("the client's query", w.speaks(fmt.Sprintf("203.0.113.%d", i/1000), 6881, dhtPing), nfq.Drop)
						}
						if i > 2000 && w.e.nlocked != 1 {
							t.Fatalf("not held after %d", i)
						}
					}
					took := int(w.now.Since(start)/time.Second) + 1
					if c := w.e.Clients(w.now); len(c) != 1 || w.sets.own[hostA+" 17 51413"] == 0 || w.sets.watched[hostA] == 0 {
						t.Errorf("clients %+v, sets %+v", c, w.sets)
					}
					if w.sets.calls > 50 {
						t.Errorf("%d changes of the kernel's sets", w.sets.calls)
					}
					if q := len(w.questions()); q > (roundsAtOnce+roundsPerSecond*took)*5 {
						t.Errorf("%d questions", q)
					}
					if events > 100 {
						t.Errorf("%d events", events)
					}
					w.pass(2 * time.Hour)
					if s := w.e.Suspects(w.now); len(s) != 0 {
						t.Errorf("%d suspects two hours later", len(s))
					}
				})
			}
		}
	}
}

// During a flood a new host is still found if it sends enough within a moment, as giFT and
// MLDonkey do.
func TestNewHostAmidAFlood(t *testing.T) {
	w, n := withNeighbours(t, nil)
	flood := func(from int) {
		for i := range 2000 {
			mac, src := madeUp(from+i, false, true)
			p := udp(mac, hostB, 1214, "2001:db8:ff::1", 1214, kazaaPing)
			p.Src, p.Version = src, 6
			w.e.Packet(p, w.now)
		}
	}
	flood(0)
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	flood(2000)
	n.answer(w)
	flood(4000)
	if !w.locked(hostA) {
		t.Errorf("clients %+v", w.e.Clients(w.now))
	}
}

// TestSetChangesAreBounded: a proved client goes to more and more peers, and gets more and
// more addresses.
func TestSetChangesAreBounded(t *testing.T) {
	for _, tt := range []struct {
		name  string
		next  func(w *world, i int) *nfq.Packet
		first func(w *world)
	}{
		{"peers", func(w *world, i int) *nfq.Packet {
			p := w.ping("198.51.100.7")
			p.Dst = nfq.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})
			return p
		}, func(*world) {}},
		{"addresses", func(w *world, i int) *nfq.Packet {
			p := tcp(macA, "2001:db8:1::50", 4000, "2001:db8:ff::80", 443, nfq.SYN, nil)
			p.Version, p.Src[14], p.Src[15] = 6, byte(i>>8), byte(i)
			return p
		}, func(w *world) {
			for i := range 200 { // each new address is cut off from all of them
				p := udp(macA, "2001:db8:1::50", 1214, "2001:db8:ff::80", 1214, kazaaPing)
				p.Version, p.Dst[15] = 6, byte(i)
				w.e.Packet(p, w.now)
			}
		}},
		{"addresses that others use", func(w *world, i int) *nfq.Packet {
			p := w.ping("198.51.100.7")
			p.Src = nfq.AddrFrom4([4]byte{192, 168, 1, byte(100 + i%20)})
			if i%3 == 0 {
				p.MAC = macB
			}
			return p
		}, func(*world) {}},
		{"by turns", func(w *world, i int) *nfq.Packet {
			p := w.ping("198.51.100.7")
			p.Src[15] += byte(i % 2)
			return p
		}, func(*world) {}},
		{"own ports", func(w *world, i int) *nfq.Packet {
			return saysFrom(uint16(2000+i), dhtPing)(w, "198.51.100.7")
		}, func(w *world) {
			w.proveTorrent()
			w.e.Packet(w.speaks("198.51.100.8", 6881, dhtPing), w.now)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.prove()
			w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
			tt.first(w)
			for range 10 {
				w.pass(time.Second) // its budget fills up again
			}
			first := w.sets.calls
			events := 0
			w.e.OnEvent = func(*Event) { events++ }
			const seconds = 20
			for i := range 1000 * seconds {
				w.now = w.now.After(time.Millisecond)
				w.e.Packet(tt.next(w, i), w.now)
				w.e.Advance(w.now)
			}
			// Twice, because each element is removed again. And it may overdraw once.
			if n := w.sets.calls - first; n > 2*(changesAtOnce+2*MaxPeers+changesPerSecond*seconds)+300 {
				t.Errorf("%d changes of the kernel's sets", n)
			}
			if events > eventsAtOnce+eventsPerSecond*seconds+20 {
				t.Errorf("%d events", events)
			}
			if n := len(w.sets.cuts); n > MaxPeers*addrsPerHost {
				t.Errorf("%d pairs", n)
			}
			w.e.OnEvent = nil
			w.pass(3 * time.Minute)
			if w.sets.cut()+len(w.sets.watched) != 0 {
				t.Errorf("left behind: %+v", w.sets)
			}
		})
	}
}

// TestEventsAreBounded: one host causes a limited number of events, a stranger none.
func TestEventsAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	events := 0
	w.e.OnEvent = func(*Event) { events++ }
	w.expect("the host is known", w.syn("203.0.113.1"), nfq.Accept)
	for i := range 2000 {
		p := reply("203.0.113.77", uint16(i), 1214, 5000, "GIVE 1\r\n")
		w.expect("from a stranger", p, nfq.Accept)
		w.expect("from a stranger", hears("203.0.113.78", uint16(i), dhtPing), nfq.Accept)
	}
	w.pass(10 * time.Second)
	if events != 0 || len(w.out.udp) != 0 {
		t.Errorf("a stranger caused %d events and %d packets", events, len(w.out.udp))
	}
	for i := range 20_000 {
		w.e.Packet(w.data(uint16(i), "203.0.113.79", 1214, 1000, string(giftHello)), w.now)
		w.now = w.now.After(time.Millisecond)
	}
	if events > eventsAtOnce+20*eventsPerSecond+10 || w.e.Counters.Withheld == 0 {
		t.Errorf("%d events, %d withheld", events, w.e.Counters.Withheld)
	}
}

// TestFlowsOfAHost: one host's connections do not displace another's.
func TestFlowsOfAHost(t *testing.T) {
	w := newWorld(t, nil)
	const piece = "GET /1/a HTTP/1.1\r\nX-Kaz"
	w.open(4000, "203.0.113.77", 80)
	w.expect("the first piece", w.data(4000, "203.0.113.77", 80, 1000, piece), nfq.Accept)
	for i := range 10 * maxFlows {
		w.expect("another host's piece", tcp(macB, hostB, uint16(10000+i), "203.0.113.78", 80, nfq.ACK, []byte("GET /1/a HTT")), nfq.Accept)
	}
	if n := maxFlows - len(w.e.flows.free); n != flowsPerHost+1 {
		t.Errorf("%d connections, want %d of one host and one of the other", n, flowsPerHost)
	}
	w.expect("the second piece", w.data(4000, "203.0.113.77", 80, uint32(1000+len(piece)), "aa-Username: u\r\n\r\n"), nfq.Drop)
	if len(w.e.Suspects(w.now)) != 1 {
		t.Error("not recognised")
	}
	// Dropping a host frees its connections.
	mac, n := macB, maxFlows-len(w.e.flows.free)
	w.e.dropHost(w.e.hostAt(&[]nfq.Addr{ip(hostB)}[0]).slot)
	if left := maxFlows - len(w.e.flows.free); left != n-flowsPerHost {
		t.Errorf("%d connections left of %d after %s was dropped", left, n, mac)
	}
}

// Made-up hosts never displace a proved client.
func TestMadeUpClientsEvictNobodyProved(t *testing.T) {
	w, n := withNeighbours(t, func(c *Config) { c.MaxClients = 16 })
	proved := 0
	for i := range 8 {
		a := netip.AddrFrom4([4]byte{192, 168, 1, byte(10 + i)}).String()
		mac := nfq.MAC{2, 0, 0, 1, 0, byte(i)}
		n.macs[ip(a)] = mac
		for _, dst := range []string{firstPeer, "198.51.100.7"} {
			w.expect("ping", udp(mac, a, 1214, dst, 1214, kazaaPing), nfq.Drop)
			n.answer(w)
		}
		proved++
		if i == 3 {
			w.pass(2 * time.Minute) // these are released
		}
	}
	if c, locked := w.e.Len(); c != 8 || locked != 4 {
		t.Fatalf("%d clients, %d locked", c, locked)
	}
	for i := range 256 {
		mac, src := madeUp(i, false, true)
		for _, dst := range []string{"2001:db8:ff::1", "2001:db8:ff::2"} {
			p := udp(mac, hostB, 1214, dst, 1214, kazaaPing)
			p.Src, p.Version = src, 6
			w.expect("made up", p, nfq.Drop)
		}
		n.answer(w)
	}
	if c, locked := w.e.Len(); c != 8 || locked != 4 || w.e.Counters.ClientsEvicted == 0 {
		t.Errorf("%d clients, %d locked, %d evicted", c, locked, w.e.Counters.ClientsEvicted)
	}
}

// quiet accepts all questions and does nothing.
type quiet struct{}

func (quiet) ProbeTCP(uint64, uint32, nfq.Addr, uint16, []byte, int) bool { return true }
func (quiet) Ask(uint64, uint32, nfq.Addr, [2]nfq.Flow) bool              { return true }

// TestNoAllocationsForSuspects: no packet, question or answer allocates.
func TestNoAllocationsForSuspects(t *testing.T) {
	for _, table := range []bool{false, true} {
		w := newWorld(t, nil)
		w.out.recordNothing = true
		w.e.sets = nil
		w.e.SetProber(quiet{})
		if table {
			w.e.SetNeighbours(quiet{})
		}
		d := lan()
		d.Routed = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
		w.e.SetDevices([]Device{d})
		inbound := reply("203.0.113.7", 30000, 8080, 5000, handshake)
		fromOutside := w.data(8080, "203.0.113.7", 30000, 1000, handshake)
		super := w.data(4000, "203.0.113.7", 80, 1000, kazaaHead+"X-Kazaa-SupernodeIP: 203.0.113.99:2354\r\n\r\n")
		page := w.data(4001, "203.0.113.7", 80, 1000, pageHead)
		offLink := w.data(4002, "203.0.113.7", 80, 1000, string(giftHello))
		offLink.Src = ip("8.8.8.8")
		offLinkUDP := w.speaks("203.0.113.7", 6881, dhtPing)
		offLinkUDP.Src = ip("8.8.8.8")
		tfo := tcp(macA, hostA, 4003, "203.0.113.7", 1214, nfq.SYN, giftHello)
		forged := udp(macB, hostA, 1214, "203.0.113.7", 1214, kazaaPing)
		n := 0
		for _, tt := range []struct {
			name   string
			packet *nfq.Packet
			vary   func(p *nfq.Packet, n int)
		}{
			{"a query", w.speaks("198.51.100.7", 6881, dhtPing), nil},
			{"a query of a new host", w.speaks("198.51.100.7", 6881, dhtPing), func(p *nfq.Packet, n int) { p.MAC[4], p.MAC[5] = byte(n>>8), byte(n) }},
			{"queries to new addresses", w.speaks("198.51.100.7", 6881, dhtPing), func(p *nfq.Packet, n int) { p.Dst[15] = byte(n) }},
			{"a mapping", mapping(), nil},
			{"mappings of two", mapping(), func(p *nfq.Packet, n int) { p.Src[15] = byte(50 + n%2) }},
			{"something unknown", w.speaks("203.0.113.1", 7000, "whatever this is"), func(p *nfq.Packet, n int) { p.Dst[15] = byte(n) }},
			{"a wrong answer", toRouter(51413, krpcAnswer([]byte("d1:ad2:id20:"+nodeID+"e1:q4:ping1:t4:abcd1:y1:qe"))), nil},
			{"a handshake from outside", inbound, nil},
			{"and the answer", fromOutside, func(p *nfq.Packet, n int) { p.DstPort = uint16(n) }},
			{"Kazaa's request", super, func(p *nfq.Packet, n int) { p.SrcPort = uint16(n) }},
			{"a page's request", page, func(p *nfq.Packet, n int) { p.SrcPort = uint16(n) }},
			{"a hello off the link", offLink, nil},
			{"a query off the link", offLinkUDP, nil},
			{"a hello in a SYN", tfo, func(p *nfq.Packet, n int) { p.SrcPort = uint16(n) }},
			{"a forged ping", forged, nil},
			{"behind another router", udp(macB, "10.9.0.5", 51413, "198.51.100.7", 6881, []byte(dhtPing)), func(p *nfq.Packet, n int) { p.Src[15] = byte(n) }},
			{"of a shared MAC", udp(nfq.MAC{2, 7}, "192.168.1.60", 51413, "198.51.100.7", 6881, []byte(dhtPing)), func(p *nfq.Packet, n int) { p.Src[15] = byte(60 + n%3) }},
		} {
			if a := testing.AllocsPerRun(200, func() {
				n++
				w.now += Time(time.Millisecond)
				if tt.vary != nil {
					tt.vary(tt.packet, n)
				}
				w.e.Packet(tt.packet, w.now)
				w.e.Advance(w.now)
			}); a != 0 {
				t.Errorf("%s: %v allocations", tt.name, a)
			}
		}
		key := []byte(random(300))
		if a := testing.AllocsPerRun(200, func() {
			n++
			w.now += Time(500 * time.Millisecond)
			w.e.Advance(w.now)
			for slot := range int32(len(w.e.hosts)) {
				w.e.ProbedTCP(hostProbe(slot, 6881, torrent, w.e.hosts[slot].salt), key, w.now)
			}
			for slot := range int32(len(w.e.clients)) {
				w.e.Neighbour(uint64(w.e.clients[slot].number)<<32|uint64(slot), macA, n%7 == 0, n%11 == 0, w.now)
				w.e.ProbedTCP(uint64(slot)<<32|uint64(w.e.clients[slot].salt), key, w.now)
			}
		}); a != 0 {
			t.Errorf("timers and answers: %v allocations", a)
		}
		if w.e.Counters.Answers == 0 || w.e.Counters.Probes == 0 || w.e.Counters.Forged == 0 {
			t.Errorf("not all was gone through: %+v", w.e.Counters)
		}
	}
}

// A budget yields at least its rate, and at most atOnce at once.
func TestBudget(t *testing.T) {
	var b budget
	take := func(at seconds) (n int) {
		for b.take(1, 10, 3, at) {
			n++
		}
		return n
	}
	for i, tt := range []struct {
		at   seconds
		want int
	}{{100, 10}, {100, 0}, {101, 3}, {103, 6}, {1000, 10}, {4_000_000_000, 10}, {4_000_000_000, 0}} {
		if got := take(tt.at); got != tt.want {
			t.Errorf("step %d: %d, want %d", i, got, tt.want)
		}
	}
	if b = (budget{}); !b.take(300, 10, 3, 5) || b.take(1, 10, 3, 5) || b.take(1, 10, 3, 101) || !b.take(1, 10, 3, 103) {
		t.Error("what is overdrawn is not paid back")
	}
}
