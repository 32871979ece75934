// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"sync"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

type worker struct {
	_          [0]func() // not comparable: the code for == would cost flash
	queue      *nfq.Queue
	sender     *nfq.Sender
	loop       *state.Loop
	sets       *nfq.SetWriter
	neighbours *nfq.NeighbourAsker
	saved      state.Counters // the counters when the state file was written
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

// start gives the worker its engine, and the engine its TCP prober and its neighbour
// lookup. It does not start the loop.
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

// snapshot returns the engine's state and counters. The state is nil if all is false and
// the counters are the same as at the last save.
func (w *worker) snapshot(all bool) (b []byte, counters state.Counters) {
	take := func(e *state.Engine, now state.Time) {
		if counters = e.Counters; all || counters != w.saved {
			b = e.Snapshot(nil, now)
		}
	}
	if !w.loop.Do(take) {
		take(w.loop.Engine, w.loop.Now()) // the loop failed: no goroutine owns the engine
	}
	return b, counters
}

// useSets opens a writer for the kernel's sets k in place of the old one. With nil the
// engine writes into no sets.
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
		// This tells the engine what the kernel has taken.
		w.loop.Do(func(e *state.Engine, now state.Time) { e.SetsTaken(s, batch, err, now) })
	})
	w.sets = s
}

// close closes the worker's sockets. Its loop must have ended.
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

type workers []*worker

func (all workers) do(f func(e *state.Engine, now state.Time)) {
	for _, w := range all {
		w.loop.Do(f)
	}
}

// setRepeat turns the verdict NF_REPEAT on or off, as the rules expect it; see
// nfq.Queue.SetRepeat.
func (all workers) setRepeat(on bool) {
	for _, w := range all {
		w.queue.SetRepeat(on)
	}
}

// suspect makes the engines probe hosts. Each answer comes to one of the workers.
func (all workers) suspect(hosts []nfq.AddrPort) {
	all.do(func(e *state.Engine, now state.Time) {
		for _, a := range hosts {
			e.Suspect(a, now)
		}
	})
}

// tellSets makes every engine write all its locks into the kernel's sets.
func (all workers) tellSets() {
	for _, w := range all {
		if w.sets != nil {
			w.loop.Do(func(e *state.Engine, now state.Time) { e.SetSets(w.sets, now) })
		}
	}
}

// lockSharer passes each lock of one engine on to all other engines.
type lockSharer chan heldBy

// heldBy is a lock and the engine that set it.
type heldBy struct {
	state.Held
	engine *state.Engine
}

// of returns the function OnLock for an engine.
func (s lockSharer) of(e *state.Engine) func(*state.Held) {
	return func(x *state.Held) {
		select {
		case s <- heldBy{*x, e}:
		default: // the engine reports the lock again when it renews it
		}
	}
}

// run passes locks on until done is closed.
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
