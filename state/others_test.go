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

// TestOthers: something points to a client of Direct Connect that has asked for all of a file
// before the engine started. The other ends of its connections are asked, and the connection
// ends whose other end answers as such a client. It fails if another connection ends, if the
// host is locked without a proof, or if strangers are asked for nothing.
func TestOthers(t *testing.T) {
	const peer, other, peerPort = "203.0.113.80", "203.0.113.81", 7412
	const plain, secret = 0, 1 // which question is answered
	const inClear = "CSUP ADBASE ADTIGR\nCINF IDJC6EO4LTX6ZYQMGFFHRDP3FLMDP4T3DKAESBPLY\n"
	const byTLS = "\x16\x03\x03\x00\x4a\x02\x06\x03U\x04\x03\x0c\x27JC6EO4LTX6ZYQMGFFHRDP3FLMDP4T3DKAESBPLY0"
	monitor := func(c *Config) { c.Protocols[detect.ByName("directconnect")].Mode = Monitor }
	for _, tt := range []struct {
		name   string
		change func(*Config)
		hub    uint16 // its port
		at     uint16 // the host's port of the connection in which this comes in
		heard  string
		way    int
		answer string
		asked  bool
		cut    bool
	}{
		{"a hub at a usual port", nil, 411, 0, "", plain, inClear, true, true},
		{"the same, and a transfer by TLS", nil, 1511, 0, "", secret, byTLS, true, true},
		{"a hub at another port says who searches", nil, 4111, 50000, "$Search Hub:eve F?T?0?9?TTH:A|", plain, inClear, true, true},
		{"the same by ADC", nil, 5000, 50000, "BINF AAAB HN1\n", secret, byTLS, true, true},
		{"the next part of a file comes", nil, 5000, 50001, strings.Replace(adcGet, "CGET", "CSND", 1), plain, inClear, true, true},
		{"the answer to the other question", nil, 411, 0, "", secret, inClear, true, false},
		{"another program answers", nil, 411, 0, "", plain, "SSH-2.0-OpenSSH_9.2\r\n", true, false},
		{"a web server answers by TLS", nil, 411, 0, "", secret, "\x16\x03\x03\x00\x4a\x02\x06\x03U\x04\x03\x0c\x0fwww.example.net0", true, false},
		{"it sends back what it gets", nil, 411, 0, "", plain, "CSUP ADBASE ADTIGR\n", true, false},
		{"nobody answers", nil, 411, 0, "", plain, "", true, false},
		{"nothing points to a client", nil, 5000, 0, "", plain, inClear, false, false},
		{"a connection that is new", nil, 5000, 50009, "$Search Hub:eve F?T?0?9?TTH:A|", plain, inClear, false, false},
		{"IRC", nil, 5000, 50000, ":eve!e@example.net PRIVMSG #dc :$Search Hub:eve F?T?0?9?TTH:A|\r\n", plain, inClear, false, false},
		{"SMTP", nil, 5000, 50000, "250-BINF AAAB HN1\r\n", plain, inClear, false, false},
		{"a chat", nil, 5000, 50000, "<eve> BINF AAAB\n", plain, inClear, false, false},
		{"a WebSocket", nil, 5000, 50000, "\x81\x1e$Search Hub:eve F?T?0?9?TTH:A|", plain, inClear, false, false},
		{"only watched", monitor, 411, 0, "", plain, inClear, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := func(port uint16, to string, at uint16) nfq.Conn {
				return nfq.Conn{Port: port, To: nfq.AddrPort{Addr: ip(to), Port: at}}
			}
			open := []nfq.Conn{conn(50000, hubA, tt.hub), conn(50001, peer, peerPort), conn(50002, other, 8388)}
			w, _, p := standsFor(t, tt.change, nfq.Standing{Peers: 3, Met: [16]nfq.AddrPort{open[0].To}, Open: open})
			if tt.heard != "" {
				to := nfq.AddrPort{Addr: ip(other), Port: 8388}
				if i := slices.IndexFunc(open, func(c nfq.Conn) bool { return c.Port == tt.at }); i >= 0 {
					to = open[i].To
				}
				w.comes(to.Addr.String(), to.Port, tt.at, []string{tt.heard})
			}
			w.looked()
			w.pass(time.Second)
			var asked, answered int
			for i, a := range p.asked {
				if a.Addr == ip(hostA) {
					continue
				}
				asked++
				if slices.Contains(detect.DirectConnect.Servers, a.Port) {
					t.Errorf("asked at the port of a hub: %v", a)
				}
				if a.Addr == ip(peer) && int(p.ids[i]>>32&1) == tt.way {
					answered++
					w.e.ProbedTCP(p.ids[i], []byte(tt.answer), w.now)
				}
			}
			if (asked > 0) != tt.asked || (answered == 1) != tt.asked {
				t.Fatalf("asked %v", p.asked)
			}
			if _, ok := w.looked()[ip(hostA)]; ok != tt.cut {
				t.Errorf("its connections get another look: %v", ok)
			}
			if dropped, _ := w.comes(peer, peerPort, 50001, []string{bytesOf(1, 1448)}); dropped != tt.cut {
				t.Errorf("the file's next bytes are dropped: %v", dropped)
			}
			if stirred := len(w.out.handshakes) > 0; stirred != (tt.cut && (tt.hub < 4000 || tt.at == 50000)) {
				t.Errorf("it is asked in the session with its hub: %v", stirred)
			}
			if dropped, _ := w.comes(other, 8388, 50002, []string{bytesOf(2, 1448)}); dropped {
				t.Error("another connection is cut")
			}
			if s := w.e.Suspects(w.now); (len(s) == 1 && s[0].Protocol == &detect.DirectConnect) != tt.cut {
				t.Errorf("suspects %+v", s)
			}
			n := len(p.asked)
			w.pass(time.Minute)
			for _, a := range p.asked[n:] {
				if a.Addr != ip(hostA) {
					t.Errorf("asked once more: %v", a)
				}
			}
			if w.locked(hostA) {
				t.Error("locked without a proof")
			}
			consistent(t, w.e, w.sets)
		})
	}
}

