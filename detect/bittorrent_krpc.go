// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// krpc is a message of the DHT (BEP 5). Its slices point into the datagram.
type krpc struct {
	kind    byte   // 'q', 'r' or 'e'
	tid     []byte // "t"
	query   []byte // "q"
	version []byte // "v", may be nil
	id      []byte // the sender's ID, 20 bytes; nil in an error
	target  []byte // target of find_node, or an info-hash; nil or 20 bytes
	named   bool   // target is an info-hash
	want6   bool   // it asks for nodes6
	port    uint16 // announce_peer: the TCP port of the sender, or 0
}

const (
	krpcID    = 20
	krpcMaxID = 32 // of a transaction ID
)

// parse reads the whole datagram b. It goes by structure, not by prefix, because the
// order and the number of keys differ between clients.
func (m *krpc) parse(b []byte) bool {
	*m = krpc{}
	// The shortest possible message is an error with an empty text.
	if len(b) < 20 || b[0] != 'd' || bencodeSkip(b) != len(b) {
		return false
	}
	var args, reply, fault []byte
	for in := bencodeInside(b, 'd'); len(in) > 0; {
		var key, value []byte
		if key, in = bencodeNext(in); key == nil {
			return false
		}
		if value, in = bencodeNext(in); value == nil {
			return false
		}
		key = bencodeText(key)
		if len(key) != 1 {
			continue
		}
		switch key[0] {
		case 'y':
			if y := bencodeText(value); len(y) == 1 {
				m.kind = y[0]
			}
		case 't':
			m.tid = bencodeText(value)
		case 'q':
			m.query = bencodeText(value)
		case 'v':
			m.version = bencodeText(value)
		case 'a':
			args = bencodeInside(value, 'd')
		case 'r':
			reply = bencodeInside(value, 'd')
		case 'e':
			fault = bencodeInside(value, 'l')
		}
	}
	if len(m.tid) == 0 || len(m.tid) > krpcMaxID {
		return false
	}
	switch m.kind {
	case 'q':
		return len(m.query) > 0 && m.body(args)
	case 'r':
		return m.body(reply)
	case 'e':
		// [code, text]
		code, rest := bencodeNext(fault)
		text, _ := bencodeNext(rest)
		return len(code) > 2 && code[0] == 'i' && bencodeText(text) != nil
	}
	return false
}

// body reads the arguments of a query or the values of a reply.
func (m *krpc) body(in []byte) bool {
	implied := false
	for len(in) > 0 {
		var key, value []byte
		key, in = bencodeNext(in)
		value, in = bencodeNext(in)
		switch string(bencodeText(key)) {
		case "id":
			m.id = bencodeText(value)
		case "info_hash":
			m.named = true
			fallthrough
		case "target":
			if t := bencodeText(value); len(t) == krpcID {
				m.target = t
			}
		case "want":
			for list := bencodeInside(value, 'l'); len(list) > 0; {
				var w []byte
				if w, list = bencodeNext(list); string(bencodeText(w)) == "n6" {
					m.want6 = true
				}
			}
		case "port":
			m.port, _ = bencodeNumber(value)
		case "implied_port":
			n, _ := bencodeNumber(value)
			implied = n != 0
		}
	}
	if implied {
		m.port = 0 // the source port counts
	}
	return len(m.id) == krpcID
}
