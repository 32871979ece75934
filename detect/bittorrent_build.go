// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// The numbers in an answer.
const (
	decoyNodes = 8 // a full bucket of the DHT
	decoyPeers = 4
	// trackerInterval is after how many seconds the client should ask again. A short
	// interval makes the client send more.
	trackerInterval = 60
	dhtPort         = 6881
)

// TorrentAnswer builds into dst the answer to a DHT query or a tracker request, in the
// name of the peer. The nodes and peers in the answer lead nowhere. TorrentAnswer returns
// the length, or 0 when it has no answer. dst must have room for MaxAnswer.
func TorrentAnswer(dst, query []byte, a *Asked) int {
	if len(dst) < MaxAnswer {
		return 0
	}
	if len(query) > 0 && query[0] == 'd' {
		var m krpc
		if !m.parse(query) || m.kind != 'q' {
			return 0
		}
		return dhtAnswer(dst, &m, a)
	}
	action, ok := trackerQuery(query)
	if !ok {
		return 0
	}
	switch action {
	case trackerConnect:
		putBE32(dst, trackerConnect)
		copy(dst[4:], query[12:16])
		g := randomFrom(&a.Peer, a.Salt)
		g.fill(dst[8:16])
		return 16
	case trackerAnnounce:
		putBE32(dst, trackerAnnounce)
		copy(dst[4:], query[12:16])
		putBE32(dst[8:], trackerInterval)
		putBE32(dst[12:], 1)          // leechers
		putBE32(dst[16:], decoyPeers) // seeders
		n := 20
		g := randomFrom(&a.Peer, a.Salt)
		for range decoyPeers {
			n += g.endpoint(dst[n:], !is4(&a.Client.Addr))
		}
		return n
	}
	return 0
}

// dhtAnswer answers like a node that knows nodes nearer to the target, so that the client
// goes on searching.
func dhtAnswer(dst []byte, m *krpc, a *Asked) int {
	w := builder{b: dst}
	six := !is4(&a.Client.Addr)
	w.text("d2:ip")
	if six {
		w.text("18:")
		w.bytes(a.Client.Addr[:])
	} else {
		w.text("6:")
		w.bytes(a.Client.Addr[12:])
	}
	w.bytes([]byte{byte(a.Client.Port >> 8), byte(a.Client.Port)})
	w.text("1:rd2:id20:")
	// The node ID stays the same for one peer.
	own := randomFrom(&a.Peer, 0)
	w.fill(&own, krpcID)
	g := randomFrom(&a.Peer, a.Salt)
	wants := m.target != nil && (string(m.query) == "find_node" || string(m.query) == "get_peers")
	if wants {
		if !six {
			w.nodes("5:nodes208:", m.target, &g, false)
		}
		if six || m.want6 {
			w.nodes("6:nodes6304:", m.target, &g, true)
		}
	}
	if string(m.query) == "get_peers" {
		w.text("5:token4:")
		w.fill(&g, 4)
	}
	w.text("e1:t")
	w.number(len(m.tid))
	w.text(":")
	w.bytes(m.tid)
	w.text("1:y1:re")
	if w.full {
		return 0
	}
	return w.n
}

// nodes writes nodes with IDs near the target.
func (w *builder) nodes(head string, target []byte, g *generator, six bool) {
	w.text(head)
	for range decoyNodes {
		w.bytes(target[:krpcID-4])
		w.fill(g, 4)
		if w.n+18 > len(w.b) {
			w.full = true
			return
		}
		w.n += g.endpoint(w.b[w.n:], six)
	}
}

// TorrentProbe builds a DHT ping. The ping is marked read-only (BEP 43), so that the
// client does not enter the router in its routing table. Every client that we tested
// answers it.
func TorrentProbe(dst []byte, salt uint32) int {
	w := builder{b: dst}
	var none [16]byte
	g := randomFrom(&none, salt)
	w.text("d1:ad2:id20:")
	w.fill(&g, krpcID)
	w.text("e1:q4:ping2:roi1e1:t4:")
	w.fill(&g, 4)
	w.text("1:y1:qe")
	if w.full {
		return 0
	}
	return w.n
}

// UTPProbe builds the packet that opens a uTP connection. A client answers with a state
// packet. The salt makes both the connection ID and the sequence number: an attacker
// could guess one of them alone.
func UTPProbe(dst []byte, salt uint32) int {
	if len(dst) < utpHeader {
		return 0
	}
	var none [16]byte
	g := randomFrom(&none, salt)
	b := dst[:utpHeader]
	g.fill(b)
	b[0], b[1] = utpSYN<<4|1, 0
	b[5] |= 2 // not a DNS query, see isSYN
	putBE32(b[8:], 0)
	putBE32(b[12:], 0x00040000)
	putBE16(b[18:], 0)
	return utpHeader
}

// UTPAnswered reports whether b is the answer to the probe.
func UTPAnswered(b, probe []byte) bool {
	var p, q utpPacket
	return p.parse(b) && q.parse(probe) && q.kind == utpSYN &&
		p.kind == utpState && p.id == q.id && p.ack == q.seq
}

// MSEProbe builds the first message of an encrypted connection, without padding, to be
// sent by TCP. A client answers with its own key, which MSEFirst recognises.
func MSEProbe(dst []byte, salt uint32) int {
	if len(dst) < mseKey {
		return 0
	}
	var none [16]byte
	g := randomFrom(&none, salt)
	g.fill(dst[:mseKey])
	// A key is less than the prime, whose first 64 bits are ones.
	dst[0] &= 0x7f
	return mseKey
}

func btAnswer(dst, query []byte, form Answer, a *Asked) int {
	if form == AnswerNone {
		return 0
	}
	return TorrentAnswer(dst, query, a)
}
