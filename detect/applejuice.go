// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// AppleJuice is the network of the appleJuice client and its servers. Sources: the rules
// of ipp2p, and what clients send: a word and a version of two bytes, big-endian, to
// which the server answers with its own version.
var AppleJuice = Protocol{
	Name:     "applejuice",
	Title:    "appleJuice",
	Programs: "appleJuice",
	First:    ajFirst,
	Begins:   "a",
	Sift:     true,
	Mode:     ModeMonitor,
	Old:      true,
}

func ajFirst(b []byte, outbound bool, f *Finding) Match {
	const hello = "ajprot\r\n"
	if !outbound {
		return No
	}
	m := hasPrefix(b, []byte(hello))
	if m != Yes {
		return m
	}
	// The version may come on its own.
	if rest := b[len(hello):]; len(rest) > 2 || len(rest) > 0 && rest[0] > 3 {
		return No
	}
	f.Reason, f.Conduct = ReasonHello, true
	return Yes
}
