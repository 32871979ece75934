// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"sync"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

// worker is one queue with its engine.
type worker struct {
	_          [0]func() // is not compared, which would cost flash
	queue      *nfq.Queue
	sender     *nfq.Sender
	loop       *state.Loop
	sets       *nfq.SetWriter
	neighbours *nfq.NeighbourAsker
	saved      state.Counters // what the state file was written with
}

// openWorker opens queue number i of a configuration.
func openWorker(c *config.Config, i int, log *syslog.Logger) (*worker, error) {
	marks := c.Marks()
	q, degraded, err := nfq.Open(nfq.Config{
		Num: c.Queue + uint16(i), MaxLen: c.QueueLength,
		CopyRange: c.CopyRange, FailOpen: c.FailOpen, Marks: marks,
	})
	if err != nil {
		return nil, err
	}
	for _, line := range degraded {
		log.Warnf("%s", line)
	}
	w := &worker{queue: q}
	if w.sender, err = nfq.OpenSender(marks.Own); err != nil {
		_ = q.Close()
		return nil, err
	}
	return w, nil
}

// start gives the worker its engine, and the engine what it asks others with. The loop
// does not run yet.
func (w *worker) start(e *state.Engine, clock func() state.Time, beat func(), log *syslog.Logger) {
	w.loop = state.NewLoop(e, w.queue, clock)
	w.loop.OnBeat = beat
	e.SetProber(nfq.NewTCPProber(func(id uint64, answer []byte) {
		w.loop.Do(func(e *state.Engine, now state.Time) { e.ProbedTCP(id, answer, now) })
	}))
	var said sync.Once
	w.neighbours = nfq.NewNeighbourAsker(func(id uint64, info nfq.NeighbourInfo, err error) {
		mac := info.MAC
		if err != nil {
			said.Do(func() { log.Warnf("%v: whose address cannot be known is not locked (said once)", err) })
			mac = nfq.MAC{}
		}
		w.loop.Do(func(e *state.Engine, now state.Time) { e.Neighbour(id, mac, info.Addrs4 > 1, info.Invited, now) })
	})
	e.SetNeighbours(w.neighbours)
}

// snapshot returns the engine's state and counters. The state is nil when it need not be
// written: without all, when the engine did nothing since.
func (w *worker) snapshot(all bool) (b []byte, counters state.Counters) {
	take := func(e *state.Engine, now state.Time) {
		if counters = e.Counters; all || counters != w.saved {
			b = e.Snapshot(nil, now)
		}
	}
	if !w.loop.Do(take) {
		take(w.loop.Engine, w.loop.Now()) // the loop failed: nobody owns the engine
	}
	return b, counters
}

// useSets has the engine write into the kernel's sets from now on, or into none.
func (w *worker) useSets(k *nfq.KernelSets) {
	if w.sets != nil {
		old := w.sets
		w.loop.Do(func(e *state.Engine, now state.Time) { e.SetSets(nil, now) })
		_ = old.Close()
		w.sets = nil
	}
	if k == nil {
		return
	}
	var s *nfq.SetWriter
	s = nfq.NewSetWriter(k, func(batch uint64, err error) {
		// The engine knows what the kernel has taken.
		w.loop.Do(func(e *state.Engine, now state.Time) { e.SetsTaken(s, batch, err, now) })
	})
	w.sets = s
}

// close closes what the worker has; its loop must have ended.
func (w *worker) close() {
	if w.neighbours != nil {
		w.neighbours.Close()
	}
	if w.sets != nil {
		_ = w.sets.Close()
	}
	w.sender.Close()
	_ = w.queue.Close()
}

// workers are those of all queues.
type workers []*worker

// do runs f on every engine in turn.
func (all workers) do(f func(e *state.Engine, now state.Time)) {
	for _, w := range all {
		w.loop.Do(f)
	}
}

// setRepeat has the verdicts be what the rules expect.
func (all workers) setRepeat(on bool) {
	for _, w := range all {
		w.queue.SetRepeat(on)
	}
}

// suspect has hosts asked what they are. The answer comes to one of the workers.
func (all workers) suspect(hosts []nfq.AddrPort) {
	all.do(func(e *state.Engine, now state.Time) {
		for _, a := range hosts {
			e.Suspect(a, now)
		}
	})
}

// tellSets has every engine write what it knows into the kernel's sets.
func (all workers) tellSets() {
	for _, w := range all {
		if w.sets != nil {
			w.loop.Do(func(e *state.Engine, now state.Time) { e.SetSets(w.sets, now) })
		}
	}
}

// lockSharer has a host that is locked in one queue locked in all.
type lockSharer chan heldBy

// heldBy is a lock, and the engine that has it.
type heldBy struct {
	state.Held
	engine *state.Engine
}

// of returns the OnLock of an engine.
func (s lockSharer) of(e *state.Engine) func(*state.Held) {
	return func(x *state.Held) {
		select {
		case s <- heldBy{*x, e}:
		default: // it is told again when the lock is renewed
		}
	}
}

// run shares until done is closed.
func (s lockSharer) run(done <-chan struct{}, all workers) {
	for {
		select {
		case <-done:
			return
		case x := <-s:
			all.do(func(e *state.Engine, now state.Time) {
				if e != x.engine {
					e.Hold(&x.Held, now)
				}
			})
		}
	}
}
