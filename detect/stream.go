// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// StreamBuffer is how many bytes are kept of a beginning, or of one HTTP line, that is
// spread over several segments. A longer line is cut off there. Only the first line of a
// head is read whole, if one segment contains it: an announce has the port at its end.
const StreamBuffer = 160

// StreamLimit is how many bytes of one direction of a connection are read.
const StreamLimit = 4096

// Set is a set of protocols: bit i stands for All[i]. The caller always feeds a stream
// with the same set.
type Set uint32

// Has reports whether protocol i is in the set.
func (s Set) Has(i int) bool { return s>>uint(i)&1 != 0 }

type phase uint8

const (
	phaseNew   phase = iota // nothing seen
	phaseFirst              // the beginning is still undecided
	phaseLine               // in an HTTP head
	phaseNext               // at or before the message that Next reads
	phaseDone               // nothing more to read
)

// Stream reads one direction of a TCP connection. It has no pointers and allocates
// nothing. The zero value is ready.
type Stream struct {
	streamState
	buf [StreamBuffer]byte
}

// streamState is what Reset clears.
type streamState struct {
	next  uint32 // sequence number after the bytes seen so far
	began uint32 // sequence number of the beginning, after the messages to a proxy
	inner uint32 // hash of the destination behind the proxy, or 0
	// innerPort is the port of that destination.
	innerPort uint16
	seen      uint16 // bytes read
	skip      uint16 // bytes left before the message that Next reads
	n         uint8  // bytes in buf
	proxy     uint8  // state of the SOCKS messages to a proxy
	// connect: the current head asks an HTTP proxy to connect.
	connect bool
	phase   phase
	http    bool // the stream began as HTTP
	first   bool // the current line is the request or status line
	over    bool // the HTTP head was read to its end
	// claimed: a protocol was recognised.
	claimed bool
	// owner is the protocol that was recognised in the beginning, or first in the lines
	// of a head, counted from 1. Other protocols do not read the lines that follow:
	// another protocol might know the name that the program calls itself.
	owner uint8
	// browser: the head has a line that only web browsers write.
	browser bool
}

// Reset makes the stream ready for another connection.
func (s *Stream) Reset() { s.streamState = streamState{} }

// Feed reads the segment b with sequence number seq. outbound says that the LAN host sent
// it. Feed returns Yes when it recognises a protocol of set (f says which, and names
// peers), Hint when the beginning may belong to one, No when nothing more can come, and
// More when it needs the next segment. After a Yes, further segments may tell more.
//
// Segments may overlap or come twice. Feed does not read a segment that leaves a gap: it
// returns Gap. The caller feeds that segment again when the missing bytes have come.
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

