// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

const proxyAddr = "203.0.113.70"

// through opens a connection through a SOCKS5 proxy to the n-th of several peers. It
// returns the verdict about the first data b to that peer.
func (w *world) through(sport uint16, n int, b string) nfq.Verdict {
	w.t.Helper()
	w.pass(time.Millisecond)
	p := tcp(macA, hostA, sport, proxyAddr, 1080, nfq.SYN, nil)
	p.Seq = 999
	w.expect("a SYN to the proxy", p, nfq.Accept)
	w.expect("who it is", w.data(sport, proxyAddr, 1080, 1000, "\x05\x01\x00"), nfq.Accept)
	w.expect("where it goes", w.data(sport, proxyAddr, 1080, 1003, "\x05\x01\x00\x01\xc6\x33\x64"+string(byte(n))+"\x1a\xe1"), nfq.Accept)
	v := nfq.Drop
	for range 3 {
		before := len(w.out.handshakes)
		v = w.e.Packet(w.data(sport, proxyAddr, 1080, 1013, b), w.now)
		w.e.Advance(w.now)
		if v != nfq.Drop || len(w.out.handshakes) > before {
			break
		}
		w.pass(200 * time.Millisecond)
	}
	return v
}

// TestInsideAProxy: what a client sends through a proxy proves it as usual. The proxy is
// not a peer: other connections through it go on.
func TestInsideAProxy(t *testing.T) {
	proofs := map[string]func(w *world){
		"in clear": func(w *world) {
			w.wantVerdict("a handshake", w.through(4000, 1, handshake), nfq.Drop)
			w.wantVerdict("one with the same", w.through(4001, 1, handshake), nfq.Drop)
			if w.locked(hostA) {
				w.t.Error("locked by what it said to one")
			}
			w.wantVerdict("one with another", w.through(4002, 2, handshake), nfq.Drop)
		},
		"encrypted": func(w *world) {
			w.wantVerdict("a session", w.through(4000, 1, newProgram(1).first), nfq.Accept)
			w.wantVerdict("with the same", w.through(4001, 1, newProgram(1).first), nfq.Accept)
			p := newProgram(2)
			w.wantVerdict("with another", w.through(4002, 2, p.first), nfq.Drop)
			next := w.data(4002, proxyAddr, 1080, 1013+uint32(len(p.first)), p.proof(w.answer()))
			next.Ack = 5000 + 96
			w.expect("what proves it", next, nfq.Drop)
		},
		"datagrams": func(w *world) {
			for i := range 2 {
				b := "\x00\x00\x00\x01\xc6\x33\x64" + string(byte(1+i)) + "\x1a\xe1" + dhtPing
				w.expect("a query", udp(macA, hostA, 4000, proxyAddr, 1081, []byte(b)), nfq.Drop)
			}
			// The relay sends its answers to this port, and only the client uses it.
			w.wantOwn(hostA, 4000)
		},
	}
	for name, prove := range proofs {
		w := newWorld(t, nil)
		prove(w)
		if !w.locked(hostA) {
			t.Fatalf("%s: not locked", name)
		}
		if p := w.e.Peers(nfq.Addr{}); len(p) != 0 {
			t.Errorf("%s: peers %+v", name, p)
		}
		w.pass(time.Second)
		for i, b := range []string{hello("www.example.org"), "GET / HTTP/1.1\r\nHost: a.b\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n"} {
			w.wantVerdict(name+": what else goes through it", w.through(uint16(5000+i), 50, b), nfq.AcceptDecided)
		}
		w.wantVerdict(name+": another session", w.through(5010, 7, handshake), nfq.Drop)
	}
}

// TestTorrentsByTLS: the server name in the TLS hello is the torrent's hash. Sent to two
// addresses, it proves the client.
func TestTorrentsByTLS(t *testing.T) {
	w := newWorld(t, nil)
	b := hello("0123456789abcdef0123456789ABCDEF01234567")
	w.wantVerdict("a session", w.begins(4000, "203.0.113.80", 6881, b), nfq.Drop)
	w.wantVerdict("with the same", w.begins(4001, "203.0.113.80", 443, b), nfq.Drop)
	if w.locked(hostA) {
		t.Error("locked by what it said to one")
	}
	w.wantVerdict("with another", w.begins(4002, "203.0.113.81", 443, b), nfq.Drop)
	if c := w.e.Clients(w.now); len(c) != 1 || !c[0].Locked || c[0].Proof != ProofConduct || c[0].Reason != detect.ReasonHello {
		t.Errorf("clients %+v", c)
	}
}

