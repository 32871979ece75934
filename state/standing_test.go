// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// giftAnswer is giFT's answer at its port.
const giftAnswer = "HTTP/1.1 404 Not Found\r\nServer: giFT-FastTrack 0.8.9\r\nX-Kazaa-Username: giFTed\r\n" +
	"X-Kazaa-Network: KaZaA\r\nX-Kazaa-IP: 192.168.1.50:1214\r\nX-Kazaa-SupernodeIP: 198.51.100.34:3128\r\n\r\n"

// TestStandingAsks: each port where a protocol's programs listen has a question to a host with
// old connections, and the number of the last question fits its field.
func TestStandingAsks(t *testing.T) {
	longest := 0
	for _, p := range detect.All {
		longest = max(longest, len(p.Ports))
	}
	if want := 2 + len(standing{}.served) + len(standing{}.sends) + longest; standingAsks != want {
		t.Errorf("%d questions about a protocol, want %d: a protocol has %d ports", standingAsks, want, longest)
	}
	if n := standingAsks * len(detect.All); n > math.MaxUint8 {
		t.Errorf("%d questions do not fit standing.ask: a round would never end", n)
	}
}

// old stands for connections from before the engine's start.
type old struct {
	w *world
	n int // segments
}

// says sends the host's next segment b on the connection from a port. b ends a message.
func (o *old) says(sport uint16, dst string, dport uint16, b string) nfq.Verdict {
	o.w.t.Helper()
	o.n++
	p := o.w.data(sport, dst, dport, 70000+uint32(o.n)*1500, b)
	v := o.w.e.Packet(p, o.w.now)
	o.w.e.Advance(o.w.now)
	return v
}

// stands tells the engine of a host with a number of peers, and gives it a prober.
func stands(t *testing.T, change func(*Config), peers int, served ...uint16) (*world, *old, *prober) {
	t.Helper()
	x := nfq.Standing{Peers: peers}
	copy(x.Served[:], served)
	return standsFor(t, func(c *Config) {
		c.Protocols[detect.ByName("directconnect")].Mode = Off // it would be asked about, too
		if change != nil {
			change(c)
		}
	}, x)
}

// standsFor does the same with all that is known of the host.
func standsFor(t *testing.T, change func(*Config), x nfq.Standing) (*world, *old, *prober) {
	t.Helper()
	w := newWorld(t, func(c *Config) {
		c.Protocols[detect.ByName("edonkey")].Mode = Off // it would be asked about, too
		if change != nil {
			change(c)
		}
	})
	p := &prober{}
	w.e.SetProber(p)
	x.Addr = ip(hostA)
	w.e.Standing(&x, macA, w.now)
	w.pass(4 * time.Second)
	return w, &old{w: w}, p
}

// shy makes the host accept a connection at the protocol's port and close it.
func shy(w *world, p *prober) { w.e.ProbedTCP(p.ids[0], []byte{}, w.now) }

func (w *world) looked() map[nfq.Addr]struct{} {
	f := NewFlows()
	w.e.FlowsToCut(f, w.now)
	return f.Hosts
}