// scanFirst reads b, which follows the buffered part of a beginning. It returns the bytes
// that are still to be read, if any: those after a message to a proxy, or the first line
// of a head together with its buffered part.
func (s *Stream) scanFirst(set Set, b []byte, outbound bool, f *Finding) (m Match, rest []byte) {
	start := b
	if s.n > 0 { // the buffered bytes and these, as far as they fit
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
	if m == More && len(start) < StreamBuffer && s.seen < StreamLimit { // undecided: keep it
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

// scanNext reads the messages after the first one. found says that the first one was
// recognised just now.
func (s *Stream) scanNext(b []byte, outbound bool, f *Finding, found bool) Match {
	next := All[s.owner-1].Next
	for s.phase == phaseNext && len(b) > 0 {
		n := min(int(s.skip), len(b))
		b = b[n:]
		if s.skip -= uint16(n); len(b) == 0 {
			break
		}
		start := b
		if s.n > 0 { // the buffered bytes and these, as far as they fit
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

// skipTo sets the start of the message that Next reads: n bytes after the start of this
// one.
func (s *Stream) skipTo(n int) {
	s.skip, s.n = uint16(min(n-int(s.n), StreamLimit)), 0
}

// restart reads what follows as a new beginning. n bytes of it have come already.
func (s *Stream) restart(n int) {
	s.phase, s.n, s.seen, s.began = phaseFirst, 0, uint16(n), s.next-uint32(n)
	s.http, s.first, s.over, s.browser, s.connect, s.owner = false, false, false, false, false, 0
}

// scanHead reads lines of an HTTP head. found says that something was recognised in the
// head just now. scanHead returns the bytes after the head of a CONNECT request.
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
		switch {
		case !s.browser && (s.first || !browserHeader(line)):
			found = s.header(set, line, outbound, f) == Yes || found
		case !s.connect: // nothing in this head counts
			s.browser, s.phase = true, phaseDone
		default:
			s.browser = true
		}
		s.first = false
	}
	if s.seen >= StreamLimit {
		s.phase = phaseDone
	}
	if s.browser && !s.claimed {
		// A browser wrote the earlier lines too.
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

// begin classifies a beginning. It returns More while the beginning is undecided (the
// phase stays), and also for HTTP (the phase changes).
func (s *Stream) begin(set Set, b []byte, outbound bool, f *Finding) Match {
	http, all := httpStart(b), All
	switch {
	case http == Yes, outbound && helloStart(b):
		all = nil // no protocol begins like these; the lines of the head or a name show it
	case http == No && b[0] == gnStart[0]:
		http = hasPrefix(b, []byte(gnStart)) // this handshake has lines of the same form
	}
	found, open, hint := false, false, -1
	if outbound && b[0] == tlsHandshake && s.tls(set, b, f) {
		return Yes
	}
	for i, p := range all {
		if p.First == nil || !set.Has(i) || !p.begins(b[0]) {
			continue
		}
		m := p.First(b, outbound, f)
		if m == Yes {
			f.Kind, f.Protocol = Session, i
			found = true
			break
		}
		if m == Hint {
			f.Reset() // another protocol may be sure
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

// tls reports whether a ClientHello is of a protocol.
func (s *Stream) tls(set Set, b []byte, f *Finding) bool {
	name, protocols := Hello(b)
	if name == nil && protocols == nil {
		return false
	}
	for i, p := range All {
		if set.Has(i) && p.TLS != nil && p.TLS(name, protocols) {
			f.Kind, f.Protocol, f.Reason, f.Conduct = Session, i, ReasonHello, true
			return true
		}
	}
	return false
}

// begins reports whether the protocol may know a beginning with the byte.
func (p *Protocol) begins(c byte) bool {
	for i := range len(p.Begins) {
		if p.Begins[i] == c {
			return true
		}
	}
	return p.Begins == ""
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

// keep appends to the buffered line, as far as there is room.
func (s *Stream) keep(b []byte) { s.n += uint8(copy(s.buf[s.n:], b)) }

// browserHeaders are how the lines begin that web browsers write in a head. A web page
// cannot suppress these lines.
var browserHeaders = [...]string{
	"user-agent: mozilla/", "accept-language:", "origin:", "referer:", "cookie:", "sec-",
}

// browserHeader reports whether web browsers write the header line.
func browserHeader(line []byte) bool {
	if len(line) == 0 {
		return false
	}
	c := lower(line[0])
	for _, h := range browserHeaders {
		if h[0] == c && hasPrefixFold(line, h) {
			return true
		}
	}
	return false
}

var httpStarts = [...]string{
	"GET ", "HEAD ", "POST ", "PUT ", "OPTIONS ", "DELETE ", "PATCH ", "CONNECT ", "HTTP/",
}

// httpStart reports whether b begins an HTTP/1 request or reply.
func httpStart(b []byte) Match {
	if len(b) > 0 && (b[0] < 'C' || b[0] > 'P') { // none begins so
		return No
	}
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

// Start sets the sequence number at which the direction begins, if it is known before the
// first segment.
func (s *Stream) Start(seq uint32) {
	if s.phase == phaseNew {
		s.phase, s.next, s.began = phaseFirst, seq, seq
	}
}

// Far reports whether a sequence number is out of reach: more than 16 MiB, the largest
// window of common systems, away from the bytes seen so far.
func (s *Stream) Far(seq uint32) bool {
	const reach = 16 << 20
	d := int32(seq - s.next)
	return s.phase != phaseNew && (d > reach || d < -reach)
}

// Sure reports whether a program of the protocol sent the recognised bytes, and no web
// browser. A web page can make a browser send a request line and some headers of its
// choice. So an HTTP head counts only when it was read to its end.
func (s *Stream) Sure() bool { return s.claimed && (!s.http || s.over && !s.browser) }

// HTTP reports whether the stream began as HTTP.
func (s *Stream) HTTP() bool { return s.http }

// Done reports whether nothing more is to be read in this direction.
func (s *Stream) Done() bool { return s.phase == phaseDone }

// Began returns the sequence number of the first byte of the beginning. If the connection
// goes through a proxy, the beginning comes after the messages to the proxy.
func (s *Stream) Began() uint32 { return s.began }

// Inner returns a hash of the destination behind a proxy, or 0 without a proxy.
func (s *Stream) Inner() uint32 { return s.inner }

// InnerPort returns the port of that destination.
func (s *Stream) InnerPort() uint16 { return s.innerPort }
