// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

const (
	utpSYN      = "\x41\x00\xfd\xde\x32\xe3\x7e\x70\x00\x00\x00\x00\x00\x04\x00\x00\xf9\xce\x00\x00"
	trackerAsks = "\x00\x00\x04\x17\x27\x10\x19\x80\x00\x00\x00\x00\xf7\x0b\x0f\xb6"
	napLogin    = "\x18\x00\x02\x00foo badpass 6699 \"nap\" 3"
	kazaaHead   = "GET /.hash=a65b5f21a110182b2d8df6c36adcef8bbf63ffff HTTP/1.1\r\nHost: 203.0.113.7\r\nX-Kazaa-Username: u\r\n"
	pageHead    = "GET /.hash=a65b5f21a110182b2d8df6c36adcef8bbf63ffff HTTP/1.1\r\nHost: 203.0.113.7\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: image/*\r\nReferer: http://page.example/\r\nAccept-Language: en\r\n\r\n"
)

// action is something that a host, or somebody else, does. It returns a packet.
type action func(w *world, dst string) *nfq.Packet

// says returns a datagram of the host.
func says(b string) action {
	return func(w *world, dst string) *nfq.Packet {
		p := w.speaks(dst, 6881, b)
		if !p.Dst.Is4() {
			p.Version, p.Src = 6, ip("2001:db8:1::50")
		}
		return p
	}
}

// sends returns the first data of a connection that the host opens.
func sends(b string) action {
	return func(w *world, dst string) *nfq.Packet {
		w.seq++
		port := uint16(30000 + w.seq)
		w.open(port, dst, 80)
		return w.data(port, dst, 80, 1000, b)
	}
}

// replies returns the first data that the host sends in a connection opened from outside.
func replies(b string) action {
	return func(w *world, dst string) *nfq.Packet {
		w.seq++
		p := w.data(8080, dst, uint16(30000+w.seq), 1000, b)
		w.expect("what the outside sends", reply(dst, p.DstPort, 8080, 5000, b), nfq.Accept)
		return p
	}
}

// announces returns a request to an HTTP tracker.
func announces(header string) action { return sends(announceLine + header + "\r\n") }

// goesOn checks that the host loses only what is recognised: everything else goes on, at
// the same address and at others.
func (w *world) goesOn(what string, dsts ...string) {
	w.t.Helper()
	if w.locked(hostA) || w.sets.cut() != 0 {
		w.t.Fatalf("%s: locked: %+v", what, w.e.Clients(w.now))
	}
	for _, dst := range append(dsts, "203.0.113.200") {
		w.seq++
		port := uint16(20000 + w.seq)
		w.open(port, dst, 443)
		w.expect(what+": TLS to "+dst, w.data(port, dst, 443, 1000, hello("www.example.org")), nfq.AcceptDecided)
		w.expect(what+": QUIC to "+dst, udp(macA, hostA, port, dst, 443, []byte(quic())), nfq.AcceptDecided)
	}
	w.expect(what+": DNS", udp(macA, hostA, 5353, "203.0.113.53", 53,
		[]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03org\x00\x00\x01\x00\x01")), nfq.AcceptDecided)
}

// TestEvidence: what others can cause locks nobody. If the host is made to send something,
// only the recognised packets are lost. The rows are the cases of docs/evidence.md that
// concern the engine, and similar ones.
func TestEvidence(t *testing.T) {
	const other = "203.0.113.7"
	web := "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	from := func(b string) action {
		return func(w *world, dst string) *nfq.Packet { return reply(dst, 30000, 8080, 5000, b) }
	}
	for _, tt := range []struct {
		name string
		do   action
		want nfq.Verdict
		// suspect says that the host becomes a suspect.
		suspect bool
	}{
		{"a forged segment from outside, GIVE", from("GIVE 1\r\n"), nfq.Accept, false},
		{"a forged segment from outside, a handshake", from(handshake), nfq.Accept, false},
		{"a request from outside with Kazaa's headers", from(kazaaHead + "X-Kazaa-SupernodeIP: 8.8.8.8:53\r\n\r\n"), nfq.Accept, false},
		{"a datagram from outside, a query", func(_ *world, dst string) *nfq.Packet { return hears(dst, 6881, dhtPing) }, nfq.Accept, false},
		{"a datagram from outside, a ping", func(_ *world, dst string) *nfq.Packet { return hears(dst, 1214, string(kazaaPing)) }, nfq.Accept, false},
		{"a page's picture", sends(pageHead), nfq.AcceptDecided, false},
		{"the same of a program that says nothing of itself", sends("GET /.hash=0 HTTP/1.0\r\n\r\n"), nfq.AcceptDecided, false},
		{"a page's request with Kazaa's header", sends("GET / HTTP/1.1\r\nX-Kazaa-SupernodeIP: 8.8.8.8:53\r\nOrigin: http://page.example\r\n\r\n"), nfq.AcceptDecided, false},
		{"a page's announce", sends(announceLine + "User-Agent: Mozilla/5.0\r\n\r\n"), nfq.AcceptDecided, false},
		{"a page's announce with a program's name", sends(announceLine + "User-Agent: Transmission/3.00\r\nReferer: http://page.example/\r\n\r\n"), nfq.AcceptDecided, false},
		{"a web answer with Kazaa's header", func(w *world, dst string) *nfq.Packet {
			w.expect("a request", sends(web)(w, dst), nfq.AcceptDecided)
			return reply(dst, 80, uint16(30000+w.seq), 5000, "HTTP/1.1 200 OK\r\nX-Kazaa-SupernodeIP: 8.8.8.8:53\r\n\r\n")
		}, nfq.Accept, false},
		{"one datagram of 13 bytes", says("\x29abcd\x01\x00\x00\x00abcd"), nfq.Drop, true},
		{"one ping", says(string(kazaaPing)), nfq.Drop, true},
		{"one query of the DHT", says(dhtPing), nfq.Drop, true},
		{"one uTP SYN", says(utpSYN), nfq.Drop, true},
		{"one request to a UDP tracker", says(trackerAsks), nfq.Drop, true},
		{"one hello", sends(string(giftHello)), nfq.Drop, true},
		{"one handshake", sends(handshake), nfq.Drop, true},
		{"an echo of a handshake", replies(handshake), nfq.Drop, true},
		{"an echo of a request with Kazaa's headers", replies(kazaaHead + "X-Kazaa-SupernodeIP: 8.8.8.8:53\r\n\r\n"), nfq.Drop, true},
		{"an encrypted session", sends(random(200)), nfq.Accept, false},
		{"a mapping", func(*world, string) *nfq.Packet { return mapping() }, nfq.Accept, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.expect("the host is known", w.syn("203.0.113.1"), nfq.Accept)
			for i := range 3 { // three times in a row, to the same address
				w.expect(tt.name, tt.do(w, other), tt.want)
				if s := w.e.Suspects(w.now); (len(s) == 1) != tt.suspect || len(s) > 1 {
					t.Errorf("suspects %+v", s)
				}
				w.goesOn(tt.name, other, "8.8.8.8")
				if want := uint32(0); tt.want == nfq.Drop {
					if want = uint32(i + 1); w.e.Suspects(w.now)[0].Dropped != want {
						t.Errorf("%d packets of it dropped, want %d", w.e.Suspects(w.now)[0].Dropped, want)
					}
				}
			}
			if n, locked := w.e.Len(); n+locked != 0 || len(w.e.Peers(nfq.Addr{})) != 0 {
				t.Errorf("%d clients, %d locked, peers %+v", n, locked, w.e.Peers(nfq.Addr{}))
			}
			w.pass(2 * time.Hour)
			w.goesOn("two hours later", other)
			if s := w.e.Suspects(w.now); len(s) != 0 {
				t.Errorf("still suspected: %+v", s)
			}
		})
	}
}

