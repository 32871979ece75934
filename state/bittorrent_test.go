// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

const (
	nodeID    = "abcdefghij0123456789"
	dhtPing   = "d1:ad2:id20:" + nodeID + "e1:q4:ping1:t2:aa1:v4:LT\x01\x021:y1:qe"
	dhtFind   = "d1:ad2:id20:" + nodeID + "6:target20:" + nodeID + "e1:q9:find_node1:t2:aa1:y1:qe"
	handshake = "\x13BitTorrent protocol\x00\x00\x00\x00\x00\x10\x00\x05" + nodeID + "-TR3000-abcdefghijkl"
	torrent   = 1 // BitTorrent's place in detect.All
)

func (w *world) speaks(dst string, dport uint16, b string) *nfq.Packet {
	return udp(macA, "192.168.1.50", 51413, dst, dport, []byte(b))
}

// hears is a datagram to the client's port.
func hears(src string, sport uint16, b string) *nfq.Packet {
	p := udp(nfq.MAC{}, src, sport, "192.168.1.50", 51413, []byte(b))
	p.InDev, p.OutDev = wanDev, lanDev
	return p
}

// toRouter is a datagram from the host to the router's port that probes come from.
func toRouter(sport uint16, b []byte) *nfq.Packet {
	p := udp(macA, "192.168.1.50", sport, "192.168.1.1", detect.ProbePort, b)
	p.Hook, p.OutDev = nfq.HookInput, 0
	return p
}

