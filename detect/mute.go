// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// Mute is the network of MUTE and Kommute, whose clients hide who asks for a file. A
// connection begins with a public key in hexadecimal digits; all that follows is
// encrypted. Source: the rules of the l7-filter.
var Mute = Protocol{
	Name:     "mute",
	Title:    "MUTE",
	Programs: "MUTE, Kommute",
	First:    muteFirst,
	Begins:   "P",
	Sift:     true,
	Mode:     ModeMonitor,
	Old:      true,
}

// muteDigits is how many digits of the key are enough.
const muteDigits = 32

func muteFirst(b []byte, outbound bool, f *Finding) Match {
	const hello = "PublicKey: "
	if !outbound {
		return No
	}
	m := hasPrefix(b, []byte(hello))
	if m != Yes {
		return m
	}
	for i, c := range b[len(hello):] {
		switch {
		case i == muteDigits:
			f.Reason, f.Conduct = ReasonHello, true
			return Yes
		case !(c >= '0' && c <= '9') && !(lower(c) >= 'a' && lower(c) <= 'f'):
			return No
		}
	}
	return More
}
