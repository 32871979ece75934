// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// OpenNAP is the network of Napster and of the servers and clients that follow
// it: TekNap, Lopster, XNap, MLDonkey, WinMX up to version 2.6. Source: drscholl,
// "napster messages" (napster.txt of opennap 0.44). Numbers are little-endian.
//
// Servers are many and have names of their own; those listed are where clients
// asked for one: Napster's redirector, on port 8875, and the list that MLDonkey
// fetched.
var OpenNAP = Protocol{
	Name:      "opennap",
	Title:     "OpenNAP",
	Programs:  "Napster, Lopster, XNap, TekNap",
	First:     napFirst,
	Exclusive: true,
	Strict:    true,
	Old:       true,
	Names:     []string{"server.napster.com", "*.napigator.com"},
}

// The messages with which a session begins: u16 length, u16 type, text. Both have
// the text <nick> <password> <port> "<program>" <speed> ...
const (
	napLogin    = 2
	napRegister = 6

	napHead  = 4
	napLeast = 10 // bytes of text
	napWord  = 64 // bytes of a nick, a password or a program
)

func napFirst(b []byte, outbound bool, f *Finding) Match {
	if !outbound {
		return No
	}
	if m := napHeader(b); m != Yes {
		return m
	}
	b = b[napHead:]
	for range 2 { // nick and password
		n, m := napText(b, ' ')
		if m != Yes {
			return m
		}
		b = b[n+1:]
	}
	n, m := napText(b, ' ')
	if m != Yes {
		return m
	}
	port := decimalPort(b[:n])
	if port == 0 && (n != 1 || b[0] != '0') { // 0 says that it cannot be reached
		return No
	}
	b = b[n+1:]
	if m := hasPrefix(b, []byte(`"`)); m != Yes {
		return m
	}
	if n, m = napText(b[1:], '"'); m != Yes {
		return m
	}
	f.Reason, f.TCPPort, f.Conduct = ReasonHello, port, true
	f.Client.Set(b[1 : 1+n])
	return Yes
}

func napHeader(b []byte) Match {
	switch {
	case b[0] < napLeast, len(b) > 1 && b[1] != 0, len(b) > 2 && b[2] != napLogin && b[2] != napRegister,
		len(b) > 3 && b[3] != 0:
		return No
	case len(b) <= napHead:
		return More
	}
	return Yes
}

// napText returns the length of the printable text that b begins with, up to end;
// only what stands in quotes may have blanks.
func napText(b []byte, end byte) (int, Match) {
	for i, c := range b {
		switch {
		case c == end && i > 0:
			return i, Yes
		case c == end, i == napWord, c < ' ', c == 0x7f, c == ' ' && end == ' ':
			return 0, No
		}
	}
	return 0, More
}

// napTransfer matches the request for a file between clients, which follows the
// "1" of the side that was connected to: GET or SEND, sent on its own, then
// <nick> "<file>" <offset or size>.
func napTransfer(b []byte, f *Finding) Match {
	reason := ReasonTransfer
	m := hasPrefix(b, []byte("GET"))
	n := len("GET")
	if m == No {
		reason = ReasonPush
		m = hasPrefix(b, []byte("SEND"))
		n = len("SEND")
	}
	if m != Yes {
		return m
	}
	b = b[n:]
	if n, m = napText(b, ' '); m != Yes { // HTTP has a blank at once
		return m
	}
	if m = hasPrefix(b[n+1:], []byte(`"`)); m == Yes {
		f.Reason, f.Conduct = reason, true
	}
	return m
}
