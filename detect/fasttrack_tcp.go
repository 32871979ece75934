// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// ftHello are the 12 bytes with which giFT and MLDonkey open every session: cipher seed
// and requested encryption, always the same. Official clients choose new ones each time.
var ftHello = [12]byte{0xfa, 0x00, 0xb6, 0x2b, 0xfa, 0xcb, 0x12, 0x38, 0x32, 0x09, 0xd2, 0x32}

func ftFirst(b []byte, outbound bool, f *Finding) Match {
	if outbound {
		switch m := hasPrefix(b, ftHello[:]); m {
		case Yes:
			f.Reason, f.Conduct = ReasonHello, true
			return Yes
		case More:
			return More
		}
	}
	// The sender of GIVE serves the file over this connection. A LAN host sends it after
	// it opened the connection, or after the outside did (push).
	m := ftGive(b)
	if m == Yes {
		f.Reason, f.Conduct = ReasonPush, true
	}
	return m
}

// ftGive matches "GIVE <decimal>\r\n". The number has at most 10 digits (u32).
func ftGive(b []byte) Match {
	const give = "GIVE "
	if m := hasPrefix(b, []byte(give)); m != Yes {
		return m
	}
	rest := b[len(give):]
	digits := 0
	for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	switch {
	case digits > 10:
		return No
	case digits == len(rest):
		return More
	case digits == 0:
		return No
	}
	rest = rest[digits:]
	if rest[0] == '\n' {
		return Yes
	}
	return hasPrefix(rest, []byte("\r\n"))
}

func ftHeader(line []byte, first, outbound bool, f *Finding) Match {
	// The request line alone, "GET /.hash=" and the hash, tells nothing: it can be the
	// address of a picture in a web page.
	if first {
		return No
	}
	name, value, ok := cutHeader(line)
	if !ok {
		return No
	}
	switch {
	case hasPrefixFold(name, "x-kazaa"):
	case equalFold(name, "useragent"), equalFold(name, "user-agent"):
		if !hasPrefixFold(value, "kazaaclient") && !hasPrefixFold(value, "gift-fasttrack") {
			return No
		}
	default:
		return No
	}
	f.Reason, f.Conduct = ReasonTransfer, true
	// X-Kazaa-IP is the sender's own address: a peer's, if the outside sent it.
	ip := equalFold(name, "x-kazaa-ip")
	switch {
	case equalFold(name, "x-kazaa-supernodeip"), ip && !outbound:
		f.name(parseEndpoint(value))
	case ip:
		e, _ := parseEndpoint(value)
		f.TCPPort = e.Port
	}
	return Yes
}

// ftPanel recognises MLDonkey's user interface. It also answers whom it does not let in,
// and other hosts than its own are not let in unless its user allows them.
func ftPanel(b []byte) bool {
	const server = "\nServer: "
	i := bytes.Index(b, []byte(server))
	return i > 0 && hasPrefixFold(b[i+len(server):], "mldonkey/")
}

// ftWord builds a word for MLDonkey. It answers no request at its port, but looks at the first
// four bytes of each connection. If they begin with GIV, with which it is told of a file that
// it asked for (GIVE), it waits for the rest. If it knows no such request, it closes the
// connection. That is in gnutellaClients.ml of its source, from which the module for FastTrack
// is made. In each pair of words one begins so and one has another third letter. The salt tells
// which.
func ftWord(dst []byte, n int, salt uint32) bool {
	copy(dst, "GIVE")
	known := (int(salt>>(n/2))^n)&1 == 0
	if !known {
		dst[2] = 'E' + byte(salt>>(8+3*n))&7
	}
	return known
}
