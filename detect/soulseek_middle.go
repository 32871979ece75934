// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// soulseekText is the longest text in a message that is accepted, in bytes: file names
// with their folders.
const soulseekText = 1024

// soulseekForms are the messages that clients send in the middle of a connection, to the
// server or to a peer: the message number and the form of the content. n is a number of
// 32 bits, b one of 8, s a string, and z compressed data up to the end.
var soulseekForms = [...]struct {
	code uint16
	form string
}{
	{2, "n"}, {2, "nnn"}, // where it listens
	{3, "s"}, {5, "s"}, {6, "s"}, {7, "s"}, {36, "s"}, // about a user
	{18, "nss"}, {1001, "ns"}, // a request to connect
	{22, "ss"},              // a message to a user
	{26, "ns"}, {42, "sns"}, // searches
	{28, "n"}, {32, ""}, {35, "nn"}, // its own state
	{71, "b"}, {100, "b"}, {121, "n"}, // its part in distributing searches
	{126, "n"}, {127, "s"}, {129, "n"}, // the same
	{4, ""}, {5, "z"}, {9, "z"}, {15, ""}, {36, "ns"}, {37, "z"}, // between peers: lists of files
	{40, "nns"}, {40, "nnsnn"}, {41, "nb"}, {41, "nbs"}, {41, "nbnn"}, // between peers: files
	{43, "s"}, {44, "sn"}, {46, "s"}, {50, "ss"}, {51, "s"}, {52, ""},
}

// soulseekMiddle reports whether b consists of such messages. b is a segment of a
// connection whose beginning nobody saw. Only compressed data may continue in the next
// segment.
func soulseekMiddle(b []byte) bool {
	for whole := false; ; whole = true {
		if len(b) == 0 {
			return whole
		}
		if len(b) < 8 {
			return false
		}
		n, code := uint64(le32(b))+4, le32(b[4:])
		body := b[8:]
		if n < 8 {
			return false
		}
		if n < uint64(len(b)) {
			body, b = b[8:n], b[n:]
		} else {
			b = nil
		}
		if !soulseekKnown(code, body, n-8) {
			return false
		}
	}
}

// soulseekKnown reports whether a message has one of the forms. length is the full length
// of its content, body the part in this segment.
func soulseekKnown(code uint32, body []byte, length uint64) bool {
	for i := range soulseekForms {
		f := &soulseekForms[i]
		if uint32(f.code) != code {
			continue
		}
		if f.form == "z" {
			if len(body) > 2 && body[0] == 0x78 && (uint(body[0])<<8|uint(body[1]))%31 == 0 { // RFC 1950
				return true
			}
			continue
		}
		if uint64(len(body)) == length && soulseekHas(body, f.form) {
			return true
		}
	}
	return false
}

func soulseekHas(body []byte, form string) bool {
	for i := range len(form) {
		n := 4
		switch form[i] {
		case 's':
			_, rest, m := soulseekString(body, soulseekText)
			if m != Yes {
				return false
			}
			body = rest
			continue
		case 'b':
			n = 1
		}
		if len(body) < n {
			return false
		}
		body = body[n:]
	}
	return len(body) == 0
}
