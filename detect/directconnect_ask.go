// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// adcQuestion builds the first message from one client to another. The probe goes to the
// port at which a client waits for others. Clients that used only NMDC hubs answer it as
// well.
func adcQuestion(dst, _ []byte, _ uint32) int { return copy(dst, "CSUP ADBASE ADTIGR\n") }

// adcAnswered reports whether b is a client's answer: its features, and its ID, which was
// not in the question.
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

// adcsHello is the first message of TLS 1.2, without its key: it only makes the other side
// show its certificate. With TLS 1.3 that would be encrypted.
const adcsHello = "\x16\x03\x01\x00\x4f\x01\x00\x00\x4b\x03\x03" + "CSUP ADBASE ADTIGR CSUP ADBASE A" +
	"\x00\x00\x08\xc0\x2f\xc0\x30\xc0\x2b\xc0\x2c\x01\x00" + // ECDHE with AES-GCM
	"\x00\x1a\x00\x0a\x00\x06\x00\x04\x00\x1d\x00\x17" + // curves
	"\x00\x0d\x00\x0c\x00\x0a\x04\x01\x08\x04\x04\x03\x02\x01\x06\x01" // signatures

// adcsQuestion asks a client's port for TLS.
func adcsQuestion(dst, _ []byte, _ uint32) int { return copy(dst, adcsHello) }

// adcsAnswered reports whether b has a certificate that bears a client's ID as its name, as
// those of DC++ and the programs made from it do.
func adcsAnswered(b, _ []byte) bool {
	const name, head = "\x06\x03U\x04\x03", 7 // after it the kind and the length of the text
	i := bytes.Index(b, []byte(name))
	return i > 0 && b[0] == 0x16 && len(b) >= i+head+adcIDSize &&
		b[i+head-1] == adcIDSize && isBase32(b[i+head:][:adcIDSize])
}

// dcLogin answers in a hub's name. So a client on a single hub is proved, and tells where
// it listens.
var dcLogin = Login{Answer: dcWelcome, Again: dcInvite, Told: dcTold}

// dcWelcome builds a hub's reply to a client's login. With ADC, the reply gives the
// client a session ID that it must use from now on. With NMDC, it welcomes the client;
// then a user with a made-up name asks the client for a connection.
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
		w.text("|")
		w.invite(token[:], nick)
	}
	if w.full {
		return 0
	}
	return w.n
}

// dcInvite builds what a hub passes on from another user in the middle of a session. A user
// with a made-up name asks the client for a connection: with NMDC, as dcWelcome does; with
// ADC, by a protocol that no client knows. A client of one does not read the other. ncdc
// answers that only if others can connect to it (NMDC), or if we know its number (ADC). But
// by NMDC it gives the key to a hub's lock at any time; other programs do so only at the
// beginning. And by ADC each client answers the user's search for any file. last is what the
// client said last. What it says to another client, about a file, is not answered.
func dcInvite(dst, last []byte, salt uint32) int {
	w := builder{b: dst}
	var token [dcToken]byte
	self := []byte("AAAA") // most programs take any number for their own
	switch {
	case hasPrefix(last, []byte("$ADC")) == Yes, len(last) > 0 && last[0] == 'C':
		return 0
	case len(last) >= 5+adcSID && last[0] != '$':
		self = last[5 : 5+adcSID]
	}
	dcTokenOf(&token, salt)
	user := token[dcToken-adcSID:] // dcTold knows the first ones as the client's own
	w.invite(token[:], user)
	w.text("$Lock ")
	w.bytes(token[:])
	w.text(" Pk=1|\nBINF ")
	w.bytes(user)
	w.text(" IDBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB NI")
	w.bytes(token[:])
	w.text("\nBSCH ")
	w.bytes(user)
	w.text(" GE0 TO")
	w.bytes(token[:])
	w.text("\nDCTM ")
	w.bytes(user)
	w.text(" ")
	w.bytes(self)
	w.text(" ")
	w.bytes(token[:])
	w.text("/1.0 1214 ")
	w.bytes(token[:])
	w.text("\n")
	return w.n
}

// invite builds NMDC's part: the user with the name of the token asks for a connection.
func (w *builder) invite(token, nick []byte) {
	w.text("$Hello ")
	w.bytes(token)
	w.text("|$RevConnectToMe ")
	w.bytes(token)
	w.text(" ")
	w.bytes(nick)
	w.text("|")
}

// dcToken is the length of a name that nobody can guess, made of base 32 digits.
const dcToken = 8

func dcTokenOf(t *[dcToken]byte, salt uint32) {
	var none [16]byte
	g := randomFrom(&none, salt)
	g.fill(t[:])
	for i, c := range t {
		t[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[c&31]
	}
}

// dcTold searches b for a client's reply to dcWelcome. With ADC, the client describes
// itself under its new session ID. With NMDC, it invites the user with the made-up name:
// to the port where it listens, or if it has none, with a request to connect back. Before
// that, it describes itself. Some clients stop there. To dcInvite by ADC the reply is that
// it does not know the protocol, or has found a file, and by NMDC it may be the key to the
// lock.
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
			hasPrefix(x, []byte("$RevConnectToMe ")) == Yes && bytes.HasSuffix(x, token[:]), // in our own message the token comes first
			(hasPrefix(x, []byte("DSTA ")) == Yes || hasPrefix(x, []byte("DRES ")) == Yes) && bytes.Contains(x, token[:]),
			hasPrefix(x, []byte("$Key ")) == Yes && nmdcKey(x[len("$Key "):], token[:]):
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

// nmdcKey reports whether key is NMDC's key to a lock: each byte is that of the lock and the
// one before it, by exclusive or, with its halves exchanged. The first byte is made from the
// last two, and is not compared. Bytes that NMDC cannot send are written as in "/%DCN096%/",
// and not compared either.
func nmdcKey(key, lock []byte) bool {
	const written = len("/%DCN096%/")
	for i := range lock {
		if len(key) == 0 {
			return false
		}
		if key[0] == '/' && len(key) >= written {
			key = key[written:]
			continue
		}
		if i > 0 {
			if x := lock[i] ^ lock[i-1]; key[0] != x<<4|x>>4 {
				return false
			}
		}
		key = key[1:]
	}
	return len(key) == 0
}
