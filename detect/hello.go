// SPDX-License-Identifier: GPL-2.0-or-later

package detect

const (
	tlsHandshake  = 22
	tlsServerName = 0
	tlsALPN       = 16

	helloHead = 5 + 4 // headers of the record and of the message
)

// helloStart reports whether b begins with the headers of a ClientHello.
func helloStart(b []byte) bool {
	return len(b) >= helloHead && b[0] == tlsHandshake && b[1] == 3 && b[5] == 1
}

// Hello returns the server's name and the list of protocol names in the TLS ClientHello b
// (RFC 8446, RFC 6066, RFC 7301), nil for what it does not have. In the list each name has
// its length before it. b is the first data of a connection, and may be incomplete. Both
// point into b.
func Hello(b []byte) (name, protocols []byte) {
	if !helloStart(b) {
		return nil, nil
	}
	b, _ = helloExtensions(b[helloHead:], false)
	for len(b) >= 4 {
		n := 4 + int(be16(b[2:]))
		if n > len(b) {
			break
		}
		switch list := b[4:n]; be16(b) {
		case tlsServerName:
			// The length of the list, then a kind, which is 0, and the name with its length.
			if len(list) >= 5 && list[2] == 0 && 5+int(be16(list[3:])) <= len(list) {
				name = list[5 : 5+int(be16(list[3:]))]
			}
		case tlsALPN:
			if len(list) > 2 {
				protocols = list[2:]
			}
		}
		b = b[n:]
	}
	return name, protocols
}

// helloExtensions returns the extensions of a ClientHello of TLS or DTLS, as far as b has
// them. ok says that b is a ClientHello and reaches its extensions. With DTLS it has a
// cookie, and b must be complete.
func helloExtensions(b []byte, dtls bool) (extensions []byte, ok bool) {
	const versionAndRandom = 2 + 32
	if len(b) < versionAndRandom {
		return nil, false
	}
	b = b[versionAndRandom:]
	// The session ID, the cookie, the cipher suites and the compression methods. Each has
	// a length before it. size is how many bytes the length has.
	for i, size := range [...]int{1, 1, 2, 1} {
		if i == 1 && !dtls {
			continue
		}
		if len(b) < size {
			return nil, false
		}
		n := int(b[0])
		if size == 2 {
			n = int(be16(b))
		}
		if size+n > len(b) {
			return nil, false
		}
		b = b[size+n:]
	}
	if len(b) < 2 {
		return nil, false
	}
	n := int(be16(b))
	b = b[2:]
	if dtls && n != len(b) {
		return nil, false
	}
	return b[:min(n, len(b))], true
}

// extension returns the content of an extension, if b has all of it. ends says that the
// last extension ends exactly at the end of b.
//
//go:noinline
func extension(b []byte, want uint16) (content []byte, found, ends bool) {
	for len(b) >= 4 {
		n := 4 + int(be16(b[2:]))
		if n > len(b) {
			return nil, false, false
		}
		if be16(b) == want {
			return b[4:n], true, false
		}
		b = b[n:]
	}
	return nil, false, len(b) == 0
}
