// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// The bounds of a bencoded message (BEP 3). A KRPC message is three levels deep, and a
// reply with a full list of peers has about 60 elements.
const (
	bencodeDepth    = 8
	bencodeElements = 512
	bencodeDigits   = 20 // of an integer, with its sign
)

// bencodeSkip returns the length of the element at the start of b. It returns 0 if the
// element is incomplete, malformed or beyond the bounds. It neither recurses nor
// allocates.
func bencodeSkip(b []byte) int {
	var (
		dicts uint32 // bit i: the container at depth i is a dictionary
		keys  uint32 // bit i: it expects a key next
		depth uint
	)
	i := 0
	for range bencodeElements {
		if i >= len(b) {
			return 0
		}
		inDict := depth > 0 && dicts>>(depth-1)&1 != 0
		wantKey := inDict && keys>>(depth-1)&1 != 0
		switch c := b[i]; {
		case c == 'e':
			// A dictionary can end only where it expects a key.
			if depth == 0 || inDict && !wantKey {
				return 0
			}
			i++
			depth--
			if depth == 0 {
				return i
			}
			if dicts>>(depth-1)&1 != 0 {
				keys |= 1 << (depth - 1)
			}
			continue
		case c == 'd' || c == 'l':
			if wantKey || depth == bencodeDepth {
				return 0
			}
			if inDict {
				keys &^= 1 << (depth - 1)
			}
			dicts &^= 1 << depth
			keys &^= 1 << depth
			if c == 'd' {
				dicts |= 1 << depth
				keys |= 1 << depth
			}
			depth++
			i++
			continue
		case c == 'i':
			n := bencodeInt(b[i:])
			if wantKey || n == 0 {
				return 0
			}
			i += n
		default:
			head, n, ok := bencodeString(b[i:])
			if !ok {
				return 0
			}
			i += head + n
		}
		if depth == 0 {
			return i
		}
		if inDict {
			keys ^= 1 << (depth - 1)
		}
	}
	return 0
}

// bencodeInt returns the length of the integer "i...e" at the start of b, or 0.
func bencodeInt(b []byte) int {
	i := 1
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	for i < len(b) && i <= bencodeDigits && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i == first || i >= len(b) || b[i] != 'e' {
		return 0
	}
	return i + 1
}

// bencodeString returns the lengths of the head "n:" and of the string after it.
func bencodeString(b []byte) (head, n int, ok bool) {
	for head < len(b) && head < 6 && b[head] >= '0' && b[head] <= '9' {
		n = n*10 + int(b[head]-'0')
		head++
	}
	if head == 0 || head >= len(b) || b[head] != ':' {
		return 0, 0, false
	}
	head++
	return head, n, n <= len(b)-head
}

// bencodeText returns the content of the string b, or nil if b is something else. b is
// one whole element.
func bencodeText(b []byte) []byte {
	head, n, ok := bencodeString(b)
	if !ok || head+n != len(b) {
		return nil
	}
	return b[head:]
}

// bencodeNumber returns the value of b if it is an integer from 0 to 65535. b is one
// whole element.
func bencodeNumber(b []byte) (v uint16, ok bool) {
	if len(b) < 3 || len(b) > 7 || b[0] != 'i' {
		return 0, false
	}
	n := 0
	for _, c := range b[1 : len(b)-1] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return uint16(n), n <= 0xffff
}

// bencodeNext takes the next element from the inside of a list or of a dictionary. In a
// dictionary, keys and values alternate. It returns nil at the end.
//
//go:noinline
func bencodeNext(inside []byte) (element, rest []byte) {
	n := bencodeSkip(inside)
	if n == 0 {
		return nil, nil
	}
	return inside[:n], inside[n:]
}

// bencodeInside returns the inside of the container b if it is of the kind 'd' or 'l',
// otherwise nil. b is one whole element.
func bencodeInside(b []byte, kind byte) []byte {
	if len(b) < 2 || b[0] != kind {
		return nil
	}
	return b[1 : len(b)-1]
}
