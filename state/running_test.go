// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// requests are the lengths of a downloading client's segments: one request in each, or a
// few. batches are those of a client that puts many messages into a segment.
var (
	requests = []int{17, 17, 34, 9, 17, 51, 17, 26, 17, 17}
	batches  = []int{349, 14, 95, 306, 367, 864, 351, 318, 175, 730}
)

// going continues the connections to two addresses with segments of these lengths, and
// returns how many connections were ended. Their source ports are from and from+1.
func (o *old) going(from uint16, lengths []int) (ended int) {
	o.w.t.Helper()
	var gone [2]bool
	for i, n := range lengths {
		for j, dst := range []string{"203.0.113.80", "203.0.113.81"} {
			if !gone[j] && o.says(from+uint16(j), dst, 51000+uint16(j), bytesOf(int(from)+100*i+j, n)) == nfq.Drop {
				gone[j] = true
				ended++
			}
		}
		o.w.pass(50 * time.Millisecond)
	}
	return ended
}

// A client whose connections are all old shows itself by the lengths of its requests. Each
// connection is ended once, and the first new one is asked.
func TestRunningClient(t *testing.T) {
	w, o, p := stands(t, nil, 2)
	if _, ok := w.looked()[ip(hostA)]; !ok || w.sets.watched[hostA] == 0 {
		t.Fatal("its connections are not looked at")
	}
	if len(p.asked) != 2 { // about FastTrack
		t.Errorf("asked at %v, and nothing speaks for a client", p.asked)
	}
	if n := o.going(50000, requests); n != 2 || w.out.resets != 2 {
		t.Fatalf("%d connections ended, %d resets", n, w.out.resets)
	}
	w.pass(time.Second)
	if got := p.asked[4:]; len(got) != len(detect.BitTorrent.Ports) || got[0].Port != detect.BitTorrent.Ports[0] {
		t.Errorf("asked at %v", got)
	}
	if s := w.e.Suspects(w.now); len(s) != 1 || s[0].Reason != detect.ReasonFlow || s[0].Protocol != &detect.BitTorrent {
		t.Errorf("suspects %+v", s)
	}
	if w.locked(hostA) {
		t.Fatal("locked without a proof")
	}
	if n := o.going(50010, requests); n != 0 || w.out.resets != 2 {
		t.Errorf("%d connections with the same addresses ended once more", n)
	}
	w.pass(time.Minute)
	x := newProgram(3)
	w.wantVerdict("it connects again", w.begins(50020, "203.0.113.80", 51000, x.first), nfq.Drop)
	w.expect("what proves it", w.more(50020, "203.0.113.80", 51000, x.first, x.proof(w.answer())), nfq.Drop)
	if !w.locked(hostA) {
		t.Error("not found by its first connection")
	}
	consistent(t, w.e, w.sets)
}

