// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// edonkeyTag is one of the tags that follow in many messages of eDonkey and Kad: a type, a
// name and a value. The slices point into the message.
type edonkeyTag struct {
	name   byte   // if that is one byte long
	number uint32 // the lowest 32 bits of a number
	text   []byte // of a string, or nil
}

// The types of tags. With the highest bit set, the name is one byte without its length.
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
	tagStr1   = 0x11 // and so on: a string of 1 byte to one of 16
	tagStr16  = 0x20

	tagMaxName = 32 // bytes; the names in use have one, keywords of Kad a few
)

// next reads the tag that b begins with, and returns what follows. More says that b ends
// before the tag does.
func (t *edonkeyTag) next(b []byte) (rest []byte, m Match) {
	*t = edonkeyTag{}
	if len(b) < 2 {
		return nil, More
	}
	kind := b[0]
	if kind&0x80 != 0 {
		t.name = b[1]
		kind &= 0x7f
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
	size, head := 0, 0
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
		return nil, No
	}
	if len(b) < head {
		return nil, More
	}
	switch head {
	case 1:
		size = int(b[0])
	case 2:
		size = int(le16(b))
	case 4:
		n := le32(b)
		if n > 1<<16 {
			return nil, No
		}
		size = int(n)
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

// edonkeyTags reports whether b is a number of tags, counted by its first byte, and nothing
// else.
func edonkeyTags(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	rest, ok := edonkeySkip(b[1:], int(b[0]))
	return ok && len(rest) == 0
}

// edonkeySkip returns what follows the n tags that b begins with.
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