// TestHandshakeInClearLater: an encrypted handshake may agree on no encryption. The
// handshake in clear then begins one of the next few segments.
func TestHandshakeInClearLater(t *testing.T) {
	for _, tt := range []struct {
		behind int // segments before it
		cut    bool
	}{{0, true}, {1, true}, {handshakeLater - 1, true}, {handshakeLater, false}} {
		w := newWorld(t, nil)
		for i := range 2 {
			dst, sport := fmt.Sprintf("203.0.113.%d", 80+i), uint16(4000+i)

			if a := ip(hostA); i > 0 {
				w.e.hostAt(&a).suspicion.hidden = [4]hiddenLast{} // so that it is not asked
			}
			w.wantVerdict("a session", w.begins(sport, dst, 6881, newProgram(i).first), nfq.Accept)
			seq, v := uint32(1000+len(newProgram(i).first)), nfq.Accept
			for j := range tt.behind {
				if v = w.e.Packet(w.data(sport, dst, 6881, seq, bytesOf(j, 300)), w.now); v != nfq.Accept {
					break
				}
				seq += 300
			}
			if v == nfq.Accept {
				v = w.e.Packet(w.data(sport, dst, 6881, seq, handshake), w.now)
			}
			if (v == nfq.Drop) != tt.cut || !tt.cut && v != nfq.AcceptDecided {
				t.Fatalf("behind %d segments: verdict %d, cut %v wanted", tt.behind, v, tt.cut)
			}
		}
		if w.locked(hostA) != tt.cut {
			t.Errorf("behind %d segments: locked %v", tt.behind, !tt.cut)
		}
	}
}

// TestAskedAtItsServer: a host answers the outside as a client's encrypted session does. It
// is asked at that port, and loses nothing. Only its answer locks it.
func TestAskedAtItsServer(t *testing.T) {
	answer := bytesOf(9, 200)
	for _, tt := range []struct {
		name  string
		says  func(w *world)
		asked bool
	}{
		{"its answer to who connected", func(w *world) {
			w.expect("an answer", w.data(51413, "203.0.113.80", 40000, 1000, answer), nfq.AcceptDecided)
		}, true},
		{"another answer", func(w *world) {
			w.expect("an answer", w.data(2222, "203.0.113.80", 40000, 1000, "SSH-2.0-OpenSSH_9.2\r\n"), nfq.AcceptDecided)
		}, false},
		{"two SYN-ACKs beside a session", func(w *world) {
			w.wantVerdict("a session", w.begins(4000, "203.0.113.81", 6881, newProgram(1).first), nfq.Accept)
			w.expect("a SYN-ACK", tcp(macA, hostA, 51413, "203.0.113.80", 40000, nfq.SYN|nfq.ACK, nil), nfq.Accept)
			w.expect("another", tcp(macA, hostA, 51413, "203.0.113.82", 40000, nfq.SYN|nfq.ACK, nil), nfq.Accept)
		}, true},
		{"a port for one peer beside a session", func(w *world) {
			w.wantVerdict("a session", w.begins(4000, "203.0.113.81", 6881, newProgram(1).first), nfq.Accept)
			w.expect("a SYN-ACK", tcp(macA, hostA, 51413, "203.0.113.80", 40000, nfq.SYN|nfq.ACK, nil), nfq.Accept)
		}, false},
		{"SYN-ACKs alone", func(w *world) {
			w.expect("a SYN-ACK", tcp(macA, hostA, 51413, "203.0.113.80", 40000, nfq.SYN|nfq.ACK, nil), nfq.Accept)
			w.expect("another", tcp(macA, hostA, 51413, "203.0.113.82", 40000, nfq.SYN|nfq.ACK, nil), nfq.Accept)
		}, false},
	} {
		w := newWorld(t, nil)
		p := &prober{}
		w.e.SetProber(p)
		tt.says(w)
		if asked := len(p.asked) > 0; asked != tt.asked {
			t.Errorf("%s: asked %v", tt.name, asked)
		}
		if len(w.e.Clients(w.now)) != 0 || w.locked(hostA) {
			t.Errorf("%s: proved without an answer", tt.name)
		}
		if !tt.asked {
			continue
		}
		w.e.ProbedTCP(p.id, []byte(bytesOf(8, 200)), w.now)
		if !w.locked(hostA) {
			t.Errorf("%s: not locked by its answer", tt.name)
		}
		w.wantOwn(hostA, 51413)
	}
}