// A DHT answer names a public server. The host can still use that server.
func TestNamedByTheDHT(t *testing.T) {
	w := lockedTorrent(t, nil)
	values := "d1:rd2:id20:" + nodeID + "6:valuesl6:\x08\x08\x08\x08\x01\xbbee1:t2:aa1:y1:re"
	w.expect("an answer that names a server", hears("198.51.100.7", 6881, values), nfq.Accept)
	for range 5 {
		w.pass(15 * time.Second)
		w.seq++
		port := uint16(20000 + w.seq)
		w.open(port, "8.8.8.8", 443)
		w.expect("TLS to it", w.data(port, "8.8.8.8", 443, 1000, hello("www.example.org")), nfq.AcceptDecided)
	}
	w.pass(6 * time.Second)
	if w.locked(hostA) {
		t.Error("the named server holds the lock")
	}
}

// TestConduct: what proves a client when it is sent to two addresses, and what does not.
func TestConduct(t *testing.T) {
	const a, b, six, six2 = "198.51.100.7", "203.0.113.9", "2001:db8:ff::7", "2001:db8:ff::8"
	kazaa := sends(kazaaHead + "\r\n")
	super := sends(kazaaHead + "X-Kazaa-SupernodeIP: 203.0.113.99:2354\r\n\r\n")
	type sign struct {
		do  action
		dst string
	}
	for _, tt := range []struct {
		name     string
		signs    []sign
		apart    time.Duration
		protocol string // proved by the last sign and not before; empty for none
	}{
		{"FastTrack's pings", []sign{{says(string(kazaaPing)), a}, {says(string(kazaaPing)), b}}, 0, "fasttrack"},
		{"the same 30 s apart", []sign{{says(string(kazaaPing)), a}, {says(string(kazaaPing)), b}}, 30 * time.Second, "fasttrack"},
		{"the same 31 s apart", []sign{{says(string(kazaaPing)), a}, {says(string(kazaaPing)), b}}, 31 * time.Second, ""},
		{"31 s apart, then soon", []sign{{says(string(kazaaPing)), a}, {nil, "31s"}, {says(string(kazaaPing)), b}, {says(string(kazaaPing)), a}}, 0, "fasttrack"},
		{"pings to one address", []sign{{says(string(kazaaPing)), a}, {says(string(kazaaPing)), a}, {says(string(kazaaPing)), a}}, 0, ""},
		{"queries of the DHT", []sign{{says(dhtPing), a}, {says(dhtFind), b}}, time.Second, "bittorrent"},
		{"queries by IPv6", []sign{{says(dhtPing), six}, {says(dhtFind), six2}}, time.Second, "bittorrent"},
		{"queries by both", []sign{{says(dhtPing), six}, {says(dhtFind), a}}, time.Second, "bittorrent"},
		{"answers of the DHT", []sign{{says("d1:rd2:id20:" + nodeID + "e1:t2:aa1:y1:re"), a}, {says("d1:rd2:id20:" + nodeID + "e1:t2:ab1:y1:re"), b}}, 0, ""},
		{"uTP SYNs", []sign{{says(utpSYN), a}, {says(utpSYN), b}}, 0, "bittorrent"},
		{"UDP trackers", []sign{{says(trackerAsks), a}, {says(trackerAsks), b}}, 0, "bittorrent"},
		{"hellos", []sign{{sends(string(giftHello)), a}, {sends(string(giftHello)), b}}, 0, "fasttrack"},
		{"a ping and a hello", []sign{{says(string(kazaaPing)), a}, {sends(string(giftHello)), b}}, 0, "fasttrack"},
		{"GIVE", []sign{{sends("GIVE 1\r\n"), a}, {sends("GIVE 2\r\n"), b}}, 0, "fasttrack"},
		{"GIVE on connections from outside", []sign{{replies("GIVE 1\r\n"), a}, {replies("GIVE 2\r\n"), b}}, 0, ""},
		{"Kazaa's requests", []sign{{kazaa, a}, {kazaa, b}}, 0, "fasttrack"},
		{"one that names its supernode", []sign{{super, a}}, 0, "fasttrack"},
		{"one that names where it goes as its supernode", []sign{{super, "203.0.113.99"}}, 0, ""},
		{"an answer that names its supernode", []sign{{replies("HTTP/1.1 200 OK\r\nX-Kazaa-SupernodeIP: 203.0.113.99:2354\r\n\r\n"), a}}, 0, ""},
		{"handshakes", []sign{{sends(handshake), a}, {sends(handshake), b}}, 0, "bittorrent"},
		{"a handshake and a query", []sign{{sends(handshake), a}, {says(dhtPing), b}}, 0, "bittorrent"},
		{"handshakes on connections from outside", []sign{{replies(handshake), a}, {replies(handshake), b}}, 0, ""},
		{"a query and one on a connection from outside", []sign{{says(dhtPing), a}, {replies(handshake), b}}, 0, ""},
		{"announces by name", []sign{{announces("User-Agent: Transmission/3.00\r\n"), a}, {announces("User-Agent: Transmission/3.00\r\n"), b}}, time.Second, "bittorrent"},
		{"announces without", []sign{{announces(""), a}, {announces(""), b}}, 0, ""},
		{"an announce by name and one without", []sign{{announces("User-Agent: Transmission/3.00\r\n"), a}, {announces(""), b}}, 0, ""},
		{"web seeds", []sign{{sends("GET /a.iso HTTP/1.1\r\nUser-Agent: qBittorrent/4.5.2\r\n\r\n"), a}, {sends("GET /b.iso HTTP/1.1\r\nUser-Agent: qBittorrent/4.5.2\r\n\r\n"), b}}, 0, ""},
		{"OpenNAP's logins", []sign{{sends(napLogin), a}, {sends(napLogin), b}}, 0, "opennap"},
		{"signs of two protocols", []sign{{says(string(kazaaPing)), a}, {says(dhtPing), b}}, 0, ""},
		{"a sign and an encrypted session", []sign{{says(dhtPing), a}, {sends(random(200)), b}}, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			for i, s := range tt.signs {
				if w.locked(hostA) || len(w.e.Clients(w.now)) != 0 {
					t.Fatalf("proved by %d of %d signs", i, len(tt.signs))
				}
				if s.do == nil {
					d, _ := time.ParseDuration(s.dst)
					w.pass(d)
					continue
				}
				if i > 0 {
					w.pass(tt.apart)
				}
				w.e.Packet(s.do(w, s.dst), w.now)
				w.e.Advance(w.now)
			}
			c := w.e.Clients(w.now)
			if tt.protocol == "" {
				if len(c) != 0 || w.sets.cut() != 0 {
					t.Errorf("clients %+v", c)
				}
				return
			}
			if len(c) != 1 || !c[0].Locked || c[0].Protocol.Name != tt.protocol || c[0].Proof != ProofConduct || len(w.e.Suspects(w.now)) != 0 {
				t.Errorf("clients %+v", c)
			}
		})
	}
}

