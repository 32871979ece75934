// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// hasPrefix compares b with want: Yes when b begins with want, More when b is shorter but
// agrees so far.
//
//go:noinline
func hasPrefix(b, want []byte) Match {
	n := min(len(b), len(want))
	for i, c := range want[:n] {
		if b[i] != c {
			return No
		}
	}
	if n < len(want) {
		return More
	}
	return Yes
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// hasPrefixFold reports whether b begins with want, which is in lower case. It ignores
// case.
//
//go:noinline
func hasPrefixFold(b []byte, want string) bool {
	if len(b) < len(want) {
		return false
	}
	for i := range len(want) {
		if lower(b[i]) != want[i] {
			return false
		}
	}
	return true
}

//go:noinline
func equalFold(b []byte, want string) bool {
	return len(b) == len(want) && hasPrefixFold(b, want)
}

// cutHeader splits "Name: value" and trims blanks around both.
func cutHeader(line []byte) (name, value []byte, ok bool) {
	for i, c := range line {
		if c == ':' {
			return trim(line[:i]), trim(line[i+1:]), true
		}
	}
	return nil, nil, false
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// parseEndpoint reads "a.b.c.d:port" in decimal, without signs or other text around it.
func parseEndpoint(b []byte) (e Endpoint, ok bool) {
	var parts [5]uint32
	part, digits := 0, 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			if digits++; digits > 5 {
				return e, false
			}
			parts[part] = parts[part]*10 + uint32(c-'0')
		case digits > 0 && (c == '.' && part < 3 || c == ':' && part == 3):
			part, digits = part+1, 0
		default:
			return e, false
		}
	}
	if part != 4 || digits == 0 || parts[4] == 0 || parts[4] > 0xffff {
		return e, false
	}
	e.Addr[10], e.Addr[11] = 0xff, 0xff
	for i, v := range parts[:4] {
		if v > 255 {
			return e, false
		}
		e.Addr[12+i] = byte(v)
	}
	e.Port = uint16(parts[4])
	return e, true
}

func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}

// decimalPort reads a decimal port number. It returns 0 when b is none.
func decimalPort(b []byte) uint16 {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || n > 0xffff {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	if n > 0xffff {
		return 0
	}
	return uint16(n)
}