// A client has all its connections at ports of web servers. What only looks random there may
// be the service's: its host is asked, and loses nothing.
func TestRunningAtServices(t *testing.T) {
	const request = "\x00\x00\x00\x0d\x06\x00\x00\x01\x02\x00\x00\x40\x00\x00\x00\x40\x00"
	for _, tt := range []struct {
		name     string
		services int
		says     func(i int) string
		ended    int
		asked    bool
	}{
		{"requests in clear", 2, func(int) string { return request }, 2, true},
		{"requests in clear to the only server", 1, func(int) string { return request }, 1, true},
		{"text to the only server", 1, func(int) string { return "GET / HTTP/1.1\r\nHost: www.example.net\r\n\r\n" }, 0, false},
		{"what looks random", 2, func(i int) string { return bytesOf(i, 17+17*(i%3)) }, 0, true},
		{"what looks random, to the only server", 1, func(i int) string { return bytesOf(i, []int{9, 136, 9, 375, 18}[i%5]) }, 0, true},
		{"Shadowsocks", 2, func(i int) string { return bytesOf(i, 35+5*(i*7919%97)) }, 0, true},
		{"obfs4", 1, func(i int) string { return bytesOf(i, 21+14*(i*7919%97)) }, 0, true},
		{"SSH", 2, func(i int) string { return bytesOf(i, 36+8*(i%9)) }, 0, false},
		{"an upload by TLS", 2, func(i int) string {
			return bytesOf(i, 700) + "\x17\x03\x03" + be16(1<<14) + bytesOf(i, 743)
		}, 0, false},
		{"TLS", 2, func(i int) string { return "\x17\x03\x03" + be16(30+i) + bytesOf(i, 30+i) }, 0, false},
		{"the rest of a record, then TLS", 2, func(i int) string {
			if i == 0 {
				return bytesOf(i, 300)
			}
			return "\x17\x03\x03" + be16(30+i) + bytesOf(i, 30+i)
		}, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, o, p := standsFor(t, nil, nfq.Standing{Services: tt.services})
			ended := [2]bool{}
			for i := range 12 {
				for j, dst := range []string{"203.0.113.80", "203.0.113.81"}[:tt.services] {
					if !ended[j] && o.says(50000+uint16(j), dst, 443, tt.says(i)) == nfq.Drop {
						ended[j] = true
					}
				}
			}
			if w.out.resets != tt.ended {
				t.Errorf("%d connections were ended", w.out.resets)
			}
			if s := w.e.Suspects(w.now); (len(s) > 0) != (tt.ended > 0) {
				t.Errorf("suspects %+v", s)
			}
			w.pass(time.Second)
			if (len(p.asked) > 0) != tt.asked {
				t.Errorf("asked at %v", p.asked)
			}
			if w.locked(hostA) {
				t.Error("locked without a proof")
			}
			consistent(t, w.e, w.sets)
		})
	}
}

// A client has its only transfer at a web server's port, and enciphers it. It answers the
// question, and then that connection ends. So does the next one to such a port that begins to
// speak; what others say there goes on.
func TestRunningClientAtServices(t *testing.T) {
	const seed, other = "203.0.113.80", "203.0.113.81"
	lengths := []int{9, 136, 9, 375, 9, 18, 213, 9}
	for _, tt := range []struct {
		name  string
		said  func(i int) int // the length of what it says at first
		ends  bool
		heard int // the length of what then comes in on the other connection, 0 for nothing
		port  uint16
		next  string
		cut   bool
	}{
		{"its next request", nil, true, 0, 443, bytesOf(1, 295), true},
		{"its next request, as long as a packet of SSH", nil, true, 5, 443, bytesOf(1, 292), true},
		{"SSH", nil, true, 88, 443, bytesOf(1, 292), false},
		{"TLS", nil, true, 0, 443, "\x17\x03\x03\x01\x00" + bytesOf(1, 256), false},
		{"a WebSocket", nil, true, 0, 443, "\x82\xfe\x01\x00" + bytesOf(1, 260), false},
		{"what looks random at another service's port", nil, true, 0, 993, bytesOf(1, 295), false},
		{"little at a time", nil, true, 0, 443, bytesOf(1, 30), false},
		{"Shadowsocks, beside the client", func(i int) int { return 35 + 5*(i*7919%97) }, false, 0, 443, bytesOf(1, 295), false},
		{"obfs4, beside the client", func(i int) int { return 21 + 14*(i*7919%97) }, false, 0, 443, bytesOf(1, 295), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, o, p := standsFor(t, nil, nfq.Standing{Services: 2})
			if tt.said == nil {
				tt.said = func(i int) int { return lengths[i%len(lengths)] }
			}
			says := func(i int) nfq.Verdict { return o.says(50000, seed, 443, bytesOf(i, tt.said(i))) }
			for i := range lengths {
				w.wantVerdict("before the lock", says(i), nfq.Accept)
			}
			w.pass(time.Second)
			at := slices.IndexFunc(p.asked, func(a nfq.AddrPort) bool { return a.Port == 6890 })
			if at < 0 {
				t.Fatalf("asked at %v", p.asked)
			}
			w.e.ProbedTCP(p.ids[at], []byte(random(200)), w.now)
			w.e.Advance(w.now)
			if !w.locked(hostA) {
				t.Fatal("not found")
			}
			w.pass(time.Second)
			ended := false
			for i := range 12 {
				ended = ended || says(100+i) == nfq.Drop
			}
			if ended != tt.ends || (w.out.resets == 1) != tt.ends {
				t.Fatalf("ended %v, %d resets", ended, w.out.resets)
			}
			w.pass(2 * time.Second)
			if tt.heard > 0 {
				w.comes(other, tt.port, 50001, []string{bytesOf(3, tt.heard)})
			}
			if cut := o.says(50001, other, tt.port, tt.next) == nfq.Drop; cut != tt.cut {
				t.Errorf("the other connection is cut: %v", cut)
			}
			consistent(t, w.e, w.sets)
		})
	}
}