// A head in pieces counts the same: one piece has the supernode, another the end.
func TestSupernodeInPieces(t *testing.T) {
	const piece = "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP: 203.0.113.99:2354\r\n"
	w := newWorld(t, nil)
	w.open(4000, "203.0.113.77", 80)
	w.expect("the first piece", w.data(4000, "203.0.113.77", 80, 1000, piece), nfq.Drop)
	if w.locked(hostA) {
		t.Fatal("locked before the head is over")
	}
	w.expect("the second", w.data(4000, "203.0.113.77", 80, uint32(1000+len(piece)), "Host: 203.0.113.77\r\n\r\n"), nfq.Drop)
	if c := w.e.Clients(w.now); len(c) != 1 || !c[0].Locked || c[0].Peers != 2 {
		t.Errorf("clients %+v", c)
	}
	// With a browser's line after it, it proves nothing.
	w = newWorld(t, nil)
	w.open(4000, "203.0.113.77", 80)
	w.expect("the first piece", w.data(4000, "203.0.113.77", 80, 1000, piece), nfq.Drop)
	w.expect("the second", w.data(4000, "203.0.113.77", 80, uint32(1000+len(piece)), "Cookie: a=b\r\n\r\n"), nfq.Drop)
	w.goesOn("a browser's head", "203.0.113.77", "203.0.113.99")
	w.nothing()
}