// A client that answers is proved by that, and loses its sessions. Other connections of the
// host that can be recognised go on.
func TestStandingClientThatAnswers(t *testing.T) {
	w, o, p := stands(t, nil, 1, 6346)
	// At the port where it serves others it may be a BitTorrent client, too.
	if len(p.asked) != 4 || p.asked[0] != (nfq.AddrPort{Addr: ip(hostA), Port: 1214}) || p.asked[1].Port != 4080 || p.asked[2].Port != 6346 || p.asked[3].Port != 6346 {
		t.Fatalf("asked at %v", p.asked)
	}
	for _, id := range p.ids[1:3] {
		w.e.ProbedTCP(id, []byte("HTTP/1.0 404 Not Found\r\nServer: httpd\r\n\r\n"), w.now)
	}
	if len(w.e.Clients(w.now)) != 0 {
		t.Fatal("a web server is taken for a client")
	}
	w.e.ProbedTCP(p.ids[2], []byte(giftAnswer), w.now)
	w.e.Advance(w.now)
	c := w.e.Clients(w.now)
	if len(c) != 1 || !c[0].Locked || !c[0].Strict || c[0].Proof != ProofAnswer || c[0].Reason != detect.ReasonProbe {
		t.Fatalf("clients %+v", c)
	}
	if _, ok := w.looked()[ip(hostA)]; !ok || w.sets.watched[hostA] == 0 {
		t.Errorf("its connections are not looked at: %v", w.sets.watched)
	}
	w.pass(3 * time.Second)
	for i, tt := range []struct {
		name string
		port uint16
		b    string
		want nfq.Verdict
	}{
		{"a search", 3128, bytesOf(1, 25), nfq.Drop},
		{"TLS", 9443, "\x17\x03\x03\x00\x20" + bytesOf(2, 32), nfq.AcceptDecided},
		{"HTTP", 8081, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", nfq.AcceptDecided},
		{"IRC", 6667, "PONG :x.example.org\r\n", nfq.AcceptDecided},
		{"a game", 7000, "\x05\x00\x00\x00\x10\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01", nfq.AcceptDecided},
		{"a WebSocket", 8082, "\x81\x8a" + bytesOf(3, 14), nfq.AcceptDecided},
		{"SSH, a first key", 2222, bytesOf(4, 36), nfq.Accept},
		{"anything at a well-known port", 22, bytesOf(4, 37), nfq.AcceptDecided},
		{"anything below 1024", 900, bytesOf(4, 37), nfq.AcceptDecided},
	} {
		got := nfq.Accept
		for range 4 {
			if got == nfq.Accept {
				got = o.says(uint16(50000+i), fmt.Sprintf("203.0.113.%d", 80+i), tt.port, tt.b)
			}
		}
		w.wantVerdict(tt.name, got, tt.want)
	}
	if w.sets.cuts[hostA+" 203.0.113.80"] == 0 {
		t.Errorf("the kernel does not cut what was ended: %v", w.sets.cuts)
	}
	if w.out.resets != 0 {
		t.Error("a locked client is told")
	}
	for i := range 8 {
		v := o.says(50006, "203.0.113.86", 2222, bytesOf(10+i, 36+8*(i%3)))
		if v == nfq.Drop {
			t.Fatal("SSH was ended")
		}
	}
	w.pass(81 * time.Second)
	if w.locked(hostA) || w.sets.cut() != 0 {
		t.Errorf("not released: %+v", w.sets)
	}
	consistent(t, w.e, w.sets)
}

// A client that never answers: each of its connections is ended once, and the next ones
// show how they begin.
func TestStandingClientThatIsShy(t *testing.T) {
	w, o, p := stands(t, nil, 3)
	if _, ok := w.looked()[ip(hostA)]; !ok {
		t.Fatal("its connections are not looked at")
	}
	w.wantVerdict("a search, before there is a sign", o.says(50000, "198.51.100.34", 3128, bytesOf(1, 25)), nfq.Accept)
	shy(w, p)
	w.pass(2 * time.Second)
	if _, ok := w.looked()[ip(hostA)]; !ok {
		t.Fatal("its connections are not looked at once more")
	}
	if s := w.e.Suspects(w.now); len(s) != 1 || s[0].Reason != detect.ReasonFlow || s[0].Protocol != &detect.FastTrack || s[0].Asked != 2 {
		t.Errorf("suspects %+v", s)
	}
	w.wantVerdict("a search", o.says(50000, "198.51.100.34", 3128, bytesOf(2, 25)), nfq.Drop)
	w.wantVerdict("another's", o.says(50001, "203.0.113.148", 1710, bytesOf(2, 25)), nfq.Drop)
	if w.out.resets != 2 || w.locked(hostA) || w.sets.cut() != 0 {
		t.Fatalf("%d resets, sets %+v", w.out.resets, w.sets)
	}
	for i, dst := range []string{"203.0.113.20", "203.0.113.22"} {
		w.open(uint16(50010+i), dst, 2066)
		w.expect("its hello", w.data(uint16(50010+i), dst, 2066, 1000, string(giftHello)), nfq.Drop)
	}
	if !w.locked(hostA) {
		t.Error("not found when it came back")
	}
	consistent(t, w.e, w.sets)
}

// A client that never answers and says nothing in its sessions: they are stirred, and what
// the host acknowledges then tells how to end them. Connections in which it has said
// something lose nothing.
func TestStandingSilent(t *testing.T) {
	conn := func(port uint16, to string, at uint16) nfq.Conn {
		return nfq.Conn{Port: port, To: nfq.AddrPort{Addr: ip(to), Port: at}}
	}
	x := nfq.Standing{Peers: 3, Open: []nfq.Conn{
		conn(50000, "198.51.100.34", 3128), conn(50001, "203.0.113.148", 1710), conn(50002, "203.0.113.20", 2222),
		conn(50004, "203.0.113.21", 2223),
	}}
	// acknowledges is what the host sends when it is stirred.
	acknowledges := func(w *world, port uint16, to string, at uint16) nfq.Verdict {
		p := w.data(port, to, at, 9000, "")
		p.Ack = uint32(port)
		return w.e.Packet(p, w.now)
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		sign   bool
		ended  bool
	}{
		{"a sign", nil, true, true},
		{"no sign", nil, false, false},
		{"only watched", func(c *Config) { c.Protocols[detect.ByName("fasttrack")].Mode = Monitor }, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, o, p := standsFor(t, tt.change, x)
			if tt.sign {
				shy(w, p)
			}
			began := w.now
			w.wantVerdict("too early", acknowledges(w, 50000, "198.51.100.34", 3128), nfq.Accept)
			o.says(50002, "203.0.113.20", 2222, bytesOf(4, 36))
			for len(w.out.handshakes) == 0 && w.now.Since(began) < standingSilence+2*standingTick {
				w.pass(standingTick / 10)
			}
			if n := len(w.out.handshakes); (n == 6) != tt.ended || !tt.ended && n != 0 {
				t.Fatalf("%d bytes were sent", n)
			}
			want := nfq.Accept
			if tt.ended {
				want = nfq.Drop
			}
			w.wantVerdict("one", acknowledges(w, 50000, "198.51.100.34", 3128), want)
			w.wantVerdict("the other", acknowledges(w, 50001, "203.0.113.148", 1710), want)
			w.wantVerdict("where it has said something", acknowledges(w, 50002, "203.0.113.20", 2222), nfq.Accept)
			w.wantVerdict("a new connection", acknowledges(w, 50003, "203.0.113.148", 1710), nfq.Accept)
			w.pass(2 * standingTick)
			w.wantVerdict("too late", acknowledges(w, 50004, "203.0.113.21", 2223), nfq.Accept)
			if ended := w.out.resets == 2; ended != tt.ended || !tt.ended && w.out.resets != 0 || w.locked(hostA) {
				t.Errorf("%d connections were ended", w.out.resets)
			}
			consistent(t, w.e, w.sets)
		})
	}
}

