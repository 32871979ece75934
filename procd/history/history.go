// SPDX-License-Identifier: GPL-2.0-or-later

// Package history keeps what was done about which host on which day, and how much in
// each hour. All of it has a fixed size.
package history

import (
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

const (
	// Days is how many days are told of, the running one among them.
	Days = 30
	// Hours is how many hours are told of, the running one among them.
	Hours = 7 * 24
	// maxRecords is how many there are for all days, maxOfDay for one of them: a host
	// that pretends to be many does not push out the other days.
	maxRecords = 512
	maxOfDay   = 64
)

// Record is what was done about one program of one host on one day.
type Record struct {
	Day         int32 // in local time, counted from 1970-01-01
	Addr        nfq.Addr
	MAC         nfq.MAC // zero for a host that is known by its address alone
	Protocol    uint8   // index in detect.All
	Reason      detect.Reason
	Proof       state.Proof
	Program     detect.ClientName // as it was named last
	First, Last int64             // when it was seen, in Unix seconds
	Locked      time.Duration
	Connections uint32 // that were cut, as far as the kernel did not do it alone
	Bytes       uint64 // of their packets
}

func (r *Record) used() bool { return r.First != 0 }

// Hour counts what happened in one hour.
type Hour struct {
	DroppedTCP, DroppedUDP, Probes uint32
	Connections                    uint32 // as in Record, of all hosts
	Bytes                          uint64
	Locked                         uint16 // the most hosts that were locked at once
}

// Table is the history. Its methods may be called by several goroutines.
type Table struct {
	_       [0]func() // is not compared, which would cost flash
	mu      sync.Mutex
	records [maxRecords]Record
	hours   [Hours]Hour
	hour    int64 // the newest, counted from the epoch
	changed bool  // since it was saved

	counted  bool // the sums below are set
	tcp, udp uint64
	probes   uint64
}

// clockSet is the beginning of 2024 in Unix seconds: a router's clock that is before it
// is not set yet.
const clockSet = 1704067200

// Take takes what the engines have new at the time now, which has its place as well: days
// begin at its midnight. As long as the clock is not set they keep it. Each calls a
// function on every engine.
func (t *Table) Take(now time.Time, each func(func(*state.Engine, state.Time))) {
	if now.Unix() < clockSet {
		return
	}
	t.mu.Lock() // the engines know nothing of this table, and wait for nobody
	defer t.mu.Unlock()
	var news []state.Tally
	var sum state.Counters
	var clock state.Time
	locked := 0
	each(func(e *state.Engine, at state.Time) {
		clock = at
		e.Tallies(at, func(x *state.Tally) { news = append(news, *x) })
		sum.Add(&e.Counters)
		_, n := e.Len()
		locked += n
	})
	h := t.at(now.Unix() / hourSeconds)
	h.Locked = max(h.Locked, uint16(locked))
	if t.counted {
		tcp, udp, probes := sum.DroppedTCP-t.tcp, sum.DroppedUDP-t.udp, sum.Probes-t.probes
		h.DroppedTCP += uint32(tcp)
		h.DroppedUDP += uint32(udp)
		h.Probes += uint32(probes)
		t.changed = t.changed || tcp+udp+probes > 0
	}
	t.counted, t.tcp, t.udp, t.probes = true, sum.DroppedTCP, sum.DroppedUDP, sum.Probes
	t.changed = t.changed || len(news) > 0
	day, midnight := dayOf(now)
	for i := range news {
		x := &news[i]
		h.Connections += x.Connections
		h.Bytes += x.Bytes
		// Who says nothing after midnight may be locked all the same.
		last := max(now.Add(-clock.Since(x.LastSeen)).Unix(), midnight)
		first := now.Add(-clock.Since(x.FirstSeen)).Unix()
		if first < midnight {
			first = last
		}
		t.add(day, first, last, x)
	}
}

const hourSeconds, daySeconds = 3600, 24 * 3600

// dayOf returns the number of the day of a moment, and when it began in Unix seconds.
func dayOf(t time.Time) (day int32, midnight int64) {
	_, east := t.Zone()
	day = int32((t.Unix() + int64(east)) / daySeconds)
	return day, int64(day)*daySeconds - int64(east)
}

// at returns the counts of an hour, emptied if it is a new one.
func (t *Table) at(hour int64) *Hour {
	if hour <= t.hour-Hours { // the clock was ahead
		t.hour = 0
	}
	if hour > t.hour {
		for h := max(t.hour+1, hour-Hours+1); h <= hour; h++ {
			t.hours[h%Hours] = Hour{}
		}
		t.hour = hour
	}
	return &t.hours[hour%Hours]
}

// add adds what is new of a client, which was seen first and last at these times.
func (t *Table) add(day int32, first, last int64, x *state.Tally) {
	r := t.find(day, x)
	if r == nil {
		r = t.place(day)
		*r = Record{Day: day, Addr: x.Addr, MAC: x.MAC, Protocol: x.Protocol, First: first}
	}
	if x.Addr.Is4() || !r.Addr.Is4() {
		r.Addr = x.Addr
	}
	if x.Proof == state.ProofAnswer || r.Proof == state.ProofNone {
		r.Proof, r.Reason = x.Proof, x.Reason
	}
	if x.Program.Known() {
		r.Program = x.Program
	}
	r.Last = max(r.Last, last)
	r.Locked += x.Locked
	r.Connections += x.Connections
	r.Bytes += x.Bytes
}

// find returns the record of a client on a day, or nil.
func (t *Table) find(day int32, x *state.Tally) *Record {
	for i := range t.records {
		r := &t.records[i]
		if r.used() && r.Day == day && r.Protocol == x.Protocol && r.MAC == x.MAC && (!x.MAC.IsZero() || r.Addr == x.Addr) {
			return r
		}
	}
	return nil
}

// place returns where a new record of a day goes: a place that is free, or that of the
// oldest record. When there are too many of the day, it is that of the one which was
// locked least.
func (t *Table) place(day int32) *Record {
	old, least, n := &t.records[0], (*Record)(nil), 0
	for i := range t.records {
		r := &t.records[i]
		switch {
		case !r.used():
			if old.used() {
				old = r
			}
			continue
		case r.Day == day:
			if n++; least == nil || r.Locked < least.Locked {
				least = r
			}
		}
		if old.used() && r.Day < old.Day {
			old = r
		}
	}
	if n >= maxOfDay {
		return least
	}
	return old
}

// Records returns those of the last days, the newest day first, and within it in the
// order in which they were seen first.
func (t *Table) Records(now time.Time) []Record {
	today, _ := dayOf(now)
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Record
	for i := range t.records {
		r := &t.records[i]
		if !r.used() || r.Day <= today-Days || r.Day > today {
			continue
		}
		at := len(out)
		for at > 0 && (out[at-1].Day < r.Day || out[at-1].Day == r.Day && out[at-1].First > r.First) {
			at--
		}
		out = append(out, Record{})
		copy(out[at+1:], out[at:])
		out[at] = *r
	}
	return out
}

// Series returns the hours, the oldest first; the last one is running, and began at the
// Unix time that is returned with them.
func (t *Table) Series(now time.Time) (hours [Hours]Hour, last int64) {
	hour := now.Unix() / hourSeconds
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range hours {
		h := hour - Hours + 1 + int64(i)
		if h > t.hour-Hours && h <= t.hour && h >= 0 {
			hours[i] = t.hours[h%Hours]
		}
	}
	return hours, hour * hourSeconds
}
