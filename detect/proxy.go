// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// What goes through a proxy is in clear behind a few words to the proxy: those of SOCKS5
// (RFC 1928, with a password RFC 1929), of SOCKS4 and 4a, and of HTTP's CONNECT (RFC 9110).
// Stream reads what is behind them as if it were outside.

const (
	socks4, socks5 = 4, 5
	socksConnect   = 1
	socksRelay     = 3 // UDP ASSOCIATE
	socks4Head     = 8 // version, command, port, address
	socksReserved  = 3 // bytes before the address of a request, and of a datagram
)

// What a stream has said to a SOCKS proxy.
const (
	socksNothing uint8 = iota
	socksGreeted       // how it can say who it is
	socksAsked         // where it wants to go: what follows is for there
)

// socks reads the next message to a SOCKS proxy at the beginning of b, the first data of
// a connection or what follows the message before. It returns the message's length with
// Yes.
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
// client waits for the answer, so that the message stands alone, or before the next.
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

// socksRequest reads where SOCKS5 is to go.
func socksRequest(b []byte) (n int, m Match) {
	for i, most := range [...]byte{socks5, socksRelay, 0} {
		if i < len(b) && (b[i] > most || i == 0 && b[i] != socks5 || i == 1 && b[i] == 0) {
			return 0, No
		}
	}
	return socksAddress(b)
}

// socksAddress reads the address and the port behind the first three bytes of a request or
// a datagram, and returns the length of all that.
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

// socks4Request reads where SOCKS4 is to go: a name follows the user's where the address
// is 0.0.0.x.
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

// relayed returns what the datagram b has for whom behind its proxy, and a number for
// that, or b itself and 0.
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

// connectTo returns a number for where the request line has an HTTP proxy connect to, and
// the port there. They are 0 when it is another request.
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

// hashOf returns a number for b that is not 0 (FNV-1a).
func hashOf(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h | 1
}