// A client that listens at a default port is asked there and answers, before it opens
// anything.
func TestRunningClientThatAnswers(t *testing.T) {
	w, o, p := stands(t, nil, 2)
	if n := o.going(50000, batches); n != 0 || w.out.resets != 0 {
		t.Fatalf("%d connections ended, of which nothing is certain", n)
	}
	if len(p.asked) < 9 || p.asked[6].Port != detect.BitTorrent.Ports[2] {
		t.Fatalf("asked at %v", p.asked)
	}
	w.e.ProbedTCP(p.ids[6], []byte(random(200)), w.now)
	w.e.Advance(w.now)
	if !w.locked(hostA) {
		t.Fatal("not found")
	}
	w.wantOwn(hostA, detect.BitTorrent.Ports[2])
	w.pass(3 * time.Second)
	w.wantVerdict("its connection", o.says(50000, "203.0.113.80", 51000, bytesOf(1, 170)), nfq.Drop)
	consistent(t, w.e, w.sets)
}

// A client listens elsewhere, and its connections only look random. It is asked when it
// opens another. A connection of another program is asked once and then left alone.
func TestRunningClientAsksSomebodyElse(t *testing.T) {
	w, o, _ := stands(t, nil, 2)
	o.going(50000, batches)
	w.wantVerdict("another program's", w.begins(50010, "203.0.113.90", 8388, bytesOf(7, 300)), nfq.Drop)
	w.pass(handshakeTime + time.Second) // nothing follows
	w.wantVerdict("the same again", w.begins(50011, "203.0.113.90", 8388, bytesOf(8, 300)), nfq.AcceptDecided)
	w.pass(handshakePauses[1])
	x := newProgram(3)
	w.wantVerdict("its next", w.begins(50020, "203.0.113.91", 51001, x.first), nfq.Drop)
	w.expect("what proves it", w.more(50020, "203.0.113.91", 51001, x.first, x.proof(w.answer())), nfq.Drop)
	if !w.locked(hostA) {
		t.Error("not found")
	}
}

// A connection of another program that looks random in its middle loses nothing.
func TestRunningInnocent(t *testing.T) {
	each := func(n int, f func(i int) int) (all []int) {
		for i := range n {
			all = append(all, f(i))
		}
		return all
	}
	odd := func(i int) int { return i * 7919 % 97 }
	for _, tt := range []struct {
		name    string
		lengths []int
	}{
		{"Shadowsocks: a length and a check, a text and a check", each(100, func(i int) int { return 2 + 16 + 1 + odd(i)*5 + 16 })},
		{"obfs4: frames of random lengths", each(100, func(i int) int { return 21 + odd(i)*14 })},
		{"obfs4, as long as it may be", each(100, func(i int) int { return 1448 })},
		{"RLPx: frames of so many blocks", each(100, func(i int) int { return 32 + 16*(1+odd(i)%20) + 16 })},
		{"BIP 324: pings and lists", each(100, func(i int) int { return 20 + []int{9, 9, 37, 73, 13, 1 + odd(i)}[i%6] })},
		{"SSH", each(100, func(i int) int { return 36 + 8*(odd(i)%9) })},
		{"a game", each(100, func(i int) int { return []int{28, 12, 36, 4, 17, 31}[i%6] })},
		{"a backup", each(100, func(i int) int { return []int{1448, 1448, 1448, 700}[i%4] })},
		{"a pulse of one length", each(100, func(int) int { return 33 })},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, o, _ := stands(t, nil, 5)
			if n := o.going(50000, tt.lengths); n+w.out.resets != 0 {
				t.Errorf("%d connections ended", n)
			}
			if n, locked := w.e.Len(); n+locked != 0 || w.sets.cut() != 0 {
				t.Errorf("%d clients, %d locked, sets %+v", n, locked, w.sets)
			}
			consistent(t, w.e, w.sets)
		})
	}
}