// random is the beginning of an encrypted session.
func random(n int) string {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// hello is a TLS ClientHello for the name.
func hello(name string) string {
	sni := "\x00" + string([]byte{byte(len(name) >> 8), byte(len(name))}) + name
	ext := "\x00\x00" + be16(len(sni)+2) + be16(len(sni)) + sni
	body := "\x03\x03" + strings.Repeat("r", 32) + "\x00" + "\x00\x02\x13\x01" + "\x01\x00" + be16(len(ext)) + ext
	msg := "\x01\x00" + be16(len(body)) + body
	return "\x16\x03\x01" + be16(len(msg)) + msg
}

func be16(n int) string { return string(binary.BigEndian.AppendUint16(nil, uint16(n))) }

const quicInitial = "\xc3\x00\x00\x00\x01\x08abcdefgh\x00\x00\x44\x96"

func quic() string { return quicInitial + strings.Repeat("q", 1200-len(quicInitial)) }

// proveTorrent has the host send a first query to the DHT, so that its next to another
// proves it. The first goes to an address that is no peer's.
func (w *world) proveTorrent() {
	w.e.Packet(w.speaks("198.18.1.1", 6881, dhtPing), w.now)
	w.e.Advance(w.now)
}

// lockedTorrent is a world with a BitTorrent client that is locked.
func lockedTorrent(t *testing.T, change func(*Config)) *world {
	t.Helper()
	w := newWorld(t, change)
	w.proveTorrent()
	w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	w.out.udp = w.out.udp[:0]
	if !w.locked("192.168.1.50") {
		t.Fatal("not locked")
	}
	return w
}

func TestTorrentIsFoundAnsweredAndSifted(t *testing.T) {
	w := lockedTorrent(t, nil)
	w.expect("the same again", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	if len(w.out.udp) != 1 || w.out.udp[0].src != (nfq.AddrPort{Addr: ip("198.51.100.7"), Port: 6881}) {
		t.Fatalf("sent %+v, want an answer in the node's name", w.out.udp)
	}
	b, _ := hex.DecodeString(w.out.udp[0].payload)
	if !strings.Contains(string(b), "1:t2:aa") || !strings.HasSuffix(string(b), "1:y1:re") {
		t.Errorf("answer %q", b)
	}
	c := w.e.Clients(w.now)[0]
	if c.Protocol.Name != "bittorrent" || c.Strict || !strings.Contains(c.Program, "libtorrent") || c.Reason != detect.ReasonPing {
		t.Errorf("client %+v", c)
	}
	// Only by what it has shown to be may a connection go on, in both directions.
	if w.sets.sifts["192.168.1.50"] == 0 {
		t.Errorf("the kernel was not told: %v", w.sets.sifts)
	}
	if len(w.sets.cuts) != 0 || len(w.sets.locks) != 0 {
		t.Errorf("a selective lock cut %v, locked %v", w.sets.cuts, w.sets.locks)
	}
	// A second address of the host.
	v6 := tcp(macA, "2001:db8:1::50", 4000, "2001:db8:ff::80", 443, nfq.SYN, nil)
	v6.Version = 6
	w.expect("SYN by IPv6", v6, nfq.Accept)
	if w.sets.sifts["2001:db8:1::50"] == 0 {
		t.Errorf("the kernel was not told of its other address: %v", w.sets.sifts)
	}
	w.pass(81 * time.Second)
	if w.locked("192.168.1.50") || len(w.sets.sifts) != 0 {
		t.Errorf("released, but sifted: %v", w.sets.sifts)
	}
	// All goes on again.
	w.open(4001, "203.0.113.9", 7000)
	w.expect("unknown data", w.data(4001, "203.0.113.9", 7000, 1000, "hullo"), nfq.AcceptDecided)
}

func TestDecoysAreNoPeers(t *testing.T) {
	w := lockedTorrent(t, nil)
	w.expect("find_node", w.speaks("198.51.100.8", 6881, dhtFind), nfq.Drop)
	w.expect("a ping to a made-up node", w.speaks("198.18.4.5", 7001, dhtPing), nfq.Drop)
	if n := len(w.out.udp); n != 2 {
		t.Errorf("%d answers, want 2: it has to go on talking", n)
	}
	for _, p := range w.e.Peers(nfq.Addr{}) {
		if detect.IsDecoy((*[16]byte)(&p.Addr)) {
			t.Errorf("%v is no peer", p.Addr)
		}
	}
	syn := w.syn("198.18.4.5")
	w.expect("a connection to it", syn, nfq.Drop)
}

func TestWhatGoesOnBesideATorrent(t *testing.T) {
	for _, tt := range []struct {
		name  string
		port  uint16
		parts []string // by turns: the host, the other side
		want  []nfq.Verdict
	}{
		{"TLS with a name", 443, []string{hello("www.example.org")}, []nfq.Verdict{nfq.AcceptHarmless}},
		{"HTTP", 80, []string{"GET /x HTTP/1.1\r\nHost: a.b\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"}, []nfq.Verdict{nfq.Accept, nfq.AcceptHarmless}},
		{"SSH", 22, []string{"SSH-2.0-OpenSSH_9.2\r\n"}, []nfq.Verdict{nfq.AcceptHarmless}},
		{"mail", 25, []string{"", "220 mx.example.org ESMTP\r\n"}, []nfq.Verdict{nfq.Accept, nfq.AcceptHarmless}},
		{"an encrypted session", 6881, []string{random(200), random(200)}, []nfq.Verdict{nfq.Drop, nfq.Drop}},
		{"the same at a port of others", 443, []string{random(200)}, []nfq.Verdict{nfq.Drop}},
		{"a session in clear", 6881, []string{handshake}, []nfq.Verdict{nfq.Drop}},
		{"a session that the outside opened", 6881, []string{"", handshake}, []nfq.Verdict{nfq.Accept, nfq.Drop}}, // unknown, as long as the host says nothing
		{"an unknown protocol", 7000, []string{"hullo\n"}, []nfq.Verdict{nfq.Drop}},
		{"the middle of something", 6881, []string{"", random(1400)}, []nfq.Verdict{nfq.Accept, nfq.Drop}},
		{"the middle of TLS", 0, []string{"", "\x17\x03\x03\x00\x20" + strings.Repeat("r", 32)}, []nfq.Verdict{nfq.Accept, nfq.AcceptHarmless}},
		{"a torrent's TLS", 6881, []string{hello("0123456789abcdef0123456789abcdef01234567")}, []nfq.Verdict{nfq.Drop}},
		{"an announce", 80, []string{"GET /announce?info_hash=%AEF%021%BA%FDj%92%80%F5%CAv%C7%9E%5C%00R%B9%B91&port=1 HTTP/1.1\r\n\r\n"}, []nfq.Verdict{nfq.Drop}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := lockedTorrent(t, nil)
			if tt.port != 0 { // else it was open before
				w.open(4000, "203.0.113.80", tt.port)
			}
			seq := [2]uint32{1000, 5000}
			for i, part := range tt.parts {
				p := w.data(4000, "203.0.113.80", tt.port, seq[0], part)
				if i%2 == 1 {
					p = reply("203.0.113.80", tt.port, 4000, seq[1], part)
				}
				seq[i%2] += uint32(len(part))
				w.expect(tt.name, p, tt.want[i])
			}
		})
	}
}

func TestDatagramsBesideATorrent(t *testing.T) {
	for _, tt := range []struct {
		name string
		port uint16
		b    string
		want nfq.Verdict
	}{
		{"DNS", 53, "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01", nfq.AcceptHarmless},
		{"DNS with a number that FastTrack's short messages begin with", 53, "\xc1\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01", nfq.AcceptHarmless},
		{"NTP", 123, "\x23" + strings.Repeat("\x00", 47), nfq.AcceptHarmless},
		{"QUIC", 443, quic(), nfq.AcceptHarmless},
		{"STUN", 3478, "\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl", nfq.AcceptHarmless},
		{"uTP", 6881, "\x41\x00\xfd\xde\x32\xe3\x7e\x70\x00\x00\x00\x00\x00\x04\x00\x00\xf9\xce\x00\x00", nfq.Drop},
		{"the middle of uTP", 6881, "\x21\x00\xfd\xde\x32\xe3\x7e\x70\x00\x00\x01\x00\x00\x04\x00\x00\xf9\xce\x00\x07", nfq.Drop},
		{"something unknown", 9999, "hullo", nfq.Drop},
	} {
		w := lockedTorrent(t, nil)
		w.expect(tt.name, w.speaks("203.0.113.9", tt.port, tt.b), tt.want)
		w.expect("a neighbour's "+tt.name, udp(macB, "192.168.1.51", 4000, "203.0.113.9", tt.port, []byte("neighbour")), nfq.Accept)
	}
	w := lockedTorrent(t, nil)
	w.expect("a query from outside", hears("203.0.113.10", 6881, dhtPing), nfq.Drop)
	w.expect("data from outside", hears("203.0.113.11", 6881, random(1400)), nfq.Drop)
	w.expect("QUIC from outside", hears("203.0.113.12", 443, quic()), nfq.AcceptHarmless)
	if p := w.e.Peers(nfq.Addr{}); len(p) != 1 || p[0].Addr != ip("198.51.100.7") {
		t.Errorf("peers %+v: who asks from outside is none", p)
	}
	w.pass(79 * time.Second)
	w.expect("another query from outside", hears("203.0.113.10", 6881, dhtPing), nfq.Drop)
	w.pass(2 * time.Second)
	if w.locked("192.168.1.50") {
		t.Error("the outside holds the lock")
	}
}

// A client is probed in the way that it answers; ways that it does not are tried
// in turn.
func TestTorrentProbes(t *testing.T) {
	kind := func(payload string) string {
		switch b, _ := hex.DecodeString(payload); {
		case strings.Contains(string(b), "1:q4:ping"):
			return "krpc"
		case len(b) == 20 && b[0] == 0x41:
			return "utp"
		}
		return payload
	}
	w := lockedTorrent(t, nil)
	p := &prober{}
	w.e.SetProber(p)
	var got []string
	for range 3 {
		before, asked := len(w.out.udp), len(p.asked)
		for step := 0; len(w.out.udp) == before && len(p.asked) == asked && step < 800; step++ {
			w.pass(100 * time.Millisecond)
		}
		if len(p.asked) > asked {
			got = append(got, "mse")
		} else if len(w.out.udp) > before {
			got = append(got, kind(w.out.udp[before].payload))
		}
		if len(got) == 2 { // the second is the uTP probe: answer it
			probe, _ := hex.DecodeString(w.out.udp[before].payload)
			answer := append([]byte(nil), probe...)
			answer[0] = 0x21
			copy(answer[18:], probe[16:18])
			wrong := append([]byte(nil), answer...)
			wrong[3]++
			w.expect("an answer to something else", toRouter(51413, wrong), nfq.Accept)
			w.expect("the answer", toRouter(51413, answer), nfq.Drop)
		}
	}
	// The one that was answered is the first of the next period.
	if s := strings.Join(got, " "); s != "krpc utp utp" {
		t.Errorf("probes: %s", s)
	}
	if w.e.Counters.Answers != 1 {
		t.Errorf("%d answers", w.e.Counters.Answers)
	}
	// Without any answer, all three ways are gone.
	w = lockedTorrent(t, nil)
	w.e.SetProber(p)
	before, asked := len(w.out.udp), len(p.asked)
	w.pass(79 * time.Second)
	if len(w.out.udp) != before+2 || len(p.asked) != asked+1 {
		t.Errorf("%d by UDP, %d by TCP, want 2 and 1", len(w.out.udp)-before, len(p.asked)-asked)
	}
	w.e.ProbedTCP(p.id, []byte("SSH-2.0-x\r\n"), w.now)
	if w.e.Counters.Answers != 0 {
		t.Error("a banner answers no key")
	}
	w.e.ProbedTCP(p.id, []byte(random(300)), w.now)
	if w.e.Counters.Answers != 1 {
		t.Error("a key answers the key")
	}
}

func TestEncryptedSessionsCountOnlyOfAClient(t *testing.T) {
	w := newWorld(t, nil)
	w.open(4000, "203.0.113.80", 6881)
	w.expect("an encrypted session of a host that is not known", w.data(4000, "203.0.113.80", 6881, 1000, random(200)), nfq.AcceptDecided)
	// It asks the router for a port.
	w.expect("a mapping", mapping(), nfq.Accept)
	w.open(4001, "203.0.113.81", 6881)
	w.expect("an encrypted session beside it", w.data(4001, "203.0.113.81", 6881, 1000, random(200)), nfq.AcceptDecided)
	if c := w.e.Clients(w.now); len(c) != 0 || w.out.resets != 0 {
		t.Fatalf("a mapping and an encrypted session make no client: %+v, %d resets", c, w.out.resets)
	}
	// Nor do they together with one sign.
	w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	w.open(4002, "203.0.113.82", 6881)
	w.expect("an encrypted session beside it", w.data(4002, "203.0.113.82", 6881, 1000, random(200)), nfq.Accept)
	if c := w.e.Clients(w.now); len(c) != 0 {
		t.Fatalf("an encrypted session is no second sign: %+v", c)
	}
	w.expect("a second sign", w.speaks("203.0.113.7", 6881, dhtPing), nfq.Drop)
	until := w.e.clients[0].lockUntil
	w.pass(10 * time.Second)
	w.expect("more of the session", w.data(4002, "203.0.113.82", 6881, 1200, random(200)), nfq.Drop)
	w.open(4003, "203.0.113.83", 6881)
	w.expect("an encrypted session of the client", w.data(4003, "203.0.113.83", 6881, 1000, random(200)), nfq.Drop)
	if w.out.resets != 2 {
		t.Errorf("%d resets, one for each session: it is to try in clear", w.out.resets)
	}
	w.expect("the same again", w.data(4003, "203.0.113.83", 6881, 1000, random(200)), nfq.Drop)
	if w.e.clients[0].lockUntil != until || w.out.resets != 2 {
		t.Error("an encrypted session held the lock")
	}
	w = lockedTorrent(t, func(c *Config) { c.Protocols[torrent].ResetEncrypted = false })
	w.open(4001, "203.0.113.81", 6881)
	w.expect("an encrypted session", w.data(4001, "203.0.113.81", 6881, 1000, random(200)), nfq.Drop)
	if w.out.resets != 0 {
		t.Error("reset against the configuration")
	}
}

// mapping asks the router for a port.
func mapping() *nfq.Packet {
	p := udp(macA, "192.168.1.50", 5000, "192.168.1.1", 5351, []byte("\x00\x01\x00\x00\xc8\xd5\xc8\xd5\x00\x00\x0e\x10"))
	p.Hook, p.OutDev = nfq.HookInput, 0
	return p
}

// What was cut is not let through when it is sent again after the release.
func TestWhatWasCutStaysCut(t *testing.T) {
	w := newWorld(t, nil)
	w.open(4000, "203.0.113.80", 6881)
	w.expect("a session", w.data(4000, "203.0.113.80", 6881, 1000, handshake), nfq.Drop)
	w.pass(90 * time.Second)
	if w.locked("192.168.1.50") {
		t.Fatal("still locked")
	}
	w.expect("the same, sent again", w.data(4000, "203.0.113.80", 6881, 1000, handshake), nfq.Drop)
	if w.locked("192.168.1.50") {
		t.Error("a retransmission of a dead connection locks")
	}
}

// Ports are used again. The end of a hello that came behind the verdict about its
// beginning is left of the connection before.
func TestPortsUsedAgain(t *testing.T) {
	w := lockedTorrent(t, nil)
	const server = "203.0.113.80"
	again := func(seq uint32) {
		t.Helper()
		syn := tcp(macA, "192.168.1.50", 4000, server, 443, nfq.SYN, nil)
		syn.Seq = seq - 1
		w.expect("SYN", syn, nfq.Accept)
		name := hello("www.example.org")
		w.expect("a hello", w.data(4000, server, 443, seq, name), nfq.AcceptHarmless)
		w.expect("what was behind it", w.data(4000, server, 443, seq+uint32(len(name)), random(59)), nfq.Accept)
	}
	again(1000)
	again(900_000)
	again(3_000_000_000)

	// The first packet of what the outside opens is not seen.
	w.expect("mail from outside", reply(server, 7000, 25, 1000, "22"), nfq.Accept)
	w.expect("the next", reply(server, 7000, 25, 2_000_000_000, "220 mx.example.org ESMTP\r\n"), nfq.AcceptHarmless)
}

const announceLine = "GET /announce?info_hash=%AEF%021%BA%FDj%92%80%F5%CAv%C7%9E%5C%00R%B9%B91&peer_id=-lt0D60-abcdefghijkl&port=6890 HTTP/1.1\r\n"

// A host that asked a tracker is asked where it says that it listens.
func TestAskedWhereItAnnounced(t *testing.T) {
	w := newWorld(t, nil)
	p := &prober{}
	w.e.SetProber(p)
	w.open(4000, "203.0.113.80", 6969)
	w.expect("announce", w.data(4000, "203.0.113.80", 6969, 1000, announceLine+"\r\n"), nfq.Drop)
	if len(p.asked) != 1 || p.asked[0] != (nfq.AddrPort{Addr: ip("192.168.1.50"), Port: 6890}) {
		t.Fatalf("asked %v", p.asked)
	}
	for _, q := range w.out.udp {
		if q.dst != (nfq.AddrPort{Addr: ip("192.168.1.50"), Port: 6890}) {
			t.Errorf("asked by UDP at %v", q.dst)
		}
	}
	w.e.ProbedTCP(p.id, []byte(random(300)), w.now)
	if c := w.e.Clients(w.now); w.e.Counters.Answers != 1 || len(c) != 1 || c[0].Proof != ProofAnswer || !c[0].Locked {
		t.Fatalf("the answer does not count: clients %+v", c)
	}
	w.pass(41 * time.Second)
	if len(p.asked) != 2 || p.asked[1] != p.asked[0] {
		t.Errorf("probed at %v", p.asked)
	}
}

// A host that speaks to several others from one port is asked what it is.
func TestSuspectedHostIsAsked(t *testing.T) {
	w := newWorld(t, nil)
	for i, dst := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.2", "203.0.113.3"} {
		if len(w.out.udp) != 0 {
			t.Fatalf("asked after %d datagrams", i)
		}
		w.expect("something unknown", w.speaks(dst, 7000, "whatever this is"), nfq.Accept)
	}
	// By KRPC and by uTP.
	if len(w.out.udp) != 2 || w.out.udp[0].dst != (nfq.AddrPort{Addr: ip("192.168.1.50"), Port: 51413}) {
		t.Fatalf("sent %+v, want one round of questions", w.out.udp)
	}
	w.expect("more of it", w.speaks("203.0.113.4", 7000, "whatever this is"), nfq.Accept)
	if len(w.out.udp) != 2 {
		t.Error("asked twice in a moment")
	}
	probe, _ := hex.DecodeString(w.out.udp[0].payload)
	tid := probe[strings.Index(string(probe), "1:t4:")+5:][:4]
	answer := "d1:rd2:id20:" + nodeID + "e1:t4:" + string(tid) + "1:y1:re"
	w.expect("an answer to somebody else", toRouter(51413, []byte(strings.Replace(answer, string(tid), "xxxx", 1))), nfq.Accept)
	w.expect("from another port", toRouter(51414, []byte(answer)), nfq.Accept)
	if n, _ := w.e.Len(); n != 0 {
		t.Fatal("found by what answers nothing")
	}
	w.expect("the answer", toRouter(51413, []byte(answer)), nfq.Drop)
	if !w.locked("192.168.1.50") || w.e.Clients(w.now)[0].Reason != detect.ReasonProbe {
		t.Errorf("clients %+v", w.e.Clients(w.now))
	}
	w.expect("what it does now", w.speaks("203.0.113.1", 7000, "whatever this is"), nfq.Drop)
	// One that says nothing is left in peace after a while.
	w = newWorld(t, nil)
	for range 600 {
		for _, dst := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.3"} {
			w.expect("something unknown", w.speaks(dst, 7000, "whatever this is"), nfq.Accept)
		}
		w.pass(time.Second)
	}
	if n := len(w.out.udp) / 2; n < 4 || n > 16 {
		t.Errorf("asked %d times in ten minutes", n)
	}
}

