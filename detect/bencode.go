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
	var in bencodeNest
	i := 0
	for range bencodeElements {
		if i >= len(b) {
			return 0
		}
		n, ok := 1, false
		switch c := b[i]; c {
		case 'e':
			ok = in.leave()
		case 'd', 'l':
			ok = in.enter(c == 'd')
		case 'i':
			n = bencodeInt(b[i:])
			ok = n != 0 && !in.wantsKey()
			in.passed()
		default:
			var size int
			n, size, ok = bencodeString(b[i:])
			n += size
			in.passed()
		}
		if !ok {
			return 0
		}
		i += n
		if in.depth == 0 {
			return i
		}
	}
	return 0
}

// bencodeNest is where an element stands: in which lists and dictionaries.
type bencodeNest struct {
	dicts uint32 // bit i: the container at depth i is a dictionary
	keys  uint32 // bit i: it expects a key next
	depth uint
}

// wantsKey reports whether a key must come next.
func (n *bencodeNest) wantsKey() bool {
	return n.depth > 0 && n.dicts&n.keys>>(n.depth-1)&1 != 0
}

// passed notes that an element has ended. In a dictionary keys and values alternate.
func (n *bencodeNest) passed() {
	if n.depth > 0 {
		n.keys ^= 1 << (n.depth - 1)
	}
}

// enter begins a list or a dictionary. It returns false where none may begin.
func (n *bencodeNest) enter(dict bool) bool {
	if n.wantsKey() || n.depth == bencodeDepth {
		return false
	}
	bit := uint32(1) << n.depth
	n.dicts &^= bit
	n.keys |= bit
	if dict {
		n.dicts |= bit
	}
	n.depth++
	return true
}

// leave ends a list or a dictionary. A dictionary can end only where it expects a key.
func (n *bencodeNest) leave() bool {
	if n.depth == 0 {
		return false
	}
	n.depth--
	bit := uint32(1) << n.depth
	if n.dicts&bit != 0 && n.keys&bit == 0 {
		return false
	}
	n.passed()
	return true
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