// A client with another port is recognised by what it sends to all its supernodes at once.
func TestStandingSameToSeveral(t *testing.T) {
	to := []string{"198.51.100.34", "203.0.113.148", "198.51.100.78", "203.0.113.20"}
	for _, tt := range []struct {
		name  string
		peers int
		ports []uint16
		apart time.Duration
		size  func(i int) int
		ended bool
	}{
		{"a search", 4, []uint16{3128, 1710, 1214, 2066}, 10 * time.Millisecond, func(int) int { return 25 }, true},
		{"of different lengths", 4, []uint16{3128, 1710, 1214, 2066}, 10 * time.Millisecond, func(i int) int { return 25 + i }, false},
		{"not at once", 4, []uint16{3128, 1710, 1214, 2066}, time.Second, func(int) int { return 25 }, false},
		{"to three, and again", 3, []uint16{3128, 1710, 1214, 0}, 10 * time.Millisecond, func(int) int { return 25 }, true},
		{"to two ports", 4, []uint16{8333, 8333, 8333, 1214}, 10 * time.Millisecond, func(int) int { return 25 }, false},
		{"to one port", 4, []uint16{8333, 8333, 8333, 8333}, 10 * time.Millisecond, func(int) int { return 25 }, false},
		{"of a host with two peers", 2, []uint16{3128, 1710, 1214, 2066}, 10 * time.Millisecond, func(int) int { return 25 }, false},
		{"too short", 4, []uint16{3128, 1710, 1214, 2066}, 10 * time.Millisecond, func(int) int { return 19 }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, o, _ := stands(t, nil, tt.peers)
			for round := range 5 {
				for i, dst := range to {
					if tt.ports[i] == 0 {
						continue
					}
					o.says(uint16(50000+i), dst, tt.ports[i], bytesOf(round*10+i, tt.size(i)))
					w.pass(tt.apart)
				}
				w.pass(3 * time.Second)
			}
			if ended := w.out.resets == min(tt.peers, len(to)); ended != tt.ended || !tt.ended && w.out.resets != 0 {
				t.Errorf("%d connections were ended", w.out.resets)
			}
		})
	}
}