func TestSuspectFromBefore(t *testing.T) {
	w := newWorld(t, nil)
	w.e.Suspect(nfq.AddrPort{Addr: ip("192.168.1.50"), Port: 51413}, w.now)
	w.e.Suspect(nfq.AddrPort{Addr: ip("10.1.1.1"), Port: 51413}, w.now)
	if len(w.out.udp) != 2 {
		t.Fatalf("%d questions, want those of one round", len(w.out.udp))
	}
	probe, _ := hex.DecodeString(w.out.udp[0].payload)
	tid := probe[strings.Index(string(probe), "1:t4:")+5:][:4]
	w.expect("the answer", toRouter(51413, []byte("d1:rd2:id20:"+nodeID+"e1:t4:"+string(tid)+"1:y1:re")), nfq.Drop)
	if !w.locked("192.168.1.50") || w.sets.sifts["192.168.1.50"] == 0 {
		t.Errorf("clients %+v, sifted %v", w.e.Clients(w.now), w.sets.sifts)
	}
}

func TestSearchInTheLAN(t *testing.T) {
	w := newWorld(t, nil)
	p := udp(macA, "192.168.1.50", 6771, "239.192.152.143", 6771, []byte("BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\n"+
		"Port: 51413\r\nInfohash: 0123456789abcdef0123456789abcdef01234567\r\n\r\n\r\n"))
	p.Hook, p.OutDev = nfq.HookInput, 0
	w.expect("local search", p, nfq.Accept)
	// Others can say it as well.
	if c, s := w.e.Clients(w.now), w.e.Suspects(w.now); len(c) != 0 || len(s) != 1 || s[0].Reason != detect.ReasonLocal || s[0].Asked == 0 {
		t.Fatalf("clients %+v, suspects %+v", c, s)
	}
	if len(w.out.udp) == 0 || w.out.udp[0].dst.Port != 51413 {
		t.Errorf("not asked where it listens: %+v", w.out.udp)
	}
}

