// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// Harmless is the bit of a Set that has streams show what is harmless: something
// known that is no file sharing.
const Harmless Set = 1 << 31

type look uint8

const (
	lookNone  look = iota // not looked for, or nothing known
	lookFirst             // undecided what the beginning is
	lookHello             // in a TLS hello
	lookYes               // it is something known
)

// sifter is what a stream keeps to show what is harmless.
type sifter struct {
	look    look
	claimed bool   // a protocol was recognised
	port    uint16 // of the host outside, or 0
	hello   tlsHello
}

func (s *sifter) looking() bool { return s.look == lookFirst || s.look == lookHello }

// sift looks at b, the next bytes; start is the beginning as far as it is kept, b
// included.
func (s *sifter) sift(start, b []byte) {
	if s.look == lookFirst && start[0] == tlsHandshake {
		s.look = lookHello // start is b: the first byte is looked at once
	}
	var m Match
	if s.look == lookHello {
		// A client without a server name may be one of a peer, unless
		// the port is one that only services use.
		m = s.hello.feed(b, match(s.port != 0 && s.port < 1024))
	} else {
		m = knownFirst(start, s.port)
	}
	switch m {
	case Yes:
		s.look = lookYes
	case No:
		s.look = lookNone
	}
}

// endLook ends the search behind as much as is kept or looked at.
func (s *Stream) endLook() {
	if s.look == lookFirst || s.seen >= StreamLimit && s.look == lookHello {
		s.look = lookNone
	}
}

// Harmless reports whether the direction has shown that its connection is
// something known that is no file sharing: by its beginning (see knownFirst and
// tlsHello), or by the head of an HTTP message that no protocol claimed. It is to
// be asked behind a No of Feed.
func (s *Stream) Harmless() bool {
	return s.phase == phaseDone && !s.claimed && (s.http || s.look == lookYes)
}

// WantPort tells the stream the port of the host outside, before its first data.
func (s *Stream) WantPort(port uint16) { s.port = port }
