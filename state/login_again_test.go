// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

const (
	adcGet  = "CGET file TTH/OKIOMQFREZ7M6G7B5X27GEXLA5CND2P5HSMITHQ 1048576 1048576\n"
	nmdcGet = "$ADCGET file TTH/OKIOMQFREZ7M6G7B5X27GEXLA5CND2P5HSMITHQ 1048576 1048576|"
)

// TestLoginAgain: a client that runs when the engine starts says something that shows what it
// is, and is asked in its hub's name, in the session that it has.
func TestLoginAgain(t *testing.T) {
	const peer = "203.0.113.80"
	unknown := func(w *world) string {
		name := w.word(" NI")
		return fmt.Sprintf("DSTA AAAC %s 241 Protocol\\sunknown PR%s/1.0 TO%s\n", name[4:], name, name)
	}
	back := func(w *world) string { return "$RevConnectToMe bob " + w.word("$Hello ") + "|" }
	for _, tt := range []struct {
		name  string
		peer  string // what it says to another client
		hub   string // what it says to its hub
		port  uint16 // of the hub
		reply func(w *world) string
		asked bool
		found bool
	}{
		{"the next part of a file", adcGet, "", 1511, unknown, true, true},
		{"the same by NMDC", nmdcGet, "", 1511, back, true, true},
		{"something to the hub", "", "BINF AAAC HN1\n", 1511, unknown, true, true},
		{"the same by NMDC", "", "$Search Hub:bob F?T?0?9?TTH:A|", 1511, back, true, true},
		{"something to a hub at another port", "", "BINF AAAC HN1\n", 5000, unknown, true, true},
		{"the same by NMDC", "", "$Search Hub:bob F?T?0?9?TTH:A|", 4111, back, true, true},
		{"the next part of a file, and the hub is at another port", adcGet, "", 5000, nil, false, false},
		{"no reply", adcGet, "", 1511, nil, true, false},
		{"our words come back", adcGet, "", 1511, func(w *world) string { return string(w.answer()) }, true, false},
		{"what it says by itself", adcGet, "", 1511, func(*world) string { return nmdcInfo }, true, false},
		{"another's number", adcGet, "", 1511, func(*world) string { return "DSTA AAAC AAAB 241 x PRx TO1\n" }, true, false},
		{"an unknown request", "GET / HTTP/1.1\r\n\r\n", "", 1511, nil, false, false},
		{"nothing", "", "", 1511, nil, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := func(port uint16, to string, at uint16) nfq.Conn {
				return nfq.Conn{Port: port, To: nfq.AddrPort{Addr: ip(to), Port: at}}
			}
			hub := nfq.AddrPort{Addr: ip(hubA), Port: tt.port}
			w, o, _ := standsFor(t, nil, nfq.Standing{Peers: 3, Met: [16]nfq.AddrPort{hub}, Open: []nfq.Conn{
				conn(50000, hubA, tt.port), conn(50001, peer, 7412), conn(50002, "203.0.113.81", 8388),
			}})
			w.pass(3 * time.Second)
			var last *nfq.Packet // what the host has said in the session with the hub
			if tt.peer != "" {
				o.says(50001, peer, 7412, tt.peer)
				last = w.data(50000, hubA, tt.port, 9000, "")
				w.e.Packet(last, w.now)
				w.wantVerdict("another connection", w.e.Packet(w.data(50002, "203.0.113.81", 8388, 9000, ""), w.now), nfq.Accept)
			}
			if tt.hub != "" {
				last = w.data(50000, hubA, tt.port, 9000, tt.hub)
				w.e.Packet(last, w.now)
			}
			asked := len(w.out.handshakes) > 0 && bytes.Contains(w.answer(), []byte("|$RevConnectToMe "))
			asked = asked || len(w.out.handshakes) > 0 && bytes.Contains(w.answer(), []byte("\nDCTM "))
			if asked != tt.asked {
				t.Fatalf("asked: %v; %q", asked, w.out.handshakes)
			}
			if tt.reply != nil {
				p := w.data(50000, hubA, tt.port, last.Seq+uint32(len(last.Payload)), tt.reply(w))
				p.Ack = last.Ack + uint32(len(w.answer()))
				w.expect("what follows", p, nfq.Drop)
			}
			w.pass(handshakeTime + 100*time.Millisecond)
			if w.locked(hostA) != tt.found {
				t.Fatalf("locked: %v; clients %+v", w.locked(hostA), w.e.Clients(w.now))
			}
			want := 0 // the connection with the peer, and that with the hub
			if tt.asked {
				want++
			}
			if tt.peer == adcGet || tt.peer == nmdcGet {
				want++
			}
			if w.out.resets != want {
				t.Errorf("%d resets, want %d", w.out.resets, want)
			}
			if tt.found {
				if c := w.e.Clients(w.now)[0]; c.Proof != ProofAnswer || c.Protocol != &detect.DirectConnect {
					t.Errorf("client %+v", c)
				}
			}
			consistent(t, w.e, w.sets)
		})
	}
}