func TestTorrentStrictAndMonitor(t *testing.T) {
	w := lockedTorrent(t, func(c *Config) { c.Protocols[torrent].Lock = Strict })
	w.expect("SYN to anybody", w.syn("203.0.113.80"), nfq.Drop)
	if w.sets.locks["192.168.1.50"] == 0 || w.sets.sifts["192.168.1.50"] == 0 {
		t.Errorf("locks %v, sifts %v", w.sets.locks, w.sets.sifts)
	}
	w.pass(81 * time.Second)
	if len(w.sets.locks)+len(w.sets.sifts) != 0 {
		t.Errorf("left: locks %v, sifts %v", w.sets.locks, w.sets.sifts)
	}
	w = newWorld(t, func(c *Config) {
		c.Protocols[torrent].Mode, c.Protocols[torrent].Probe = Monitor, false
	})
	w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Accept)
	w.open(4000, "203.0.113.80", 6881)
	w.expect("a session", w.data(4000, "203.0.113.80", 6881, 1000, handshake), nfq.Accept)
	w.expect("its rest", w.data(4000, "203.0.113.80", 6881, 1068, random(300)), nfq.AcceptDecided)
	if c := w.e.Clients(w.now); len(c) != 1 || c[0].Locked || c[0].Peers != 2 || len(w.out.udp) != 0 || !strings.HasPrefix(c[0].Program, "Transmission") {
		t.Errorf("clients %+v, sent %d", c, len(w.out.udp))
	}
	// FastTrack with a selective lock.
	w = newWorld(t, func(c *Config) { c.Protocols[0].Lock = Selective })
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	w.open(4000, "203.0.113.80", 443)
	w.expect("TLS", w.data(4000, "203.0.113.80", 443, 1000, hello("www.example.org")), nfq.AcceptHarmless)
	w.expect("SYN to the peer", w.syn("198.51.100.7"), nfq.Drop)
}