// A SYN may have data (TCP Fast Open).
func TestHelloInASYN(t *testing.T) {
	w := newWorld(t, nil)
	for i, dst := range []string{firstPeer, "198.51.100.7"} {
		p := tcp(macA, hostA, 4000, dst, 1214, nfq.SYN, giftHello)
		p.Seq = 999
		w.expect("a hello", p, nfq.Drop)
		if w.locked(hostA) != (i == 1) {
			t.Errorf("after %d hellos, locked: %v", i+1, w.locked(hostA))
		}
	}
	w = newWorld(t, nil)
	p := tcp(macA, hostA, 4000, "203.0.113.80", 443, nfq.SYN, []byte(hello("www.example.org")))
	p.Seq = 999
	w.expect("TLS in a SYN", p, nfq.AcceptDecided)
}

// asked returns the last UDP question of a kind, "krpc" or "utp".
func (w *world) asked(kind string) []byte {
	w.t.Helper()
	for i := len(w.out.udp) - 1; i >= 0; i-- {
		b, _ := hex.DecodeString(w.out.udp[i].payload)
		if kind == "utp" && len(b) == 20 && b[0] == 0x41 || kind == "krpc" && strings.Contains(string(b), "1:q4:ping") {
			return b
		}
	}
	w.t.Fatalf("no question by %s among %+v", kind, w.out.udp)
	return nil
}

// krpcAnswer and utpAnswer return a program's answer.
func krpcAnswer(q []byte) []byte {
	tid := q[strings.Index(string(q), "1:t4:")+5:][:4]
	return []byte("d1:rd2:id20:" + nodeID + "e1:t4:" + string(tid) + "1:y1:re")
}

func utpAnswer(q []byte) []byte {
	b := append([]byte(nil), q...)
	b[0] = 0x21
	copy(b[18:], q[16:18])
	return b
}

// TestAnswerProves: an answer needs our token, must come from where we asked, and in time.
func TestAnswerProves(t *testing.T) {
	for _, way := range []struct {
		name   string
		answer func(q []byte) []byte
		token  int // a byte of the answer that comes from the question
	}{
		{"krpc", krpcAnswer, 40},
		{"utp", utpAnswer, 3},
		{"utp", utpAnswer, 18},
	} {
		for _, tt := range []struct {
			name   string
			change func(w *world, p *nfq.Packet)
			proves bool
		}{
			{"as it should be", func(*world, *nfq.Packet) {}, true},
			{"soon", func(w *world, _ *nfq.Packet) { w.pass(2900 * time.Millisecond) }, true},
			{"late", func(w *world, _ *nfq.Packet) { w.pass(3100 * time.Millisecond) }, false},
			{"another token", func(_ *world, p *nfq.Packet) { p.Payload[way.token]++ }, false},
			{"another port", func(_ *world, p *nfq.Packet) { p.SrcPort++ }, false},
			{"another host", func(_ *world, p *nfq.Packet) { p.Src, p.MAC = ip(hostB), macB }, false},
			{"another MAC", func(_ *world, p *nfq.Packet) { p.MAC = macB }, false},
			{"another address of the host", func(w *world, p *nfq.Packet) {
				p.Src = ip("192.168.1.77")
				w.expect("a SYN from there", tcp(macA, "192.168.1.77", 4000, "203.0.113.1", 443, nfq.SYN, nil), nfq.Accept)
			}, false},
			{"the question itself", func(w *world, p *nfq.Packet) { p.Payload = w.asked(way.name) }, false},
			{"to another port", func(_ *world, p *nfq.Packet) { p.DstPort++ }, false},
		} {
			t.Run(way.name+"/"+tt.name, func(t *testing.T) {
				w := newWorld(t, nil)
				w.expect("a mapping", mapping(), nfq.Accept)
				w.expect("another host", tcp(macB, hostB, 4000, "203.0.113.1", 443, nfq.SYN, nil), nfq.Accept)
				p := toRouter(51413, way.answer(w.asked(way.name)))
				tt.change(w, p)
				want := nfq.Accept
				if tt.proves {
					want = nfq.Drop
				}
				w.expect("the answer", p, want)
				if !tt.proves {
					w.goesOn("no proof")
					return
				}
				c := w.e.Clients(w.now)
				if len(c) != 1 || !c[0].Locked || c[0].Proof != ProofAnswer || c[0].Reason != detect.ReasonProbe || c[0].Addr != ip(hostA) || c[0].MAC != macA ||
					w.sets.watched[hostA] == 0 || w.e.Counters.Answers != 1 {
					t.Errorf("clients %+v, sets %+v", c, w.sets)
				}
			})
		}
	}
}

