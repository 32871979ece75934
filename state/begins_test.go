// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"fmt"
	"testing"

	"github.com/p2pwall/p2pwall/nfq"
)

// firstData is the first data of a connection whose SYN the kernel let pass.
func (w *world) firstData(sport uint16, dst string, dport uint16, seq uint32, text string) *nfq.Packet {
	p := w.data(sport, dst, dport, seq, text)
	p.Begins = true
	return p
}

// TestBegins: a connection whose SYN was not queued is read as any other from its first data
// on, at each port.
func TestBegins(t *testing.T) {
	for _, port := range []uint16{22, 25, 80, 443, 6881} {
		for _, parts := range [][]string{
			{handshake},
			{handshake[:30], handshake[30:]},
			{"GET / HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: curl/8.0\r\n\r\n"},
			{"GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=-TR3000-aaaaaaaaaaaa&port=51413&uploaded=0 HTTP/1.1\r\n", "Host: x.example\r\n\r\n"},
			{hello("www.example.org")},
			{random(100), random(200)},
		} {
			t.Run(fmt.Sprintf("%d %.10q %d", port, parts[0], len(parts)), func(t *testing.T) {
				told := func(syn bool) (v []nfq.Verdict, locked bool, own []string) {
					w := newWorld(t, nil)
					for i, to := range []string{"203.0.113.80", "203.0.113.81", "203.0.113.82"} {
						sport, seq := uint16(4000+i), uint32(1000)
						if syn {
							w.open(sport, to, port)
						}
						for j, part := range parts {
							p := w.data(sport, to, port, seq, part)
							p.Begins = j == 0 && !syn
							v = append(v, w.e.Packet(p, w.now))
							w.e.Advance(w.now)
							seq += uint32(len(part))
						}
					}
					for x := range w.sets.own {
						own = append(own, fmt.Sprint(x))
					}
					return v, w.locked(hostA), own
				}
				want, locked, own := told(true)
				got, l, o := told(false)
				if fmt.Sprint(got) != fmt.Sprint(want) || l != locked || len(o) != len(own) {
					t.Errorf("verdicts %v, locked %v, ports %v; with the SYN %v, %v, %v", got, l, o, want, locked, own)
				}
			})
		}
	}
}

// TestBeginsAfterSYN: if the SYN was queued all the same, its sequence number counts.
func TestBeginsAfterSYN(t *testing.T) {
	w := newWorld(t, nil)
	w.open(4000, "203.0.113.80", 443) // its data begins at 1000
	w.expect("the second part first", w.firstData(4000, "203.0.113.80", 443, 1030, handshake[30:]), nfq.Accept)
	w.expect("the first part", w.data(4000, "203.0.113.80", 443, 1000, handshake[:30]), nfq.Drop)
}

// TestBegunBeforeStrictLock: of a host under a strict lock no connection begins that was
// opened just before.
func TestBegunBeforeStrictLock(t *testing.T) {
	w := newWorld(t, nil)
	w.expect("before", w.firstData(4000, "203.0.113.80", 80, 1000, "GET / HTTP/1.1\r\n"), nfq.Accept)
	w.prove()
	w.expect("a ping", w.ping("192.0.2.2"), nfq.Drop)
	if !w.locked("192.168.1.50") {
		t.Fatal("not locked")
	}
	w.expect("the first data", w.firstData(4001, "203.0.113.81", 80, 1000, "GET / HTTP/1.1\r\n"), nfq.Drop)
	w.expect("the same again", w.data(4001, "203.0.113.81", 80, 1000, "GET / HTTP/1.1\r\n"), nfq.Drop)
	if w.e.Counters.Cuts != 1 {
		t.Errorf("%d connections are cut", w.e.Counters.Cuts)
	}
	w.pass(3 * w.e.cfg.LockTime)
	w.expect("after the lock", w.firstData(4002, "203.0.113.82", 80, 1000, "GET / HTTP/1.1\r\n"), nfq.Accept)
}