// What is let pass names others: those are no peers as long as the client does not go
// there itself.
func TestAnswersNameNoPeers(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Protocols[torrent].Mode = Monitor })
	announce := "\x00\x00\x00\x00\x11\x22\x33\x44\x00\x00\x00\x01abcd" + nodeID + "-TR3000-abcdefghijkl" +
		strings.Repeat("\x00", 24) + "\x00\x00\x00\x02" + strings.Repeat("\x00", 12) + "\xc8\xd5"
	w.expect("announce by UDP", w.speaks("203.0.113.80", 6969, announce), nfq.Accept)
	w.expect("its answer", hears("203.0.113.80", 6969, "\x00\x00\x00\x01abcd\x00\x00\x07\x08\x00\x00\x00\x01\x00\x00\x00\x01\xc6\x33\x64\x07\x1a\xe1"), nfq.Accept)
	w.open(4000, "203.0.113.81", 6969)
	w.expect("announce by HTTP", w.data(4000, "203.0.113.81", 6969, 1000, announceLine+"User-Agent: rtorrent/0.13.8\r\n\r\n"), nfq.Accept)
	w.expect("its answer", reply("203.0.113.81", 6969, 4000, 5000,
		"HTTP/1.1 200 OK\r\n\r\nd8:intervali1800e5:peers6:\xc6\x33\x64\x08\x1a\xe1e"), nfq.Accept)
	w.expect("a DHT query", w.speaks("203.0.113.82", 6881, dhtFind), nfq.Accept)
	w.expect("its answer", hears("203.0.113.82", 6881, "d1:rd2:id20:"+nodeID+"5:nodes26:"+nodeID+"\xc6\x33\x64\x09\x1a\xe1e1:t2:aa1:y1:re"), nfq.Accept)
	var got []string
	for _, p := range w.e.Peers(nfq.Addr{}) {
		got = append(got, p.Addr.String())
	}
	if s := strings.Join(got, " "); s != "203.0.113.82 203.0.113.81 203.0.113.80" {
		t.Errorf("peers %s", s)
	}
}