// A search ends the connections in which it was sent at once, not only when the next one is
// sent.
func TestStandingSearchIsEnough(t *testing.T) {
	w, o, _ := stands(t, nil, 5)
	w.pass(3 * time.Second)
	for i := range 5 {
		want := nfq.Accept
		if i >= sameSure-1 {
			want = nfq.Drop
		}
		if v := o.says(uint16(50000+i), "198.51.100."+strconv.Itoa(30+i), uint16(3000+i), bytesOf(i, 25)); v != want {
			t.Errorf("verdict %d about the segment to address %d", v, i)
		}
	}
	if w.out.resets != 5 {
		t.Errorf("%d connections were ended", w.out.resets)
	}
	consistent(t, w.e, w.sets)
}

// Sessions with segments of random lengths look like a search by chance, but too rarely.
func TestStandingChance(t *testing.T) {
	lengths := [][2]int{{10, 60}, {60, 600}, {60, 600}, {20, 100}}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 5))
		w, o, _ := stands(t, nil, 5)
		for i := range 1000 {
			for j, x := range lengths[:3+seed%2] {
				o.says(uint16(50000+j), "198.51.100."+strconv.Itoa(30+j), uint16(8388+j), bytesOf(i*10+j, x[0]+r.IntN(x[1])))
			}
			if i%2 == 1 { // all of it at once, as on a busy machine
				w.pass(200 * time.Millisecond)
			}
			for j := range w.e.standing { // they are watched as long as need be
				if s := &w.e.standing[j]; s.until != 0 {
					s.until = w.now.After(standingTime)
				}
			}
			for j := range w.e.flows.flows {
				w.e.flows.flows[j].segments = 1
			}
		}
		if w.out.resets != 0 {
			t.Errorf("%d connections were ended", w.out.resets)
		}
	}
}

