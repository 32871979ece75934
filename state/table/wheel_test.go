// SPDX-License-Identifier: GPL-2.0-or-later

package table

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// moment is a time in these tests, in nanoseconds. The tests begin at start.
type moment int64

const start = moment(400 * 24 * time.Hour)

// TestWheelAgainstList compares the wheel with a plain list of timers: both fire the same,
// and Next is never later than the earliest timer.
func TestWheelAgainstList(t *testing.T) {
	const timers = 40
	r := rand.New(rand.NewPCG(1, 2))
	w := NewWheel[moment](timers)
	now := start
	w.Advance(now, func(int32) { t.Fatal("a timer fired that nobody set") })
	due := map[int32]int64{} // tick
	for range 20_000 {
		i := int32(r.IntN(timers))
		switch r.IntN(4) {
		case 0, 1:
			// Up to four turns away, sometimes in the past.
			when := now + moment(r.Int64N(int64(100*time.Second))) - moment(time.Second)
			w.Set(i, when)
			due[i] = max(int64((when+w.tick-1)/w.tick), w.now+1)
		case 2:
			w.Stop(i)
			delete(due, i)
		case 3:
			now += moment(r.Int64N(int64(2 * time.Second)))
			if r.IntN(50) == 0 {
				now += moment(time.Minute) // more than a turn
			}
			var got, want []int32
			w.Advance(now, func(i int32) { got = append(got, i) })
			for i, at := range due {
				if at <= int64(now/w.tick) {
					want = append(want, i)
					delete(due, i)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("at %d fired %v, want %v", now, got, want)
			}
		}
		next, ok := w.Next()
		if ok != (len(due) > 0) {
			t.Fatalf("next says %v with %d timers", ok, len(due))
		}
		for i, at := range due {
			if next > moment(at)*w.tick {
				t.Fatalf("next is %d, but timer %d is due at %d", next, i, moment(at)*w.tick)
			}
		}
	}
}

// TestWheelSettles moves a timer to a later time than Next said. The next Advance corrects
// that, so that the owner does not wake again and again for nothing.
func TestWheelSettles(t *testing.T) {
	w := NewWheel[moment](1)
	never := func(int32) { t.Error("fired") }
	w.Advance(start, never)
	w.Set(0, start+moment(time.Second))
	w.Set(0, start+moment(time.Minute))
	w.Advance(start+moment(time.Second), never)
	if next, _ := w.Next(); next != start+moment(time.Minute) {
		t.Errorf("next is %v after the start, want a minute", time.Duration(next-start))
	}
	fired := 0
	w.Advance(start+moment(time.Minute), func(int32) { fired++ })
	if fired != 1 {
		t.Errorf("fired %d times", fired)
	}
}

const (
	tick = moment(WheelTick)
	turn = wheelBuckets * tick
)

// begun returns a wheel that has run until start.
func begun(timers int) *Wheel[moment] {
	w := NewWheel[moment](timers)
	w.Set(0, start)
	w.Advance(start, func(int32) {})
	return &w
}

// advance runs the wheel and returns which timers fired, in their order.
func advance(w *Wheel[moment], now moment) []int32 {
	var out []int32
	w.Advance(now, func(i int32) { out = append(out, i) })
	return out
}

// TestWheelFiresAtItsTime: a timer fires at the first tick at or after its time, and once,
// however many turns that is away, and though the wheel stops at each tick before.
func TestWheelFiresAtItsTime(t *testing.T) {
	for _, c := range []struct {
		name      string
		set, fire moment // after the start
	}{
		{"long past", -start, tick},
		{"past", -1, tick},
		{"now", 0, tick},
		{"soon", 1, tick},
		{"at a tick", tick, tick},
		{"just after it", tick + 1, 2 * tick},
		{"the last tick of the turn", turn - tick, turn - tick},
		{"a turn", turn, turn},
		{"a turn and a bit", turn + 1, turn + tick},
		{"three turns", 3 * turn, 3 * turn},
		{"three turns and a half", 3*turn + turn/2, 3*turn + turn/2},
	} {
		w := begun(1)
		w.Set(0, start+c.set)
		var fired []moment
		for after := moment(0); after < 5*turn; after += tick {
			for range advance(w, start+after) {
				fired = append(fired, after)
			}
		}
		if !slices.Equal(fired, []moment{c.fire}) {
			t.Errorf("%s: fired %v after the start, want %v", c.name, fired, c.fire)
		}
	}
}

// TestWheelAfterAPause: after a pause of several turns each timer that is due fires once, the
// others do not, and then the wheel goes on as before.
func TestWheelAfterAPause(t *testing.T) {
	for _, pause := range []moment{turn - tick, turn, turn + tick, 7*turn + 13*tick} {
		w := begun(8)
		w.Set(1, start+tick)
		w.Set(2, start+pause/2)
		w.Set(3, start+pause)
		w.Set(4, start+pause+tick)
		w.Set(5, start+pause+turn) // the bucket of 3
		got := advance(w, start+pause)
		if slices.Sort(got); !slices.Equal(got, []int32{1, 2, 3}) {
			t.Errorf("after %d ticks: fired %v", pause/tick, got)
		}
		if next, ok := w.Next(); !ok || next != start+pause+tick {
			t.Errorf("after %d ticks: the next is %d ticks away, %v", pause/tick, (next-start-pause)/tick, ok)
		}
		if got := advance(w, start+pause+tick); !slices.Equal(got, []int32{4}) {
			t.Errorf("a tick after %d ticks: fired %v", pause/tick, got)
		}
		if got := advance(w, start+pause+turn-tick); got != nil {
			t.Errorf("most of a turn after %d ticks: fired %v", pause/tick, got)
		}
		if got := advance(w, start+pause+turn); !slices.Equal(got, []int32{5}) {
			t.Errorf("a turn after %d ticks: fired %v", pause/tick, got)
		}
	}
}

// TestWheelFromTheBeginning: timers may be set before the wheel has run for the first time,
// when it still stands at zero.
func TestWheelFromTheBeginning(t *testing.T) {
	w := NewWheel[moment](3)
	if _, ok := w.Next(); ok {
		t.Error("an empty wheel has a next timer")
	}
	w.Set(0, start)
	w.Set(1, start+turn)
	w.Set(2, start-turn)
	if next, ok := w.Next(); !ok || next != start-turn {
		t.Errorf("the next is %v from the start, %v", time.Duration(next-start), ok)
	}
	got := advance(&w, start)
	if slices.Sort(got); !slices.Equal(got, []int32{0, 2}) {
		t.Errorf("fired %v", got)
	}
	if next, ok := w.Next(); !ok || next != start+turn {
		t.Errorf("after that the next is %v from the start, %v", time.Duration(next-start), ok)
	}
	if got := advance(&w, start+turn); !slices.Equal(got, []int32{1}) {
		t.Errorf("a turn later: fired %v", got)
	}
	if _, ok := w.Next(); ok {
		t.Error("there is a next timer after the last")
	}
}

// TestWheelClockGoesBack: a time before that of the last call fires nothing, and a timer that
// is set by such a clock fires when the wheel runs on.
func TestWheelClockGoesBack(t *testing.T) {
	w := begun(2)
	w.Set(0, start+2*tick)
	if got := advance(w, start-turn); got != nil {
		t.Errorf("a turn back: fired %v", got)
	}
	w.Set(1, start-turn)
	if got := advance(w, start-turn); got != nil {
		t.Errorf("a turn back again: fired %v", got)
	}
	if got := advance(w, start+2*tick); !slices.Equal(got, []int32{1, 0}) {
		t.Errorf("after that: fired %v", got)
	}
}

// TestWheelOrder: within a turn, timers fire in the order of their ticks.
func TestWheelOrder(t *testing.T) {
	w := begun(4)
	for i, after := range []moment{300 * tick, 2 * tick, 511 * tick, 3 * tick} {
		w.Set(int32(i), start+after)
	}
	if got := advance(w, start+turn-1); !slices.Equal(got, []int32{1, 3, 0, 2}) {
		t.Errorf("fired %v", got)
	}
}

// TestWheelStopInBucket stops or moves one of several timers of the same bucket, whose ticks
// may be whole turns apart. The others fire.
func TestWheelStopInBucket(t *testing.T) {
	const timers = 4
	for out := range int32(timers) {
		for _, move := range []bool{false, true} {
			w := begun(timers + 1)
			for i := range int32(timers) {
				w.Set(i, start+tick+moment(i/2)*turn)
			}
			var want []int32
			for i := range int32(timers) {
				if i != out {
					want = append(want, i)
				}
			}
			if move {
				w.Set(out, start+tick+5*turn)
			} else {
				w.Stop(out)
				w.Stop(out) // once more does no harm
			}
			got := append(advance(w, start+turn), advance(w, start+3*turn)...)
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("without %d (moved: %v): fired %v, want %v", out, move, got, want)
			}
			if _, ok := w.Next(); ok != move {
				t.Errorf("without %d (moved: %v): is there a next timer: %v", out, move, ok)
			}
		}
	}
}