// TestAnswerByTCPProves: a key that answers ours, and Kazaa's headers.
func TestAnswerByTCPProves(t *testing.T) {
	const kazaa = "HTTP/1.0 404 Not Found\r\nX-Kazaa-Username: giFTed\r\n\r\n"
	for _, tt := range []struct {
		name   string
		sign   action
		port   uint16
		answer func(p *prober) (id uint64, b []byte)
		proved string
	}{
		{"a key", func(*world, string) *nfq.Packet { return mapping() }, 51413, func(p *prober) (uint64, []byte) { return p.id, []byte(random(300)) }, "bittorrent"},
		{"our own key", func(*world, string) *nfq.Packet { return mapping() }, 51413, func(p *prober) (uint64, []byte) { return p.id, p.request }, ""},
		{"our own key and more", func(*world, string) *nfq.Packet { return mapping() }, 51413, func(p *prober) (uint64, []byte) { return p.id, append(p.request, random(100)...) }, ""},
		{"nothing", func(*world, string) *nfq.Packet { return mapping() }, 51413, func(p *prober) (uint64, []byte) { return p.id, nil }, ""},
		{"a banner", func(*world, string) *nfq.Packet { return mapping() }, 51413, func(p *prober) (uint64, []byte) { return p.id, []byte("SSH-2.0-OpenSSH_9.2\r\n") }, ""},
		{"to another question", func(*world, string) *nfq.Packet { return mapping() }, 51413, func(p *prober) (uint64, []byte) { return p.id ^ 1, []byte(random(300)) }, ""},
		{"of another host", func(*world, string) *nfq.Packet { return mapping() }, 51413, func(p *prober) (uint64, []byte) { return p.id + 1<<32, []byte(random(300)) }, ""},
		{"of no host", func(*world, string) *nfq.Packet { return mapping() }, 51413, func(p *prober) (uint64, []byte) { return p.id | 0x7fffffff<<32, []byte(random(300)) }, ""},
		{"Kazaa's headers", sends(string(giftHello)), 1214, func(p *prober) (uint64, []byte) { return p.id, []byte(kazaa) }, "fasttrack"},
		{"a web server's", sends(string(giftHello)), 1214, func(p *prober) (uint64, []byte) {
			return p.id, []byte("HTTP/1.1 200 OK\r\nServer: x\r\n\r\nX-Kazaa-Username: u\r\n")
		}, ""},
		{"Kazaa's headers, where the request says that it listens", sends(kazaaHead + "X-Kazaa-IP: 192.168.1.50:2345\r\n\r\n"), 2345, func(p *prober) (uint64, []byte) { return p.id, []byte(kazaa) }, "fasttrack"},
		{"a key from where the outside got a handshake", replies(handshake), 8080, func(p *prober) (uint64, []byte) { return p.id, []byte(random(300)) }, "bittorrent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			p := &prober{}
			w.e.SetProber(p)
			w.e.Packet(tt.sign(w, "203.0.113.7"), w.now)
			if len(p.asked) != 1 || p.asked[0] != (nfq.AddrPort{Addr: ip(hostA), Port: tt.port}) {
				t.Fatalf("asked %v, want at %d", p.asked, tt.port)
			}
			for _, q := range w.out.udp {
				if q.src.Port == detect.ProbePort && q.dst != p.asked[0] {
					t.Errorf("asked by UDP at %v", q.dst)
				}
			}
			id, b := tt.answer(p)
			w.e.ProbedTCP(id, b, w.now)
			w.e.Advance(w.now)
			c := w.e.Clients(w.now)
			if tt.proved == "" {
				if len(c) != 0 {
					t.Errorf("clients %+v", c)
				}
				w.goesOn("no proof")
				return
			}
			if len(c) != 1 || !c[0].Locked || c[0].Proof != ProofAnswer || c[0].Protocol.Name != tt.proved {
				t.Errorf("clients %+v", c)
			}
			// The same answer again changes nothing.
			w.e.ProbedTCP(id, b, w.now)
		})
	}
}

// neighbours stands for the kernel's neighbour table: its entries, and the open questions.
type neighbours struct {
	macs   map[nfq.Addr]nfq.MAC
	shared bool
	busy   bool
	asked  []uint64
	addrs  []nfq.Addr
}

func (n *neighbours) Ask(id uint64, dev uint32, a nfq.Addr, _ [2]nfq.Flow) bool {
	if n.busy || dev != lanDev {
		return false
	}
	n.asked, n.addrs = append(n.asked, id), append(n.addrs, a)
	return true
}

// answer answers the open questions.
func (n *neighbours) answer(w *world) {
	asked, addrs := n.asked, n.addrs
	n.asked, n.addrs = nil, nil
	for i, id := range asked {
		w.e.Neighbour(id, n.macs[addrs[i]], n.shared, false, w.now)
	}
	w.e.Advance(w.now)
}

// withNeighbours returns a world with a neighbour table that has both hosts.
func withNeighbours(t *testing.T, change func(*Config)) (*world, *neighbours) {
	w := newWorld(t, change)
	n := &neighbours{macs: map[nfq.Addr]nfq.MAC{ip(hostA): macA, ip(hostB): macB}}
	w.e.SetNeighbours(n)
	return w, n
}

