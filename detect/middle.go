// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// If nobody saw the beginning of a connection, its middle tells little: most of it is
// encrypted. But most harmless protocols are recognisable, such as TLS by its records.

// Middle reads what a host sends in the middle of a connection, segment by segment. The
// zero value is ready.
type Middle struct {
	n     uint8 // segments that were read
	known uint8 // those of them that look like a known protocol
	full  uint8 // segments that were too long to read
	odd   bool  // a segment has a length that no SSH packet has
	whole bool  // the next segment begins a message
}

const (
	// fullSegment is from how many bytes on a segment counts as a part of something
	// longer. After fullSegments of them, the connection counts as a transfer.
	fullSegment  = 1000
	fullSegments = 16
	// sshPacket is the shortest SSH packet with an encrypted length, a single key press:
	// with chacha20 4 bytes, two blocks of 8, a MAC of 16. If the length is plain, framed
	// recognises the packet.
	sshPacket = 36
	// sshUnit divides the length of every SSH packet: blocks of 8 or 16 bytes, a length
	// of 4 before them that some ciphers do not count among the blocks, a MAC of 8 to 64
	// after them (RFC 4253, 5647, and OpenSSH's PROTOCOL). It also divides the size of a
	// full segment.
	sshUnit = 4
	// sshSegments is after how many segments of such lengths the connection counts as
	// SSH. Segments of random length pass once in 4000 times.
	sshSegments = 6
	// knownSegments is how many segments must look like a known protocol, if all that were
	// read do. Otherwise it must be one more, and at least half. A known protocol shows in
	// each; a few of many may by chance, most of all short ones. A client may have a hundred
	// connections, and one that is left to it keeps it from looking for more.
	knownSegments = 2
	// middleBytes is how many bytes are enough to call a connection encrypted. middleMost
	// is how many are enough to say that it is not.
	middleBytes = 24
	middleMost  = 64
)

// Begins says that the next segment begins a message.
func (m *Middle) Begins() { m.whole = true }

// Reads reports whether a segment begins a message, so that its content tells something.
// b is the visible part of the segment, length its full length. ends says that a message
// ends with the segment. The caller passes each segment once.
func (m *Middle) Reads(b []byte, length int, ends bool) bool {
	whole, full := m.whole, length >= fullSegment || len(b) < length
	m.whole = ends && !full
	switch {
	case full:
		m.full = min(m.full+1, fullSegments)
		return false
	case !whole:
		return false
	}
	m.n = min(m.n, 254) + 1
	m.odd = m.odd || len(b) < sshPacket || len(b)%sshUnit != 0
	return true
}

// Harmless reports whether the segments so far show something known and harmless: text;
// records or frames like those of TLS, WebSocket, MQTT, OpenVPN and most programs; SSH by
// its lengths; or a long transfer. b is the segment that was read last, or nil.
func (m *Middle) Harmless(b []byte) bool {
	if len(b) > 0 && (framed(b) || webSocket(b) || mqtt(b) || printable(b)) {
		m.known = min(m.known, 254) + 1
	}
	if m.known >= knownSegments && (m.known == m.n || m.known > knownSegments && m.known >= m.n-m.known) {
		return true
	}
	return m.full == fullSegments || m.n >= sshSegments && !m.odd
}

// Unknown reports whether seen, the segments that were read, fits no known protocol and
// is encrypted, which most games are not. More says that there is too little to decide,
// No that it does not look encrypted. Call Harmless first.
func (m *Middle) Unknown(seen []byte) Match {
	switch {
	case !m.odd || len(seen) < middleBytes || m.known > 0 && m.n <= m.known:
		return More
	case random(seen):
		return Yes
	case len(seen) < middleMost:
		return More
	}
	return No
}

// webSocket reports whether b begins with a WebSocket frame of a browser (RFC 6455, 5.2).
// Such a frame is masked. b has all of the frame, or its beginning.
func webSocket(b []byte) bool {
	const masked, head = 0x80, 6
	if len(b) < head || !webSocketKind(b[0]) || b[1]&masked == 0 {
		return false
	}
	n, at := int(b[1]&^masked), head
	switch {
	case n == 127: // the length is in the next eight bytes
		return b[2]|b[3]|b[4]|b[5] == 0
	case n == 126: // or in the next two
		n, at = int(be16(b[2:])), head+2
	}
	// Another frame may follow.
	end := at + n
	return end == len(b) || end+1 < len(b) && webSocketKind(b[end]) && b[end+1]&masked != 0 && b[0]&0x80 != 0
}

// webSocketKind reports whether b can be the first byte of a frame: it has no reserved
// bit except that of compression (RFC 7692), and an assigned opcode.
func webSocketKind(b byte) bool {
	kind := b & 0x0f
	return b&0x30 == 0 && (kind <= 2 || kind >= 8 && kind <= 10)
}

// mqtt reports whether b is one MQTT packet (OASIS MQTT 5.0, 2.1): its type, its length
// in one or two bytes, and that many bytes.
func mqtt(b []byte) bool {
	switch {
	case len(b) < 2 || b[0]>>4 == 0:
		return false
	case b[1] < 0x80:
		return int(b[1]) == len(b)-2
	}
	return len(b) > 2 && b[2] > 0 && b[2] < 0x80 && int(b[1]&0x7f)|int(b[2])<<7 == len(b)-3
}

// printable reports whether b is text, or begins with a text command.
func printable(b []byte) bool {
	for i, c := range b {
		if (c < ' ' || c > '~') && c != '\r' && c != '\n' && c != '\t' {
			return i >= 6
		}
	}
	return len(b) >= 4
}
