// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// StreamBuffer is how much of a beginning, or of one HTTP line, is kept when it
// is spread over segments, in bytes; of a longer line the beginning counts. Only the
// first line of a head is read whole where one segment has it: that of an announce
// has the port at its end.
const StreamBuffer = 160

// StreamLimit is how much of one direction of a connection is looked at, in
// bytes.
const StreamLimit = 4096

// Set is a set of protocols: bit i stands for All[i]. A stream is always fed with the
// same set.
type Set uint32

// Has reports whether protocol i is in the set.
func (s Set) Has(i int) bool { return s>>uint(i)&1 != 0 }

type phase uint8

const (
	phaseNew   phase = iota // nothing seen
	phaseFirst              // undecided what the beginning is
	phaseLine               // in an HTTP head
	phaseDone               // nothing more to see here
)

// Stream reads one direction of a TCP connection. It keeps what it needs in
// itself: no pointer, no allocation. The zero value is ready.
type Stream struct {
	next  uint32 // sequence number that follows what was seen
	seen  uint16 // bytes looked at
	n     uint8  // bytes in buf
	phase phase
	http  bool // it began as HTTP
	first bool // the line being read is the request or status line
	over  bool // the HTTP head was read to its end
	// claimed: a protocol was recognised.
	claimed bool
	// browser: a line of the head is one that only web browsers write.
	browser bool
	buf     [StreamBuffer]byte
}

// Feed looks at the segment b with sequence number seq, sent by the LAN host if
// outbound. It returns Yes when a protocol of set was recognised (f says which,
// and names peers), No when nothing more can come, and More when the next
// segment is to be shown. After a Yes, further segments may name more peers.
//
// Segments may overlap or come twice. One that leaves a gap is not read: Feed
// returns Gap, and the caller shows it again when what is missing has come.
func (s *Stream) Feed(set Set, seq uint32, b []byte, outbound bool, f *Finding) Match {
	if s.Done() {
		return No
	}
	if len(b) == 0 {
		return More
	}
	if s.phase == phaseNew {
		s.Start(seq)
	}
	end := seq + uint32(len(b))
	switch d := int32(seq - s.next); {
	case d < 0 && int(-d) >= len(b): // seen before
		return More
	case d < 0:
		b = b[-d:]
	case d > 0:
		return Gap
	}
	s.next = end
	return s.scan(set, b, outbound, f)
}

func (s *Stream) scan(set Set, b []byte, outbound bool, f *Finding) Match {
	if room := StreamLimit - int(s.seen); len(b) > room {
		b = b[:room]
	}
	s.seen += uint16(len(b))
	found := No
	if s.phase == phaseFirst {
		start := b
		if s.n > 0 { // what came before and this, as far as it fits
			n := copy(s.buf[s.n:], b)
			start = s.buf[:int(s.n)+n]
		}
		m := s.begin(set, start, outbound, f)
		s.claimed = m == Yes
		switch {
		case s.phase == phaseLine:
			// It is HTTP: what was kept is the beginning of the first line, and
			// b goes on from there. The rest of the head may name peers.
			found = m
		case m == More && len(start) < StreamBuffer && s.seen < StreamLimit: // still open: keep it
			if s.n == 0 {
				copy(s.buf[:], b)
			}
			s.n = uint8(len(start))
			return More
		default:
			s.phase = phaseDone
			if m == Yes {
				return Yes
			}
			return No
		}
	}
	for len(b) > 0 && s.phase != phaseDone {
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			s.keep(b)
			break
		}
		line := b[:end]
		if !s.first {
			line = b[:min(end, StreamBuffer)]
		}
		if s.n > 0 {
			s.keep(line)
			line = s.buf[:s.n]
		}
		b = b[end+1:]
		s.n = 0
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		if len(line) == 0 && !s.first { // end of the head
			s.phase, s.over = phaseDone, true
			break
		}
		s.browser = s.browser || !s.first && browserHeader(line)
		if !s.browser && s.header(set, line, outbound, f) == Yes {
			found = Yes
		}
		s.first = false
	}
	if s.seen >= StreamLimit {
		s.phase = phaseDone
	}
	if s.browser && !s.claimed {
		// What these lines said before is a browser's too.
		found = No
		f.Reset()
	}
	switch {
	case found == Yes:
		s.claimed = true
		return Yes
	case s.phase == phaseDone:
		return No
	}
	return More
}

// begin decides what a beginning is. It returns More both when it is open (the
// phase stays) and when it is HTTP (the phase changes).
func (s *Stream) begin(set Set, b []byte, outbound bool, f *Finding) Match {
	http := httpStart(b)
	found, open := false, false
	for i, p := range All {
		if p.First == nil || !set.Has(i) {
			continue
		}
		m := p.First(b, outbound, f)
		if m == Yes {
			f.Kind, f.Protocol = Session, i
			found = true
			break
		}
		open = open || m == More
	}
	if http == Yes && (found || !open) {
		s.phase, s.first, s.http = phaseLine, true, true
	}
	if found {
		return Yes
	}
	if open || http != No {
		return More
	}
	return No
}

func (s *Stream) header(set Set, line []byte, outbound bool, f *Finding) Match {
	for i, p := range All {
		if p.Header == nil || !set.Has(i) {
			continue
		}
		if p.Header(line, s.first, outbound, f) == Yes {
			f.Kind, f.Protocol = Session, i
			return Yes
		}
	}
	return No
}

// keep appends to the line that is being put together, as far as there is room.
func (s *Stream) keep(b []byte) { s.n += uint8(copy(s.buf[s.n:], b)) }

// browserHeaders begin the lines of a head that web browsers write and that a page
// cannot leave out.
var browserHeaders = [...]string{
	"user-agent: mozilla/", "accept-language:", "origin:", "referer:", "cookie:", "sec-",
}

// browserHeader reports whether the header line is one that web browsers write.
func browserHeader(line []byte) bool {
	for _, h := range browserHeaders {
		if hasPrefixFold(line, h) {
			return true
		}
	}
	return false
}

var httpStarts = [...]string{
	"GET ", "HEAD ", "POST ", "PUT ", "OPTIONS ", "DELETE ", "PATCH ", "HTTP/",
}

// httpStart reports whether b begins an HTTP/1 request or reply.
func httpStart(b []byte) Match {
	open := No
	for _, s := range httpStarts {
		switch hasPrefix(b, []byte(s)) {
		case Yes:
			return Yes
		case More:
			open = More
		}
	}
	return open
}

// Start says with which sequence number the direction begins, where that is
// known before its first segment.
func (s *Stream) Start(seq uint32) {
	if s.phase == phaseNew {
		s.phase, s.next = phaseFirst, seq
	}
}

// Far reports whether a sequence number is out of reach of what was seen: further
// away than 16 MiB, the largest window of common systems.
func (s *Stream) Far(seq uint32) bool {
	const reach = 16 << 20
	d := int32(seq - s.next)
	return s.phase != phaseNew && (d > reach || d < -reach)
}

// Sure reports whether what was recognised is the words of the program that sent
// them, and of no web browser. A page can have a browser send a request line and some
// headers of its choice, so a head of HTTP has to be read to its end.
func (s *Stream) Sure() bool { return s.claimed && (!s.http || s.over && !s.browser) }

// Done reports whether nothing more is to be seen in this direction.
func (s *Stream) Done() bool { return s.phase == phaseDone }
