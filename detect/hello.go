// SPDX-License-Identifier: GPL-2.0-or-later

package detect

const (
	tlsHandshake  = 22
	tlsServerName = 0
	tlsALPN       = 16
)

// ServerName returns the server name in the TLS ClientHello b (RFC 8446, RFC 6066), or
// nil. b is the first data of a connection, and may be incomplete. The name points into
// b.
func ServerName(b []byte) []byte {
	list := tlsExtension(b, tlsServerName)
	// The length of the list, then a kind, which is 0, and the name with its length.
	if len(list) < 5 || list[2] != 0 {
		return nil
	}
	if n := int(be16(list[3:])); 5+n <= len(list) {
		return list[5 : 5+n]
	}
	return nil
}

// tlsProtocols returns the protocol names that the TLS ClientHello b offers (RFC 7301). b
// is the first data of a connection. Each name has its length before it.
func tlsProtocols(b []byte) []byte {
	if list := tlsExtension(b, tlsALPN); len(list) > 2 {
		return list[2:]
	}
	return nil
}

// tlsExtension returns an extension of the TLS ClientHello b, or nil if b does not have
// all of it.
func tlsExtension(b []byte, want uint16) []byte {
	const head = 5 + 4 // headers of the record and of the message
	if len(b) < head || b[0] != tlsHandshake || b[1] != 3 || b[5] != 1 {
		return nil
	}
	extensions, ok := helloExtensions(b[head:], false)
	if !ok {
		return nil
	}
	list, _, _ := extension(extensions, want)
	return list
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
