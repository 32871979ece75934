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
	phaseNext               // at the next message of what was recognised, or before it
	phaseDone               // nothing more to see here
)

// Stream reads one direction of a TCP connection. It keeps what it needs in
// itself: no pointer, no allocation. The zero value is ready.
type Stream struct {
	next  uint32 // sequence number that follows what was seen
	began uint32 // sequence number of the beginning, behind what is for a proxy
	inner uint32 // a number for whom it is that the proxy leads to, or 0
	// innerPort is the port there.
	innerPort uint16
	seen      uint16 // bytes looked at
	skip      uint16 // bytes that are left of the message before the next
	n         uint8  // bytes in buf
	proxy     uint8  // what was said to a SOCKS proxy
	// connect: the head being read asks an HTTP proxy to connect.
	connect bool
	phase   phase
	http    bool // it began as HTTP
	first   bool // the line being read is the request or status line
	over    bool // the HTTP head was read to its end
	// claimed: a protocol was recognised.
	claimed bool
	// owner is the protocol in which the beginning or the first of the lines of a head was
	// recognised, counted from 1: others are not asked about the lines that follow. What a
	// program calls itself may be a name that another protocol knows.
	owner uint8
	// browser: a line of the head is one that only web browsers write.
	browser bool
	buf     [StreamBuffer]byte
}

// Feed looks at the segment b with sequence number seq, sent by the LAN host if
// outbound. It returns Yes when a protocol of set was recognised (f says which,
// and names peers), Hint when the beginning can be of one, No when nothing more can
// come, and More when the next segment is to be shown. After a Yes, further segments may
// tell more.
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
	m := More
	for s.phase == phaseFirst {
		if m, b = s.scanFirst(set, b, outbound, f); len(b) == 0 {
			return m
		}
	}
	switch s.phase {
	case phaseDone:
		return m
	case phaseNext:
		return s.scanNext(b, outbound, f, m == Yes)
	}
	if m, b = s.scanHead(set, b, outbound, f, m == Yes); len(b) > 0 {
		s.seen -= uint16(len(b))
		return s.scan(set, b, outbound, f)
	}
	return m
}

// scanFirst looks at b, which follows what is kept of a beginning. It returns what is
// still to be looked at, if anything: what is behind a message to a proxy, or the first
// line of a head with what is kept of it.
func (s *Stream) scanFirst(set Set, b []byte, outbound bool, f *Finding) (m Match, rest []byte) {
	start := b
	if s.n > 0 { // what came before and this, as far as it fits
		n := copy(s.buf[s.n:], b)
		start = s.buf[:int(s.n)+n]
	}
	n, m := 0, No
	if outbound {
		n, m = s.socks(start)
	}
	switch m {
	case Yes:
		b = b[n-int(s.n):]
		s.restart(len(b))
		return More, b
	case No:
		m = s.begin(set, start, outbound, f)
		s.claimed = m == Yes
		if s.claimed {
			s.owner = uint8(f.Protocol) + 1
		}
		if s.claimed && s.phase == phaseFirst && f.Length > int(s.n) {
			s.phase = phaseNext
			s.skipTo(f.Length)
			return m, b
		}
		if s.phase == phaseLine {
			return m, b
		}
	}
	if m == More && len(start) < StreamBuffer && s.seen < StreamLimit { // still open: keep it
		if s.n == 0 {
			copy(s.buf[:], b)
		}
		s.n = uint8(len(start))
		return More, nil
	}
	s.phase = phaseDone
	if m == More {
		m = No
	}
	return m, nil
}

