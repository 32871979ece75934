// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// What Nicotine+ sends.
const (
	slskLogin  = "\x42\x00\x00\x00\x01\x00\x00\x00\x04\x00\x00\x00anna\x06\x00\x00\x00secret\xa0\x00\x00\x00\x20\x00\x00\x00967b85444179" + "2f82b871e40c53c63ceb\x02\x00\x00\x00"
	slskListen = "\x08\x00\x00\x00\x02\x00\x00\x00\xca\x08\x00\x00" // at 2250
	slskInit   = "\x12\x00\x00\x00\x01\x04\x00\x00\x00anna\x01\x00\x00\x00D\x00\x00\x00\x00"
	slskPierce = "\x05\x00\x00\x00\x00\x3c\x99\x53\x00"
	slskSearch = "\x0f\x00\x00\x00\x1a\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00lab"

	slskServer = "203.0.113.66"
	slskFriend = "198.51.100.10"
	slskPort   = 2250
)

// denied returns a client's answer to the question.
func denied(question []byte) []byte {
	const file = 21
	number := question[len(question)-file-8:][:4]
	return []byte("\x1d\x00\x00\x00\x29\x00\x00\x00" + string(number) + "\x00\x10\x00\x00\x00File not shared.")
}

// slsk returns a world with a prober.
func slsk(t *testing.T, change func(*Config)) (*world, *prober) {
	t.Helper()
	w, p := newWorld(t, change), &prober{}
	w.e.SetProber(p)
	return w, p
}

// logsIn makes a host log in at the server and name its port in the same segment.
func (w *world) logsIn(sport uint16) nfq.Verdict {
	w.t.Helper()
	w.open(sport, slskServer, 2242)
	v := w.e.Packet(w.data(sport, slskServer, 2242, 1000, slskLogin+slskListen), w.now)
	w.e.Advance(w.now)
	return v
}

func (w *world) answers(p *prober) {
	w.t.Helper()
	w.pass(time.Second)
	w.e.ProbedTCP(p.id, denied(p.request), w.now)
	w.e.Advance(w.now)
}

// A client that logs in is asked at the port that it names. Its login is dropped without a
// reset: after a reset it would stop listening.
func TestSoulseekLogin(t *testing.T) {
	w, p := slsk(t, func(c *Config) { c.Action = Reset })
	w.wantVerdict("a login", w.logsIn(50000), nfq.Drop)
	w.expect("the same again", w.data(50000, slskServer, 2242, 1000, slskLogin+slskListen), nfq.Drop)
	if w.locked(hostA) || w.out.resets != 0 {
		t.Fatalf("locked by a login alone, or %d resets", w.out.resets)
	}
	if len(p.asked) != 1 || p.asked[0] != (nfq.AddrPort{Addr: ip(hostA), Port: slskPort}) {
		t.Fatalf("asked at %v", p.asked)
	}
	w.answers(p)
	c := w.e.Clients(w.now)
	if len(c) != 1 || !c[0].Locked || c[0].Strict || c[0].Proof != ProofAnswer || c[0].Program != "Nicotine+ 3.3" {
		t.Fatalf("clients %+v", c)
	}
	w.wantOwn(hostA, slskPort)
	// Its next login renews the lock, and is reset.
	w.pass(70 * time.Second)
	w.wantVerdict("its next login", w.logsIn(50001), nfq.Drop)
	w.pass(20 * time.Second)
	if !w.locked(hostA) || w.out.resets == 0 {
		t.Errorf("locked %v, %d resets", w.locked(hostA), w.out.resets)
	}
	w.expect("to who asked for it", w.pierces(50002), nfq.Drop)
	w.pass(81 * time.Second)
	if w.locked(hostA) {
		t.Error("not released")
	}
	consistent(t, w.e, w.sets)
}

// pierces returns the first data of a connection that a host opens on request.
func (w *world) pierces(sport uint16) *nfq.Packet {
	w.open(sport, slskFriend, 50300)
	return w.data(sport, slskFriend, 50300, 1000, slskPierce)
}

