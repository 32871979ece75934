// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// OpenNAP is the network of Napster and of its later servers and clients: TekNap,
// Lopster, XNap, MLDonkey, WinMX up to version 2.6. Source: drscholl, "napster messages"
// (napster.txt of opennap 0.44). Numbers are little-endian.
//
// There are many servers with names of their own. Names has the places where clients
// looked for a server: Napster's redirector, on port 8875, and the list that MLDonkey
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

// The messages that begin a session: u16 length, u16 type, text. The text of both is
// <nick> <password> <port> "<program>" <speed> ...
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
	if port == 0 && (n != 1 || b[0] != '0') { // 0 says that nobody can connect to the client
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

// napText returns the length of the printable text at the start of b, up to end. Only
// quoted text may contain blanks.
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

// napTransfer matches the request for a file between clients. It follows the "1" that the
// accepting side sends: GET or SEND, sent on its own, then <nick> "<file>" <offset or
// size>.
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
	if n, m = napText(b, ' '); m != Yes { // HTTP has a blank right after GET
		return m
	}
	if m = hasPrefix(b[n+1:], []byte(`"`)); m == Yes {
		f.Reason, f.Conduct = reason, true
	}
	return m
}