// scanNext looks at messages behind the first one. found says that this was recognised just
// now.
func (s *Stream) scanNext(b []byte, outbound bool, f *Finding, found bool) Match {
	next := All[s.owner-1].Next
	for s.phase == phaseNext && len(b) > 0 {
		n := min(int(s.skip), len(b))
		b = b[n:]
		if s.skip -= uint16(n); len(b) == 0 {
			break
		}
		start := b
		if s.n > 0 { // what came before and this, as far as it fits
			n := copy(s.buf[s.n:], b)
			start = s.buf[:int(s.n)+n]
		}
		wait := f.Wait
		f.Length, f.Wait = 0, false
		m := next(start, outbound, f)
		switch m {
		case Yes:
			f.Kind, f.Protocol, found = Session, int(s.owner)-1, true
		case More:
			f.Wait = wait
		}
		switch {
		case m == Yes && f.Length > int(s.n):
			s.skipTo(f.Length)
		case m == More && len(start) < StreamBuffer:
			s.keep(b)
			b = nil
		default:
			s.phase = phaseDone
		}
	}
	if s.seen >= StreamLimit {
		s.phase = phaseDone
	}
	switch {
	case found:
		return Yes
	case s.phase == phaseDone:
		return No
	}
	return More
}

// skipTo has what is behind n bytes from the beginning of the message looked at next.
func (s *Stream) skipTo(n int) {
	s.skip, s.n = uint16(min(n-int(s.n), StreamLimit)), 0
}

// restart has what follows read as a beginning; n bytes of it have come already.
func (s *Stream) restart(n int) {
	s.phase, s.n, s.seen, s.began = phaseFirst, 0, uint16(n), s.next-uint32(n)
	s.http, s.first, s.over, s.browser, s.connect, s.owner = false, false, false, false, false, 0
}

// scanHead looks at lines of a head of HTTP. found says that something was recognised in
// it just now. It returns what is behind the head of a request to connect.
func (s *Stream) scanHead(set Set, b []byte, outbound bool, f *Finding, found bool) (m Match, rest []byte) {
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
		if s.first && outbound && s.inner == 0 {
			s.inner, s.innerPort = connectTo(line)
			s.connect = s.inner != 0
		}
		if len(line) == 0 && !s.first { // end of the head
			if s.connect {
				s.restart(len(b))
				return More, b
			}
			s.phase, s.over = phaseDone, true
			break
		}
		s.browser = s.browser || !s.first && browserHeader(line)
		if !s.browser && s.header(set, line, outbound, f) == Yes {
			found = true
		}
		s.first = false
	}
	if s.seen >= StreamLimit {
		s.phase = phaseDone
	}
	if s.browser && !s.claimed {
		// What these lines said before is a browser's too.
		found, s.owner = false, 0
		f.Reset()
	}
	switch {
	case found:
		s.claimed = true
		return Yes, nil
	case s.phase == phaseDone:
		return No, nil
	}
	return More, nil
}

// begin decides what a beginning is. It returns More both when it is open (the
// phase stays) and when it is HTTP (the phase changes).
func (s *Stream) begin(set Set, b []byte, outbound bool, f *Finding) Match {
	http := httpStart(b)
	found, open, hint := false, false, -1
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
		if m == Hint {
			f.Reset() // another may be sure
			hint = i
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
	if hint >= 0 {
		All[hint].First(b, outbound, f)
		f.Kind, f.Protocol = Weak, hint
		return Hint
	}
	return No
}

func (s *Stream) header(set Set, line []byte, outbound bool, f *Finding) Match {
	for i, p := range All {
		if p.Header == nil || !set.Has(i) || s.owner != 0 && int(s.owner) != i+1 {
			continue
		}
		if p.Header(line, s.first, outbound, f) == Yes {
			f.Kind, f.Protocol, s.owner = Session, i, uint8(i)+1
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
	"GET ", "HEAD ", "POST ", "PUT ", "OPTIONS ", "DELETE ", "PATCH ", "CONNECT ", "HTTP/",
	"GNUTELLA", // whose handshake has lines of the same form
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
		s.phase, s.next, s.began = phaseFirst, seq, seq
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

// Began returns the sequence number of the first byte of the beginning: of what is behind
// the words to a proxy, if it goes through one.
func (s *Stream) Began() uint32 { return s.began }

// Inner returns a number for whom the stream is for behind a proxy, or 0 when it goes
// through none.
func (s *Stream) Inner() uint32 { return s.inner }

// InnerPort returns the port there.
func (s *Stream) InnerPort() uint16 { return s.innerPort }
