// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// helloStep is where a tlsHello is: which number is read next, or the name.
type helloStep uint8

const (
	helloType       helloStep = iota
	helloLength               // of the message
	helloVersion              //
	helloSession              // length of the session's number, behind 32 random bytes
	helloCiphers              // length of the list
	helloCompress             // length of the list
	helloExtensions           // length of all
	helloExtension            // type of one
	helloExtLength            // length of one
	helloNames                // length of the list of server names
	helloNameType             //
	helloNameLength           //
	helloName                 // its characters
)

// helloSizes are the lengths of the numbers, in bytes.
var helloSizes = [...]uint8{
	helloType: 1, helloLength: 3, helloVersion: 2, helloSession: 1, helloCiphers: 2, helloCompress: 1,
	helloExtensions: 2, helloExtension: 2, helloExtLength: 2, helloNames: 2, helloNameType: 1, helloNameLength: 2,
}

// tlsHello reads a TLS ClientHello (RFC 8446) as it comes, up to the server name
// (RFC 6066): hellos with post-quantum keys fill two segments, and browsers put
// the extensions in a random order. It keeps numbers, and none of the bytes. The
// zero value is ready.
type tlsHello struct {
	value  uint32 // the number that is read, so far
	record uint16 // bytes left of the record
	left   uint16 // bytes left of the message
	skip   uint16 // bytes to leave out next
	ext    uint16 // bytes left of the extension, once the server name's
	head   uint8  // bytes read of the record's header, tlsHead behind it
	have   uint8  // bytes read of the number
	step   helloStep
	server bool // the extension is the server name
	dot    bool // the name has a dot
	letter bool // its last label so far has a letter
}

// feed reads the next bytes of the stream. It returns Yes when the server name is
// one of the DNS, and No when it is not, or when this is no hello. Where there is
// no server name it returns nameless, once that is certain.
func (h *tlsHello) feed(b []byte, nameless Match) Match {
	for len(b) > 0 {
		if h.head < tlsHead {
			if !h.recordByte(b[0]) {
				return No
			}
			b = b[1:]
			continue
		}
		n := min(len(b), int(h.record))
		if m := h.message(b[:n], nameless); m != More {
			return m
		}
		b = b[n:]
		if h.record -= uint16(n); h.record == 0 {
			h.head = 0
		}
	}
	return More
}

// The length of a record's header (type, version, length), and its first byte.
const (
	tlsHead      = 5
	tlsHandshake = 0x16
)

func (h *tlsHello) recordByte(c byte) bool {
	i := h.head
	h.head++
	switch i {
	case 0:
		return c == tlsHandshake
	case 1:
		return c == 3
	case 2:
		return c <= 4
	case 3:
		h.record = uint16(c) << 8
		return c <= 0x40
	}
	h.record |= uint16(c)
	return h.record > 0
}

func (h *tlsHello) message(b []byte, nameless Match) Match {
	for len(b) > 0 {
		n := 1
		switch {
		case h.skip > 0:
			n = min(len(b), int(h.skip))
			h.skip -= uint16(n)
		case h.step == helloName:
			if !h.nameByte(b[0]) {
				return No
			}
			if h.ext--; h.ext == 0 {
				return match(h.dot && h.letter)
			}
		default:
			h.value = h.value<<8 | uint32(b[0])
			h.have++
		}
		b = b[n:]
		if h.step > helloLength {
			if h.left < uint16(n) {
				return No
			}
			h.left -= uint16(n)
		}
		if h.step < helloName && h.have == helloSizes[h.step] {
			v := h.value
			h.value, h.have = 0, 0
			if !h.number(v) {
				return No
			}
		}
		// The message may end where extensions begin, and behind each.
		if h.left == 0 && h.skip == 0 && h.have == 0 && (h.step == helloExtensions || h.step == helloExtension) {
			return nameless
		}
	}
	return More
}

// number takes the number v that was read, and goes on to the next step.
func (h *tlsHello) number(v uint32) bool {
	next := h.step + 1
	switch h.step {
	case helloType:
		if v != 1 {
			return false
		}
	case helloLength:
		if v < 2+32+1+2+2+1+1 || v > 0xffff {
			return false
		}
		h.left = uint16(v)
	case helloVersion:
		h.skip = 32
		if v < 0x0300 || v > 0x0303 {
			return false
		}
	case helloSession:
		h.skip = uint16(v)
		if v > 32 {
			return false
		}
	case helloCiphers:
		h.skip = uint16(v)
		if v == 0 || v&1 != 0 {
			return false
		}
	case helloCompress:
		h.skip = uint16(v)
		if v == 0 {
			return false
		}
	case helloExtensions:
		if v != uint32(h.left) {
			return false
		}
	case helloExtension:
		h.server = v == 0
	case helloExtLength:
		if h.server {
			h.ext = uint16(v)
			if v < 6 {
				return false
			}
		} else {
			h.skip = uint16(v)
			next = helloExtension
		}
		if v > uint32(h.left) {
			return false
		}
	case helloNames:
		if v != uint32(h.ext)-2 {
			return false
		}
	case helloNameType:
		if v != 0 {
			return false
		}
	case helloNameLength:
		if v != uint32(h.ext)-5 {
			return false
		}
		h.ext = uint16(v)
	}
	h.step = next
	return h.skip <= h.left
}

// nameByte reads a character of the server name. A name of the DNS has a dot, and
// a letter in its last label: an address has none, and libtorrent's SSL torrents
// send the info hash, which has no dot.
func (h *tlsHello) nameByte(c byte) bool {
	switch {
	case c == '.':
		h.dot, h.letter = true, false
	case lower(c) >= 'a' && lower(c) <= 'z':
		h.letter = true
	case c >= '0' && c <= '9', c == '-', c == '_':
	default:
		return false
	}
	return true
}

func match(ok bool) Match {
	if ok {
		return Yes
	}
	return No
}
