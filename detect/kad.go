// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// Kad is the distributed table of files and sources that the clients keep, after
// Kademlia, by UDP. A message is e4, an opcode and the content. Long answers are e5, the
// opcode, and the content compressed by zlib. Node IDs and hashes have 16 bytes. A
// contact is
//
//	id16 ip4 udp-port2 tcp-port2 version1
const (
	kadID      = 16
	kadContact = kadID + 4 + 2 + 2 + 1

	kadBootstrap     = 0x01
	kadBootstrapBack = 0x09 // id16 tcp-port2 version1 number2 contacts
	kadHello         = 0x11 // id16 tcp-port2 version1 tags
	kadHelloBack     = 0x19 // the same
	kadFind          = 0x21 // kind1 target16 receiver16
	kadHelloAck      = 0x22 // id16 tags
	kadFindBack      = 0x29 // target16 number1 contacts
	kadPing          = 0x60
	kadPong          = 0x61 // the source port of the ping

	kadMaxVersion = 0x1f
	kadMaxFound   = 32
	kadMaxResults = 300 // of a search
)

// kadForm is a message with a fixed length, or with a known least length.
type kadForm struct {
	opcode uint8
	length uint8 // of the content
	longer bool  // the content may be longer
	kind   Kind
}

// kadForms are the messages that are recognised by their length. Those of Kad 1 begin
// with a contact (boot and hello), or have the same form as the later ones.
var kadForms = [...]kadForm{
	{0x00, kadContact, false, Query}, // boot, Kad 1
	{0x10, kadContact, false, Query}, // hello, Kad 1
	{0x18, kadContact, false, Reply},
	{0x20, 1 + 2*kadID, false, Query}, // find, Kad 1
	{kadBootstrap, 0, false, Query},
	{kadFind, 1 + 2*kadID, false, Query},
	{0x30, kadID + 1, true, Query}, // search, Kad 1
	{0x32, kadID, false, Query},
	{0x33, kadID + 2, true, Query}, // search for a word: start position, 0x8000 if more follows
	{0x34, kadID + 2 + 8, false, Query},
	{0x35, kadID + 8, false, Query},
	{0x3b, 2*kadID + 2, true, Reply},
	{0x43, kadID + 2 + kadID + 1, true, Query}, // publish
	{0x44, 2*kadID + 1, true, Query},
	{0x45, 2*kadID + 1, true, Query},
	{0x4b, kadID + 1, false, Reply},
	{0x4b, kadID + 2, false, Reply},
	{0x4c, 0, false, Weak},
	{0x50, 2, false, Query},           // firewall check: tcp-port2
	{0x51, 2*kadID + 2, false, Query}, // search for a buddy
	{0x52, 2*kadID + 2, false, Query},
	{0x53, 2 + kadID + 1, false, Query}, // as 0x50: tcp-port2 hash16 options1
	{0x58, 4, false, Reply},
	{0x59, 0, false, Weak},
	{0x5a, 2*kadID + 2, false, Reply},
	{0x5a, 2*kadID + 3, false, Reply},
	{kadPing, 0, false, Query},
	{kadPong, 2, false, Reply},
	{0x62, 1 + 2, false, Reply},
}

func kadDatagram(b []byte, f *Finding) Kind {
	if b[0] == kadPacked {
		return kadUnread(b, f)
	}
	k := kadKind(b)
	switch k {
	case Query:
		f.Reason = ReasonPing
		// Messages of two or four bytes are too short to prove something.
		f.Conduct = len(b) >= 2+kadID
		switch b[1] {
		case kadHello:
			f.TCPPort = le16(b[2+kadID:])
		case 0x50, 0x53:
			f.TCPPort = le16(b[2:])
		case 0x00, 0x10:
			f.TCPPort = le16(b[2+kadID+6:])
		}
	case Reply:
		f.Reason = ReasonPong
		if b[1] == kadHelloBack || b[1] == kadBootstrapBack {
			f.TCPPort = le16(b[2+kadID:])
		}
	}
	if key := kadKey(b, k); key != nil {
		f.setKey(key)
	}
	return k
}

// kadKind recognises a message by its opcode, its length and the fixed parts of its
// content.
func kadKind(b []byte) Kind {
	body := b[2:]
	n := len(body)
	switch b[1] {
	case kadBootstrapBack:
		const head = kadID + 2 + 1 + 2
		if n >= head && kadNode(body) && n == head+kadContact*int(le16(body[head-2:])) {
			return Reply
		}
		return None
	case kadHello, kadHelloBack:
		const head = kadID + 2 + 1
		if n <= head || !kadNode(body) || !edonkeyTags(body[head:]) {
			return None
		}
		if b[1] == kadHello {
			return Query
		}
		return Reply
	case kadHelloAck:
		if n > kadID && edonkeyTags(body[kadID:]) {
			return Reply
		}
		return None
	case kadFindBack, 0x28: // and that of Kad 1
		if n > kadID && body[kadID] <= kadMaxFound && n == kadID+1+kadContact*int(body[kadID]) {
			return Reply
		}
		return None
	case 0x08: // answer to boot, Kad 1
		if n >= 2 && n == 2+kadContact*int(le16(body)) && n > 2 {
			return Reply
		}
		return None
	}
	for i := range kadForms {
		f := &kadForms[i]
		if f.opcode != b[1] || n != int(f.length) && !(f.longer && n > int(f.length)) {
			continue
		}
		if kadFits(b[1], body) {
			return f.kind
		}
	}
	return None
}