// TestNeighbourTable: no lock before the owner of the address is known.
func TestNeighbourTable(t *testing.T) {
	proves := func(w *world) {
		t.Helper()
		w.prove()
		w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	}
	t.Run("its own", func(t *testing.T) {
		w, n := withNeighbours(t, nil)
		proves(w)
		w.goesOn("before the answer")
		w.expect("another ping", w.ping("198.51.100.8"), nfq.Drop)
		if len(n.asked) != 1 || n.addrs[0] != ip(hostA) {
			t.Fatalf("asked %v", n.addrs)
		}
		id := n.asked[0]
		n.answer(w)
		if !w.locked(hostA) || w.sets.locks["192.168.1.50"] == 0 {
			t.Error("not locked")
		}
		w.e.Neighbour(id, macB, false, false, w.now) // too late to matter
		if !w.locked(hostA) || w.e.Counters.Forged != 0 {
			t.Error("a second answer counts")
		}
	})
	t.Run("another's", func(t *testing.T) {
		w, n := withNeighbours(t, nil)
		n.macs[ip(hostA)] = macB
		proves(w)
		n.answer(w)
		w.goesOn("another's address")
		if w.e.Counters.Forged != 1 {
			t.Errorf("counted %d times", w.e.Counters.Forged)
		}
		for range 9 {
			w.pass(time.Second)
			w.expect("ping", w.ping("198.51.100.8"), nfq.Drop)
		}
		if len(n.asked) != 0 {
			t.Error("asked again within ten seconds")
		}
		w.pass(2 * time.Second)
		proves(w)
		n.macs[ip(hostA)] = macA
		n.answer(w)
		if !w.locked(hostA) {
			t.Error("not asked again later")
		}
	})
	t.Run("nobody's yet", func(t *testing.T) {
		w, n := withNeighbours(t, nil)
		delete(n.macs, ip(hostA))
		proves(w)
		n.answer(w)
		w.goesOn("nobody's address")
		w.pass(5 * time.Second) // the timer asks again
		if len(n.asked) != 1 || w.e.Counters.Forged != 0 {
			t.Fatalf("asked %d times, %d forged", len(n.asked), w.e.Counters.Forged)
		}
		n.macs[ip(hostA)] = macA
		n.answer(w)
		if !w.locked(hostA) {
			t.Error("not locked")
		}
	})
	t.Run("nobody's at all", func(t *testing.T) {
		w, n := withNeighbours(t, nil)
		delete(n.macs, ip(hostA))
		proves(w)
		asked := 0
		for range 120 {
			w.pass(time.Second)
			asked += len(n.asked)
			n.answer(w)
		}
		if asked < 2 || asked > 15 {
			t.Errorf("asked %d times", asked)
		}
		w.goesOn("nobody's address")
	})
	t.Run("no answer", func(t *testing.T) {
		w, n := withNeighbours(t, nil)
		proves(w)
		n.asked, n.addrs = nil, nil
		w.pass(11 * time.Second)
		w.expect("ping", w.ping("198.51.100.8"), nfq.Drop)
		n.answer(w)
		if !w.locked(hostA) {
			t.Error("not asked again")
		}
	})
	t.Run("busy", func(t *testing.T) {
		w, n := withNeighbours(t, nil)
		n.busy = true
		proves(w)
		n.busy = false
		w.expect("ping", w.ping("198.51.100.8"), nfq.Drop)
		n.answer(w)
		if !w.locked(hostA) {
			t.Error("not asked again")
		}
	})
	t.Run("by an answer", func(t *testing.T) {
		w, n := withNeighbours(t, nil)
		w.expect("a mapping", mapping(), nfq.Accept)
		w.expect("the answer", toRouter(51413, krpcAnswer(w.asked("krpc"))), nfq.Drop)
		w.goesOn("before the neighbour table")
		n.answer(w)
		if c := w.e.Clients(w.now); len(c) != 1 || c[0].Proof != ProofAnswer || !c[0].Locked {
			t.Errorf("clients %+v", c)
		}
	})
	t.Run("forgotten meanwhile", func(t *testing.T) {
		w, n := withNeighbours(t, func(c *Config) { c.MaxClients = 1 })
		proves(w)
		id := n.asked[0]
		w.e.Unlock(netip.MustParseAddr(hostA), w.now)
		w.e.Neighbour(id, macA, false, false, w.now)
		if w.e.Len(); w.locked(hostA) {
			t.Error("a client that is forgotten was locked")
		}
		w.expect("another host's ping", udp(macB, hostB, 1214, firstPeer, 1214, kazaaPing), nfq.Drop)
		w.e.Neighbour(id, macB, false, false, w.now)
		if n, _ := w.e.Len(); n != 0 {
			t.Error("the answer about one was taken for another")
		}
		for _, id := range []uint64{0, 1, 1 << 31, 1<<64 - 1, 77, 5 << 32} {
			w.e.Neighbour(id, macA, true, false, w.now)
		}
	})
}