// A connection is not ended if the mode forbids it, or if another program may have it.
func TestRunningSpared(t *testing.T) {
	mode := func(m Mode) func(*Config) {
		return func(c *Config) { c.Protocols[detect.ByName("bittorrent")].Mode = m }
	}
	for _, tt := range []struct {
		name   string
		change func(*Config)
		peers  int
		do     func(w *world, o *old)
	}{
		{"only watched", mode(Monitor), 2, func(_ *world, o *old) { o.going(50000, requests) }},
		{"off", mode(Off), 2, func(_ *world, o *old) { o.going(50000, requests) }},
		{"one peer", nil, 1, func(w *world, o *old) {
			for i, n := range append(requests, requests...) {
				o.says(50000, "203.0.113.80", 51000, bytesOf(i, n))
			}
			w.pass(time.Second)
			if s := w.e.standingOf(&[]nfq.Addr{ip(hostA)}[0]); !s.may.several || s.sent < 2 {
				w.t.Errorf("it has the lengths of requests, and was asked %d times", s.sent)
			}
		}},
		{"much later", nil, 2, func(w *world, o *old) {
			w.pass(standingTime)
			o.going(50000, requests)
		}},
		{"one address", nil, 2, func(_ *world, o *old) {
			for i, n := range append(requests, requests...) {
				o.says(50000+uint16(i%2), "203.0.113.80", 51000+uint16(i%2), bytesOf(i, n))
			}
		}},
		{"a server's port", nil, 2, func(_ *world, o *old) { o.going(30000, requests[:5]) }},
		{"a page's WebSockets, to servers that ask for it", nil, 2, func(_ *world, o *old) {
			for i := range 40 {
				for j, dst := range []string{"203.0.113.80", "203.0.113.81"} {
					o.says(50000+uint16(j), dst, 51000, "\x82\x8b"+bytesOf(i*2+j, 15))
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, o, _ := stands(t, tt.change, tt.peers, 30000, 30001)
			tt.do(w, o)
			if w.out.resets != 0 || w.locked(hostA) {
				t.Errorf("%d connections ended", w.out.resets)
			}
			consistent(t, w.e, w.sets)
		})
	}
}

// Data of an old connection of a client allocates nothing.
func TestRunningAllocatesNothing(t *testing.T) {
	w, _, _ := stands(t, nil, 5)
	w.out.recordNothing = true
	p, i := w.data(50000, "203.0.113.80", 51000, 1000, bytesOf(1, 17*600)), uint32(0)
	said := p.Payload
	p.PayloadLen = 17
	if n := testing.AllocsPerRun(500, func() {
		i++
		p.SrcPort, p.Dst, p.Seq = uint16(50000+i%7), ip("203.0.113.80"), i*17
		p.Dst[15], p.Payload = byte(80+i%7), said[17*i:][:17]
		w.e.Packet(p, w.now)
		w.e.Advance(w.now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if w.e.Counters.Cuts == 0 {
		t.Error("nothing was ended, so that this shows nothing")
	}
}

// A client that only uploads is asked at the port where somebody outside is connected to
// it.
func TestRunningSeed(t *testing.T) {
	w, _, p := stands(t, nil, 0, 40123)
	if n := len(p.asked); n != 4 || p.asked[n-1].Port != 40123 {
		t.Fatalf("asked at %v", p.asked)
	}
	w.e.ProbedTCP(p.id, []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), w.now)
	if len(w.e.Clients(w.now)) != 0 {
		t.Fatal("a web server is taken for a client")
	}
	w.e.ProbedTCP(p.id, []byte(random(200)), w.now)
	w.e.Advance(w.now)
	if !w.locked(hostA) {
		t.Fatal("not found")
	}
	w.wantOwn(hostA, 40123)
	consistent(t, w.e, w.sets)
}