// TestStandingInnocent: a host without a sign loses nothing. A host with a sign loses each
// unknown connection once.
func TestStandingInnocent(t *testing.T) {
	const a, b = "203.0.113.80", "203.0.113.81"
	block := func(*Config) {}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		peers  int
		sign   bool
		wait   time.Duration
		do     func(w *world, o *old)
		ended  int
	}{
		{"a tunnel", block, 5, false, 0, func(w *world, o *old) {
			for i := range 100 {
				o.says(50000, a, 8388, bytesOf(i, 30+i))
				o.says(50001, b, 8389, bytesOf(i, 31+i*2))
			}
		}, 0},
		{"a tunnel of one with the protocol's port open", block, 5, true, 0, func(w *world, o *old) {
			for i := range 10 {
				o.says(50000, a, 8388, bytesOf(i, 30+i))
				w.open(uint16(50100+i), a, 8388)
				w.wantVerdict("it begins again", w.e.Packet(w.data(uint16(50100+i), a, 8388, 1000, bytesOf(i, 50+i)), w.now), nfq.AcceptDecided)
				o.says(uint16(50200+i), a, 8388, bytesOf(i, 30+i)) // another old connection
			}
		}, 1},
		{"the same with nothing else", block, 1, true, 0, func(w *world, o *old) {
			for i := range 10 {
				o.says(50000, a, 8388, bytesOf(i, 30+i))
			}
		}, 0},
		{"the same, only watched", func(c *Config) { c.Protocols[0].Mode = Monitor }, 5, true, 0, func(w *world, o *old) {
			for i := range 10 {
				o.says(50000, a, 8388, bytesOf(i, 30+i))
			}
		}, 0},
		{"the same, much later", block, 5, true, 11 * time.Minute, func(w *world, o *old) {
			for i := range 10 {
				o.says(50000, a, 8388, bytesOf(i, 30+i))
			}
		}, 0},
		{"what began since", block, 5, true, 0, func(w *world, o *old) {
			for i := range 10 {
				w.open(uint16(50000+i), a, 8388)
				for j := range 5 {
					p := w.data(uint16(50000+i), a, 8388, 1000, bytesOf(i+j, 33))
					p.Seq += uint32(33 * j)
					w.wantVerdict("its data", w.e.Packet(p, w.now), nfq.AcceptDecided)
				}
			}
		}, 0},
		{"what it serves", block, 5, true, 0, func(w *world, o *old) {
			for i := range 5 {
				o.says(22, a, uint16(40000+i), bytesOf(i, 33))
				o.says(8443, a, uint16(40000+i), bytesOf(i, 33))
				o.says(30000, a, uint16(40000+i), bytesOf(i, 33)) // a server's port, from the connection table
				p := w.data(25565, a, uint16(40000+i), 1, "")
				p.TCPFlags = nfq.SYN | nfq.ACK
				w.expect("it answers", p, nfq.Accept)
				o.says(25565, a, uint16(40000+i), bytesOf(i, 33))
			}
		}, 0},
		{"what is known", block, 5, true, 0, func(w *world, o *old) {
			for i := range 5 {
				for j, s := range []string{
					"\x17\x03\x03\x00\x21" + bytesOf(i, 33), "PING :x.example.org\r\n", "\xc0\x00", "\x82\x9e" + bytesOf(i, 34),
					"GET / HTTP/1.1\r\n\r\n", "\x20\x00\x00\x00VT01" + bytesOf(i, 32), bytesOf(i, 52), bytesOf(i, 1400),
				} {
					o.says(uint16(50000+j), a, uint16(7000+j), s)
				}
			}
		}, 0},
		{"an upload by TLS", block, 5, true, 0, func(_ *world, o *old) {
			for i := range 30 {
				for j, n := range []int{1448, 1448, 1448, 333 + i} {
					o.says(50000, a, 9443, bytesOf(i*10+j, n))
				}
			}
		}, 0},
		{"another host", block, 5, true, 0, func(w *world, o *old) {
			for i := range 10 {
				p := w.data(50000, a, 8388, uint32(1000+i*50), bytesOf(i, 33))
				p.Src, p.MAC = ip(hostB), macB
				if v := w.e.Packet(p, w.now); v == nfq.Drop {
					w.t.Fatal("dropped")
				}
			}
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, o, p := stands(t, tt.change, tt.peers, 30000)
			if tt.sign {
				shy(w, p)
			}
			w.pass(2*time.Second + tt.wait)
			tt.do(w, o)
			if w.out.resets != tt.ended {
				t.Errorf("%d connections were ended, want %d", w.out.resets, tt.ended)
			}
			if n, locked := w.e.Len(); n+locked != 0 || w.sets.cut() != 0 {
				t.Errorf("%d clients, %d locked, sets %+v", n, locked, w.sets)
			}
			w.pass(time.Hour)
			if _, ok := w.e.Next(); ok && !tt.sign {
				t.Error("a timer is left")
			}
			consistent(t, w.e, w.sets)
		})
	}
}

