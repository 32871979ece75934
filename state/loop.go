// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// Source delivers packets and takes verdicts: an nfq.Queue.
type Source interface {
	// Recv waits for packets until the deadline, or until Wake.
	Recv(deadline time.Time) (int, error)
	Packet(i int) *nfq.Packet
	Verdict(i int, v nfq.Verdict)
	Flush() error
	// Moderate makes the next Recv wait a moment, so that several packets gather.
	Moderate()
	Wake()
}

// Loop is the goroutine that owns an engine. It takes batches from the source, runs the
// timers, and runs the functions that others pass to Do.
type Loop struct {
	Engine *Engine
	Source Source
	// Now is the engine's clock.
	Now func() Time
	// OnBeat, when set, is called about once a second, even without packets. It is for a
	// watchdog.
	OnBeat func()

	tasks chan func(*Engine, Time)
	quit  chan struct{}
	ended chan struct{}
	once  sync.Once
}

// NewLoop returns a loop that is ready for Run and Do.
func NewLoop(e *Engine, s Source, now func() Time) *Loop {
	return &Loop{
		Engine: e, Source: s, Now: now,
		tasks: make(chan func(*Engine, Time), 16),
		quit:  make(chan struct{}),
		ended: make(chan struct{}),
	}
}

// idle is the longest wait for packets.
const idle = time.Second

// When rowOf batches in a row come less than closely apart per packet, the loop lets
// packets gather. It stops when they are loosely apart. An exchange of question and answer
// makes no such row, and ends one.
const (
	closely = 100 * time.Microsecond
	loosely = 400 * time.Microsecond
	rowOf   = 8
)

// Run owns the engine until Stop is called or the source fails for good.
func (l *Loop) Run() error {
	defer close(l.ended)
	var beat, last Time
	row := 0
	now := l.Now()
	begin, start := now, time.Now()
	for {
		until := now.After(idle)
		if t, ok := l.Engine.Next(); ok {
			until = min(until, t)
		}
		// One look at the clock for each batch is enough: it is a system call on MIPS. So
		// until is late by the time that the batch took; that does not matter.
		n, err := l.Source.Recv(start.Add(until.Since(begin)))
		if err != nil {
			return err
		}
		now = l.Now()
		for i := range n {
			l.Source.Verdict(i, l.Engine.Packet(l.Source.Packet(i), now))
		}
		if n > 0 {
			if err := l.Source.Flush(); err != nil {
				return err
			}
			apart := closely
			if row >= rowOf {
				apart = loosely
			}
			if now.Since(last) >= time.Duration(n)*apart {
				row = 0
			} else if row++; row >= rowOf {
				l.Source.Moderate()
			}
			last = now
		}
		l.Engine.Advance(now)
		for more := true; more; {
			select {
			case f := <-l.tasks:
				f(l.Engine, now)
			case <-l.quit:
				return nil
			default:
				more = false
			}
		}
		if now.Since(beat) >= time.Second {
			beat = now
			if l.OnBeat != nil {
				l.OnBeat()
			}
		}
	}
}

// Do runs f on the owner's goroutine between two batches and waits until it has ended. It
// returns false when the loop has ended and f did not run. f must not block.
func (l *Loop) Do(f func(e *Engine, now Time)) bool {
	done := make(chan struct{})
	select {
	case l.tasks <- func(e *Engine, now Time) { f(e, now); close(done) }:
	case <-l.ended:
		return false
	}
	l.Source.Wake()
	select {
	case <-done:
		return true
	case <-l.ended:
		// The loop may have run it as its last task.
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

// Stop ends Run after the current batch and waits for it.
func (l *Loop) Stop() {
	l.once.Do(func() { close(l.quit) })
	l.Source.Wake()
	<-l.ended
}
