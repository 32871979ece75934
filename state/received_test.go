// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// comes passes writes of a peer to the host, cut into segments, in a connection from the
// host's port to the peer's. It returns whether one was dropped, and where that began.
func (w *world) comes(src string, sport, dport uint16, writes []string) (dropped bool, at uint32) {
	at = 5000
	for _, b := range writes {
		for b != "" {
			n := min(len(b), 1448)
			p := reply(src, sport, dport, at, b[:n])
			if b = b[n:]; b != "" {
				p.TCPFlags &^= nfq.PSH
			}
			v := w.e.Packet(p, w.now)
			w.e.Advance(w.now)
			if v == nfq.Drop {
				return true, at
			}
			at += uint32(n)
		}
	}
	return false, at
}

// What comes in on an old connection of a locked host tells that it is the client's, while
// the client waits for it and says nothing.
func TestReceived(t *testing.T) {
	const peer = "203.0.113.80"
	clear := func(i int) string {
		return "\x00\x00\x40\x09\x07\x00\x00\x00" + string(rune(i)) + "\x00\x00\x40\x00" + strings.Repeat("piece", 1<<12)[:1<<14]
	}
	plain := []string{clear(1), clear(2), clear(3)}
	var ciphered, packed, tls []string
	for i := range 8 {
		ciphered = append(ciphered, bytesOf(i, 13), bytesOf(i, 1<<14))
		packed = append(packed, bytesOf(i, 1<<14))
		tls = append(tls, "\x17\x03\x03\x40\x11"+bytesOf(i, 1<<14+17))
	}
	for _, tt := range []struct {
		name   string
		port   uint16
		lport  uint16
		writes []string
		cut    bool
		before func(w *world)
	}{
		{"blocks in clear", 51000, 4000, plain, true, nil},
		{"blocks in clear, from a service's port", 443, 4000, plain, true, nil},
		{"enciphered blocks", 51000, 4000, ciphered, true, nil},
		{"enciphered blocks, from a service's port", 443, 4000, ciphered, true, nil},
		{"what looks random, where peers listen", 51413, 4000, packed, true, nil},
		{"little that looks random, where peers listen", 51413, 4000, packed[:1], false, nil},
		{"TLS, where peers listen", 51413, 4000, tls, false, nil},
		{"what looks random, elsewhere", 8388, 4000, packed, false, nil},
		{"a packed file by HTTP", 8000, 4000, append([]string{"HTTP/1.1 200 OK\r\n\r\n"}, packed...), false, nil},
		{"the host serves others there", 51413, 22, packed, false, nil},
		{"it was opened after the lock", 51413, 4000, packed, false, func(w *world) { w.open(4000, peer, 51413) }},
		{"it was judged after the lock", 51413, 4000, packed, false, func(w *world) {
			w.open(4000, peer, 51413)
			w.wantVerdict("a request", w.e.Packet(w.data(4000, peer, 51413, 1000, "GET / HTTP/1.0\r\n\r\n"), w.now), nfq.AcceptDecided)
		}},
		{"it is another program's, as was seen there before", 51413, 4000, packed, false, func(w *world) {
			w.open(4001, peer, 51413)
			w.wantVerdict("a request", w.e.Packet(w.data(4001, peer, 51413, 1000, "GET / HTTP/1.0\r\n\r\n"), w.now), nfq.AcceptDecided)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			if dropped, _ := w.comes(peer, tt.port, tt.lport, tt.writes); dropped || w.out.resets != 0 {
				t.Fatal("cut on a host that is not locked")
			}
			w = lockedTorrent(t, nil)
			w.pass(time.Second)
			if tt.before != nil {
				tt.before(w)
			}
			dropped, at := w.comes(peer, tt.port, tt.lport, tt.writes)
			if dropped != tt.cut || (w.out.resets == 1) != tt.cut {
				t.Fatalf("cut %v, %d resets", dropped, w.out.resets)
			}
			if !tt.cut {
				return
			}
			p := &w.out.lastReset
			if p.Src != ip(hostA) || p.SrcPort != tt.lport || p.Dst != ip(peer) || p.DstPort != tt.port || p.Ack != at || p.InDev != lanDev {
				t.Errorf("reset %+v", p)
			}
			// More is under way. Each time the reset is sent again, as the host may have
			// received something else before.
			w.expect("more of it", reply(peer, tt.port, tt.lport, at+1448, bytesOf(1, 1448)), nfq.Drop)
			w.expect("what the host says", w.data(tt.lport, peer, tt.port, 1000, bytesOf(2, 17)), nfq.Drop)
			w.pass(cutDrops)
			w.expect("the same sent again", reply(peer, tt.port, tt.lport, at, bytesOf(1, 1448)), nfq.Accept)
			if w.out.again != 3 {
				t.Errorf("the reset was sent again %d times", w.out.again)
			}
			// Another one may be something else.
			sure := tt.port != 51413
			if dropped, _ := w.comes(peer, tt.port, tt.lport+1, tt.writes); dropped != sure {
				t.Errorf("the next one is cut: %v", dropped)
			}
			consistent(t, w.e, w.sets)
		})
	}
}

