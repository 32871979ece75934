// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// consistent checks that the tables agree with each other and with the kernel's sets.
func consistent(t *testing.T, e *Engine, sets *fakeSets) {
	t.Helper()
	flows := map[int32]int{}
	for s := e.flows.lru.Oldest(); s != none; s = e.flows.lru.Newer(s) {
		flows[e.flows.flows[s].owner]++
	}
	hosts, addrs := 0, 0
	marks := map[string]bool{}
	ours := map[string]bool{} // what locked clients have in the kernel's sets
	for i := range e.hosts {
		h := &e.hosts[i]
		if !h.used {
			continue
		}
		hosts++
		if e.hostIndex.Get(&h.key, h.hash) != int32(i) {
			t.Fatalf("host %d is not found by its key", i)
		}
		if int(h.flows) != flows[int32(i)] {
			t.Fatalf("host %d: %d connections, but %d are in the table", i, h.flows, flows[int32(i)])
		}
		if h.shared != 0 && (h.client != none || h.key.mac.IsZero()) {
			t.Fatalf("host %d stands for several, and is a client: %+v", i, h.key)
		}
		for _, s := range h.addrs {
			if s == none {
				continue
			}
			addrs++
			if a := &e.addrs[s]; !a.used || a.host != int32(i) || e.addrIndex.Get(&a.addr, a.hash) != s {
				t.Fatalf("host %d: address %s is not its own", i, a.addr)
			}
		}
		if h.client == none {
			continue
		}
		c := &e.clients[h.client]
		if !c.used || c.host != int32(i) || c.mac != h.key.mac {
			t.Fatalf("host %d: client %d is not its own", i, h.client)
		}
		if c.locked {
			for _, s := range h.addrs {
				if s != none {
					ours[e.addrs[s].addr.String()] = true
					if a := e.addrs[s].addr.String(); e.lockMarks(c) {
						marks[a] = true
						if sets.marked[a] == 0 && e.addrs[s].inKernel && c.kernelUntil != 0 && e.now >= e.addrs[s].contested {
							t.Fatalf("%s is not marked only", a)
						}
					}
				}
			}
		}
	}
	if hosts+len(e.freeHosts) != len(e.hosts) || addrs+len(e.freeAddrs) != len(e.addrs) {
		t.Fatalf("hosts: %d and %d free of %d; addresses: %d and %d free of %d",
			hosts, len(e.freeHosts), len(e.hosts), addrs, len(e.freeAddrs), len(e.addrs))
	}
	found, locked, used := 0, 0, 0
	for i := range e.clients {
		c := &e.clients[i]
		if !c.used {
			continue
		}
		used++
		if e.hosts[c.host].client != int32(i) {
			t.Fatalf("client %d is not its host's", i)
		}
		if c.told {
			found++
		}
		if c.locked && !c.foreign {
			locked++
		}
		if c.locked && (c.proved == 0 || c.proof == ProofNone && !c.foreign) || c.told != (c.proof != ProofNone) {
			t.Fatalf("client %d is locked and not proved: %+v", i, c.proof)
		}
	}
	if found != e.nfound || locked != e.nlocked || used+len(e.spareClients) != len(e.clients) {
		t.Fatalf("%d clients found and %d locked, counted %d and %d; %d used, %d free", found, locked, e.nfound, e.nlocked, used, len(e.spareClients))
	}
	for _, m := range []map[string]time.Duration{sets.locks, sets.cuts} {
		for k := range m {
			if host, _, _ := strings.Cut(k, " "); !ours[host] {
				t.Fatalf("the kernel has %q, which is no locked client's: %+v", k, sets)
			}
		}
	}
	for a := range sets.marked {
		if !marks[a] {
			t.Fatalf("the kernel marks %s only, of which something is blocked", a)
		}
	}
	consistentOwn(t, e, sets)
}

// consistentOwn checks that the kernel cuts exactly the own ports of locked clients at
// their own addresses, and shows what these send.
func consistentOwn(t *testing.T, e *Engine, sets *fakeSets) {
	t.Helper()
	sets.expire()
	want, watched := map[string]bool{}, map[string]bool{}
	for i := range e.clients {
		c := &e.clients[i]
		if !c.used {
			continue
		}
		for j, port := range c.own {
			switch {
			case port == 0:
				if c.own != [maxOwn]uint16{} && j == 0 {
					t.Fatalf("client %d: the newest place is empty: %v", i, c.own)
				}
			case port < private || slices.Contains(c.own[:j], port):
				t.Fatalf("client %d: own ports %v", i, c.own)
			}
		}
		if !c.locked {
			continue
		}
		for _, s := range e.hosts[c.host].addrs {
			if s == none {
				continue
			}
			// The kernel may lag behind the lock by an eighth of it.
			a := &e.addrs[s]
			told := a.inKernel && a.contested == 0 && e.now < min(c.kernelUntil, c.lockUntil)
			watched[a.addr.String()] = told
			e.cutPortsOf(&a.addr, func(port uint16) { want[ownName(a.addr, nfq.ProtoUDP, port)] = told })
			for _, port := range c.own {
				if port != 0 {
					if c.selective {
						want[ownName(a.addr, nfq.ProtoUDP, port)] = told
					}
					want[ownName(a.addr, nfq.ProtoTCP, port)] = told
				}
			}
		}
	}
	for name := range sets.own {
		if _, ok := want[name]; !ok {
			t.Fatalf("the kernel cuts %q, which is no locked client's: %v", name, sets.own)
		}
	}
	for name, told := range want {
		if _, ok := sets.own[name]; told && !ok {
			t.Fatalf("the kernel does not cut %q: %v", name, sets.own)
		}
	}
	for name, told := range watched {
		if _, ok := sets.watched[name]; told && !ok {
			t.Fatalf("the kernel does not watch %q: %v", name, sets.watched)
		}
	}
}

