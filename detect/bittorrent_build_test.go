// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
)

func asked(peer, client string, port uint16) *Asked {
	return &Asked{
		Peer:   netip.MustParseAddr(peer).As16(),
		Client: Endpoint{Addr: netip.MustParseAddr(client).As16(), Port: port},
		Salt:   7,
	}
}

// The answers, byte by byte.
func TestTorrentAnswerGolden(t *testing.T) {
	four := asked("203.0.113.10", "192.168.1.50", 51413)
	for _, tt := range []struct {
		name, query, want string
	}{
		{
			"ping", "d1:ad2:id20:" + id20 + "e1:q4:ping1:t2:aa1:y1:qe",
			"64323a6970363ac0a80132c8d5313a7264323a696432303a7144c9ae26922804f30e83b8febeca435155d13565313a74323a6161313a79313a7265",
		},
		{"connect", unhexString("000004172710198000000000f70b0fb6"), "00000000f70b0fb675a9929aaf0ce78b"},
	} {
		var dst [MaxAnswer]byte
		n := TorrentAnswer(dst[:], []byte(tt.query), four)
		if got := hex.EncodeToString(dst[:n]); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	var dst [MaxAnswer]byte
	for _, tt := range []struct {
		name  string
		build func([]byte, uint32) int
		want  string
	}{
		{"ping probe", TorrentProbe, "64313a6164323a696432303ae72be9097b17bb18c0527c9c396f7e038ce2fc7865313a71343a70696e67323a726f693165313a74343addaa6f6d313a79313a7165"},
		{"uTP probe", UTPProbe, "4100e9097b17bb1800000000000400008ce20000"},
	} {
		n := tt.build(dst[:], 7)
		if got := hex.EncodeToString(dst[:n]); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// The parser understands our answers, and their nodes lead nowhere.
func TestTorrentAnswer(t *testing.T) {
	const v4, v6 = "192.168.1.50", "2001:db8:1::50"
	find := "d1:ad2:id20:" + id20 + "6:target20:" + target + "e1:q9:find_node1:t2:aa1:y1:qe"
	for _, tt := range []struct {
		name, query, client string
		nodes, nodes6       int
	}{
		{"find_node", find, v4, 8, 0},
		{"find_node by IPv6", find, v6, 0, 8},
		{"find_node that wants both", "d1:ad2:id20:" + id20 + "6:target20:" + target + "4:wantl2:n42:n6ee1:q9:find_node1:t2:aa1:y1:qe", v4, 8, 8},
		{"get_peers", "d1:ad2:id20:" + id20 + "9:info_hash20:" + target + "e1:q9:get_peers1:t32:" + "abcdefghijklmnopqrstuvwxyzabcdef" + "1:y1:qe", v4, 8, 0},
		{"announce_peer", "d1:ad2:id20:" + id20 + "9:info_hash20:" + target + "4:porti1e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe", v4, 0, 0},
		{"find_node without a target", "d1:ad2:id20:" + id20 + "e1:q9:find_node1:t2:aa1:y1:qe", v4, 0, 0},
	} {
		var dst [MaxAnswer]byte
		query := []byte(tt.query)
		a := asked("203.0.113.10", tt.client, 51413)
		n := TorrentAnswer(dst[:], query, a)
		var m, q krpc
		if !m.parse(dst[:n]) || m.kind != 'r' || !q.parse(query) || !bytes.Equal(m.tid, q.tid) {
			t.Fatalf("%s: %q is no answer to it", tt.name, dst[:n])
		}
		nodes, nodes6 := nodesIn(dst[:n], "nodes", 26), nodesIn(dst[:n], "nodes6", 38)
		if len(nodes) != tt.nodes || len(nodes6) != tt.nodes6 {
			t.Errorf("%s: %d and %d nodes", tt.name, len(nodes), len(nodes6))
		}
		for _, e := range append(nodes, nodes6...) {
			if !IsDecoy(&e.Addr) || !Plausible(e) {
				t.Errorf("%s: %v leads somewhere, or nobody believes it", tt.name, e)
			}
		}
		if allocs := testing.AllocsPerRun(20, func() { TorrentAnswer(dst[:], query, a) }); allocs != 0 {
			t.Errorf("%s: %v allocations", tt.name, allocs)
		}
	}
	// The same peer always answers with the same node ID, another peer with a different
	// one.
	id := func(peer string, salt uint32) string {
		var dst [MaxAnswer]byte
		a := asked(peer, v4, 1)
		a.Salt = salt
		n := TorrentAnswer(dst[:], []byte(find), a)
		var m krpc
		m.parse(dst[:n])
		return string(m.id)
	}
	if id("203.0.113.10", 1) != id("203.0.113.10", 2) || id("203.0.113.10", 1) == id("203.0.113.11", 1) {
		t.Error("the number of a node does not follow from its address")
	}
	// No answer to anything else.
	for _, q := range []string{
		"", "d", "d1:rd2:id20:" + id20 + "e1:t2:aa1:y1:re",
		unhexString("4100fdde32e37e700000000000040000f9ce0000"), "twelve bytes",
	} {
		var dst [MaxAnswer]byte
		if n := TorrentAnswer(dst[:], []byte(q), asked("203.0.113.10", v4, 1)); n != 0 {
			t.Errorf("%q: answer of %d bytes", q, n)
		}
	}
	if n := TorrentAnswer(make([]byte, 20), []byte(find), asked("203.0.113.10", v4, 1)); n != 0 {
		t.Errorf("answer of %d bytes without room", n)
	}
}

// nodesIn returns the nodes that a DHT answer has under the key.
func nodesIn(b []byte, key string, size int) (out []Endpoint) {
	for in := bencodeInside(b, 'd'); len(in) > 0; {
		var k, v []byte
		k, in = bencodeNext(in)
		v, in = bencodeNext(in)
		if string(bencodeText(k)) != "r" {
			continue
		}
		for in := bencodeInside(v, 'd'); len(in) > 0; {
			k, in = bencodeNext(in)
			v, in = bencodeNext(in)
			for n := bencodeText(v); string(bencodeText(k)) == key && len(n) >= size; n = n[size:] {
				out = append(out, compact(n[krpcID:size]))
			}
		}
	}
	return out
}

// compact reads an address and a port in compact form.
func compact(b []byte) Endpoint {
	a, _ := netip.AddrFromSlice(b[:len(b)-2])
	return Endpoint{Addr: a.As16(), Port: be16(b[len(b)-2:])}
}

func TestTrackerAnswer(t *testing.T) {
	for _, six := range []bool{false, true} {
		client := "192.168.1.50"
		if six {
			client = "2001:db8:1::50"
		}
		var dst [MaxAnswer]byte
		n := TorrentAnswer(dst[:], []byte(announce("-TR3000-abcdefghijkl", 2, 51413)), asked("203.0.113.80", client, 51413))
		if n == 0 || string(dst[4:8]) != "\x01\x02\x03\x04" {
			t.Fatalf("%x does not answer the transaction", dst[:n])
		}
		size := 6
		if six {
			size = 18
		}
		if be32(dst[:]) != trackerAnnounce || be32(dst[8:]) != trackerInterval || n != 20+decoyPeers*size {
			t.Errorf("%x is no answer with %d peers", dst[:n], decoyPeers)
		}
		for b := dst[20:n]; len(b) > 0; b = b[size:] {
			if e := compact(b[:size]); !IsDecoy(&e.Addr) || !Plausible(e) {
				t.Errorf("%v leads somewhere, or nobody believes it", e)
			}
		}
	}
}

func TestTorrentProbes(t *testing.T) {
	for salt := range uint32(1000) {
		var dst [MaxAnswer]byte
		n := TorrentProbe(dst[:], salt)
		var m krpc
		if !m.parse(dst[:n]) || m.kind != 'q' || !bytes.Contains(dst[:n], []byte("2:roi1e")) {
			t.Fatalf("%q is no ping", dst[:n])
		}
		n = UTPProbe(dst[:], salt)
		if p := new(utpPacket); !p.parse(dst[:n]) || !p.isSYN(dst[:n]) {
			t.Fatalf("%x is no SYN", dst[:n])
		}
		// The answer has the same connection ID and acknowledges the SYN.
		answer := bytes.Clone(dst[:n])
		answer[0] = utpState<<4 | 1
		copy(answer[18:], answer[16:18])
		if !UTPAnswered(answer, dst[:n]) {
			t.Fatalf("%x does not answer %x", answer, dst[:n])
		}
		answer[19]++
		if UTPAnswered(answer, dst[:n]) {
			t.Fatalf("%x answers %x", answer, dst[:n])
		}
		if n = MSEProbe(dst[:], salt); !MSEFirst(dst[:n]) {
			t.Fatalf("%x does not look like a key", dst[:n])
		}
	}
	var dst [MaxAnswer]byte
	if n := testing.AllocsPerRun(20, func() { TorrentProbe(dst[:], 1); UTPProbe(dst[:], 1); MSEProbe(dst[:], 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	for n := range 100 {
		if TorrentProbe(make([]byte, n%60), 1) != 0 && n%60 < 50 || UTPProbe(make([]byte, n%20), 1) != 0 || MSEProbe(make([]byte, n%96), 1) != 0 {
			t.Errorf("a probe fits into %d bytes", n)
		}
	}
}

// The answer to our key is a different key. An echo of our key is not an answer.
func TestKeyIsAnswered(t *testing.T) {
	var probe, other [mseKey]byte
	MSEProbe(probe[:], 7)
	MSEProbe(other[:], 8)
	for _, tt := range []struct {
		name   string
		answer []byte
		want   bool
	}{
		{"a key", other[:], true},
		{"a key and padding", append(bytes.Clone(other[:]), probe[:40]...), true},
		{"an echo", probe[:], false},
		{"an echo and more", append(bytes.Clone(probe[:]), other[:]...), false},
		{"an echo behind a greeting", append([]byte("you said: "), probe[:]...), false},
		{"an echo behind a key", append(bytes.Clone(other[:]), probe[:]...), false},
		{"a text", bytes.Repeat([]byte("HTTP/1.1 400 Bad Request "), 8), false},
		{"nothing", nil, false},
	} {
		if got := btKeyed(tt.answer, probe[:]); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func FuzzTorrentDatagram(f *testing.F) {
	for _, tt := range torrentDatagrams {
		f.Add([]byte(tt.data))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var fi Finding
		kind := BitTorrent.Datagram(b, &fi)
		if fi.N > 0 {
			t.Fatalf("%x names peers", b)
		}
		var dst [MaxAnswer]byte
		a := Asked{Salt: 1, Client: Endpoint{Addr: [16]byte{10: 0xff, 11: 0xff}}}
		if n := TorrentAnswer(dst[:], b, &a); n > 0 {
			if kind != Query {
				t.Fatalf("%x: kind %d, but an answer", b, kind)
			}
			if dst[0] == 'd' {
				var m krpc
				if !m.parse(dst[:n]) || m.kind != 'r' {
					t.Fatalf("%x: the answer %x is none", b, dst[:n])
				}
			}
		}
		if fi.Client.Known() && kind == None {
			t.Fatalf("%x: nothing, but it names %q", b, fi.Client.String())
		}
		var u UTP
		for i := range 4 {
			u.Feed(b, uint32(i))
		}
		LocalSearch(b)
		PortMapping(b)
	})
}

func FuzzTorrentStream(f *testing.F) {
	f.Add([]byte(peerProtocol + "\x00\x00\x00\x00\x00\x10\x00\x05" + target + "-TR3000-abcdefghijkl" +
		"\x00\x00\x00\x35\x14\x00d1:md6:ut_pexi1ee1:pi51413e1:v17:Transmission 3.00e" +
		"\x00\x00\x00\x25\x14\x01d5:added12:\xcb\x00\x71\x0a\x1a\xe1\xc6\x33\x64\x07\x04\xbe7:added.f0:e"))
	f.Add([]byte("GET /announce?info_hash=%AEF%021%BA%FDj%92%80%F5%CAv%C7%9E%5C%00R%B9%B91&port=1 HTTP/1.1"))
	f.Add([]byte("<u:AddPortMapping><NewInternalPort>6881</NewInternalPort>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var fi Finding
		var w Wire
		var c ClientName
		PeerWire(b, &w)
		peerMessages(b, &w)
		WireName(&w, &c)
		for _, first := range []bool{true, false} {
			BitTorrent.Header(b, first, true, &fi)
		}
		AgentName(b, &c)
		PortMappingUPnP(b)
		MSEFirst(b)
		for _, x := range []byte(c.String()) {
			if x < ' ' || x > '~' {
				t.Fatalf("the name %q is not printable", c.String())
			}
		}
	})
}
