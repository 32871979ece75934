// SPDX-License-Identifier: GPL-2.0-or-later

package detect

const (
	dnsPort    = 53
	dnsHeader  = 12
	dnsMaxName = 255 // bytes, in wire format
)

// The flags of a DNS message (RFC 1035, RFC 4035).
const (
	dnsResponse  = 0x8000
	dnsOpcode    = 0x7800
	dnsZero      = 0x0040
	dnsQueryBits = 0x0130 // flags that a query may set: RD, AD, CD
)

// dnsHead reports whether b begins with the header of a query, or of a response, that has
// exactly one question.
func dnsHead(b []byte, response bool) bool {
	if len(b) < dnsHeader || be16(b[4:]) != 1 {
		return false
	}
	flags := be16(b[2:])
	if response {
		return flags&dnsResponse != 0 && flags&(dnsOpcode|dnsZero) == 0
	}
	// No answers, no authority. Apart from the question, EDNS and a signature may follow.
	return flags&^dnsQueryBits == 0 && be16(b[6:]) == 0 && be16(b[8:]) == 0 && be16(b[10:]) <= 2
}

// dnsQuestion returns the offset after the question of a message whose header passed
// dnsHead, or 0 if the question is incomplete or malformed.
func dnsQuestion(b []byte) int {
	at := dnsHeader
	for {
		if at >= len(b) {
			return 0
		}
		n := int(b[at])
		at++
		if n == 0 {
			break
		}
		// A compression pointer makes no sense here: no name precedes the question.
		if n > 63 || at+n >= len(b) || at+n-dnsHeader >= dnsMaxName {
			return 0
		}
		for _, c := range b[at : at+n] {
			if c <= ' ' || c > '~' {
				return 0
			}
		}
		at += n
	}
	if at+4 > len(b) {
		return 0
	}
	switch be16(b[at+2:]) {
	case 1, 3, 255: // Internet, Chaos (version.bind), any
		return at + 4
	}
	return 0
}

// isDNSQuery reports whether b is an ordinary query.
func isDNSQuery(b []byte) bool {
	if !dnsHead(b, false) {
		return false
	}
	end := dnsQuestion(b)
	if end == 0 {
		return false
	}
	more := len(b) - end
	// The shortest possible record has the root's name, type, class, TTL, and an empty
	// content.
	return more == 0 && be16(b[10:]) == 0 || more >= 11 && be16(b[10:]) > 0
}
