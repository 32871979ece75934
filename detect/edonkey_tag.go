// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// edonkeyTag is one of the tags at the end of many eDonkey and Kad messages: a type, a
// name and a value. The slices point into the message.
type edonkeyTag struct {
	name   byte   // the name, if it is one byte long, else 0
	number uint32 // the lowest 32 bits, if the value is a number
	text   []byte // the text, if the value is a string, else nil
}

// The types of tags. If the highest bit is set, the name is one byte, without a length.
const (
	tagHash   = 0x01
	tagString = 0x02
	tagUint32 = 0x03
	tagFloat  = 0x04
	tagBool   = 0x05
	tagBlob   = 0x07
	tagUint16 = 0x08
	tagUint8  = 0x09
	tagBsob   = 0x0a
	tagUint64 = 0x0b
	tagStr1   = 0x11 // strings of 1 byte to 16 bytes
	tagStr16  = 0x20

	tagMaxName = 32 // bytes; most names have one byte, Kad's keywords have a few
)

// next reads the tag at the start of b, and returns what follows. More says that b ends
// within the tag.
func (t *edonkeyTag) next(b []byte) (rest []byte, m Match) {
	*t = edonkeyTag{}
	if len(b) < 2 {
		return nil, More
	}
	kind := b[0] &^ 0x80
	if b[0] != kind {
		t.name = b[1]
		b = b[2:]
	} else {
		if len(b) < 3 {
			return nil, More
		}
		n := int(le16(b[1:]))
		switch {
		case n == 0, n > tagMaxName:
			return nil, No
		case len(b) < 3+n:
			return nil, More
		case n == 1:
			t.name = b[3]
		}
		b = b[3+n:]
	}
	head, size, m := tagSize(kind, b)
	if m != Yes {
		return nil, m
	}
	b = b[head:]
	if len(b) < size {
		return nil, More
	}
	switch kind {
	case tagUint32, tagUint64:
		t.number = le32(b)
	case tagUint16:
		t.number = uint32(le16(b))
	case tagUint8:
		t.number = uint32(b[0])
	case tagHash, tagFloat, tagBool, tagBlob, tagBsob:
	default:
		t.text = b[:size]
	}
	return b[size:], Yes
}

// tagSize returns the size of the value at the start of b, and the size of the number
// before it that says so.
func tagSize(kind byte, b []byte) (head, size int, m Match) {
	switch {
	case kind == tagHash:
		size = 16
	case kind == tagString:
		head = 2
	case kind == tagUint32, kind == tagFloat:
		size = 4
	case kind == tagBool, kind == tagUint8:
		size = 1
	case kind == tagUint16:
		size = 2
	case kind == tagUint64:
		size = 8
	case kind == tagBlob:
		head = 4
	case kind == tagBsob:
		head = 1
	case kind >= tagStr1 && kind <= tagStr16:
		size = int(kind-tagStr1) + 1
	default:
		return 0, 0, No
	}
	if len(b) < head {
		return 0, 0, More
	}
	switch head {
	case 1:
		size = int(b[0])
	case 2:
		size = int(le16(b))
	case 4:
		n := le32(b)
		if n > 1<<16 {
			return 0, 0, No
		}
		size = int(n)
	}
	return head, size, Yes
}

// edonkeyTags reports whether b is a count in one byte and that many tags, and nothing
// else.
func edonkeyTags(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	rest, ok := edonkeySkip(b[1:], int(b[0]))
	return ok && len(rest) == 0
}

// edonkeySkip returns what follows the n tags at the start of b.
func edonkeySkip(b []byte, n int) (rest []byte, ok bool) {
	var t edonkeyTag
	for range n {
		var m Match
		if b, m = t.next(b); m != Yes {
			return nil, false
		}
	}
	return b, true
}
