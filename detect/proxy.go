// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// A connection through a proxy begins with a few plain messages to the proxy: SOCKS5 (RFC
// 1928, with a password RFC 1929), SOCKS4, SOCKS4a, or HTTP's CONNECT (RFC 9110). Stream
// skips them, and reads what follows as if there were no proxy.

const (
	socks4, socks5 = 4, 5
	socksConnect   = 1
	socksRelay     = 3 // UDP ASSOCIATE
	socks4Head     = 8 // version, command, port, address
	socksReserved  = 3 // bytes before the address in a request or a datagram
)

// What a stream has sent to a SOCKS proxy.
const (
	socksNothing uint8 = iota
	socksGreeted       // its authentication methods
	socksAsked         // its destination: what follows goes there
)

// socks reads the next message to a SOCKS proxy. b is the first data of a connection, or
// what follows the last message. With Yes, socks returns the message's length.
func (s *Stream) socks(b []byte) (n int, m Match) {
	switch {
	case s.proxy == socksNothing && b[0] == socks4:
		if n, m = socks4Request(b); m == Yes {
			s.proxy, s.inner, s.innerPort = socksAsked, hashOf(b[2:n]), be16(b[2:])
		}
		return n, m
	case s.proxy == socksNothing:
		if n, m = socksGreeting(b); m == Yes {
			s.proxy = socksGreeted
		}
		return n, m
	case s.proxy == socksAsked:
		return 0, No
	case b[0] == 1: // a name and a password
		n = 2
		if len(b) >= n {
			n += int(b[1]) + 1
		}
		if len(b) >= n && n > 2 {
			n += int(b[n-1])
		}
		if len(b) < n || n == 2 {
			return 0, More
		}
		return n, Yes
	}
	if n, m = socksRequest(b); m == Yes {
		s.proxy, s.inner, s.innerPort = socksAsked, hashOf(b[socksReserved:n]), be16(b[n-2:])
	}
	return n, m
}

// socksGreeting reads the first message of SOCKS5: a version and a list of methods. A
// client waits for the answer, so the message comes alone, or directly before the next
// message.
func socksGreeting(b []byte) (n int, m Match) {
	if b[0] != socks5 || len(b) > 1 && (b[1] == 0 || b[1] > 16) {
		return 0, No
	}
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return 0, More
	}
	n = 2 + int(b[1])
	for _, method := range b[2:n] {
		if method > 9 && method < 0x80 { // not assigned
			return 0, No
		}
	}
	if len(b) > n && b[n] != 1 && b[n] != socks5 {
		return 0, No
	}
	return n, Yes
}

// socksRequest reads a SOCKS5 request with the destination.
func socksRequest(b []byte) (n int, m Match) {
	for i, most := range [...]byte{socks5, socksRelay, 0} {
		if i < len(b) && (b[i] > most || i == 0 && b[i] != socks5 || i == 1 && b[i] == 0) {
			return 0, No
		}
	}
	return socksAddress(b)
}

// socksAddress reads the address and the port after the first three bytes of a request or
// a datagram. It returns the length of all of this together.
func socksAddress(b []byte) (n int, m Match) {
	n = socksReserved + 1
	if len(b) < n+1 {
		return 0, More
	}
	switch b[socksReserved] {
	case 1:
		n += 4
	case 3:
		n += 1 + int(b[n])
	case 4:
		n += 16
	default:
		return 0, No
	}
	if n += 2; len(b) < n {
		return 0, More
	}
	return n, Yes
}

// socks4Request reads a SOCKS4 request. If the address is 0.0.0.x, a host name follows
// the user name.
func socks4Request(b []byte) (n int, m Match) {
	if len(b) > 1 && b[1] != socksConnect {
		return 0, No
	}
	if len(b) <= socks4Head {
		return 0, More
	}
	texts := 1
	if a := b[4:socks4Head]; a[0]|a[1]|a[2] == 0 && a[3] != 0 {
		texts++
	}
	n = socks4Head
	for range texts {
		for _, c := range b[n:] {
			if c != 0 && (c < ' ' || c > '~') {
				return 0, No
			}
			n++
			if c == 0 {
				break
			}
		}
		if b[n-1] != 0 || n == socks4Head {
			return 0, More
		}
	}
	if len(b) != n { // the client waits for the answer
		return 0, No
	}
	return n, Yes
}

// relayed returns the payload of a datagram b that goes through a SOCKS proxy, and a hash
// of its destination. For any other datagram it returns b and 0.
func relayed(b []byte) (inner []byte, to uint32) {
	if len(b) <= socksReserved || b[0]|b[1]|b[2] != 0 {
		return b, 0
	}
	n, m := socksAddress(b)
	if m != Yes || len(b) == n {
		return b, 0
	}
	return b[n:], hashOf(b[socksReserved:n])
}

var connectMethod = []byte("CONNECT ")

// connectTo returns a hash of the destination in the request line of a CONNECT, and its
// port. Both are 0 for any other request.
func connectTo(line []byte) (to uint32, port uint16) {
	if hasPrefix(line, connectMethod) != Yes {
		return 0, 0
	}
	b := line[len(connectMethod):]
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		b = b[:i]
	}
	return hashOf(b), decimalPort(b[bytes.LastIndexByte(b, ':')+1:])
}

// hashOf returns a hash of b that is not 0 (FNV-1a).
func hashOf(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h | 1
}
