// SPDX-License-Identifier: GPL-2.0-or-later

package events

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// numbers returns the first and the last number of entries. It fails if a number between
// them is missing.
func numbers(t *testing.T, es []Entry) [2]uint64 {
	t.Helper()
	if len(es) == 0 {
		return [2]uint64{}
	}
	for i := range es {
		// The port is the number modulo 2^16, see below.
		if es[i].Seq != es[0].Seq+uint64(i) || uint64(es[i].Port) != es[i].Seq%65536 {
			t.Errorf("entry %d has number %d and port %d", i, es[i].Seq, es[i].Port)
		}
	}
	return [2]uint64{es[0].Seq, es[len(es)-1].Seq}
}

func TestJournalSince(t *testing.T) {
	j := NewJournal(time.Now)
	fill := func(to uint64) {
		for s := j.Last() + 1; s <= to; s++ {
			j.Enter(state.Event{Port: uint16(s)})
		}
	}
	for _, x := range []struct {
		entered, since uint64
		want           [2]uint64
	}{
		{0, 0, [2]uint64{}},
		{0, 7, [2]uint64{}}, // a number from before a restart
		{1, 0, [2]uint64{1, 1}},
		{1, 1, [2]uint64{}},
		{5, 2, [2]uint64{3, 5}},
		{5, 5, [2]uint64{}},
		{5, 6, [2]uint64{1, 5}},
		{Kept, 0, [2]uint64{1, Kept}},
		{Kept + 1, 0, [2]uint64{2, Kept + 1}},
		{Kept + 1, 1, [2]uint64{2, Kept + 1}},
		{3*Kept + 7, 5, [2]uint64{2*Kept + 8, 3*Kept + 7}},
		{3*Kept + 7, 3 * Kept, [2]uint64{3*Kept + 1, 3*Kept + 7}},
		{3*Kept + 7, 1 << 60, [2]uint64{2*Kept + 8, 3*Kept + 7}},
	} {
		fill(x.entered)
		if got := numbers(t, j.Since(x.since)); got != x.want {
			t.Errorf("%d entered, since %d: got %v, want %v", x.entered, x.since, got, x.want)
		}
	}
}

// TestJournalKeepsWhatIsRare: events of peers and packets do not push out other events.
// All are returned in the order of their entry.
func TestJournalKeepsWhatIsRare(t *testing.T) {
	j := NewJournal(time.Now)
	rare := []state.Class{state.ClassClient, state.ClassProbe, state.ClassTable, state.ClassSystem}
	for i := range 2000 {
		switch {
		case i%500 == 250:
			j.Enter(state.Event{Class: rare[i/500]})
		case i%2 == 0:
			j.Enter(state.Event{Class: state.ClassPacket})
		default:
			j.Enter(state.Event{Class: state.ClassPeer})
		}
	}
	for _, x := range []struct {
		since uint64
		rare  []state.Class
		busy  int
	}{
		{0, rare, Kept},
		{251, rare[1:], Kept},
		{1750, rare[3:], 249},
		{1751, nil, 249},
		{1999, nil, 1},
		{2000, nil, 0},
		{2001, rare, Kept}, // a number from before a restart
	} {
		var got []state.Class
		busy, last := 0, uint64(0)
		for _, e := range j.Since(x.since) {
			if e.Seq <= last {
				t.Errorf("since %d: number %d after %d", x.since, e.Seq, last)
			}
			last = e.Seq
			if e.Class == state.ClassPeer || e.Class == state.ClassPacket {
				busy++
			} else {
				got = append(got, e.Class)
			}
		}
		if !slices.Equal(got, x.rare) || busy != x.busy || last != 2000 && x.since != 2000 {
			t.Errorf("since %d: %v and %d others up to number %d, want %v and %d", x.since, got, busy, last, x.rare, x.busy)
		}
	}
}

