// SPDX-License-Identifier: GPL-2.0-or-later

package table

import "time"

// Wheel is a hashed timer wheel for a fixed number of timers, one for each slot of a table.
// Setting, moving and stopping a timer changes a few links and allocates nothing. A timer
// that is more than one turn away is skipped until its turn comes. A Time is a moment in
// nanoseconds.
type Wheel[Time ~int64] struct {
	tick   Time
	now    int64 // the last tick that was processed
	heads  []int32
	timers []timer
	armed  int
	soon   int64 // while a timer is set, none is due before this tick
	due    Time  // the moment of tick soon
}

type timer struct {
	next, prev int32 // within the bucket
	bucket     int32 // None when the timer is not set
	when       int64 // tick
}

// wheelBuckets times the tick is one turn of the wheel: 25.6 s.
const wheelBuckets = 512

// WheelTick is the precision of the timers.
const WheelTick = 50 * time.Millisecond

// NewWheel returns a wheel with a number of timers, none of them set.
func NewWheel[Time ~int64](timers int) Wheel[Time] {
	w := Wheel[Time]{tick: Time(WheelTick), heads: make([]int32, wheelBuckets), timers: make([]timer, timers)}
	for i := range w.heads {
		w.heads[i] = None
	}
	for i := range w.timers {
		w.timers[i].bucket = None
	}
	return w
}

// Set sets timer i for the first tick at or after when. If when is past, the timer fires at
// the next tick.
func (w *Wheel[Time]) Set(i int32, when Time) {
	at := int64((when + w.tick - 1) / w.tick)
	at = max(at, w.now+1)
	t := &w.timers[i]
	if t.bucket != None {
		if t.when == at {
			return
		}
		w.Stop(i)
	}
	b := int32(at % wheelBuckets)
	*t = timer{next: w.heads[b], prev: None, bucket: b, when: at}
	if t.next != None {
		w.timers[t.next].prev = i
	}
	w.heads[b] = i
	if w.armed == 0 || at < w.soon {
		w.soon, w.due = at, Time(at)*w.tick
	}
	w.armed++
}

// Stop stops timer i, if it is set.
func (w *Wheel[Time]) Stop(i int32) {
	t := &w.timers[i]
	if t.bucket == None {
		return
	}
	if t.prev == None {
		w.heads[t.bucket] = t.next
	} else {
		w.timers[t.prev].next = t.next
	}
	if t.next != None {
		w.timers[t.next].prev = t.prev
	}
	t.bucket = None
	w.armed--
}

// Advance runs the wheel up to now and calls fire for each timer that is due.
// fire may set and stop any timer.
func (w *Wheel[Time]) Advance(now Time, fire func(i int32)) {
	// Return early if nothing is due: this is called for each batch of packets, and a
	// 64-bit division is slow on MIPS. The next timer catches up on the ticks in between.
	if w.armed == 0 || now < w.due {
		return
	}
	end := int64(now / w.tick)
	if end <= w.now {
		return
	}
	if end-w.now > wheelBuckets { // a long pause: one full turn visits all
		w.now = end - wheelBuckets
	}
	for w.now < end {
		w.now++
		b := w.now % wheelBuckets
		for i := w.heads[b]; i != None; {
			t := &w.timers[i]
			if t.when > end {
				i = t.next
				continue
			}
			w.Stop(i)
			fire(i)
			// fire may have changed the bucket: start again. What it set lies in the
			// future, so this ends.
			i = w.heads[b]
		}
	}
	w.soon = w.earliest()
	w.due = Time(w.soon) * w.tick
}

// Next returns a moment that is not after the earliest timer; ok is false if no timer is
// set. The moment is earlier if that timer was stopped or moved. Then Advance finds nothing
// to do, and corrects the moment.
func (w *Wheel[Time]) Next() (t Time, ok bool) {
	return w.due, w.armed > 0
}

// earliest returns the tick of the earliest timer. It visits many buckets if that is far
// away, so it is not called for every batch.
func (w *Wheel[Time]) earliest() int64 {
	if w.armed == 0 {
		return 0
	}
	best := int64(1) << 62
	for i := int64(1); i <= wheelBuckets; i++ {
		at := w.now + i
		for j := w.heads[at%wheelBuckets]; j != None; j = w.timers[j].next {
			best = min(best, w.timers[j].when)
		}
		if best <= at {
			break
		}
	}
	return best
}
