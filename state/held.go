// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
)

const (
	// maxHeld is how many segments are kept that arrived out of order. HTTP heads seldom
	// have more than two segments, and those seldom arrive out of order.
	maxHeld = 16
	// heldSize is how much of a segment is kept, in bytes.
	heldSize = 1500
)

// held is a copy of a segment that arrived too early.
type held struct {
	_    [0]func() // not comparable: code to compare it costs flash
	flow int32     // slot in the flow table; none if this place is free
	seq  uint32
	n    uint16
	data [heldSize]byte
}

// heldTable keeps segments until the data before them has come. The packets themselves are
// not delayed: only the copy waits.
type heldTable struct {
	places [maxHeld]held
	next   int // the next place to use: the oldest
	used   int // how many places are in use
}

func (t *heldTable) init() {
	for i := range t.places {
		t.places[i].flow = none
	}
}

func (t *heldTable) put(flow int32, seq uint32, b []byte) {
	h := &t.places[t.next]
	t.next = (t.next + 1) % maxHeld
	if h.flow == none {
		t.used++
	}
	h.flow, h.seq = flow, seq
	h.n = uint16(copy(h.data[:], b))
}

// drop forgets the segments of a connection.
func (t *heldTable) drop(flow int32) {
	if t.used == 0 {
		return
	}
	for i := range t.places {
		if t.places[i].flow == flow {
			t.places[i].flow = none
			t.used--
		}
	}
}

// feed passes a segment to a stream, and then the held segments that follow it.
func (e *Engine) feed(h *host, slot int32, s *detect.Stream, seq uint32, b []byte, f *detect.Finding) detect.Match {
	on := e.streams & h.modes.on
	m := s.Feed(on, seq, b, true, f)
	if m == detect.Gap {
		e.held.put(slot, seq, b)
		return detect.More
	}
	found := m == detect.Yes
	for again := e.held.used > 0; again && m != detect.No; {
		again = false
		for i := range e.held.places {
			x := &e.held.places[i]
			if x.flow != slot {
				continue
			}
			next := s.Feed(on, x.seq, x.data[:x.n], true, f)
			if next == detect.Gap {
				continue
			}
			e.held.used--
			x.flow, m, again = none, next, true
			found = found || m == detect.Yes
		}
	}
	if found {
		return detect.Yes
	}
	return m
}
