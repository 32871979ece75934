// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// Messages between clients, by UDP, with the protocol byte c5.
const (
	emuleReask    = 0x90 // hash16, and the parts of the file that the sender has
	emuleAck      = 0x91 // the parts of the file that the sender has, rank2
	emuleNoFile   = 0x92
	emuleFull     = 0x93
	emuleCallback = 0x94 // hash16 hash16 ...
	emuleDirect   = 0x95 // port2 hash16 options1
)

// emuleDatagram classifies what clients tell each other about a file.
func emuleDatagram(b []byte, f *Finding) Kind {
	body := b[2:]
	f.Reason = ReasonPing
	switch b[1] {
	case emuleReask:
		// Older versions leave out the parts, or the number of complete sources.
		switch n := len(body) - edonkeyHash; {
		case n == 0 || n == 2:
			return Query
		case n >= 4 && emuleParts(body[edonkeyHash:]) == n-2:
			f.Conduct = true
			return Query
		}
	case emuleDirect:
		if len(body) == 2+edonkeyHash+1 && le16(body) != 0 {
			f.TCPPort = le16(body)
			return Query
		}
	case emuleCallback:
		if n := len(body) - 2*edonkeyHash; n == 0 || n == 2 || n >= 4 && emuleParts(body[2*edonkeyHash:]) == n-2 {
			return Query
		}
	case emuleAck:
		if n := len(body); n > 4 && emuleParts(body) == n-2 {
			f.Reason = ReasonPong
			return Reply
		} else if n == 2 || n == 4 {
			return Weak
		}
	case emuleNoFile, emuleFull:
		if len(body) == 0 {
			return Weak
		}
	}
	return None
}

// emuleParts returns the length of the list of parts in b: their number, and a bit for
// each. A complete file has no parts.
func emuleParts(b []byte) int { return 2 + (int(le16(b))+7)/8 }

// Messages to a server, by UDP, with the protocol byte e3.
const (
	serverSearch3  = 0x90
	serverSearch2  = 0x92
	serverSources2 = 0x94 // (hash16 size4)..., and 8 bytes more where the size is 0
	serverStatus   = 0x96 // challenge4
	serverSearch   = 0x98
	serverSources  = 0x9a // hash16 ...
	serverCallback = 0x9c // ip4 port2 id4
	serverList     = 0xa0 // ip4 port2
	serverInfo     = 0xa2 // challenge4
	serverList2    = 0xa4

	overnetConnect = 0x0a // hash16 ip4 port2 kind1
	overnetPublish = 0x0c // the same
)

// edonkeyServerDatagram classifies queries to servers, and the hello of Overnet, an older
// network of the same kind.
func edonkeyServerDatagram(b []byte, f *Finding) Kind {
	body := b[2:]
	n := len(body)
	f.Reason = ReasonPing
	switch b[1] {
	case serverStatus:
		// The upper half of the challenge is always the same, except with old programs.
		if n == 4 {
			f.Conduct = le32(body)>>16 == 0x55aa
			return Query
		}
	case serverInfo:
		// Here the lower half is always the same.
		switch n {
		case 4:
			f.Conduct = le16(body) == 0xf0ff
			return Query
		case 0:
			return Weak
		}
	case serverSources:
		if n > 0 && n%edonkeyHash == 0 {
			return Query
		}
	case serverSources2:
		if serverFiles(body) {
			return Query
		}
	case serverCallback:
		if n == 4+2+4 && le16(body[4:]) != 0 {
			return Query
		}
	case serverList:
		if n == 4+2 && le16(body[4:]) != 0 {
			return Query
		}
	case serverList2:
		if n == 0 {
			return Weak
		}
	case serverSearch, serverSearch2:
		if edonkeySearch(body, 0) == n {
			return Query
		}
	case serverSearch3: // with tags before the search
		if n < 4 || le32(body) > edonkeyMaxTags {
			return None
		}
		if rest, ok := edonkeySkip(body[4:], int(body[0])); ok && edonkeySearch(rest, 0) == len(rest) {
			return Query
		}
	case overnetConnect, overnetPublish:
		if n == edonkeyHash+4+2+1 && le16(body[edonkeyHash+4:]) != 0 && body[n-1] <= 1 {
			f.Conduct = true
			return Query
		}
	}
	return None
}

// serverFiles reports whether b is a list of file hashes with file sizes.
func serverFiles(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for len(b) > 0 {
		n := edonkeyHash + 4
		if len(b) >= n && le32(b[edonkeyHash:]) == 0 {
			n += 8
		}
		if len(b) < n {
			return false
		}
		b = b[n:]
	}
	return true
}

// edonkeySearch returns the length of the search at the start of b, or -1. A search is a
// tree of words, numbers and types. An operator precedes its two operands.
func edonkeySearch(b []byte, depth int) int {
	const deepest = 24
	if len(b) < 2 || depth > deepest {
		return -1
	}
	switch b[0] {
	case 0: // and, or, not
		if b[1] > 2 {
			return -1
		}
		n := 2
		for range 2 {
			m := edonkeySearch(b[n:], depth+1)
			if m < 0 {
				return -1
			}
			n += m
		}
		return n
	case 1: // a word
		return searchName(b, 1)
	case 2: // a word, and the name of the tag that must contain it
		n := searchName(b, 1)
		if n < 0 {
			return -1
		}
		return searchName(b, n)
	case 3, 8: // a number of 4 or 8 bytes, how to compare, and a tag's name
		n := 1 + 4
		if b[0] == 8 {
			n += 4
		}
		if len(b) < n+1 || b[n] > 5 {
			return -1
		}
		return searchName(b, n+1)
	}
	return -1
}

// searchName returns the end of the text at b[at:], which begins with its length, or -1.
func searchName(b []byte, at int) int {
	if len(b) < at+2 {
		return -1
	}
	n := int(le16(b[at:]))
	if n == 0 || at+2+n > len(b) {
		return -1
	}
	return at + 2 + n
}