// TestConfigurationMeanwhile: the configuration changes while a question is open, at every
// stage.
func TestConfigurationMeanwhile(t *testing.T) {
	moments := []struct {
		name string
		// before happens before the change of the configuration, after happens after it.
		before, after func(w *world, n *neighbours, p *prober)
	}{
		{"between question and answer, by KRPC", func(w *world, _ *neighbours, _ *prober) {
			w.e.Packet(mapping(), w.now)
		}, func(w *world, _ *neighbours, _ *prober) {
			w.e.Packet(toRouter(51413, krpcAnswer(w.asked("krpc"))), w.now)
		}},
		{"between question and answer, by TCP", func(w *world, _ *neighbours, _ *prober) {
			w.e.Packet(mapping(), w.now)
		}, func(w *world, _ *neighbours, p *prober) {
			w.e.ProbedTCP(p.id, []byte(random(300)), w.now)
		}},
		{"between proof and neighbour", func(w *world, _ *neighbours, _ *prober) {
			w.proveTorrent()
			w.e.Packet(w.speaks("198.51.100.7", 6881, dhtPing), w.now)
		}, func(w *world, n *neighbours, _ *prober) { n.answer(w) }},
		{"between two signs", func(w *world, _ *neighbours, _ *prober) { w.proveTorrent() }, func(w *world, n *neighbours, _ *prober) {
			w.e.Packet(w.speaks("198.51.100.7", 6881, dhtPing), w.now)
			n.answer(w)
		}},
		{"between two pieces of a head", func(w *world, _ *neighbours, _ *prober) {
			w.proveTorrent()
			w.open(4000, "203.0.113.7", 80)
			w.e.Packet(w.data(4000, "203.0.113.7", 80, 1000, announceLine+"User-Agent: Transmission/3.00\r\n"), w.now)
		}, func(w *world, n *neighbours, _ *prober) {
			w.e.Packet(w.data(4000, "203.0.113.7", 80, 1000+uint32(len(announceLine))+31, "\r\n"), w.now)
			n.answer(w)
		}},
		{"while it is locked and probed", func(w *world, n *neighbours, _ *prober) {
			w.proveTorrent()
			w.e.Packet(w.speaks("198.51.100.7", 6881, dhtPing), w.now)
			n.answer(w)
			w.pass(41 * time.Second)
		}, func(w *world, _ *neighbours, p *prober) {
			w.e.Packet(toRouter(51413, krpcAnswer(w.asked("krpc"))), w.now)
			w.pass(21 * time.Second)
			w.e.ProbedTCP(p.id, []byte(random(300)), w.now)
		}},
	}
	changes := []struct {
		name   string
		change func(*Config)
	}{
		{"off", func(c *Config) { c.Protocols[torrent].Mode = Off }},
		{"all off", func(c *Config) {
			for i := range c.Protocols {
				c.Protocols[i].Mode = Off
			}
		}},
		{"watched", func(c *Config) { c.Protocols[torrent].Mode = Monitor }},
		{"no locks", func(c *Config) { c.LockTime = 0 }},
		{"exempt", func(c *Config) { c.ExemptMACs = []nfq.MAC{macA} }},
		{"no connections", func(c *Config) { c.Protocols[torrent].HTTP = false }},
		{"strict everywhere", func(c *Config) { c.Protocols[torrent].Lock = Strict }},
	}
	for _, m := range moments {
		for _, x := range changes {
			for _, table := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s/neighbour table %v", m.name, x.name, table), func(t *testing.T) {
					w, n := withNeighbours(t, nil)
					if !table {
						w.e.SetNeighbours(nil)
					}
					if !table && m.name == "between proof and neighbour" {
						return
					}
					p := &prober{}
					w.e.SetProber(p)
					m.before(w, n, p)
					old := w.e.cfg
					cfg := old
					x.change(&cfg)
					w.e.Configure(cfg)
					m.after(w, n, p)
					w.e.Advance(w.now)
					if cfg.LockTime == 0 || cfg.Protocols[torrent].Mode != Block || cfg.ExemptMACs != nil {
						if w.locked(hostA) || w.sets.cut() != 0 {
							t.Errorf("locked: %+v, %+v", w.e.Clients(w.now), w.sets)
						}
					}
					if c := w.e.Clients(w.now); cfg.Protocols[torrent].Mode == Off && len(c) != 0 && m.name != "while it is locked and probed" {
						t.Errorf("found while it is off: %+v", c)
					}
					// Changed back: the client is found as usual.
					w.e.Configure(old)
					w.pass(3 * time.Minute)
					w.proveTorrent()
					w.e.Packet(w.speaks("198.51.100.7", 6881, dhtPing), w.now)
					n.answer(w)
					if !w.locked(hostA) {
						t.Error("not found when it is on again")
					}
				})
			}
		}
	}
}

// TestRelease: the end of a lock removes all of it.
func TestRelease(t *testing.T) {
	for _, tt := range []struct {
		name   string
		prove  func(w *world)
		sign   action
		change func(*Config)
	}{
		{"FastTrack", func(w *world) { w.prove(); w.e.Packet(w.ping("198.51.100.7"), w.now) }, says(string(kazaaPing)), nil},
		{"FastTrack, selective", func(w *world) { w.prove(); w.e.Packet(w.ping("198.51.100.7"), w.now) }, says(string(kazaaPing)), func(c *Config) { c.Protocols[0].Lock = Selective }},
		{"BitTorrent", func(w *world) { w.proveTorrent(); w.e.Packet(w.speaks("198.51.100.7", 6881, dhtPing), w.now) }, says(dhtPing), nil},
		{"BitTorrent, strict", func(w *world) { w.proveTorrent(); w.e.Packet(w.speaks("198.51.100.7", 6881, dhtPing), w.now) }, says(dhtPing), func(c *Config) { c.Protocols[torrent].Lock = Strict }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, tt.change)
			w.expect("SYN of the burst", w.syn("203.0.113.201"), nfq.Accept)
			tt.prove(w)
			if !w.locked(hostA) {
				t.Fatal("not locked")
			}
			v6 := tcp(macA, "2001:db8:1::50", 4000, "2001:db8:ff::80", 443, nfq.SYN, nil)
			v6.Version = 6
			w.e.Packet(v6, w.now)
			w.pass(81 * time.Second)
			w.goesOn("after the release", firstPeer, "198.51.100.7", "203.0.113.201")
			for range 5 {
				w.expect("one sign", tt.sign(w, "198.51.100.9"), nfq.Drop)
				w.goesOn("after one sign", firstPeer, "198.51.100.7")
				w.pass(20 * time.Second)
			}
			w.expect("a second sign", tt.sign(w, "203.0.113.9"), nfq.Drop)
			if !w.locked(hostA) {
				t.Error("not locked by a new proof")
			}
		})
	}
}

