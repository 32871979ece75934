// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// questions returns the UDP questions that the router sent since the last call.
func (w *world) questions() (out []sent) {
	for _, s := range w.out.udp {
		if s.src.Port == detect.ProbePort {
			out = append(out, s)
		}
	}
	w.out.udp = w.out.udp[:0]
	return out
}

// rounds returns how many rounds of questions were sent since the last call, if a round has
// each questions.
func (w *world) rounds(each int) int { return len(w.questions()) / each }

// someOnly leaves only the first four protocols on: the tests count their questions.
func someOnly(c *Config) {
	for i := range c.Protocols[4:] {
		c.Protocols[4+i].Mode = Off
	}
}

func TestSuspectIsListed(t *testing.T) {
	w := newWorld(t, someOnly)
	if s := w.e.Suspects(w.now); len(s) != 0 {
		t.Fatalf("suspects %+v", s)
	}
	begin := w.now
	w.expect("a query", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	w.pass(4 * time.Second)
	w.expect("the same", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	other := mapping()
	other.MAC, other.Src = macB, ip(hostB)
	w.expect("another's mapping", other, nfq.Accept)
	s := w.e.Suspects(w.now)
	if len(s) != 2 {
		t.Fatalf("suspects %+v", s)
	}
	want := SuspectInfo{
		Addr: ip(hostA), MAC: macA, Protocol: &detect.BitTorrent, Recognised: true, Reason: detect.ReasonPing,
		FirstSeen: begin, LastSeen: w.now, Asked: 4, LastAsked: s[0].LastAsked, Dropped: 2,
	}
	if s[0] != want || s[0].LastAsked < begin.After(3*time.Second) {
		t.Errorf("got  %+v\nwant %+v", s[0], want)
	}
	want = SuspectInfo{
		Addr: ip(hostB), MAC: macB, Reason: detect.ReasonMapping,
		FirstSeen: w.now, LastSeen: w.now, Asked: 2, LastAsked: w.now,
	}
	if s[1] != want {
		t.Errorf("got  %+v\nwant %+v", s[1], want)
	}
	w.pass(2 * time.Hour)
	if s := w.e.Suspects(w.now); len(s) != 0 {
		t.Errorf("still suspects: %+v", s)
	}
}

// TestRoundsOfQuestions: one at once, up to four in all every three seconds, then one a
// minute. It stops when the host gives no more reason.
func TestRoundsOfQuestions(t *testing.T) {
	const each = 2 // KRPC and uTP
	w := newWorld(t, nil)
	var at []time.Duration
	begin := w.now
	tick := func(d time.Duration) {
		for end := w.now.After(d); w.now < end; {
			w.pass(100 * time.Millisecond)
			if n := w.rounds(each); n > 0 {
				at = append(at, w.now.Since(begin).Round(time.Second))
			}
		}
	}
	w.expect("a query", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	if w.rounds(each) != 1 {
		t.Fatal("not asked at once")
	}
	tick(10 * time.Minute)
	if want := []time.Duration{3 * time.Second, 6 * time.Second, 9 * time.Second}; !slices.Equal(at, want) {
		t.Errorf("asked at %v, want at %v", at, want)
	}
	at = nil
	begin = w.now
	for range 60 {
		w.expect("the same again", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
		tick(5 * time.Second)
	}
	if len(at) < 4 || len(at) > 6 {
		t.Errorf("asked at %v, want once a minute", at)
	}
	at = nil
	tick(10 * time.Minute)
	if len(at) > 1 {
		t.Errorf("silent, and asked at %v", at)
	}
}

// A host without proof must not keep the engine busy.
func TestTimersOfSuspects(t *testing.T) {
	w := newWorld(t, nil)
	w.expect("a query", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	steps := 0
	for end := w.now.After(time.Hour); w.now < end; steps++ {
		next, ok := w.e.Next()
		if !ok {
			break
		}
		w.now = max(next, w.now+1)
		w.e.Advance(w.now)
	}
	if steps > 60 {
		t.Errorf("%d timers fired in an hour", steps)
	}
	w.pass(2 * time.Hour)
	if _, ok := w.e.Next(); ok {
		t.Error("a timer is left")
	}
}

// TestWhereSuspectsAreAsked: at the ports that they use or name, from the router's address
// of the same kind, and by their own device.
func TestWhereSuspectsAreAsked(t *testing.T) {
	six := func(src, dst string) *nfq.Packet {
		p := udp(macA, src, 51413, dst, 6881, []byte(dhtPing))
		p.Version = 6
		return p
	}
	const outside, outside6 = "198.51.100.7", "2001:db8:ff::7"
	for _, tt := range []struct {
		name   string
		sign   func(w *world) *nfq.Packet
		from   string // empty: it is not asked
		to     string
		byTCP  uint16 // 0: not by TCP
		change func(*Config)
	}{
		{name: "who queries", sign: func(w *world) *nfq.Packet { return w.speaks(outside, 6881, dhtPing) }, from: "192.168.1.1", to: hostA + ":51413", byTCP: 51413},
		{name: "by IPv6", sign: func(*world) *nfq.Packet { return six("2001:db8:1::50", outside6) }, from: "2001:db8:1::1", to: "[2001:db8:1::50]:51413", byTCP: 51413},
		{name: "by its link-local address", sign: func(*world) *nfq.Packet { return six("fe80::50", outside6) }, from: "fe80::1", to: "[fe80::50]:51413", byTCP: 51413},
		{name: "who queries a UDP tracker", sign: func(w *world) *nfq.Packet { return w.speaks(outside, 6969, trackerAsks) }},
		{name: "who announces a port", sign: func(w *world) *nfq.Packet {
			return announces("")(w, outside)
		}, from: "192.168.1.1", to: hostA + ":6890", byTCP: 6890},
		{name: "who shakes hands on a connection from outside", sign: func(w *world) *nfq.Packet {
			return replies(handshake)(w, outside)
		}, from: "192.168.1.1", to: hostA + ":8080", byTCP: 8080},
		{name: "who shakes hands on one of its own", sign: func(w *world) *nfq.Packet { return sends(handshake)(w, outside) }},
		{name: "who has a port mapped", sign: func(*world) *nfq.Packet { return mapping() }, from: "192.168.1.1", to: hostA + ":51413", byTCP: 51413},
		{name: "Kazaa", sign: func(w *world) *nfq.Packet { return sends(string(giftHello))(w, outside) }, byTCP: 1214},
		{name: "behind another router", sign: func(*world) *nfq.Packet {
			return udp(macB, "10.9.0.5", 51413, outside, 6881, []byte(dhtPing))
		}, from: "192.168.1.1", to: "10.9.0.5:51413", byTCP: 51413},
		{name: "off the link", sign: func(*world) *nfq.Packet {
			return udp(macB, "172.16.0.5", 51413, outside, 6881, []byte(dhtPing))
		}},
		{name: "no probes", sign: func(w *world) *nfq.Packet { return w.speaks(outside, 6881, dhtPing) }, change: func(c *Config) {
			c.Protocols[torrent].Probe, c.Protocols[torrent].TCPProbe = false, false
		}},
		{name: "no probes by TCP", sign: func(w *world) *nfq.Packet { return w.speaks(outside, 6881, dhtPing) }, from: "192.168.1.1", to: hostA + ":51413", change: func(c *Config) {
			c.Protocols[torrent].TCPProbe = false
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) {
				someOnly(c)
				if tt.change != nil {
					tt.change(c)
				}
			})
			d := lan()
			d.Routed = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
			w.e.SetDevices([]Device{d})
			p := &prober{}
			w.e.SetProber(p)
			w.e.Packet(tt.sign(w), w.now)
			q := w.questions()
			if tt.from == "" && len(q) != 0 {
				t.Errorf("asked: %+v", q)
			}
			for _, s := range q {
				if s.dev != lanDev || s.src.Addr != ip(tt.from) || netip.AddrPortFrom(s.dst.Addr.Netip(), s.dst.Port).String() != tt.to {
					t.Errorf("asked from %v at %v by device %d, want from %s at %s", s.src, s.dst, s.dev, tt.from, tt.to)
				}
			}
			if tt.from != "" && len(q) != 2 {
				t.Errorf("%d questions by UDP, want 2", len(q))
			}
			switch {
			case tt.byTCP == 0 && len(p.asked) != 0, tt.byTCP != 0 && (len(p.asked) != 1 || p.asked[0].Port != tt.byTCP):
				t.Errorf("asked by TCP at %v, want at port %d", p.asked, tt.byTCP)
			case tt.byTCP == 51413 && p.first != detect.All[torrent].Probes[2].Alone:
				t.Errorf("%d bytes come first", p.first)
			}
		})
	}
}

// A new port is asked soon, but many new ports do not cause endless questions.
func TestNewPortsAreAskedAt(t *testing.T) {
	w := newWorld(t, nil)
	w.expect("a query", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	w.pass(20 * time.Second)
	w.questions()
	p := w.speaks("198.51.100.7", 6881, dhtPing)
	p.SrcPort = 40000
	w.expect("a query from another port", p, nfq.Drop)
	q := w.questions()
	if !slices.ContainsFunc(q, func(s sent) bool { return s.dst.Port == 40000 }) {
		t.Errorf("not asked there: %+v", q)
	}
	n := 0
	for i := range 600 {
		p.SrcPort = uint16(40000 + i)
		w.expect("a query from another port", p, nfq.Drop)
		w.pass(100 * time.Millisecond)
		n += len(w.questions())
	}
	if n > 4*21 { // two ports, two ways, a round every three seconds
		t.Errorf("%d questions in a minute", n)
	}
}
