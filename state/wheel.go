// SPDX-License-Identifier: GPL-2.0-or-later

package state

import "time"

// wheel is a hashed timer wheel for a fixed number of timers, one per slot of a
// table. Setting, moving and stopping one is a matter of two links; nothing is
// allocated. A timer that is further away than one turn is passed over until
// its turn comes.
type wheel struct {
	tick   Time
	now    int64 // the last tick that was run
	heads  []int32
	timers []timer
	armed  int
}

type timer struct {
	next, prev int32 // within the bucket
	bucket     int32 // none when the timer is not set
	when       int64 // tick
}

// wheelBuckets times the tick is one turn of the wheel: 25.6 s.
const wheelBuckets = 512

// wheelTick is how exactly timers fire.
const wheelTick = 50 * time.Millisecond

func newWheel(timers int) wheel {
	w := wheel{tick: Time(wheelTick), heads: make([]int32, wheelBuckets), timers: make([]timer, timers)}
	for i := range w.heads {
		w.heads[i] = none
	}
	for i := range w.timers {
		w.timers[i].bucket = none
	}
	return w
}

// set arms timer i for the first tick at or after when; one that is in the past
// fires with the next tick.
func (w *wheel) set(i int32, when Time) {
	at := int64((when + w.tick - 1) / w.tick)
	at = max(at, w.now+1)
	t := &w.timers[i]
	if t.bucket != none {
		if t.when == at {
			return
		}
		w.stop(i)
	}
	b := int32(at % wheelBuckets)
	*t = timer{next: w.heads[b], prev: none, bucket: b, when: at}
	if t.next != none {
		w.timers[t.next].prev = i
	}
	w.heads[b] = i
	w.armed++
}

func (w *wheel) stop(i int32) {
	t := &w.timers[i]
	if t.bucket == none {
		return
	}
	if t.prev == none {
		w.heads[t.bucket] = t.next
	} else {
		w.timers[t.prev].next = t.next
	}
	if t.next != none {
		w.timers[t.next].prev = t.prev
	}
	t.bucket = none
	w.armed--
}

// advance runs the wheel up to now and calls fire for each timer that is due.
// fire may set and stop any timer.
func (w *wheel) advance(now Time, fire func(i int32)) {
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
		for i := w.heads[b]; i != none; {
			t := &w.timers[i]
			if t.when > end {
				i = t.next
				continue
			}
			w.stop(i)
			fire(i)
			// fire may have changed the bucket: begin it anew. What
			// it set lies in the future, so this ends.
			i = w.heads[b]
		}
	}
}

// next returns the moment of the earliest timer, or ok false when none is set.
func (w *wheel) next() (t Time, ok bool) {
	if w.armed == 0 {
		return 0, false
	}
	best := int64(1) << 62
	for i := int64(1); i <= wheelBuckets; i++ {
		at := w.now + i
		for j := w.heads[at%wheelBuckets]; j != none; j = w.timers[j].next {
			best = min(best, w.timers[j].when)
		}
		if best <= at {
			break
		}
	}
	return Time(best) * w.tick, true
}