// The first data of an old connection after a pause begins a message, so two of them are
// enough to know a client's. The same data sent again is not two.
func TestInTheMiddleAfterAPause(t *testing.T) {
	const peer = "203.0.113.80"
	for _, tt := range []struct {
		name  string
		port  uint16
		pause time.Duration
		again bool
		says  []string
		cut   bool
	}{
		{"two messages", 51000, time.Second, false, []string{bytesOf(1, 37), bytesOf(2, 102)}, true},
		{"two messages without a pause", 51000, 0, false, []string{bytesOf(1, 37), bytesOf(2, 102)}, false},
		{"a message twice", 51000, time.Second, true, []string{bytesOf(1, 302), bytesOf(1, 302), bytesOf(1, 302)}, false},
		{"a message, where peers listen", 51413, 0, false, []string{bytesOf(1, 170)}, true},
		{"the same to a service", 443, time.Second, false, []string{bytesOf(1, 170)}, false},
		{"SSH, where peers listen", 51413, time.Second, false, []string{bytesOf(1, 36), bytesOf(2, 44), bytesOf(3, 52)}, false},
		{"TLS, where peers listen", 51413, time.Second, false, []string{"\x17\x03\x03\x01\x00" + bytesOf(1, 256)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := lockedTorrent(t, nil)
			w.pass(tt.pause)
			seq, cut := uint32(1000), false
			for _, b := range tt.says {
				cut = w.e.Packet(w.data(4000, peer, tt.port, seq, b), w.now) == nfq.Drop || cut
				if !tt.again {
					seq += uint32(len(b))
				}
			}
			if cut != tt.cut {
				t.Errorf("cut %v", cut)
			}
			consistent(t, w.e, w.sets)
		})
	}
}

// In mode mark the connection is marked, and goes on.
func TestReceivedMark(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Protocols[detect.ByName("bittorrent")].Mode = Mark })
	w.proveTorrent()
	w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.AcceptMarked)
	w.pass(time.Second)
	v := nfq.Accept
	for i := uint32(0); i < 20 && v == nfq.Accept; i++ {
		v = w.e.Packet(reply("203.0.113.80", 51413, 4000, 5000+1448*i, bytesOf(int(i), 1448)), w.now)
	}
	if v != nfq.AcceptMarked || w.out.resets != 0 {
		t.Errorf("verdict %d, %d resets", v, w.out.resets)
	}
}

// What comes in allocates nothing.
func TestReceivedAllocatesNothing(t *testing.T) {
	w := lockedTorrent(t, nil)
	w.out.recordNothing = true
	w.pass(time.Second)
	p, i := reply("203.0.113.80", 51000, 4000, 5000, bytesOf(1, 1448)), uint32(0)
	if n := testing.AllocsPerRun(1000, func() {
		i++
		p.DstPort, p.Seq = uint16(4000+i%100), 5000+1448*i
		w.e.Packet(p, w.now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