// TestAnyLife: a few hosts do random things while the configuration changes and answers
// come or stay away. The tables stay consistent, and in the end everything is released.
func TestAnyLife(t *testing.T) {
	const seeds, steps = 30, 4000
	payloads := []string{dhtPing, dhtFind, utpSYN, trackerAsks, string(kazaaPing), string(kazaaPong), "whatever this is", utpData, quic(), juiceCheck, browserCheck, dtlsData, bareHello}
	heads := []string{
		string(giftHello), handshake, "GIVE 1\r\n", napLogin, pageHead, hello("www.example.org"), random(200),
		kazaaHead + "X-Kazaa-SupernodeIP: 203.0.113.99:2354\r\n\r\n", announceLine + "User-Agent: Transmission/3.00\r\n\r\n", "SSH-2.0-x\r\n",
		newProgram(1).first,
	}
	macs := []nfq.MAC{macA, macB, {2, 0, 0, 0, 0, 0xc}, {}}
	srcs := []string{hostA, hostB, "192.168.1.52", "10.9.0.5", "10.9.0.6", "8.8.8.8", "2001:db8:1::50", "2001:db8:1::51", "fe80::50"}
	dsts := []string{firstPeer, "198.51.100.7", "203.0.113.9", "198.18.1.1", "203.0.113.99"}
	dsts6 := []string{"2001:db8:ff::7", "2001:db8:ff::8"}
	var all Counters
	shared := 0
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t, func(c *Config) {
			c.MaxClients = 3
			c.Forget = 10 * time.Minute
			byName(c)
		})
		d := lan()
		d.Routed = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
		w.e.SetDevices([]Device{d})
		old := w.e.cfg
		n := &neighbours{macs: map[nfq.Addr]nfq.MAC{}}
		if seed%3 != 0 {
			w.e.SetNeighbours(n)
		}
		p := &prober{}
		w.e.SetProber(p)
		for range steps {
			from := r.IntN(len(srcs))
			src, mac := srcs[from], macs[from%len(macs)]
			if seed%2 == 0 && r.IntN(10) == 0 { // otherwise each keeps its own
				mac = macs[r.IntN(len(macs))]
			}
			six := strings.Contains(src, ":")
			dst := dsts[r.IntN(len(dsts))]
			if six {
				dst = dsts6[r.IntN(len(dsts6))]
			}
			packet := udp(mac, src, uint16(51410+r.IntN(4)), dst, uint16(6880+r.IntN(3)), nil)
			if six {
				packet.Version = 6
				if r.IntN(5) == 0 {
					packet.Src[14], packet.MAC[4] = byte(r.IntN(40)), byte(r.IntN(20))
				}
			}
			switch k := r.IntN(100); {
			case k < 35:
				packet.Payload = []byte(payloads[r.IntN(len(payloads))])
				w.e.Packet(packet, w.now)
			case k < 45:
				packet.Proto, packet.TCPFlags, packet.Seq = nfq.ProtoTCP, nfq.SYN, 999
				if r.IntN(4) == 0 {
					packet.Payload = []byte(heads[r.IntN(len(heads))])
				}
				w.e.Packet(packet, w.now)
			case k < 50: // an encrypted session
				packet.Proto, packet.TCPFlags, packet.Seq = nfq.ProtoTCP, nfq.SYN, 999
				packet.DstPort += uint16(r.IntN(500))
				w.e.Packet(packet, w.now)
				packet.TCPFlags, packet.Seq, packet.Payload = nfq.ACK, 1000, []byte(newProgram(1).first)
				w.e.Packet(packet, w.now)
			case k < 60:
				b := heads[r.IntN(len(heads))]
				packet.Proto, packet.TCPFlags, packet.Seq = nfq.ProtoTCP, nfq.ACK, 1000
				half := r.IntN(len(b))
				packet.Payload = []byte(b[:half])
				w.e.Packet(packet, w.now)
				packet.Seq += uint32(half)
				packet.Payload = []byte(b[half:])
				w.e.Packet(packet, w.now)
			case k < 68: // from outside
				packet.Src, packet.Dst = packet.Dst, packet.Src
				packet.InDev, packet.OutDev, packet.MAC = wanDev, lanDev, nfq.MAC{}
				packet.Payload = []byte(payloads[r.IntN(len(payloads))])
				if r.IntN(2) == 0 {
					packet.Proto, packet.TCPFlags, packet.Seq = nfq.ProtoTCP, nfq.ACK, 5000
					packet.Payload = []byte(heads[r.IntN(len(heads))])
				}
				w.e.Packet(packet, w.now)
			case k < 74:
				m := mapping()
				m.MAC, m.Src, m.Version = mac, packet.Src, packet.Version
				w.e.Packet(m, w.now)
			case k < 77 && len(w.out.handshakes) > 0: // the program reacts to an answer
				next := w.out.answered
				next.Payload = []byte(newProgram(1).proof(w.answer()))
				if r.IntN(4) == 0 { // or another program does
					next.Payload = next.Payload[1:]
				}
				w.e.Packet(&next, w.now)
			case k < 82 && len(w.out.udp) > 0: // an answer to a question
				q := w.out.udp[r.IntN(len(w.out.udp))]
				b := mustHex(q.payload)
				if strings.Contains(string(b), "1:t4:") {
					b = krpcAnswer(b)
				} else if len(b) == 20 {
					b = utpAnswer(b)
				}
				a := toRouter(q.dst.Port, b)
				a.MAC, a.Src = mac, q.dst.Addr
				w.e.Packet(a, w.now)
				w.out.udp = w.out.udp[max(0, len(w.out.udp)-20):]
			case k < 85:
				w.e.ProbedTCP(p.id, []byte([]string{random(300), giftAnswer, ""}[r.IntN(3)]), w.now)
				p.asked = p.asked[:0]
			case k < 90:
				for i, a := range srcs {
					if n.macs[ip(a)] = macs[i%len(macs)]; r.IntN(10) == 0 {
						n.macs[ip(a)] = macs[r.IntN(len(macs))]
					}
				}
				n.shared = r.IntN(4) == 0
				n.answer(w)
			case k < 91:
				cfg := old
				cfg.Protocols[r.IntN(len(cfg.Protocols))].Mode = Mode(r.IntN(4))
				cfg.Protocols[r.IntN(len(cfg.Protocols))].Lock = Lock(r.IntN(2))
				if r.IntN(4) == 0 {
					cfg.LockTime = 0
				}
				cfg.Policies = nil
				for range r.IntN(3) {
					cfg.Policies = append(cfg.Policies, Policy{
						All: r.IntN(3) == 0, MACs: []nfq.MAC{macs[r.IntN(len(macs))]}, Nets: prefixes("192.168.1.50/31"),
						Protocols: everyProtocol & (1<<r.IntN(20) | 3), Mode: Mode(r.IntN(4)),
					})
				}
				if r.IntN(2) == 0 {
					w.e.SetPolicies(cfg.Policies, w.now)
				} else {
					w.e.Configure(cfg)
				}
			case k < 92:
				w.e.Configure(old)
			case k < 93 && r.IntN(4) == 0:
				w.e.Exempt(netip.MustParseAddr(src), time.Minute, w.now)
			case k < 93:
				w.e.Standing(&nfq.Standing{Addr: packet.Src, Peers: 1 + r.IntN(5), Served: [4]uint16{51413}}, mac, w.now)
			case k < 94 && r.IntN(2) == 0:
				w.e.Hold(&Held{MAC: mac, Addr: packet.Src, Device: lanDev, Protocol: uint8(r.IntN(2)), Left: time.Minute, Own: [maxOwn]uint16{uint16(51410 + r.IntN(4)), 0, 6890}}, w.now)
			case k < 94:
				w.e.Unlock(netip.MustParseAddr(src), w.now)
			case k < 95:
				w.e.SetSets(w.sets, w.now)
			case k < 96:
				if err := New(w.e.cfg, nil, newFakeSets(), 9).Restore(w.e.Snapshot(nil, w.now), w.now); err != nil {
					t.Fatal(err)
				}
			case k < 98:
				w.pass(time.Duration(r.IntN(90)) * time.Second)
			default:
				w.pass(time.Duration(r.IntN(2000)) * time.Millisecond)
			}
			w.e.Advance(w.now)
			consistent(t, w.e, w.sets)
			for i := range w.e.hosts {
				if w.e.hosts[i].used && w.e.hosts[i].shared != 0 {
					shared++
				}
			}
		}
		all.Add(&w.e.Counters)
		w.e.Configure(old)
		w.pass(3 * time.Hour)
		consistent(t, w.e, w.sets)
		if c, locked := w.e.Len(); c+locked != 0 || len(w.e.Suspects(w.now)) != 0 {
			t.Errorf("seed %d: %d clients, %d locked in the end", seed, c, locked)
		}
	}
	if all.Locks < 100 || all.Answers < 100 || all.Forged < 100 || all.Handshakes < 25 || all.ClientsEvicted < 100 || all.HostsEvicted < 10 || shared < 100 {
		t.Errorf("too little happened: shared %d, %+v", shared, all)
	}
}
