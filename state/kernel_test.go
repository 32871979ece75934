// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"errors"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// slowSets accept a number of changes at once, and no more until the batch is taken. They
// may lose their contents.
type slowSets struct {
	*fakeSets
	size, used int
	batch      uint64
	lost       bool
}

func (s *slowSets) Cut(c, p nfq.Addr, d time.Duration) { s.add(); s.fakeSets.Cut(c, p, d) }
func (s *slowSets) Uncut(c, p nfq.Addr)                { s.add(); s.fakeSets.Uncut(c, p) }
func (s *slowSets) Lock(a nfq.Addr, d time.Duration)   { s.add(); s.fakeSets.Lock(a, d) }
func (s *slowSets) Unlock(a nfq.Addr)                  { s.add(); s.fakeSets.Unlock(a) }
func (s *slowSets) Watch(a nfq.Addr, d time.Duration)  { s.add(); s.fakeSets.Watch(a, d) }
func (s *slowSets) Unwatch(a nfq.Addr)                 { s.add(); s.fakeSets.Unwatch(a) }
func (s *slowSets) Mark(a nfq.Addr, d time.Duration)   { s.add(); s.fakeSets.Mark(a, d) }
func (s *slowSets) Unmark(a nfq.Addr)                  { s.add(); s.fakeSets.Unmark(a) }
func (s *slowSets) Own(a nfq.Addr, proto uint8, port uint16, d time.Duration) {
	s.add()
	s.fakeSets.Own(a, proto, port, d)
}

func (s *slowSets) Disown(a nfq.Addr, proto uint8, port uint16) {
	s.add()
	s.fakeSets.Disown(a, proto, port)
}
func (s *slowSets) Room() int { return s.size - s.used }
func (s *slowSets) add()      { s.used++ }

func (s *slowSets) Flush() uint64 {
	if s.used > 0 {
		s.batch++
	}
	return s.batch
}

func (s *slowSets) Lost() bool {
	lost := s.lost
	s.lost = false
	return lost
}

// pingMany pings n peers, at most 256. All pings are dropped. each is called after each of them.
func (w *world) pingMany(n int, each func()) {
	for i := range n {
		p := w.ping("198.51.100.7")
		p.Dst[15] = byte(i)
		w.expect("ping", p, nfq.Drop)
		each()
	}
}

// TestSlowKernel: changes that do not fit are sent later. Connections are looked for when
// the kernel has all changes.
func TestSlowKernel(t *testing.T) {
	w := newWorld(t, nil)
	s := &slowSets{fakeSets: w.sets, size: 64}
	w.e.SetSets(s, w.now)
	cut := 0
	w.e.OnCut = func() { cut++ }
	w.prove()
	const peers = 200
	w.pingMany(peers, func() {
		if s.used > s.size {
			t.Fatalf("%d changes in room for %d", s.used, s.size)
		}
	})
	if n := len(s.cuts); n > s.size {
		t.Fatalf("%d pairs in room for %d", n, s.size)
	}
	if w.flowsToCut() != "" {
		t.Error("connections are looked for before the kernel has the sets")
	}
	for i := 0; len(s.cuts) < peers+1 && i < 20; i++ {
		s.used = 0
		w.e.SetsTaken(s, s.batch, nil, w.now)
	}
	if len(s.cuts) != peers+1 || s.locks[hostA] == 0 || cut == 0 {
		t.Errorf("%d pairs of %d, locks %v, told %d times", len(s.cuts), peers+1, s.locks, cut)
	}
	s.used = 0
	w.e.SetsTaken(s, s.batch, nil, w.now)
	if w.flowsToCut() == "" {
		t.Error("no connections are looked for")
	}
	// Lost changes are sent again.
	clear(s.cuts)
	clear(s.locks)
	s.lost, s.used = true, 0
	for i := 0; len(s.cuts) < peers+1 && i < 20; i++ {
		w.pass(time.Millisecond)
		s.used = 0
		w.e.SetsTaken(s, s.batch, errors.New("the kernel refuses"), w.now)
	}
	if len(s.cuts) != peers+1 || s.locks[hostA] == 0 || w.e.Counters.SetErrors == 0 {
		t.Errorf("%d pairs of %d, locks %v, %d errors", len(s.cuts), peers+1, s.locks, w.e.Counters.SetErrors)
	}
	// The release removes everything, as there is room.
	for range 100 {
		w.pass(time.Second)
		s.used = 0
		w.e.SetsTaken(s, s.batch, nil, w.now)
	}
	if len(s.cuts)+len(s.locks) != 0 {
		t.Errorf("left: %d pairs, locks %v", len(s.cuts), s.locks)
	}
	// A batch of other sets does not count for these.
	w.e.SetsTaken(&slowSets{fakeSets: newFakeSets()}, 99, nil, w.now)
	if w.e.taken == 99 {
		t.Error("a batch of other sets was counted")
	}
}

// TestInvitedConduct: a server that sends back what it gets proves nothing, by UDP either.
func TestInvitedConduct(t *testing.T) {
	w, n := withNeighbours(t, nil)
	for range 5 {
		w.proveTorrent()
		w.expect("an echo", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
		if len(n.asked) > 1 {
			t.Fatalf("asked %d times", len(n.asked))
		}
		for _, id := range n.asked {
			w.e.Neighbour(id, macA, false, true, w.now)
		}
		n.asked, n.addrs = nil, nil
		w.goesOn("an echo", "198.51.100.7")
		w.pass(11 * time.Second)
	}
	w.proveTorrent()
	w.expect("a query", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	n.answer(w)
	if !w.locked(hostA) {
		t.Error("not found by what it says of its own")
	}
}

// TestSetsAgainAndAgain: whoever removes the sets several times in a row does not use up what
// the host may cause. The kernel gets all peers each time.
func TestSetsAgainAndAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.prove()
	const peers = 200
	w.pingMany(peers, func() {})
	for i := range 4 {
		s := newFakeSets()
		w.e.SetSets(s, w.now)
		if len(s.cuts) != peers+1 || s.locks[hostA] == 0 {
			t.Errorf("time %d: %d pairs of %d, locks %v", i+1, len(s.cuts), peers+1, s.locks)
		}
	}
}

// TestFoundBefore: the beginnings of a released client's connections are still queued, until it
// is forgotten or its address is another host's.
func TestFoundBefore(t *testing.T) {
	w := newWorld(t, nil)
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	if !w.locked(hostA) || len(w.sets.looked) != 0 {
		t.Errorf("while it is locked: %v", w.sets.looked)
	}
	for w.locked(hostA) {
		w.pass(time.Second)
	}
	if got := w.sets.looked[hostA]; got != w.e.cfg.Forget || len(w.sets.looked) != 1 {
		t.Errorf("a released client is looked at for %v, want %v: %v", got, w.e.cfg.Forget, w.sets.looked)
	}
	w.pass(2 * ownership)
	p := w.ping("198.51.100.9")
	p.MAC = nfq.MAC{2, 0, 0, 0, 0, 77}
	w.e.Packet(p, w.now)
	if len(w.sets.looked) != 0 {
		t.Errorf("another host has the address: %v", w.sets.looked)
	}
}
