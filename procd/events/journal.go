// SPDX-License-Identifier: GPL-2.0-or-later

package events

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/state"
)

// Entry is an event, its number in the journal, and the wall-clock time of its entry.
type Entry struct {
	_    [0]func() // not comparable: code to compare it costs flash
	Seq  uint64
	Wall time.Time
	state.Event
	// Quiet says that the event only follows from what the administrator did. It is not
	// logged or told again, but commands run on it.
	Quiet bool
}

const (
	// Kept is how many entries each ring keeps.
	Kept = 256
	// journalBacklog is how many events may wait for entry. The packet path never waits:
	// further events are lost and counted.
	journalBacklog = 1024
)

// ring holds the last entries of some classes.
type ring struct {
	entries []Entry // Kept of them
	n       uint64  // how many entries were ever made
}

func (r *ring) at(i uint64) *Entry { return &r.entries[i%Kept] }

// after returns the index of the oldest entry with a number above seq.
func (r *ring) after(seq uint64) uint64 {
	i := r.n - min(r.n, Kept)
	for i < r.n && r.at(i).Seq <= seq {
		i++
	}
	return i
}

// Journal numbers the events of all engines and keeps the last ones. Engines call Record,
// which neither blocks nor allocates. Run, on its own goroutine, enters the events and
// passes them on.
type Journal struct {
	in   chan state.Event
	lost atomic.Uint64
	now  func() time.Time

	mu sync.Mutex
	// busy is for events of peers and packets, which can come in hundreds within seconds.
	// They must not push out the events in calm, which may come once a day.
	calm, busy ring
	seq        uint64
	started    time.Time // when the journal began
	admin      Entry     // the last thing that the administrator did about a host
	follow     map[chan struct{}]struct{}
}

// NewJournal returns an empty journal that takes the time from now.
func NewJournal(now func() time.Time) *Journal {
	return &Journal{
		in: make(chan state.Event, journalBacklog), now: now,
		calm: ring{entries: make([]Entry, Kept)}, busy: ring{entries: make([]Entry, Kept)},
		follow: map[chan struct{}]struct{}{}, started: now(),
	}
}

// Record queues an event for Run. It is an Engine's OnEvent.
func (j *Journal) Record(ev *state.Event) {
	select {
	case j.in <- *ev:
	default:
		j.lost.Add(1)
	}
}

// Lost returns how many events were not entered because too many came at once.
func (j *Journal) Lost() uint64 { return j.lost.Load() }

// Run enters events until done is closed, and calls each with every entry.
func (j *Journal) Run(done <-chan struct{}, each func(*Entry)) {
	for {
		select {
		case ev := <-j.in:
			each(j.Enter(ev))
		case <-done:
			j.Drain(each) // events from before the end
			return
		}
	}
}

// Drain enters the events that wait now.
func (j *Journal) Drain(each func(*Entry)) {
	for {
		select {
		case ev := <-j.in:
			each(j.Enter(ev))
		default:
			return
		}
	}
}

// Enter numbers an event and keeps it. A quiet event gets no number and is not kept.
func (j *Journal) Enter(ev state.Event) *Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := Entry{Wall: j.now(), Event: ev}
	if e.Quiet = j.repeats(&e); e.Quiet {
		return &e
	}
	j.seq++
	e.Seq = j.seq
	r := &j.calm
	if ev.Class == state.ClassPeer || ev.Class == state.ClassPacket {
		r = &j.busy
	}
	*r.at(r.n) = e
	r.n++
	for c := range j.follow {
		select {
		case c <- struct{}{}:
		default: // the follower has been woken already
		}
	}
	return &e
}

// repeats reports whether an event only follows from what the administrator just did. An
// exempted host is unlocked, forgotten and released at the same moment, and each engine
// reports all of that.
func (j *Journal) repeats(e *Entry) bool {
	if e.Class != state.ClassClient {
		return false
	}
	a := &j.admin
	same := a.Client == e.Client || !a.MAC.IsZero() && a.MAC == e.MAC
	soon := e.Wall.Sub(a.Wall).Abs() < time.Second
	switch e.What {
	case state.EventReleased, state.EventForgotten:
		return same && soon
	case state.EventUnlocked:
		if same && soon {
			return true
		}
	case state.EventExempted, state.EventWatched:
		if same && soon && a.What == e.What {
			return true
		}
	default:
		return false
	}
	*a = *e
	return false
}

// Since returns the kept entries with a number above seq, oldest first. A number above
// the newest one is from before a restart, and counts as 0.
func (j *Journal) Since(seq uint64) []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq > j.seq {
		seq = 0
	}
	var out []Entry
	a, b := j.calm.after(seq), j.busy.after(seq)
	for {
		r, i := &j.calm, &a
		if a == j.calm.n || b < j.busy.n && j.busy.at(b).Seq < j.calm.at(a).Seq {
			r, i = &j.busy, &b
		}
		if *i == r.n {
			return out
		}
		out = append(out, *r.at(*i))
		*i++
	}
}

// FoundBy returns the reason for which a client was found; ClientInfo has the reason seen
// last. Known is false when the event has left the journal.
func (j *Journal) FoundBy(c *state.ClientInfo) (r detect.Reason, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := j.calm.after(0); i < j.calm.n; i++ {
		e := j.calm.at(i)
		if e.Class == state.ClassClient && e.What == state.EventFound && detect.All[e.Protocol] == c.Protocol &&
			(e.Client == c.Addr || !c.MAC.IsZero() && e.MAC == c.MAC) {
			r, known = e.Reason, true
		}
	}
	return r, known
}

// Last returns the number of the newest entry.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.seq
}

// Follow returns a channel that receives when there are new entries, and a function that
// ends this.
func (j *Journal) Follow() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	j.mu.Lock()
	j.follow[c] = struct{}{}
	j.mu.Unlock()
	return c, func() {
		j.mu.Lock()
		delete(j.follow, c)
		j.mu.Unlock()
	}
}

// Followers returns how many channels of Follow are in use.
func (j *Journal) Followers() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.follow)
}

// Title returns the protocol's name for people.
func (e *Entry) Title() string { return detect.All[e.Protocol].Title }

// ProtocolName returns the protocol's identifier.
func (e *Entry) ProtocolName() string { return detect.All[e.Protocol].Name }