// TestWheelFireChangesTimers: what a timer does may set and stop it and any other, also those
// of its own bucket.
func TestWheelFireChangesTimers(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(w *Wheel[moment], i int32)
		want []int32 // within one tick
		then []int32 // until a turn later
	}{
		{"nothing", func(*Wheel[moment], int32) {}, []int32{2, 1, 0}, nil},
		{"stop the next", func(w *Wheel[moment], i int32) {
			if i > 0 {
				w.Stop(i - 1)
			}
		}, []int32{2, 0}, nil},
		{"set itself a tick later", func(w *Wheel[moment], i int32) {
			if w.now == int64(start/tick)+1 {
				w.Set(i, 0)
			}
		}, []int32{2, 1, 0}, []int32{0, 1, 2}},
		{"set itself a turn later", func(w *Wheel[moment], i int32) {
			if i == 1 {
				w.Set(i, start+turn+tick)
			}
		}, []int32{2, 1, 0}, []int32{1}},
		{"move the next", func(w *Wheel[moment], i int32) {
			if i == 2 {
				w.Set(1, start+5*tick)
			}
		}, []int32{2, 0}, []int32{1}},
	} {
		w := begun(3)
		for i := range int32(3) {
			w.Set(i, start+tick)
		}
		fired := func(now moment) (out []int32) {
			w.Advance(now, func(i int32) { out = append(out, i); c.do(w, i) })
			return out
		}
		if got := fired(start + tick); !slices.Equal(got, c.want) {
			t.Errorf("%s: fired %v, want %v", c.name, got, c.want)
		}
		got := fired(start + turn/2)
		got = append(got, fired(start+turn+tick)...)
		if slices.Sort(got); !slices.Equal(got, c.then) {
			t.Errorf("%s: fired %v later, want %v", c.name, got, c.then)
		}
	}
}
