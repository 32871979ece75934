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
