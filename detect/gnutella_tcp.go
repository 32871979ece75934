// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// The beginnings of connections. A connection begins with a handshake, which has lines
// like an HTTP head, and the answer to it. Downloads are HTTP. A host that cannot be
// reached gets the request through other hosts. It then opens the connection itself, with
// "GIV file:guid/name", or in G2 with "PUSH guid:guid".
const (
	gnStart   = "GNUTELLA"
	gnConnect = "GNUTELLA CONNECT/"
	gnReply   = "GNUTELLA/"
	gnGive    = "GIV "
	gnPush    = "PUSH guid:"
)

func gnFirst(b []byte, outbound bool, f *Finding) Match {
	if !outbound || len(b) == 0 {
		return No
	}
	m := No
	reason := ReasonHello
	switch b[0] {
	case 'G':
		if m = gnVersion(b, gnConnect); m == No {
			m = gnVersion(b, gnReply)
		}
		if m == No {
			m, reason = gnGiven(b), ReasonPush
		}
	case 'P':
		if m = hasPrefix(b, []byte(gnPush)); m == Yes {
			m, reason = gnGUID(b[len(gnPush):], '\r'), ReasonPush
		}
	}
	if m == Yes {
		f.Reason, f.Conduct = reason, true
	}
	return m
}

// gnVersion matches the words, then a version such as 0.6.
func gnVersion(b []byte, words string) Match {
	m := hasPrefix(b, []byte(words))
	if m != Yes {
		return m
	}
	b = b[len(words):]
	for i, c := range b[:min(len(b), 3)] {
		if i == 1 && c != '.' || i != 1 && (c < '0' || c > '9') {
			return No
		}
	}
	if len(b) < 3 {
		return More
	}
	return Yes
}

// gnGiven matches "GIV 12:0123456789abcdef0123456789abcdef/".
func gnGiven(b []byte) Match {
	if m := hasPrefix(b, []byte(gnGive)); m != Yes {
		return m
	}
	b = b[len(gnGive):]
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	switch {
	case n > 10:
		return No
	case n == len(b):
		return More
	case n == 0 || b[n] != ':':
		return No
	}
	return gnGUID(b[n+1:], '/')
}

// gnGUID matches 16 bytes in hexadecimal digits, and the end character.
func gnGUID(b []byte, end byte) Match {
	const digits = 32
	for i, c := range b {
		switch {
		case i == digits && (c == end || end == '\r' && c == '\n'):
			return Yes
		case i == digits, !isHex(c):
			return No
		}
	}
	return More
}

// gnHeader reads the lines of handshakes and downloads. The requested address alone tells
// little: it can be that of a picture in a web page.
func gnHeader(line []byte, first, outbound bool, f *Finding) Match {
	switch {
	case !outbound:
		return No
	case first:
		if !gnAddress(line) {
			return No
		}
		f.Reason = ReasonTransfer
		return Yes
	}
	if f.Reason == ReasonNone && len(line) > 0 { // gnOwn knows none of most browsers' lines
		if c := lower(line[0]); c != 'a' && c != 'c' && c != 'x' {
			return No
		}
	}
	name, value, ok := cutHeader(line)
	if !ok {
		return No
	}
	handshake := f.Reason == ReasonHello
	switch {
	case handshake && equalFold(name, "user-agent"):
		f.Client.Set(value)
	case handshake && (equalFold(name, "listen-ip") || equalFold(name, "node") || equalFold(name, "x-my-address")):
		// One address.
		if e, ok := parseEndpoint(trim(value)); ok {
			f.TCPPort, f.UDPPort = e.Port, e.Port
		}
	case gnOwn(name, value):
		if f.Conduct = true; !handshake {
			f.Reason = ReasonTransfer
		}
	case f.Reason == ReasonTransfer && equalFold(name, "user-agent"):
		f.Client.Set(value)
	case f.Reason == ReasonTransfer && gnUsual(name):
		f.Conduct = true
	default:
		return No
	}
	return Yes
}

// gnAddress reports whether a request asks for something that only these programs serve,
// such as a file by its hash, or the hashes of its parts.
func gnAddress(line []byte) bool {
	switch {
	case hasPrefix(line, []byte("GET ")) == Yes:
		line = line[4:]
	case hasPrefix(line, []byte("HEAD ")) == Yes:
		line = line[5:]
	default:
		return false
	}
	if hasPrefixFold(line, "/uri-res/") {
		line = line[len("/uri-res/"):]
		return hasPrefixFold(line, "n2r?urn:") || hasPrefixFold(line, "n2x?urn:")
	}
	if !hasPrefixFold(line, "/gnutella/") {
		return false
	}
	line = line[len("/gnutella/"):]
	return hasPrefixFold(line, "thex/") || hasPrefixFold(line, "metadata/") || hasPrefixFold(line, "push-proxy?")
}

// gnOwn reports whether only these programs write this header line.
func gnOwn(name, value []byte) bool {
	switch {
	case equalFold(name, "accept"), equalFold(name, "content-type"):
		return hasPrefixFold(value, "application/x-gnutella")
	case equalFold(name, "x-content-urn"):
		return hasPrefixFold(value, "urn:")
	}
	return hasPrefixFold(name, "x-gnutella-") || equalFold(name, "x-fw-node-info") || equalFold(name, "x-thex-uri")
}

// gnUsual reports whether these programs write this header line in requests. Other
// programs may write it too.
func gnUsual(name []byte) bool {
	for _, n := range [...]string{"x-features", "x-queue", "x-token", "x-node", "x-nick", "x-alt", "x-downloaded"} {
		if equalFold(name, n) {
			return true
		}
	}
	return false
}

// gnQuestion builds a request for a connection. A program that listens accepts or refuses
// it.
func gnQuestion(dst, _ []byte, _ uint32) int {
	return copy(dst, "GNUTELLA CONNECT/0.6\r\nX-Ultrapeer: False\r\n\r\n")
}

// gnAnswered reports whether b answers the question: it has the version, a status code
// and text. An echo of the question begins differently.
func gnAnswered(b, _ []byte) bool {
	n := len(gnReply) + len("0.6 200")
	return len(b) >= n && gnVersion(b, gnReply) == Yes && b[n-4] == ' ' && b[n-3] >= '2' && b[n-3] <= '5'
}