// busyProber takes some questions and then no more.
type busyProber struct {
	prober
	room int
}

func (p *busyProber) ProbeTCP(id uint64, d uint32, a nfq.Addr, port uint16, b []byte, first int) bool {
	if p.room == 0 {
		return false
	}
	p.room--
	return p.prober.ProbeTCP(id, d, a, port, b, first)
}

// TestStandingBounds: the hosts with the most peers are asked, each twice at each of two ports, as
// fast as the prober has room. With all modes off nobody is asked.
func TestStandingBounds(t *testing.T) {
	w := newWorld(t, nil)
	p := &busyProber{}
	w.e.SetProber(p)
	for i := range nfq.MaxStanding + 8 {
		w.e.Standing(&nfq.Standing{Addr: ip(fmt.Sprintf("192.168.1.%d", 100+i)), Peers: 1 + i}, nfq.MAC{2, 0, 0, 0, 1, byte(i)}, w.now)
	}
	w.e.Standing(&nfq.Standing{Addr: ip("10.1.1.1"), Peers: 99}, nfq.MAC{2, 0, 0, 0, 2, 1}, w.now)
	w.e.Standing(&nfq.Standing{Addr: ip("192.168.1.130"), Peers: 99}, nfq.MAC{2, 0, 0, 0, 2, 1}, w.now) // it is there
	for range 60 {
		p.room = 3
		w.pass(time.Second)
	}
	asked := map[string]int{}
	for _, a := range p.asked {
		asked[a.Addr.String()]++
	}
	if len(asked) != nfq.MaxStanding || asked["10.1.1.1"] != 0 || asked["192.168.1.107"] != 0 {
		t.Errorf("asked %v", asked)
	}
	for a, n := range asked {
		if n != 2*standingRounds {
			t.Errorf("%s was asked %d times", a, n)
		}
	}
	for name, change := range map[string]func(*Config){
		"off":       func(c *Config) { c.Protocols[0].Mode = Off },
		"no probes": func(c *Config) { c.Protocols[0].TCPProbe = false },
	} {
		if _, _, p := stands(t, change, 5); len(p.asked) != 0 {
			t.Errorf("%s: asked at %v", name, p.asked)
		}
	}
	// Answers to questions that were never sent.
	w, _, q := stands(t, nil, 5)
	for _, id := range []uint64{q.id ^ 1, q.id | 0xff<<48, q.id | 0xff<<32} {
		w.e.ProbedTCP(id, []byte(giftAnswer), w.now)
	}
	if len(w.e.Clients(w.now)) != 0 {
		t.Error("proved by an answer to another question")
	}
}

// countingProber counts the questions that it takes.
type countingProber struct {
	busyProber
	counts map[string]int // by port and request
}

func (p *countingProber) ProbeTCP(id uint64, d uint32, a nfq.Addr, port uint16, b []byte, first int) bool {
	taken := p.busyProber.ProbeTCP(id, d, a, port, b, first)
	if taken {
		p.counts[fmt.Sprintf("%d %q", port, b)]++
	}
	return taken
}

// TestStandingWays: if there is room for only one of the ways of putting a question, the host
// is not asked in the first way again and again.
func TestStandingWays(t *testing.T) {
	w := newWorld(t, nil)
	p := &countingProber{counts: map[string]int{}}
	w.e.SetProber(p)
	x := nfq.Standing{Addr: ip(hostA), Peers: 5, Served: [4]uint16{6789}}
	w.e.Standing(&x, macA, w.now)
	for range 100 {
		p.room = 1
		w.pass(time.Second)
	}
	for what, n := range p.counts {
		if n != standingRounds {
			t.Errorf("asked %d times at port %s", n, what)
		}
	}
	if len(p.counts) < 7 {
		t.Errorf("asked %v", p.counts)
	}
}

