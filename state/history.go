// SPDX-License-Identifier: GPL-2.0-or-later

package state

// HistoryMinutes is the length of the history, in minutes.
const HistoryMinutes = 60

// Bucket counts what happened in one minute.
type Bucket struct {
	DroppedTCP, DroppedUDP, Probes uint32
}

// history is a ring of minutes.
type history struct {
	minute  int64 // the newest minute in the ring, counted from the epoch
	end     Time  // the end of that minute
	place   int   // its bucket
	buckets [HistoryMinutes]Bucket
}

// at returns the bucket for now.
func (h *history) at(now Time) *Bucket {
	if now >= h.end {
		h.turn(now)
	}
	return &h.buckets[h.place]
}

// turn moves the ring on to the minute of now and empties the buckets in between.
//
//go:noinline
func (h *history) turn(now Time) {
	m := int64(now / Time(minute))
	if m > h.minute {
		for i := max(h.minute+1, m-HistoryMinutes+1); i <= m; i++ {
			h.buckets[i%HistoryMinutes] = Bucket{}
		}
		h.minute = m
	}
	h.end, h.place = Time(h.minute+1)*Time(minute), int(h.minute%HistoryMinutes)
}

// History returns the last hour, oldest minute first. The last minute is not over yet.
func (e *Engine) History(now Time) [HistoryMinutes]Bucket {
	e.history.at(now)
	var out [HistoryMinutes]Bucket
	for i := range out {
		m := e.history.minute - HistoryMinutes + 1 + int64(i)
		if m >= 0 {
			out[i] = e.history.buckets[m%HistoryMinutes]
		}
	}
	return out
}