// Some programs name their port only after the server has answered.
func TestSoulseekWaits(t *testing.T) {
	w, p := slsk(t, nil)
	w.open(50000, slskServer, 2242)
	w.expect("the login", w.data(50000, slskServer, 2242, 1000, slskLogin), nfq.Accept)
	w.expect("a message", w.data(50000, slskServer, 2242, 1000+uint32(len(slskLogin)), slskSearch), nfq.Accept)
	w.expect("where it listens", w.data(50000, slskServer, 2242, 1000+uint32(len(slskLogin+slskSearch)), slskListen), nfq.Drop)
	if !slices.Contains(p.asked, nfq.AddrPort{Addr: ip(hostA), Port: slskPort}) {
		t.Fatalf("asked at %v", p.asked)
	}
	w.answers(p)
	if !w.locked(hostA) {
		t.Error("not found")
	}
}

// The port for obfuscated connections is the client's own, too.
func TestSoulseekObfuscatedPort(t *testing.T) {
	w, p := slsk(t, nil)
	w.open(50000, slskServer, 2242)
	listen := "\x10\x00\x00\x00\x02\x00\x00\x00\xca\x08\x00\x00\x01\x00\x00\x00\xcb\x08\x00\x00"
	w.expect("a login", w.data(50000, slskServer, 2242, 1000, slskLogin+listen), nfq.Drop)
	w.answers(p)
	w.wantOwn(hostA, slskPort, slskPort+1)
}

// A client that answers nobody is proved by connections of the network to two addresses.
// One address is not enough, nor is data that other programs send, too.
func TestSoulseekConduct(t *testing.T) {
	for _, tt := range []struct {
		name   string
		say    string
		dst    []string
		locked bool
	}{
		{"one address", slskInit, []string{slskFriend, slskFriend}, false},
		{"two addresses", slskInit, []string{slskFriend, "203.0.113.20"}, true},
		{"a hint to two", slskPierce, []string{slskFriend, "203.0.113.20"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, p := slsk(t, nil)
			want := nfq.Drop
			if tt.say == slskPierce {
				want = nfq.AcceptDecided
			}
			for i, dst := range tt.dst {
				w.open(uint16(50000+i), dst, 2234)
				w.expect("it", w.data(uint16(50000+i), dst, 2234, 1000, tt.say), want)
				w.pass(time.Second)
			}
			if w.locked(hostA) != tt.locked {
				t.Errorf("locked %v", w.locked(hostA))
			}
			if len(p.asked) == 0 || p.asked[0].Port != detect.Soulseek.Port {
				t.Errorf("asked at %v", p.asked)
			}
		})
	}
}

// A host had a connection to a server before the wall started. It is asked at the default
// ports. When it answers, its old sessions with peers are cut by address. That with the
// server is cut by its data.
func TestSoulseekStanding(t *testing.T) {
	w, p := slsk(t, nil)
	x := nfq.Standing{Addr: ip(hostA), Peers: 3, Met: [16]nfq.AddrPort{
		{Addr: ip(slskServer), Port: 2242}, {Addr: ip(slskFriend), Port: 2235},
	}}
	w.e.Standing(&x, macA, w.now)
	a, about := ip(hostA), detect.Set(0)
	for n := range detect.All {
		protocol, _ := w.e.standingOf(&a).question(n)
		about |= 1 << protocol
		if n == 0 && detect.All[protocol] != &detect.Soulseek {
			t.Errorf("asked first about %s", detect.All[protocol].Title)
		}
	}
	if about != 1<<len(detect.All)-1 {
		t.Errorf("asked about %b", about)
	}
	w.pass(time.Second)
	at := 0
	for i, a := range p.asked {
		if a.Port == detect.Soulseek.Port {
			at = i
		}
	}
	if at == 0 {
		t.Fatalf("asked at %v", p.asked)
	}
	// This question only has the part that all these questions have in common.
	w.e.ProbedTCP(p.ids[at], denied(p.request), w.now)
	w.e.Advance(w.now)
	if !w.locked(hostA) {
		t.Fatal("not found")
	}
	w.wantOwn(hostA, detect.Soulseek.Port)
	if w.sets.cuts[hostA+" "+slskFriend] == 0 || w.sets.cuts[hostA+" "+slskServer] != 0 {
		t.Errorf("cut off from %v", w.sets.cuts)
	}
	w.looked()
	w.pass(3 * time.Second)
	o := &old{w: w}
	w.wantVerdict("words to the server", o.says(50000, slskServer, 2242, slskSearch), nfq.Drop)
	if w.out.resets != 1 {
		t.Errorf("%d resets", w.out.resets)
	}
	w.wantVerdict("HTTP", o.says(50001, "203.0.113.67", 8081, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), nfq.AcceptDecided)
	w.wantVerdict("a game", o.says(50002, "203.0.113.68", 7000, "\x05\x00\x00\x00\x10\x00\x00\x00\x01"), nfq.AcceptDecided)
	w.pass(90 * time.Second)
	if w.locked(hostA) || w.sets.cut() != 0 {
		t.Errorf("locked %v, sets %+v", w.locked(hostA), w.sets)
	}
	consistent(t, w.e, w.sets)
}

