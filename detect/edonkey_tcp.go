// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// A TCP message is a protocol byte, its length as u32 without these five bytes, an
// opcode, and the content. The first messages of a connection are:
//
//	login        e3 .. 01 hash16 id4 port2 tags
//	hello        e3 .. 01 10 hash16 id4 port2 tags server-ip4 server-port2
//	its answer   e3 .. 4c hash16 id4 port2 tags server-ip4 server-port2
//	eMule's own  c5 .. 01 version1 01 tags, from the client that accepted the connection
//
// A u32 before the tags counts them.
const (
	edonkeyHead   = 6 // bytes, with the opcode
	edonkeyHello  = 0x01
	edonkeyAnswer = 0x4c
	emuleInfo     = 0x01
	emuleInfoBack = 0x02

	edonkeyHash     = 16
	edonkeyIdentity = edonkeyHash + 4 + 2 + 4 // bytes before the tags, with their number
	edonkeyMaxTags  = 32
	edonkeyMaxHello = 2048 // bytes
)

// The tags that tell something about the client.
const (
	tagMod      = 0x55 // the program's name
	tagUDPPort  = 0x21 // in eMule's own hello
	tagUDPPorts = 0xf9 // Kad's port in the upper half, eMule's in the lower
	tagVersion  = 0xfb // the program's version
)

func edonkeyFirst(b []byte, outbound bool, f *Finding) Match {
	if !outbound || len(b) == 0 {
		return No
	}
	if b[0] != edonkeyPlain && b[0] != edonkeyEMule {
		return No
	}
	if len(b) < edonkeyHead {
		if len(b) > 3 && b[3] != 0 {
			return No
		}
		return More
	}
	length := le32(b[1:])
	if length < 2 || length > edonkeyMaxHello {
		return No
	}
	end := int(length) + edonkeyHead - 1
	message := b[edonkeyHead:min(len(b), end)]
	tags, m := edonkeyBeginning(b[0], b[5], message, f, false)
	switch {
	case m == More && len(b) >= end: // the message is too short for what it should have
		return No
	case m != Yes:
		return m
	case len(b) < min(end, StreamBuffer): // the tags contain the program's name
		return More
	}
	edonkeyBeginning(b[0], b[5], message, f, true)
	f.Reason, f.Conduct = ReasonHello, true
	edonkeyTell(tags, f)
	return Yes
}

// edonkeyBeginning reads the beginning of the first message of a connection, and returns
// its tags. If set is true, it enters the port in f.
func edonkeyBeginning(protocol, opcode byte, b []byte, f *Finding, set bool) (tags []byte, m Match) {
	if protocol == edonkeyEMule {
		if opcode != emuleInfo && opcode != emuleInfoBack {
			return nil, No
		}
		const head = 1 + 1 + 4
		switch {
		case len(b) >= 2 && b[1] != 1 && b[1] != 0xff: // eMule's protocol
			return nil, No
		case len(b) < head:
			return nil, More
		case le32(b[2:]) > edonkeyMaxTags:
			return nil, No
		}
		return b[head:], Yes
	}
	if opcode != edonkeyHello && opcode != edonkeyAnswer {
		return nil, No
	}
	counted := opcode == edonkeyHello && len(b) > 0 && b[0] == edonkeyHash
	if len(b) < edonkeyIdentity || counted && len(b) == edonkeyIdentity {
		return nil, More
	}
	if counted && edonkeyIdentified(b[1:]) {
		b = b[1:]
	} else if !edonkeyIdentified(b) {
		return nil, No
	}
	if set {
		f.TCPPort = le16(b[edonkeyHash+4:])
	}
	return b[edonkeyIdentity:], Yes
}

// edonkeyIdentified reports whether b can be a hash, an ID, a port and a number of tags.
func edonkeyIdentified(b []byte) bool {
	n := le32(b[edonkeyIdentity-4:])
	return n > 0 && n <= edonkeyMaxTags
}

