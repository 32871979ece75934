// SPDX-License-Identifier: GPL-2.0-or-later

// Package history keeps a record for each host, program and day, and counts for each
// hour. All tables have a fixed size.
package history

import (
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

const (
	// Days is how many days the history covers, including today.
	Days = 30
	// Hours is how many hours the history covers, including the current one.
	Hours = 7 * 24
	// maxRecords is how many records there are for all days, maxOfDay for one of them. So
	// a host that pretends to be many hosts cannot push out the other days.
	maxRecords = 512
	maxOfDay   = 64
)

// Record is what one program on one host did on one day, and what was blocked of it.
type Record struct {
	_           [0]func() // not comparable: code to compare it costs flash
	Day         int32     // in local time, counted from 1970-01-01
	Addr        nfq.Addr
	MAC         nfq.MAC // zero if only the address of the host is known
	Protocol    uint8   // index in detect.All
	Reason      detect.Reason
	Proof       state.Proof
	Program     detect.ClientName // the name seen last
	First, Last int64             // when the program was seen, in Unix seconds
	Locked      time.Duration
	Connections uint32 // cut connections, without those that the kernel cut alone
	Bytes       uint64 // of the packets of these connections
}

func (r *Record) used() bool { return r.First != 0 }

// Hour counts what happened in one hour.
type Hour struct {
	DroppedTCP, DroppedUDP, Probes uint32
	Connections                    uint32 // as in Record, for all hosts
	Bytes                          uint64
	Locked                         uint16 // the largest number of hosts locked at the same time
}

// Table is the history. Its methods may be called by several goroutines.
type Table struct {
	_       [0]func() // not comparable: the code for == would cost flash
	mu      sync.Mutex
	records [maxRecords]Record
	hours   [Hours]Hour
	hour    int64 // the newest, in hours since the epoch
	changes uint64

	counted  bool // the sums below are valid
	tcp, udp uint64
	probes   uint64
}

// clockSet is the start of 2024 in Unix seconds. A router's clock that shows an earlier
// time is not set yet.
const clockSet = 1704067200

// Take adds what is new in the engines to the history. A day begins at midnight in the
// time zone of now. While the clock is not set, Take does nothing and the engines keep
// their news. The function each must call its argument for every engine.
func (t *Table) Take(now time.Time, each func(func(*state.Engine, state.Time))) {
	if now.Unix() < clockSet {
		return
	}
	t.mu.Lock() // held while engines run: no engine takes this lock
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
		if tcp+udp+probes > 0 {
			t.changes++
		}
	}
	t.counted, t.tcp, t.udp, t.probes = true, sum.DroppedTCP, sum.DroppedUDP, sum.Probes
	if len(news) > 0 {
		t.changes++
	}
	day, midnight := dayOf(now)
	for i := range news {
		x := &news[i]
		h.Connections += x.Connections
		h.Bytes += x.Bytes
		// A host that sent nothing since midnight may still be locked.
		last := max(now.Add(-clock.Since(x.LastSeen)).Unix(), midnight)
		first := now.Add(-clock.Since(x.FirstSeen)).Unix()
		if first < midnight {
			first = last
		}
		t.add(day, first, last, x)
	}
}

const hourSeconds, daySeconds = 3600, 24 * 3600

// dayOf returns the number of the day of t, and its start in Unix seconds.
func dayOf(t time.Time) (day int32, midnight int64) {
	_, east := t.Zone()
	day = int32((t.Unix() + int64(east)) / daySeconds)
	return day, int64(day)*daySeconds - int64(east)
}

// at returns the counts of an hour. It clears the counts of a new hour.
func (t *Table) at(hour int64) *Hour {
	if hour <= t.hour-Hours { // the clock had been wrong, far in the future
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

// add adds the news of one client to its record. First and last are when the client was
// seen, in Unix seconds.
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

func (t *Table) find(day int32, x *state.Tally) *Record {
	for i := range t.records {
		r := &t.records[i]
		if r.used() && r.Day == day && r.Protocol == x.Protocol && r.MAC == x.MAC && (!x.MAC.IsZero() || r.Addr == x.Addr) {
			return r
		}
	}
	return nil
}

// place returns where to put a new record of a day: a free place, or else that of the
// oldest record. If the day has maxOfDay records already, it returns the one with the
// shortest lock time.
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

// Records returns the records of the last Days days. The newest day comes first; within a
// day the order is by the time First.
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

// Series returns the hours, the oldest first. The last one is the current hour; it began
// at the Unix time last.
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