// otherEnd answers the question in clear to another end as a client does.
func (w *world) otherEnd(p *prober, peer nfq.AddrPort) {
	for i, a := range p.asked {
		if a == peer && p.ids[i]>>32&1 == 0 {
			w.e.ProbedTCP(p.ids[i], []byte("CSUP ADBASE ADTIGR\nCINF IDJC6EO4LTX6ZYQMGFFHRDP3FLMDP4T3DKAESBPLY\n"), w.now)
		}
	}
}

// TestOthersHub: when the other end has answered, the host is asked in the session with its hub.
// It fails if the host is locked by that alone, or is not found by its own reply.
func TestOthersHub(t *testing.T) {
	for _, replies := range []bool{false, true} {
		hub := nfq.AddrPort{Addr: ip(hubA), Port: 1511}
		peer := nfq.AddrPort{Addr: ip("203.0.113.80"), Port: 7412}
		open := []nfq.Conn{{Port: 50000, To: hub}, {Port: 50001, To: peer}}
		w, _, p := standsFor(t, nil, nfq.Standing{Peers: 2, Met: [16]nfq.AddrPort{hub}, Open: open})
		w.otherEnd(p, peer)
		last := w.data(50000, hubA, hub.Port, 9000, "") // what the byte from long ago brings about
		w.wantVerdict("an acknowledgement to the hub", w.e.Packet(last, w.now), nfq.Drop)
		if replies {
			name := w.word(" NI")
			q := w.data(50000, hubA, hub.Port, last.Seq, "DSTA AAAC "+name[4:]+" 241 Protocol\\sunknown PR"+name+"/1.0 TO"+name+"\n")
			q.Ack = last.Ack + uint32(len(w.answer()))
			w.expect("its reply", q, nfq.Drop)
		}
		w.pass(handshakeTime + 100*time.Millisecond)
		if w.locked(hostA) != replies || w.out.resets != 1 {
			t.Errorf("replies %v: locked %v, %d resets", replies, w.locked(hostA), w.out.resets)
		}
		consistent(t, w.e, w.sets)
	}
}

// TestOthersGreet: a hub at another port says something after the other end has answered. The
// host has to get that first, or it would take it for the beginning of what is said in the
// hub's name.
func TestOthersGreet(t *testing.T) {
	hub, elsewhere := nfq.AddrPort{Addr: ip(hubA), Port: 411}, nfq.AddrPort{Addr: ip("203.0.113.81"), Port: 4111}
	peer := nfq.AddrPort{Addr: ip("203.0.113.80"), Port: 7412}
	open := []nfq.Conn{{Port: 50000, To: elsewhere}, {Port: 50001, To: peer}}
	w, _, p := standsFor(t, nil, nfq.Standing{Peers: 2, Met: [16]nfq.AddrPort{hub}, Open: open})
	w.otherEnd(p, peer)
	n := len(w.out.handshakes)
	w.comes("203.0.113.81", 4111, 50000, []string{"$Search Hub:eve F?T?0?9?TTH:A|"})
	w.pass(standingGreet - time.Millisecond)
	if len(w.out.handshakes) != n {
		t.Error("the connection with the hub is stirred at once")
	}
	w.pass(2 * time.Millisecond)
	if len(w.out.handshakes) != n+2 {
		t.Errorf("%d bytes were sent in the name of the hub", len(w.out.handshakes)-n)
	}
	consistent(t, w.e, w.sets)
}

// TestOthersLate: an answer about a connection that the host does not have, or after the
// record has gone, does nothing.
func TestOthersLate(t *testing.T) {
	const answer = "CSUP ADBASE ADTIGR\nCINF IDJC6EO4LTX6ZYQMGFFHRDP3FLMDP4T3DKAESBPLY\n"
	hub := nfq.AddrPort{Addr: ip(hubA), Port: 411}
	open := []nfq.Conn{{Port: 50001, To: nfq.AddrPort{Addr: ip("203.0.113.80"), Port: 7412}}}
	w, _, p := standsFor(t, nil, nfq.Standing{Peers: 1, Met: [16]nfq.AddrPort{hub}, Open: open})
	at := slices.IndexFunc(p.asked, func(a nfq.AddrPort) bool { return a == open[0].To })
	if at < 0 {
		t.Fatalf("asked %v", p.asked)
	}
	id := p.ids[at] &^ (1 << 32) // the question in clear
	for _, wrong := range []uint64{id ^ 1, id | 1<<34, id | 0x7ff0<<32, id | 1<<50} {
		w.e.ProbedTCP(wrong, []byte(answer), w.now)
	}
	w.pass(standingTime + time.Second)
	w.e.ProbedTCP(id, []byte(answer), w.now)
	if n := w.e.Counters.Cuts; n != 0 {
		t.Errorf("%d connections were cut", n)
	}
}