// TestJournalLosesAndCounts: without a reader Record neither blocks nor allocates. It
// counts the events that are lost.
func TestJournalLosesAndCounts(t *testing.T) {
	j := NewJournal(time.Now)
	ev := state.Event{}
	for i := range journalBacklog {
		ev.Port = uint16(i + 1)
		j.Record(&ev)
	}
	if n := testing.AllocsPerRun(100, func() { j.Record(&ev) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := j.Lost(); got != 101 { // AllocsPerRun makes one more call
		t.Errorf("%d lost, want 101", got)
	}
	// Run enters the events from before the end, and returns.
	done := make(chan struct{})
	close(done)
	n := 0
	j.Run(done, func(e *Entry) {
		n++
		if e.Seq != uint64(n) || e.Port != uint16(n) {
			t.Errorf("entry %d has number %d and port %d", n, e.Seq, e.Port)
		}
	})
	if n != journalBacklog || j.Last() != journalBacklog {
		t.Errorf("%d entered, the last is %d", n, j.Last())
	}
}

func TestFollow(t *testing.T) {
	j := NewJournal(time.Now)
	a, endA := j.Follow()
	b, endB := j.Follow()
	j.Enter(state.Event{})
	j.Enter(state.Event{}) // woken already
	<-a
	<-b
	select {
	case <-a:
		t.Error("woken twice")
	default:
	}
	endA()
	j.Enter(state.Event{})
	<-b
	select {
	case <-a:
		t.Error("woken after its end")
	default:
	}
	endB()
	endB()
}

// TestFollowWhileEntering uses Follow during Enter, for the race detector.
func TestFollowWhileEntering(t *testing.T) {
	j := NewJournal(time.Now)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		j.Run(done, func(*Entry) {})
		close(ended)
	}()
	more, end := j.Follow()
	defer end()
	ev := state.Event{}
	const all = Kept // fits in the backlog: none is lost
	go func() {
		for i := 1; i <= all; i++ {
			ev.Port = uint16(i)
			j.Record(&ev)
		}
	}()
	seen := uint64(0)
	for seen < all {
		for _, e := range j.Since(seen) {
			if e.Seq <= seen {
				t.Fatalf("number %d after %d", e.Seq, seen)
			}
			seen = e.Seq
		}
		if seen < all {
			<-more
		}
	}
	close(done)
	<-ended
}

// TestJournalTellsOnce: each action of the administrator is one event, however many
// events follow from it.
func TestJournalTellsOnce(t *testing.T) {
	host, other := found("192.168.1.5"), found("192.168.1.6")
	other.MAC = nfq.MAC{2, 0, 0, 0, 0, 0xb}
	do := func(ev state.Event, what state.What) state.Event { ev.What = what; return ev }
	for name, x := range map[string]struct {
		events []state.Event
		told   []state.What
	}{
		"exempt, two engines": {
			[]state.Event{
				do(host, state.EventExempted), do(host, state.EventUnlocked), do(host, state.EventForgotten), do(host, state.EventReleased),
				do(host, state.EventExempted), do(host, state.EventUnlocked),
			},
			[]state.What{state.EventExempted},
		},
		"unlock, and found again": {
			[]state.Event{do(host, state.EventUnlocked), do(host, state.EventForgotten), do(host, state.EventReleased), host, do(host, state.EventLocked)},
			[]state.What{state.EventUnlocked, state.EventFound, state.EventLocked},
		},
		"another host": {
			[]state.Event{do(host, state.EventExempted), do(other, state.EventReleased), do(other, state.EventForgotten), do(other, state.EventExempted)},
			[]state.What{state.EventExempted, state.EventReleased, state.EventForgotten, state.EventExempted},
		},
		"allowed and watched again": {
			[]state.Event{do(host, state.EventExempted), do(host, state.EventWatched), do(host, state.EventWatched), do(host, state.EventExempted)},
			[]state.What{state.EventExempted, state.EventWatched, state.EventExempted},
		},
		"released by itself": {
			[]state.Event{do(host, state.EventReleased), do(host, state.EventForgotten)},
			[]state.What{state.EventReleased, state.EventForgotten},
		},
	} {
		j := NewJournal(time.Now)
		j.now = func() time.Time { return wallNow }
		quiet := 0
		for i := range x.events {
			if j.Enter(x.events[i]).Quiet {
				quiet++
			}
		}
		var got []state.What
		for _, e := range j.Since(0) {
			got = append(got, e.What)
		}
		if !slices.Equal(got, x.told) || quiet != len(x.events)-len(x.told) {
			t.Errorf("%s: told %v, want %v; %d quiet", name, got, x.told, quiet)
		}
	}
	// The same event is kept if it comes later.
	j := NewJournal(time.Now)
	now := wallNow
	j.now = func() time.Time { return now }
	j.Enter(do(host, state.EventExempted))
	now = now.Add(time.Minute)
	if j.Enter(do(host, state.EventReleased)).Quiet {
		t.Error("an event of a minute later is left out")
	}
}

// TestJournalSurvives: rare events are there after a restart, with their times.
func TestJournalSurvives(t *testing.T) {
	j := NewJournal(time.Now)
	at := wallNow
	j.now = func() time.Time { at = at.Add(time.Second); return at }
	j.started = wallNow.Add(-time.Hour)
	for i := range 5 {
		ev := found("192.168.1.50")
		ev.Port = uint16(i)
		j.Enter(ev)
	}
	peer := found("192.168.1.50")
	peer.Class = state.ClassPeer
	j.Enter(peer)
	file := j.Snapshot(nil, "1.2")
	again := NewJournal(time.Now)
	if err := again.Restore(file, "1.2"); err != nil {
		t.Fatal(err)
	}
	got, want := again.Since(0), j.Since(0)[:5]
	for i := range want {
		if g := got[i]; g.Seq != want[i].Seq || g.Event != want[i].Event || !g.Wall.Equal(want[i].Wall.Truncate(time.Millisecond)) {
			t.Errorf("%+v, want %+v", g, want[i])
		}
	}
	if len(got) != 5 || !again.Began().Equal(j.started) || !bytes.Equal(again.Snapshot(nil, "1.2"), file) {
		t.Errorf("%d entries since %v", len(got), again.Began())
	}
	again.now = j.now
	for range Kept {
		again.Enter(found("192.168.1.51"))
	}
	if oldest := again.Since(0)[0].Wall; !again.Began().Equal(oldest) {
		t.Errorf("a full journal is said to begin at %v, its oldest is of %v", again.Began(), oldest)
	}
	wrong := bytes.Clone(file)
	wrong[len(file)-journalRecord+10] = 200
	for name, bad := range map[string][]byte{
		"empty": nil, "cut": file[:len(file)-1], "foreign": []byte("hello"), "a protocol that is not there": wrong, "no time": file[:len(journalMagic)+4],
	} {
		e := NewJournal(time.Now)
		if err := e.Restore(bad, "1.2"); err == nil || len(e.Since(0)) != 0 {
			t.Errorf("%s: %v, %d entries", name, err, len(e.Since(0)))
		}
	}
	if err := NewJournal(time.Now).Restore(file, "1.3"); err == nil {
		t.Error("another version's file is taken")
	}
}

func FuzzJournalRestore(f *testing.F) {
	j := NewJournal(time.Now)
	j.Enter(found("192.168.1.50"))
	f.Add(j.Snapshot(nil, "1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		j := NewJournal(time.Now)
		if j.Restore(b, "1") != nil {
			return
		}
		for _, e := range j.Since(0) {
			_ = e.Text()
			_ = e.ProtocolName()
		}
		if again := j.Snapshot(nil, "1"); len(b) <= 10_000 && len(again) != len(b) {
			t.Errorf("%d bytes became %d", len(b), len(again))
		}
	})
}
