// SPDX-License-Identifier: GPL-2.0-or-later

package detect

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