// Another program's connection to such a port only makes its host one that is asked.
// Without a client's answer nothing else happens.
func TestSoulseekStandingInnocent(t *testing.T) {
	w, p := slsk(t, nil)
	w.e.Standing(&nfq.Standing{Addr: ip(hostA), Peers: 1, Met: [16]nfq.AddrPort{{Addr: ip(slskServer), Port: 2242}}}, macA, w.now)
	w.pass(time.Second)
	for _, id := range p.ids {
		w.e.ProbedTCP(id, []byte("SSH-2.0-OpenSSH_9.2\r\n"), w.now)
		w.e.ProbedTCP(id, p.request, w.now)
	}
	o := &old{w: w}
	if v := o.says(50000, slskServer, 2242, slskSearch); v == nfq.Drop {
		t.Error("its words to the server are dropped")
	}
	w.pass(time.Minute)
	if n, locked := w.e.Len(); n+locked != 0 || w.sets.cut() != 0 || w.out.resets != 0 {
		t.Errorf("%d clients, %d locked, sets %+v, %d resets", n, locked, w.sets, w.out.resets)
	}
	// A host without such a connection is not asked at these ports.
	w, p = slsk(t, nil)
	w.e.Standing(&nfq.Standing{Addr: ip(hostA), Peers: 5}, macA, w.now)
	w.pass(time.Minute)
	for _, a := range p.asked {
		if a.Port == detect.Soulseek.Port {
			t.Errorf("asked at %v", p.asked)
		}
	}
}

// In mode monitor it goes on.
func TestSoulseekMonitor(t *testing.T) {
	w, p := slsk(t, func(c *Config) { c.Protocols[detect.ByName("soulseek")].Mode = Monitor })
	if v := w.logsIn(50000); v == nfq.Drop {
		t.Errorf("verdict %d", v)
	}
	w.answers(p)
	if c := w.e.Clients(w.now); len(c) != 1 || c[0].Locked || c[0].Proof != ProofAnswer {
		t.Errorf("clients %+v", c)
	}
	for i, dst := range []string{slskFriend, "203.0.113.20"} {
		w.open(uint16(50001+i), dst, 2234)
		if v := w.e.Packet(w.data(uint16(50001+i), dst, 2234, 1000, strings.Replace(slskInit, "D", "F", 1)), w.now); v == nfq.Drop {
			t.Errorf("verdict %d", v)
		}
	}
}

func TestSoulseekAllocatesNothing(t *testing.T) {
	w, _ := slsk(t, nil)
	w.out.recordNothing = true
	b, i := []byte(slskLogin+slskListen), uint16(0)
	p := w.data(0, slskServer, 2242, 1000, "")
	if n := testing.AllocsPerRun(500, func() {
		i++
		p.SrcPort, p.TCPFlags, p.Payload, p.PayloadLen, p.Seq = 30000+i, nfq.SYN, nil, 0, 999
		w.e.Packet(p, w.now)
		p.TCPFlags, p.Payload, p.PayloadLen, p.Seq = nfq.ACK, b, len(b), 1000
		w.e.Packet(p, w.now)
		w.e.Advance(w.now)
	}); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