// kadNode reports whether b begins with the ID, the TCP port and the version of a node.
func kadNode(b []byte) bool {
	version := b[kadID+2]
	return le16(b[kadID:]) != 0 && version > 0 && version <= kadMaxVersion
}

// kadFits checks the content of a message whose length fits, as far as it can be checked.
func kadFits(opcode byte, body []byte) bool {
	switch opcode {
	case 0x00, 0x10, 0x18: // a contact, with its ports
		return le16(body[kadID+4:]) != 0 && body[kadContact-1] <= kadMaxVersion
	case kadFind, 0x20:
		kind := body[0] & 0x1f
		return kind > 0 && kind <= kadMaxFound && body[0]>>5 == 0
	case 0x30: // whether a search follows, and the search
		return body[kadID] <= 1 && (len(body) > kadID+1) == (body[kadID] == 1) &&
			(body[kadID] == 0 || edonkeySearch(body[kadID+1:], 0) == len(body)-kadID-1)
	case 0x3b: // the results, each an ID and tags
		n := int(le16(body[2*kadID:]))
		return n > 0 && n <= kadMaxResults && len(body) > 2*kadID+2+n*(kadID+1)
	case 0x33:
		// If the search has more than the word, its tree follows.
		more := body[kadID+1]&0x80 != 0
		return more == (len(body) > kadID+2) && (!more || edonkeySearch(body[kadID+2:], 0) == len(body)-kadID-2)
	case 0x43:
		files := le16(body[kadID:])
		return files > 0 && files <= 1000
	case 0x44, 0x45:
		return edonkeyTags(body[2*kadID:])
	case 0x50, 0x53:
		return le16(body) != 0
	}
	return true
}

// kadUnread recognises a compressed message by its opcode and the two bytes of zlib's
// header (RFC 1950).
func kadUnread(b []byte, f *Finding) Kind {
	const deflate, least = 8, 16
	if len(b) < least || b[2]&15 != deflate || (uint(b[2])<<8|uint(b[3]))%31 != 0 {
		return None
	}
	switch b[1] {
	case kadBootstrapBack, kadFindBack, 0x3b, 0x08, 0x28, 0x38, 0x3a:
		f.Reason = ReasonPong
		return Reply
	case 0x40, 0x43, 0x44, 0x45:
		f.Reason, f.Conduct = ReasonPing, true
		return Query
	}
	return None
}

// kadGreet builds a hello of a node that others cannot reach, so that the client does not
// keep it as a contact. Nodes answer its version without encryption. The answer contains
// the node's ID.
func kadGreet(dst, _ []byte, salt uint32) int {
	const (
		length  = 2 + kadID + 2 + 1 + 1 + 5
		version = 5
		options = 0xf2 // the tag's name
	)
	if len(dst) < length {
		return 0
	}
	var none [16]byte
	g := randomFrom(&none, salt)
	dst[0], dst[1] = kadPlain, kadHello
	g.fill(dst[2 : 2+kadID])
	copy(dst[2+kadID:], []byte{0x36, 0x12, version, 1, tagUint8, 1, 0, options, 3})
	return length
}

// kadGreeted reports whether b is the answer to kadGreet's hello.
func kadGreeted(b, _ []byte) bool {
	return len(b) > 2 && b[0] == kadPlain && b[1] == kadHelloBack && kadKind(b) == Reply
}

// kadKey returns the ID of the node that sent b, or nil. k is the kind of b.
func kadKey(b []byte, k Kind) []byte {
	if k < Query || b[1] != kadHello && b[1] != kadHelloBack && b[1] != kadBootstrapBack {
		return nil
	}
	return b[2 : 2+kadID]
}

// kadSearch builds a query for nodes near a random ID. key is the ID of the client's
// node. The answer repeats the random ID.
func kadSearch(dst, key []byte, salt uint32) int {
	const length = 2 + 1 + 2*kadID
	if len(key) != kadID || len(dst) < length {
		return 0
	}
	var none [16]byte
	g := randomFrom(&none, salt)
	dst[0], dst[1], dst[2] = kadPlain, kadFind, 2
	g.fill(dst[3 : 3+kadID])
	copy(dst[3+kadID:length], key)
	return length
}

// kadFound reports whether b answers that query.
func kadFound(b, probe []byte) bool {
	return len(b) > 2+kadID && b[0] == kadPlain && b[1] == kadFindBack && kadKind(b) == Reply &&
		string(b[2:2+kadID]) == string(probe[3:3+kadID])
}

// emuleAsk builds a query about a file that nobody has. emuleAnswered reports whether b
// is the answer: that the file is not there, or that the queue is full.
func emuleAsk(dst, _ []byte, salt uint32) int {
	const length = 2 + edonkeyHash + 2 + 2
	if len(dst) < length {
		return 0
	}
	var none [16]byte
	g := randomFrom(&none, salt)
	clear(dst[:length])
	dst[0], dst[1] = edonkeyEMule, emuleReask
	g.fill(dst[2 : 2+edonkeyHash])
	return length
}

func emuleAnswered(b, _ []byte) bool {
	return len(b) == 2 && b[0] == edonkeyEMule && (b[1] == emuleNoFile || b[1] == emuleFull)
}