// edonkeyTell enters in f what the available tags tell about the client.
func edonkeyTell(b []byte, f *Finding) {
	var t edonkeyTag
	for {
		var m Match
		if b, m = t.next(b); m != Yes {
			return
		}
		switch t.name {
		case tagMod:
			if len(t.text) > 0 {
				f.Client.Set(t.text)
			}
		case tagUDPPort, tagUDPPorts:
			f.UDPPort = uint16(t.number)
		case tagVersion:
			if !f.Client.Known() {
				edonkeyProgram(t.number, &f.Client)
			}
		}
	}
}

// edonkeyPrograms are the program numbers in the version tag.
var edonkeyPrograms = [...]struct {
	number byte
	name   string
}{
	{0x00, "eMule"},
	{0x01, "cDonkey"},
	{0x02, "xMule"},
	{0x03, "aMule"},
	{0x04, "Shareaza"},
	{0x05, "eMule Plus"},
	{0x06, "Hydranode"},
	{0x0a, "MLDonkey"},
	{0x14, "lphant"},
	{0x28, "Shareaza"},
	{0x32, "eDonkey Hybrid"},
	{0x34, "MLDonkey"},
	{0x44, "Shareaza"},
	{0x98, "MLDonkey"},
}

// edonkeyProgram makes a name from the program's number (8 bits) and version (7, 7 and 3
// bits). With eMule, the third part of the version is a letter.
func edonkeyProgram(v uint32, c *ClientName) {
	for i := range edonkeyPrograms {
		if p := &edonkeyPrograms[i]; p.number == byte(v>>24) {
			c.set(p.name)
			c.add([]byte{' '})
			c.decimal(v >> 17 & 0x7f)
			c.add([]byte{'.'})
			c.decimal(v >> 10 & 0x7f)
			last := v >> 7 & 7
			if p.number == 0 {
				c.add([]byte{'a' + byte(last)})
			} else {
				c.add([]byte{'.', '0' + byte(last)})
			}
			return
		}
	}
}

// decimal adds a number of at most two digits.
func (c *ClientName) decimal(v uint32) {
	if v >= 10 {
		c.add([]byte{'0' + byte(v/10%10)})
	}
	c.add([]byte{'0' + byte(v%10)})
}

// edonkeyGreeting builds a hello. Its hash is always the same: a client stops talking to
// an address that comes with a different hash.
func edonkeyGreeting(dst, _ []byte, _ uint32) int { return copy(dst, edonkeyQuestion[:]) }

// edonkeyQuestion is a hello with a user name of one letter and eDonkey's version.
var edonkeyQuestion = [...]byte{
	edonkeyPlain, 0x31, 0, 0, 0, edonkeyHello,
	edonkeyHash, 0x7d, 0x21, 0x5a, 0x93, 0xe8, 0x0e, 0x46, 0xb1, 0x0c, 0xf7, 0x68, 0xd2, 0x35, 0x9a, 0x6f, 0xc4,
	0, 0, 0, 0, // no id
	0x36, 0x12, // port
	2, 0, 0, 0,
	tagString, 1, 0, 0x01, 1, 0, '-', // the user's name
	tagUint32, 1, 0, 0x11, 0x3c, 0, 0, 0,
	0, 0, 0, 0, 0, 0, // no server
}

// edonkeyGreeted reports whether b answers the hello: with eMule's own hello, or with the
// answer to a hello. A server that echoes its input sends neither.
func edonkeyGreeted(b, _ []byte) bool {
	if len(b) < edonkeyHead || b[0] == edonkeyPlain && b[5] == edonkeyHello {
		return false
	}
	var f Finding
	m := edonkeyFirst(b[:min(len(b), StreamBuffer)], true, &f)
	return m == Yes && !bytes.Contains(b, edonkeyQuestion[7:7+edonkeyHash])
}