// TestAskedWhereClientsListen: a client is known only by its connections. It is asked at
// the default ports of such programs. It stays locked if it answers.
func TestAskedWhereClientsListen(t *testing.T) {
	w := newWorld(t, nil)
	p := &prober{}
	w.e.SetProber(p)
	w.begins(4000, "203.0.113.80", 7000, newProgram(0).first)
	second := newProgram(1)
	w.wantVerdict("the second", w.begins(4001, "203.0.113.81", 7000, second.first), nfq.Drop)
	w.expect("what proves it", w.more(4001, "203.0.113.81", 7000, second.first, second.proof(w.answer())), nfq.Drop)
	ports := detect.All[torrent].Ports
	w.pass(41 * time.Second)
	if len(p.asked) != guessesAtOnce {
		t.Fatalf("asked at %v", p.asked)
	}
	for i, a := range p.asked {
		if a.Addr != ip(hostA) || a.Port != ports[i] {
			t.Errorf("asked at %v", a)
		}
	}
	if p.first != 0 {
		t.Errorf("%d bytes come first; some clients answer them, or send a key at once", p.first)
	}
	// It answers at the second port.
	w.e.ProbedTCP(p.id&(1<<guessAt-1)|2<<guessAt, []byte(random(200)), w.now)
	w.wantOwn(hostA, ports[1])
	w.pass(41 * time.Second)
	if last := p.asked[len(p.asked)-1]; last.Port != ports[1] {
		t.Errorf("asked at %v", last)
	}
	if !w.locked(hostA) {
		t.Error("not held")
	}
	w.e.ProbedTCP(p.id|6<<guessAt, []byte(random(200)), w.now)
	w.wantOwn(hostA, ports[1])
}

// TestAskedByUDPToo: a client that was proved by TCP may also send to several hosts from a
// UDP port. It is asked there, and the port is cut when it answers.
func TestAskedByUDPToo(t *testing.T) {
	w := newWorld(t, nil)
	w.begins(4000, "203.0.113.80", 7000, newProgram(0).first)
	second := newProgram(1)
	w.wantVerdict("the second", w.begins(4001, "203.0.113.81", 7000, second.first), nfq.Drop)
	w.expect("what proves it", w.more(4001, "203.0.113.81", 7000, second.first, second.proof(w.answer())), nfq.Drop)
	w.wantOwn(hostA)
	w.pass(time.Second)
	w.out.udp = w.out.udp[:0]
	for i := range 3 {
		w.e.Packet(udp(macA, hostA, 51413, fmt.Sprintf("203.0.113.%d", 90+i), 6881, []byte(utpData)), w.now)
	}
	q := w.asked("krpc")
	p := udp(macA, hostA, 51413, "192.168.1.1", detect.ProbePort, krpcAnswer(q))
	p.Hook, p.OutDev = nfq.HookInput, 0
	w.expect("the answer", p, nfq.Drop)
	w.wantOwn(hostA, 51413)
	// From now on it gets only the probes that every client gets.
	w.out.udp = w.out.udp[:0]
	w.pass(4 * time.Second)
	for i := range 3 {
		w.e.Packet(udp(macA, hostA, 51414, fmt.Sprintf("203.0.113.%d", 90+i), 6881, []byte(utpData)), w.now)
	}
	if q := w.questions(); len(q) != 0 {
		t.Errorf("asked %+v", q)
	}
}

// TestAskedWhereItAnsweredLast: a client that moves to another port is probed there as soon
// as it has answered there.
func TestAskedWhereItAnsweredLast(t *testing.T) {
	w := lockedTorrent(t, nil)
	p := &prober{}
	w.e.SetProber(p)
	w.pass(81 * time.Second)
	if w.locked(hostA) {
		t.Fatal("not released")
	}
	a := ip(hostA)
	h := w.e.hostAt(&a)
	c := w.e.clientOf(h)
	c.listen, c.askedAt, c.port = 6881, ip("2001:db8:1::50"), 0
	w.e.suspect(h, torrent, detect.ReasonAnnounce, &a, w.e.deviceOf(&a), 0, 6890, w.now)
	if p.asked[len(p.asked)-1].Port != 6890 {
		t.Fatalf("asked at %v", p.asked)
	}
	w.e.ProbedTCP(p.id, []byte(random(200)), w.now)
	w.e.Advance(w.now)
	if !w.locked(hostA) {
		t.Fatal("not locked")
	}
	w.pass(41 * time.Second)
	if last := p.asked[len(p.asked)-1]; last != (nfq.AddrPort{Addr: a, Port: 6890}) {
		t.Errorf("asked at %v", last)
	}
}
