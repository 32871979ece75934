// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// parameter returns what follows the parameter's name in a request line, or nil. name
// includes the "=", at its end.
func parameter(line []byte, name string) []byte {
	for end := 0; ; {
		i := bytes.IndexByte(line[end:], '=')
		if i < 0 {
			return nil
		}
		end += i + 1
		begin := end - len(name)
		if begin > 0 && (line[begin-1] == '?' || line[begin-1] == '&') && string(line[begin:end]) == name {
			return line[end:]
		}
	}
}

// unescape decodes the URL-encoded bytes of b into dst, up to the end of the parameter or
// of dst. It returns their number and the rest of b.
func unescape(dst, b []byte) (n int, rest []byte) {
	for n < len(dst) && len(b) > 0 {
		switch {
		case b[0] == '%':
			if len(b) < 3 || !isHex(b[1]) || !isHex(b[2]) {
				return n, b
			}
			dst[n] = hexValue(b[1])<<4 | hexValue(b[2])
			b = b[3:]
		case b[0] <= ' ' || b[0] == '&' || b[0] > '~':
			return n, b
		default:
			dst[n] = b[0]
			b = b[1:]
		}
		n++
	}
	return n, b
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return lower(c) - 'a' + 10
}

func isHex(c byte) bool {
	c = lower(c)
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
}