func TestTorrentSurvivesARestart(t *testing.T) {
	w := lockedTorrent(t, nil)
	b := w.e.Snapshot(nil, w.now)
	sets := newFakeSets()
	e := New(w.e.cfg, w.out, sets, 8)
	e.SetDevices([]Device{lan()})
	if err := e.Restore(b, w.now); err != nil {
		t.Fatal(err)
	}
	c := e.Clients(w.now)
	if len(c) != 1 || !c[0].Locked || c[0].Program != w.e.Clients(w.now)[0].Program || sets.sifts["192.168.1.50"] == 0 {
		t.Errorf("clients %+v, sifted %v", c, sets.sifts)
	}
}

func TestNoAllocationsForTorrents(t *testing.T) {
	w := lockedTorrent(t, nil)
	w.out.recordNothing = true
	ping, find := w.speaks("198.51.100.7", 6881, dhtPing), w.speaks("198.18.4.5", 6881, dhtFind)
	unknown, inside := w.speaks("203.0.113.9", 7000, "whatever"), hears("203.0.113.10", 6881, dhtPing)
	utp := w.speaks("203.0.113.9", 6881, "\x21\x00\xfd\xde\x32\xe3\x7e\x70\x00\x00\x01\x00\x00\x04\x00\x00\xf9\xce\x00\x07")
	q := w.speaks("203.0.113.9", 443, quic())
	tls, mse := w.data(4000, "203.0.113.80", 443, 1000, hello("www.example.org")), w.data(4001, "203.0.113.80", 6881, 1000, random(200))
	session := w.data(4002, "203.0.113.80", 6881, 1000, handshake)
	for name, p := range map[string]*nfq.Packet{
		"ping": ping, "find_node": find, "unknown": unknown, "inbound": inside, "uTP": utp, "QUIC": q, "TLS": tls,
		"encrypted": mse, "session": session,
	} {
		if n := testing.AllocsPerRun(100, func() {
			w.e.Packet(p, w.now)
			w.e.Advance(w.now)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
