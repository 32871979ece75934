// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// greeted returns a program's answer to a handshake for its torrent.
func greeted(q []byte) []byte {
	return append(append([]byte(nil), q[:48]...), "-TR3000-abcdefghijkl"...)
}

// TestGreetingProves: a program answers only a handshake in clear. The torrent that it
// announced is enough to prove it and to keep it locked.
func TestGreetingProves(t *testing.T) {
	w := newWorld(t, nil)
	p := &prober{}
	w.e.SetProber(p)
	w.open(4000, "203.0.113.80", 6969)
	w.expect("announce", w.data(4000, "203.0.113.80", 6969, 1000, announceLine+"\r\n"), nfq.Drop)
	if len(p.request) != 68 || !strings.HasPrefix(string(p.request), "\x13BitTorrent protocol") || string(p.request[28:32]) != "\xaeF\x021" {
		t.Fatalf("asked by %q", p.request)
	}
	w.e.ProbedTCP(p.id, p.request, w.now) // an echo
	w.e.Advance(w.now)
	if n := len(w.e.Clients(w.now)); n != 0 {
		t.Fatalf("%d clients by an echo", n)
	}
	w.e.ProbedTCP(p.id, greeted(p.request), w.now)
	w.e.Advance(w.now)
	if !w.locked("192.168.1.50") {
		t.Fatalf("clients %+v", w.e.Clients(w.now))
	}
	held := func(periods int, answers bool) bool {
		for range periods * int(w.e.cfg.LockTime/time.Second) {
			before := p.id
			w.pass(time.Second)
			if p.id != before && answers && len(p.request) == 68 {
				w.e.ProbedTCP(p.id, greeted(p.request), w.now)
			}
			if !w.locked("192.168.1.50") {
				return false
			}
		}
		return true
	}
	if !held(10, true) {
		t.Error("released while the program answers")
	}
	if held(2, false) {
		t.Error("not released when it does not")
	}
}

// TestAnswersAreBounded: a client gets just enough answers to keep it talking. Its other
// queries are dropped without an answer, and renew the lock.
func TestAnswersAreBounded(t *testing.T) {
	w := lockedTorrent(t, nil)
	const seconds = 60
	for range seconds * 85 {
		w.expect("a query", w.speaks("198.51.100.7", 6881, dhtFind), nfq.Drop)
		w.pass(time.Second / 85)
	}
	if n, most := len(w.out.udp), answersAtOnce+answersPerSecond*(seconds+1); n > most || n < most/2 {
		t.Errorf("%d answers in %d seconds, at most %d", n, seconds, most)
	}
	if !w.locked("192.168.1.50") {
		t.Error("released")
	}
}
