// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"errors"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// TestLocksAreShared: what one queue's engine locks, the others lock too: packets of a host
// may come by any queue. Only the first one reports the client.
func TestLocksAreShared(t *testing.T) {
	h := newHouse(t, 3)
	h.helpers.Go(func() { h.locks.run(h.done, h.workers) })
	h.helpers.Go(func() { h.journal.Run(h.done, h.listener.each()) })
	// A connection of the host is refused while the host is locked.
	cut := func(engine int) bool {
		v := nfq.Accept
		h.workers[engine].loop.Do(func(e *state.Engine, now state.Time) {
			v = e.Packet(&nfq.Packet{
				Hook: nfq.HookForward, InDev: loopback, OutDev: 99, MAC: nfq.MAC{2, 0, 0, 0, 0, 50}, Version: 4, Proto: nfq.ProtoTCP,
				Src: nfq.Addr{10: 0xff, 0xff, 127, 0, 0, 50}, Dst: nfq.Addr{10: 0xff, 0xff, 198, 51, 100, 7},
				SrcPort: 5000, DstPort: 7000, TCPFlags: nfq.SYN,
			}, now)
		})
		return v == nfq.Drop
	}
	if cut(0) || cut(2) {
		t.Error("dropped before it was found")
	}
	h.ping(1, "127.0.0.50")
	eventually(t, "a lock in each engine", func() bool { return cut(0) && cut(1) && cut(2) })
	reported := 0
	for i := range h.workers {
		clients, _ := h.count(i)
		reported += clients
	}
	if reported != 1 {
		t.Errorf("%d engines count the client", reported)
	}
	eventually(t, "an event", func() bool { return h.journal.Last() > 0 })
	found := 0
	for _, e := range h.journal.Since(0) {
		if e.Class == state.ClassClient && e.What == state.EventFound {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%d events of one client found", found)
	}
}

// TestLockSharerDoesNotWait: an engine that locks many hosts at once is not held up by the
// others.
func TestLockSharerDoesNotWait(t *testing.T) {
	s := make(lockSharer, 2)
	share := s.of(nil)
	for i := range 5 {
		share(&state.Held{MAC: nfq.MAC{5: byte(i)}})
	}
	for i := range 2 {
		if x := <-s; x.MAC[5] != byte(i) {
			t.Errorf("lock %d is that of host %d", i, x.MAC[5])
		}
	}
}

// TestSnapshot: an engine is saved when something was counted, or at the end. An engine whose
// queue has failed is saved as well.
func TestSnapshot(t *testing.T) {
	h := newHouse(t, 1)
	w := h.workers[0]
	saved := func(all bool) bool {
		b, counters := w.snapshot(all)
		if b != nil {
			w.saved = counters
		}
		return b != nil
	}
	for _, x := range []struct {
		name   string
		change func()
		all    bool
		want   bool
	}{
		{"nothing yet", func() {}, false, false},
		{"a packet", func() { h.ping(0, "127.0.0.50") }, false, true},
		{"nothing since", func() {}, false, false},
		{"the end", func() {}, true, true},
	} {
		x.change()
		if got := saved(x.all); got != x.want {
			t.Errorf("%s: saved %v", x.name, got)
		}
	}
	h.sources[0].fail <- errors.New("no buffer")
	<-h.failed
	b, _ := w.snapshot(true)
	e := engine()
	if err := e.Restore(b, state.Time(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if clients, locked := e.Len(); clients != 1 || locked != 1 {
		t.Errorf("after a failure %d clients are saved, %d of them locked", clients, locked)
	}
}