// TestWhatHoldsALock: only the client's own conduct and its answers renew it.
func TestWhatHoldsALock(t *testing.T) {
	torrentLock := func(w *world) {
		w.proveTorrent()
		w.e.Packet(w.speaks("198.51.100.7", 6881, dhtPing), w.now)
	}
	kazaaLock := func(w *world) { w.prove(); w.e.Packet(w.ping("198.51.100.7"), w.now) }
	const peer, other = "198.51.100.7", "203.0.113.60"
	for _, tt := range []struct {
		name string
		lock func(w *world)
		do   action
		want bool
	}{
		{"a SYN to a peer", kazaaLock, func(w *world, _ string) *nfq.Packet { return w.syn(peer) }, false},
		{"a SYN to anybody", kazaaLock, func(w *world, _ string) *nfq.Packet { return w.syn(other) }, false},
		{"something to a peer", kazaaLock, func(*world, string) *nfq.Packet { return udp(macA, hostA, 4444, peer, 1214, []byte("x")) }, false},
		{"something from a peer", kazaaLock, func(*world, string) *nfq.Packet { return hears(peer, 1214, "x") }, false},
		{"a ping from outside", kazaaLock, func(*world, string) *nfq.Packet { return hears(other, 1214, string(kazaaPing)) }, false},
		{"a pong to nobody's probe", kazaaLock, func(*world, string) *nfq.Packet { return toRouter(4444, kazaaPong) }, false},
		{"a picture in a page", torrentLock, sends(pageHead), false},
		{"an encrypted session", torrentLock, sends(random(200)), false},
		{"TLS", torrentLock, sends(hello("www.example.org")), false},
		{"uTP's middle, from another port", torrentLock, func(*world, string) *nfq.Packet { return udp(macA, hostA, 4444, peer, 6881, []byte(utpData)) }, false},
		{"a uTP flow of another program", torrentLock, func(w *world, dst string) *nfq.Packet {
			var p *nfq.Packet
			for i := range uint32(6) {
				stamp := i * 100_000
				b := []byte{0x21, 0, 0, 7, byte(stamp >> 24), byte(stamp >> 16), byte(stamp >> 8), byte(stamp), 0, 0, 0, 1, 0, 4, 0, 0, 0, 50, 0, byte(i)}
				p = udp(macA, hostA, 4444, dst, 6881, b)
				w.e.Packet(p, w.now)
				w.pass(100 * time.Millisecond)
			}
			if !slices.ContainsFunc(w.e.Peers(nfq.Addr{}), func(p PeerInfo) bool { return p.Addr == ip(dst) }) {
				w.t.Error("the flow was not recognised")
			}
			return p
		}, false},
		{"an unknown datagram", torrentLock, says("whatever this is"), false},
		{"a query from outside", torrentLock, func(*world, string) *nfq.Packet { return hears(other, 6881, dhtPing) }, false},
		{"a mapping", torrentLock, func(*world, string) *nfq.Packet { return mapping() }, false},
		{"a wrong answer", torrentLock, func(w *world, _ string) *nfq.Packet {
			b := krpcAnswer(w.asked("krpc"))
			b[40]++
			return toRouter(51413, b)
		}, false},
		{"an answer", torrentLock, func(w *world, _ string) *nfq.Packet { return toRouter(51413, krpcAnswer(w.asked("krpc"))) }, true},
		{"a query", torrentLock, says(dhtPing), true},
		{"a handshake", torrentLock, sends(handshake), true},
		{"a ping", kazaaLock, says(string(kazaaPing)), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			tt.lock(w)
			if !w.locked(hostA) {
				t.Fatal("not locked")
			}
			w.pass(41 * time.Second) // a probe was sent
			w.e.Packet(tt.do(w, other), w.now)
			w.pass(41 * time.Second)
			if w.locked(hostA) != tt.want {
				t.Errorf("locked: %v, want %v", w.locked(hostA), tt.want)
			}
		})
	}
}

// A host that a client contacts by an unproved protocol is not a peer.
func TestPeersOfWhatIsNotProved(t *testing.T) {
	w := lockedTorrent(t, nil)
	w.expect("one ping of FastTrack", w.ping("198.51.100.9"), nfq.Drop)
	w.expect("SYN to whom it pinged", w.syn("198.51.100.9"), nfq.Accept)
	w.open(4000, "198.51.100.9", 443)
	w.expect("TLS to whom it pinged", w.data(4000, "198.51.100.9", 443, 1000, hello("www.example.org")), nfq.AcceptDecided)
	if len(w.sets.cuts) != 0 {
		t.Errorf("cut from %v", w.sets.cuts)
	}
}

// A host that was proved to run one program is asked about another, and its answer counts.
func TestProvedTwice(t *testing.T) {
	w := newWorld(t, nil)
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	w.expect("a mapping", mapping(), nfq.Accept)
	w.expect("the answer", toRouter(51413, krpcAnswer(w.asked("krpc"))), nfq.Drop)
	if c := w.e.Clients(w.now); len(c) != 1 || c[0].Protocol.Name != "bittorrent" || c[0].Proof != ProofAnswer || !c[0].Strict || w.sets.watched[hostA] == 0 {
		t.Errorf("clients %+v, sets %+v", c, w.sets)
	}
	cfg := w.e.cfg
	cfg.Protocols[0].Mode = Off
	w.e.Configure(cfg)
	if c := w.e.Clients(w.now); len(c) != 1 || !c[0].Locked || c[0].Strict || w.sets.locks[hostA] != 0 {
		t.Errorf("not locked for the other alone: %+v, %+v", c, w.sets)
	}
	cfg.Protocols[1].Mode = Off
	w.e.Configure(cfg)
	if w.locked(hostA) || w.sets.cut() != 0 {
		t.Errorf("still locked, for what is not looked for any more: %+v", w.sets)
	}
}
