// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// What a host sends in the middle of a connection whose beginning nobody saw says little:
// most is enciphered. But most of what is harmless shows itself, as TLS does by its
// records.

// Middle reads what a host sends in the middle of a connection, segment by segment. The
// zero value is ready.
type Middle struct {
	n     uint8 // segments that were read
	known uint8 // those of them that look like something that is known
	full  uint8 // segments that were too long to be read
	odd   bool  // one has a length that no packet of SSH has
	whole bool  // the next begins where a message does
}

const (
	// fullSegment is from how many bytes on a segment is taken for a part of something
	// longer; after fullSegments of them a connection is taken for a transfer.
	fullSegment  = 1000
	fullSegments = 16
	// sshPacket is the shortest packet of SSH whose length is enciphered, a key that is
	// pressed: with chacha20, 4 bytes, two blocks of 8, a check of 16. Where the length
	// is not, it counts what is behind it.
	sshPacket = 36
	// sshUnit divides the length of each: blocks of 8 or 16 bytes, a length of 4 before
	// them that some ciphers leave out of these, a check of 8 to 64 behind (RFC 4253,
	// 5647, and OpenSSH's PROTOCOL). It divides the size of a full segment as well.
	sshUnit = 4
	// sshSegments is after how many such segments a connection is taken for SSH. So
	// many of random length have it once in 4000 times.
	sshSegments = 6
	// knownSegments is how many have to look like something that is known: one may by
	// chance, and what is something known shows it in each.
	knownSegments = 2
	// middleBytes is how much has to be seen that looks like nothing, and middleMost of
	// how much it is said that it is not enciphered.
	middleBytes = 24
	middleMost  = 64
)

// Begins tells that what comes next is no rest of something longer.
func (m *Middle) Begins() { m.whole = true }

// Reads reports whether a segment begins where a message does, so that something can be
// told by it: b is what is seen of it, length how long it is. ends says that a message ends
// with it. Each segment has to be shown, once.
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
	m.n = min(m.n+1, sshSegments)
	m.odd = m.odd || len(b) < sshPacket || len(b)%sshUnit != 0
	return true
}

// Harmless reports whether the segments so far show something that is known: text, records
// or frames as TLS, WebSocket, MQTT, OpenVPN and most programs have them, the lengths of
// SSH, or a long transfer. The segment b is the one that was read last, or nil.
func (m *Middle) Harmless(b []byte) bool {
	if len(b) > 0 && (framed(b) || webSocket(b) || mqtt(b) || printable(b)) {
		m.known = min(m.known+1, knownSegments)
	}
	return m.known >= knownSegments || m.full == fullSegments || m.n == sshSegments && !m.odd
}

// Unknown reports whether seen, the segments that were read, has nothing of what is
// known, and is enciphered, as most games are not. More says that it is too little, No
// that it has no such look. It has to be asked after Harmless.
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

// webSocket reports whether b begins with a frame of a browser's WebSocket (RFC 6455,
// 5.2), which is masked, and of which b has all, or all but its end.
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
	// Another may follow.
	end := at + n
	return end == len(b) || end+1 < len(b) && webSocketKind(b[end]) && b[end+1]&masked != 0 && b[0]&0x80 != 0
}

// webSocketKind reports whether the first byte of a frame is one: no reserved bit but the
// one of compression (RFC 7692), and a kind that there is.
func webSocketKind(b byte) bool {
	kind := b & 0x0f
	return b&0x30 == 0 && (kind <= 2 || kind >= 8 && kind <= 10)
}

// mqtt reports whether b is one packet of MQTT (OASIS MQTT 5.0, 2.1): its kind, its length
// in one or two bytes, and so many bytes.
func mqtt(b []byte) bool {
	switch {
	case len(b) < 2 || b[0]>>4 == 0:
		return false
	case b[1] < 0x80:
		return int(b[1]) == len(b)-2
	}
	return len(b) > 2 && b[2] > 0 && b[2] < 0x80 && int(b[1]&0x7f)|int(b[2])<<7 == len(b)-3
}

// printable reports whether b is text, or begins as a command in text does.
func printable(b []byte) bool {
	for i, c := range b {
		if (c < ' ' || c > '~') && c != '\r' && c != '\n' && c != '\t' {
			return i >= 6
		}
	}
	return len(b) >= 4
}
