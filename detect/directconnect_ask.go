// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// adcQuestion is what a client says to another one first. It goes to where a client waits for
// others; one that was on hubs of NMDC alone answers as well.
func adcQuestion(dst, _ []byte, _ uint32) int { return copy(dst, "CSUP ADBASE ADTIGR\n") }

// adcAnswered reports whether b is what a client answers: what it can do, and who it is, which
// was not in the question.
func adcAnswered(b, _ []byte) bool {
	const id = "\nCINF ID"
	var f Finding
	i := bytes.Index(b, []byte(id))
	if i < 0 || b[0] != 'C' || adcFirst(b, &f) != Yes {
		return false
	}
	b = b[i+len(id):]
	return len(b) >= adcIDSize && isBase32(b[:adcIDSize])
}

// dcLogin answers in a hub's name. A client that is on one hub is proved by it, and says where
// it listens.
var dcLogin = Login{Answer: dcWelcome, Told: dcTold}

// dcWelcome is what a hub says to a client that has said who it wants to be. By ADC it gives it
// a number, which the client has to use from now on. By NMDC it welcomes it, and has somebody
// with a name of ours ask it for a connection.
func dcWelcome(dst, first []byte, salt uint32) int {
	w := builder{b: dst}
	var token [dcToken]byte
	dcTokenOf(&token, salt)
	if len(first) > 0 && first[0] == 'H' {
		w.text("ISUP ADBASE ADTIGR\nISID ")
		w.bytes(token[:adcSID])
		w.text("\nIINF CT32 NIhub\n")
	} else if nick := nmdcValidated(first); nick != nil {
		w.text("$Hello ")
		w.bytes(nick)
		w.text("|$Hello ")
		w.bytes(token[:])
		w.text("|$RevConnectToMe ")
		w.bytes(token[:])
		w.text(" ")
		w.bytes(nick)
		w.text("|")
	}
	if w.full {
		return 0
	}
	return w.n
}

// dcToken is the length of a name that nobody can guess, made of the digits of base 32.
const dcToken = 8

func dcTokenOf(t *[dcToken]byte, salt uint32) {
	var none [16]byte
	g := randomFrom(&none, salt)
	g.fill(t[:])
	for i, c := range t {
		t[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[c&31]
	}
}

// dcTold looks in b for what a client says to dcWelcome: by ADC about itself, under the number
// that it was given. By NMDC it is the invitation to whoever has our name, to where it listens
// or back to itself where it cannot; before that it tells about itself, and some tell no more.
func dcTold(b []byte, salt uint32, f *Finding) Match {
	var token [dcToken]byte
	dcTokenOf(&token, salt)
	found := No
	for len(b) > 0 {
		n := bytes.IndexAny(b, "|\n")
		if n < 0 {
			n = len(b)
		}
		x := b[:n]
		b = b[min(n+1, len(b)):]
		switch {
		case hasPrefix(x, []byte("BINF ")) == Yes && len(x) > 5+adcSID && string(x[5:5+adcSID]) == string(token[:adcSID]):
			found = Yes
		case hasPrefix(x, []byte("$MyINFO $ALL ")) == Yes:
			found = max(found, Hint)
		case hasPrefix(x, []byte("$ConnectToMe ")) == Yes && hasPrefix(x[len("$ConnectToMe "):], token[:]) == Yes,
			hasPrefix(x, []byte("$RevConnectToMe ")) == Yes && bytes.HasSuffix(x, token[:]): // our own words have it first
			found = Yes
		default:
			continue
		}
		dcTell(x, f)
		if found == Yes {
			break
		}
	}
	if found != No {
		f.Reason = ReasonHello
	}
	return found
}