// A segment of an old connection allocates nothing.
func TestStandingAllocatesNothing(t *testing.T) {
	w, _, p := stands(t, nil, 5)
	w.out.recordNothing = true
	p1 := w.data(50000, "203.0.113.80", 8388, 1000, bytesOf(1, 62))
	i := uint32(0)
	if n := testing.AllocsPerRun(300, func() {
		i++
		p1.SrcPort, p1.Seq = uint16(50000+i%7), i*62
		w.e.Packet(p1, w.now)
		w.e.Advance(w.now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	shy(w, p)
	if n := testing.AllocsPerRun(300, func() {
		i++
		p1.SrcPort, p1.DstPort, p1.Seq = uint16(50000+i%7), uint16(20000+i), i*62
		w.e.Packet(p1, w.now)
		w.e.Advance(w.now)
	}); n != 0 {
		t.Errorf("with a sign: %v allocations", n)
	}
	if w.out.resets == 0 {
		t.Error("nothing was ended, so that this shows nothing")
	}
}

// TestLockEndsWhatIsUp: whatever proved the client, its lock gives the host's connections
// another look. Those that nobody saw begin, and that show nothing known, are cut.
func TestLockEndsWhatIsUp(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
	}{
		{"strict", nil},
		{"selective", func(c *Config) { c.Protocols[0].Lock = Selective }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.change)
			o := &old{w: w}
			w.wantVerdict("a search before", o.says(50000, "198.51.100.34", 3128, bytesOf(1, 25)), nfq.AcceptDecided)
			w.open(50001, "203.0.113.90", 8388)
			w.expect("what began, and was looked at", w.data(50001, "203.0.113.90", 8388, 1000, bytesOf(2, 90)), nfq.AcceptDecided)
			w.pass(5 * time.Second)
			w.prove()
			w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
			if _, ok := w.looked()[ip(hostA)]; !ok {
				t.Fatal("its connections are not looked at")
			}
			w.pass(3 * time.Second)
			w.wantVerdict("a search", o.says(50000, "198.51.100.34", 3128, bytesOf(1, 25)), nfq.Drop)
			w.wantVerdict("the same again", o.says(50000, "198.51.100.34", 3128, bytesOf(1, 25)), nfq.Drop)
			w.wantVerdict("what goes out at the client's own port", o.says(1214, "203.0.113.91", 40000, bytesOf(1, 1400)), nfq.Drop)
			w.wantVerdict("what was looked at", o.says(50001, "203.0.113.90", 8388, bytesOf(3, 90)), nfq.AcceptDecided)
			w.wantVerdict("TLS", o.says(50002, "203.0.113.92", 9443, "\x17\x03\x03\x00\x20"+bytesOf(2, 32)), nfq.Accept)
			w.wantVerdict("TLS", o.says(50002, "203.0.113.92", 9443, "\x17\x03\x03\x00\x20"+bytesOf(2, 32)), nfq.AcceptDecided)
			w.pass(90 * time.Second)
			if w.locked(hostA) || w.sets.cut() != 0 {
				t.Errorf("not released: %+v", w.sets)
			}
			if w.pass(watchTime); w.sets.cut()+len(w.sets.watched) != 0 {
				t.Errorf("left: %+v", w.sets)
			}
			consistent(t, w.e, w.sets)
		})
	}
}

// The connections of a locked client of another protocol are handled by that protocol, even
// if its host is asked about FastTrack.
func TestStandingOfATorrent(t *testing.T) {
	w, o, _ := stands(t, nil, 5)
	w.proveTorrent()
	w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	w.pass(3 * time.Second)
	v := nfq.Accept
	for i := range 8 {
		if v = o.says(50000, "203.0.113.80", 6881, bytesOf(i, 51)); v != nfq.Accept {
			break
		}
	}
	w.wantVerdict("requests", v, nfq.Drop)
	if j := w.e.judged; j.Len() != 0 {
		t.Error("it is remembered as what was ended for FastTrack")
	}
}
