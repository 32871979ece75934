// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "testing"

// framedToy is a made-up protocol. Each message is its length, a letter and its content.
// A session begins with L. P contains a port. A message that begins with ? may be
// anything.
var framedToy = Protocol{Name: "framed", First: framedFirst, Next: framedNext}

func framedFirst(b []byte, _ bool, f *Finding) Match {
	switch {
	case b[0] == '?':
		f.Reason, f.TCPPort = ReasonHello, 77
		return Hint
	case b[0] < 2 || b[0] >= 'A' || len(b) > 1 && b[1] != 'L':
		return No
	case len(b) < 2:
		return More
	}
	f.Reason, f.Conduct, f.Length, f.Wait = ReasonHello, true, int(b[0]), true
	return Yes
}

func framedNext(b []byte, _ bool, f *Finding) Match {
	switch {
	case len(b) < 2 || len(b) < int(b[0]):
		return More
	case b[1] == 'P' && b[0] == 4:
		f.TCPPort = be16(b[2:])
		return Yes
	case b[1] == 'N':
		f.Length = int(b[0])
		return Yes
	}
	return No
}

// withProtocols replaces All by these for the time of a test.
func withProtocols(t *testing.T, p ...*Protocol) {
	was := All
	All = p
	t.Cleanup(func() { All = was })
}

func TestNextMessages(t *testing.T) {
	withProtocols(t, &FastTrack, &framedToy)
	for _, tt := range []struct {
		name     string
		segments []string
		want     []Match
		port     uint16
		done     bool
	}{
		{"one alone", []string{"\x05Labc"}, []Match{Yes}, 0, false},
		{"the port behind it", []string{"\x05Labc\x04P\x1a\xe1"}, []Match{Yes}, 6881, true},
		{"the port in the next segment", []string{"\x05Labc", "\x04P\x1a\xe1"}, []Match{Yes, Yes}, 6881, true},
		{"both cut", []string{"\x05", "Lab", "c\x04P\x1a", "\xe1more"}, []Match{More, Yes, More, Yes}, 6881, true},
		{"one between", []string{"\x05Labc\x08Nabcde", "f\x04P", "\x1a\xe1"}, []Match{Yes, Yes, Yes}, 6881, true},
		{"something else behind it", []string{"\x05Labc\x04Xab", "\x04P\x1a\xe1"}, []Match{Yes, No}, 0, true},
		{"no such beginning", []string{"\x05Xabc\x04P\x1a\xe1"}, []Match{No}, 0, true},
	} {
		var s Stream
		var f Finding
		seq, port := uint32(100), uint16(0)
		for i, b := range tt.segments {
			f.Reset()
			m := s.Feed(all, seq, []byte(b), true, &f)
			if i < len(tt.want) && m != tt.want[i] {
				t.Errorf("%s: segment %d: match %d, want %d", tt.name, i, m, tt.want[i])
			}
			if m == Yes && (f.Protocol != 1 || f.Kind != Session) {
				t.Errorf("%s: segment %d: protocol %d, kind %d", tt.name, i, f.Protocol, f.Kind)
			}
			port = max(port, f.TCPPort)
			seq += uint32(len(b))
		}
		if port != tt.port || s.Done() != tt.done {
			t.Errorf("%s: port %d, done %v", tt.name, port, s.Done())
		}
	}
	// An endless stream is read only up to StreamLimit.
	var s Stream
	var f Finding
	s.Feed(all, 0, []byte("\x02L"), true, &f)
	n := 0
	for ; !s.Done(); n++ {
		s.Feed(all, uint32(2+4*n), []byte("\x04Nab"), true, &f)
	}
	if n > StreamLimit/4 {
		t.Errorf("%d messages were looked at", n)
	}
	// A message may wait for the next one, even if that one is incomplete.
	s, f = Stream{}, Finding{}
	if m := s.Feed(all, 0, []byte("\x02L\x04P"), true, &f); m != Yes || !f.Wait {
		t.Errorf("match %d, waits %v", m, f.Wait)
	}
}

func TestHint(t *testing.T) {
	withProtocols(t, &framedToy, &FastTrack)
	for _, tt := range []struct {
		name string
		text string
		want Match
		kind Kind
		port uint16
	}{
		{"a hint", "?abc", Hint, Weak, 77},
		{"no hint", "!abc", No, None, 0},
		{"another is sure", hello, Yes, Session, 0},
	} {
		var s Stream
		var f Finding
		if m := s.Feed(all, 1, []byte(tt.text), true, &f); m != tt.want || f.Kind != tt.kind || f.TCPPort != tt.port {
			t.Errorf("%s: match %d, kind %d, port %d", tt.name, m, f.Kind, f.TCPPort)
		}
		if tt.want == Hint && (!s.Done() || s.Sure()) {
			t.Errorf("%s: done %v, sure %v", tt.name, s.Done(), s.Sure())
		}
	}
}
