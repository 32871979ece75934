// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"bytes"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

func (w *world) data(sport uint16, dst string, dport uint16, seq uint32, text string) *nfq.Packet {
	p := tcp(macA, "192.168.1.50", sport, dst, dport, nfq.ACK|nfq.PSH, []byte(text))
	p.Seq, p.Ack = seq, 5000
	return p
}

func reply(src string, sport, dport uint16, seq uint32, text string) *nfq.Packet {
	p := tcp(nfq.MAC{}, src, sport, "192.168.1.50", dport, nfq.ACK|nfq.PSH, []byte(text))
	p.InDev, p.OutDev, p.Seq, p.Ack = wanDev, lanDev, seq, 1000
	return p
}

// open makes the host open a connection, so that its beginning is known.
func (w *world) open(sport uint16, dst string, dport uint16) {
	p := tcp(macA, "192.168.1.50", sport, dst, dport, nfq.SYN, nil)
	p.Seq = 999
	w.expect("SYN", p, nfq.Accept)
}

func TestHelloIsCut(t *testing.T) {
	w := newWorld(t, nil)
	w.open(3999, firstPeer, 1214)
	w.expect("the first hello", w.data(3999, firstPeer, 1214, 1000, string(giftHello)), nfq.Drop)
	if w.locked("192.168.1.50") {
		t.Fatal("locked by one hello")
	}
	w.open(4000, "198.51.100.7", 1214)
	w.expect("the bare acknowledgement", w.data(4000, "198.51.100.7", 1214, 1000, ""), nfq.Accept)
	w.expect("hello", w.data(4000, "198.51.100.7", 1214, 1000, string(giftHello)), nfq.Drop)
	w.expect("its retransmission", w.data(4000, "198.51.100.7", 1214, 1000, string(giftHello)), nfq.Drop)
	w.expect("what the peer sends", reply("198.51.100.7", 1214, 4000, 5000, "x"), nfq.Drop)
	if c := w.e.Clients(w.now); len(c) != 1 || c[0].Reason != detect.ReasonHello && c[0].Reason != detect.ReasonPeer || !c[0].Locked || c[0].Peers != 2 ||
		c[0].Proof != ProofConduct {
		t.Errorf("clients %+v", c)
	}
	if w.sets.cuts["192.168.1.50 198.51.100.7"] == 0 {
		t.Error("the kernel was not told")
	}
}

func TestTransferIsCutAndNamesPeers(t *testing.T) {
	w := newWorld(t, nil)
	w.open(4000, "203.0.113.77", 80)
	w.expect("first part", w.data(4000, "203.0.113.77", 80, 1000, "GET /1/a HTTP/1.1\r\n"), nfq.Accept)
	w.expect("second part", w.data(4000, "203.0.113.77", 80, 1019,
		"X-Kazaa-SupernodeIP: 203.0.113.99:2354\r\nX-Kazaa-SupernodeIP: 10.0.0.1:1\r\nX-Kazaa-SupernodeIP: 192.168.1.1:1\r\n\r\n"), nfq.Drop)
	w.expect("SYN to the supernode", w.syn("203.0.113.99"), nfq.Drop)
	w.expect("SYN to anybody", w.syn("203.0.113.1"), nfq.Drop)
	if w.e.Counters.IgnoredPeers != 2 || w.e.Counters.Cuts != 1 {
		t.Errorf("ignored %d, cuts %d", w.e.Counters.IgnoredPeers, w.e.Counters.Cuts)
	}
	if n := len(w.e.Peers(nfq.Addr{})); n != 2 {
		t.Errorf("%d peers, want target and supernode", n)
	}
}

func TestSupernodeOnOurOwnNetworkIsIgnored(t *testing.T) {
	w := newWorld(t, nil)
	d := lan()
	d.Addrs = append(d.Addrs, ip("198.51.100.1"))
	w.e.SetDevices([]Device{d})
	w.expect("request", w.data(4000, "203.0.113.77", 80, 1000, "GET /.hash=0 HTTP/1.1\r\nX-Kazaa-SupernodeIP: 198.51.100.1:1214\r\n\r\n"), nfq.Drop)
	if n := len(w.e.Peers(nfq.Addr{})); n != 0 || w.locked("192.168.1.50") || w.e.Counters.IgnoredPeers != 1 {
		t.Errorf("%d peers, %d ignored", n, w.e.Counters.IgnoredPeers)
	}
}

// Data from outside says nothing about its receiver: a web server's answer, a push, a
// handshake.
func TestWhatComesInTellsNothing(t *testing.T) {
	for _, tt := range []struct {
		name, request, reply string
	}{
		{"Kazaa's header in an answer", "GET /1/a HTTP/1.1\r\n\r\n", "HTTP/1.1 206 OK\r\nX-Kazaa-SupernodeIP: 203.0.113.99:2354\r\n\r\n"},
		{"a push", "", "GIVE 1\r\n"},
		{"a handshake", "", handshake},
		{"Kazaa's header in a request", "", "GET / HTTP/1.1\r\nX-Kazaa-Username: u\r\nX-Kazaa-SupernodeIP: 203.0.113.99:2354\r\n\r\n"},
		{"an announce", "", "GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&port=1 HTTP/1.1\r\nUser-Agent: Transmission/3.00\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.expect("some SYN", w.syn("203.0.113.1"), nfq.Accept)
			if tt.request != "" {
				w.open(4000, "203.0.113.77", 80)
				w.expect("a request like any", w.data(4000, "203.0.113.77", 80, 1000, tt.request), nfq.AcceptDecided)
			}
			w.expect("what comes in", reply("203.0.113.77", 80, 4000, 5000, tt.reply), nfq.Accept)
			w.nothing()
			w.expect("SYN to who sent it", w.syn("203.0.113.77"), nfq.Accept)
			w.expect("SYN to whom it named", w.syn("203.0.113.99"), nfq.Accept)
		})
	}
}

// nothing checks that the host is neither a client nor a suspect.
func (w *world) nothing() {
	w.t.Helper()
	if c, s := w.e.Clients(w.now), w.e.Suspects(w.now); len(c)+len(s)+w.sets.cut() != 0 {
		w.t.Errorf("clients %+v, suspects %+v, sets %+v", c, s, w.sets)
	}
}

func TestSegmentsThatOvertake(t *testing.T) {
	w := newWorld(t, nil)
	w.open(4000, "203.0.113.77", 80)
	w.expect("third", w.data(4000, "203.0.113.77", 80, 1025, "ername: u\r\n\r\n"), nfq.Accept)
	w.expect("second", w.data(4000, "203.0.113.77", 80, 1009, " HTTP/1.1\r\nX-Kaz"), nfq.Accept)
	w.expect("first", w.data(4000, "203.0.113.77", 80, 1000, "GET /1/ab"), nfq.AcceptDecided)
	if len(w.e.Suspects(w.now)) != 0 {
		t.Fatal("X-Kaz + ername is no header of Kazaa's")
	}
	w.open(4001, "203.0.113.78", 80)
	w.expect("third", w.data(4001, "203.0.113.78", 80, 1025, "aa-Username: u\r\n\r\n"), nfq.Accept)
	w.expect("second", w.data(4001, "203.0.113.78", 80, 1009, " HTTP/1.1\r\nX-Kaz"), nfq.Accept)
	w.expect("first, which completes it", w.data(4001, "203.0.113.78", 80, 1000, "GET /1/ab"), nfq.Drop)
	if c := w.e.Suspects(w.now); len(c) != 1 || !c[0].Recognised {
		t.Errorf("suspects %+v", c)
	}
}

// fastTrackOnly turns the other protocols off, because some of them can look like random
// data.
func fastTrackOnly(c *Config) {
	for i := range c.Protocols[1:] {
		c.Protocols[1+i].Mode = Off
	}
}

func TestHarmlessConnectionsAreDecided(t *testing.T) {
	w := newWorld(t, fastTrackOnly)
	w.open(4000, "203.0.113.80", 443)
	w.expect("TLS", w.data(4000, "203.0.113.80", 443, 1000, "\x16\x03\x01\x02\x00"), nfq.AcceptDecided)
	w.open(4001, "203.0.113.80", 80)
	w.expect("request", w.data(4001, "203.0.113.80", 80, 1000, "GET / HTTP/1.1\r\n"), nfq.Accept)
	w.expect("a reply, too early", reply("203.0.113.80", 80, 4001, 5000, "HTTP/1.1 200 OK\r\n\r\n"), nfq.Accept)
	w.expect("the rest of the request", w.data(4001, "203.0.113.80", 80, 1016, "\r\n"), nfq.AcceptDecided)
	w.open(4002, "203.0.113.22", 22)
	w.expect("banner", reply("203.0.113.22", 22, 4002, 5000, "SSH-2.0-x\r\n"), nfq.Accept)
	w.expect("own banner", w.data(4002, "203.0.113.22", 22, 1000, "SSH-2.0-y\r\n"), nfq.AcceptDecided)
	if n := len(w.e.flows.free); n != maxFlows {
		t.Errorf("%d connections still in the table", maxFlows-n)
	}
}

func TestBurstBeforeTheFirstPing(t *testing.T) {
	w := newWorld(t, fastTrackOnly)
	w.expect("an older connection", tcp(macA, "192.168.1.50", 3999, "203.0.113.5", 443, nfq.SYN, nil), nfq.Accept)
	w.pass(time.Second)
	for i, dst := range []string{"198.51.100.1", "198.51.100.2", "198.51.100.3"} {
		w.open(uint16(4000+i), dst, 1214)
		w.pass(10 * time.Millisecond)
	}
	w.prove()
	w.expect("ping to another", w.ping("198.51.100.9"), nfq.Drop)
	for i, dst := range []string{"198.51.100.1", "198.51.100.2", "198.51.100.3"} {
		w.expect("hello of the burst", w.data(uint16(4000+i), dst, 1214, 1000, "any bytes"), nfq.Drop)
		if w.sets.cuts["192.168.1.50 "+dst] == 0 {
			t.Errorf("%s is not cut in the kernel", dst)
		}
	}
	w.expect("the older connection goes on", w.data(3999, "203.0.113.5", 443, 1, "\x16\x03\x01"), nfq.AcceptDecided)
	if n := len(w.e.Peers(nfq.Addr{})); n != 2 {
		t.Errorf("%d peers: those of the burst are only suspected", n)
	}
	// The suspected peers are gone with the lock.
	w.pass(w.e.cfg.LockTime + 2*table.WheelTick)
	w.expect("SYN to one of the burst", w.syn("198.51.100.1"), nfq.Accept)
	if w.sets.cuts["192.168.1.50 198.51.100.1"] != 0 {
		t.Error("still cut in the kernel")
	}
	// The next burst is examined, too.
	w.prove()
	w.expect("ping", w.ping("198.51.100.9"), nfq.Drop)
	w.expect("data of the new burst", w.data(40001, "198.51.100.1", 1214, 1, "x"), nfq.Drop)
}

func TestLookBackCanBeTurnedOff(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		fastTrackOnly(c)
		c.LookBack = 0
	})
	w.open(4000, "198.51.100.1", 1214)
	w.now++
	w.prove()
	w.expect("ping", w.ping("198.51.100.9"), nfq.Drop)
	w.expect("data of the burst", w.data(4000, "198.51.100.1", 1214, 1000, "\x16\x03"), nfq.AcceptDecided)
}

func TestHTTPOff(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Protocols[0].HTTP = false })
	w.expect("transfer", w.data(4000, "203.0.113.77", 80, 1000, "GET /.hash=0 HTTP/1.1\r\nX-Kazaa-SupernodeIP: 198.51.100.1:1214\r\n\r\n"), nfq.AcceptDecided)
	w.nothing()
}

// prober records its questions.
type prober struct {
	asked   []nfq.AddrPort // address and port; one entry for each place in a round
	ids     []uint64       // the first number for each
	id      uint64         // the last number; in a round for several protocols, BitTorrent's
	round   uint64
	request []byte
	first   int      // bytes that were sent first, of the last question
	words   []string // of the questions with a word, which have one number
	wordID  uint64
}

func (p *prober) ProbeTCP(id uint64, _ uint32, a nfq.Addr, port uint16, request []byte, first int) bool {
	to := nfq.AddrPort{Addr: a, Port: port}
	round := id
	if id&suspectProbe != 0 { // whatever the protocol
		round &^= 15 << askedOf
	}
	if n := len(p.asked); n == 0 || p.round != round || p.asked[n-1] != to {
		p.asked, p.ids = append(p.asked, to), append(p.ids, id)
	} else if id&suspectProbe != 0 && uint32(p.id)>>askedOf == torrent && uint32(id)>>askedOf != torrent {
		return true
	}
	p.round = round
	p.id, p.request, p.first = id, bytes.Clone(request), first
	if isWord(id) {
		p.words, p.wordID = append(p.words, string(request)), id
	}
	return true
}

func TestTCPProbe(t *testing.T) {
	w := newWorld(t, nil)
	p := &prober{}
	w.prove()
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	w.e.SetProber(p)
	w.pass(41 * time.Second)
	if len(p.asked) != 0 || w.e.Counters.Probes != 1 {
		t.Fatalf("asked %v at first", p.asked)
	}
	w.pass(20 * time.Second)
	if len(p.asked) != 1 || p.asked[0] != (nfq.AddrPort{Addr: ip("192.168.1.50"), Port: 1214}) {
		t.Fatalf("asked %v", p.asked)
	}
	w.e.ProbedTCP(p.id, nil, w.now)
	w.e.ProbedTCP(p.id, []byte("HTTP/1.1 404 Not Found\r\nServer: web\r\n\r\n"), w.now)
	w.e.ProbedTCP(p.id-1<<32, []byte("HTTP/1.0 404 Not Found\r\nX-Kazaa-Username: g\r\n\r\n"), w.now)
	if w.e.Counters.Answers != 0 {
		t.Fatal("an answer that says nothing, or to another probe, counted")
	}
	w.e.ProbedTCP(p.id, []byte("HTTP/1.0 404 Not Found\r\nX-Kazaa-Username: g\r\nX-Kazaa-SupernodeIP: 203.0.113.99:2354\r\n\r\n"), w.now)
	if w.e.Counters.Answers != 1 || len(w.e.Peers(nfq.Addr{})) != 3 {
		t.Errorf("answers %d, peers %v", w.e.Counters.Answers, w.e.Peers(nfq.Addr{}))
	}
	w.pass(79 * time.Second)
	if !w.locked("192.168.1.50") {
		t.Error("the answer did not start the lock again")
	}
	w.pass(2 * time.Second)
	if w.locked("192.168.1.50") {
		t.Error("the lock did not end")
	}
}

// Data after an accepted beginning may already be on its way to the engine. It must not
// count as a beginning, whatever it looks like.
func TestBehindWhatWasLetPass(t *testing.T) {
	for _, locked := range []bool{false, true} {
		w := newWorld(t, nil)
		if locked {
			w = lockedTorrent(t, nil)
		}
		head := "POST /form HTTP/1.1\r\nHost: www.example.org\r\nContent-Length: 1000\r\n\r\n"
		w.open(4000, "203.0.113.80", 8081)
		w.expect("the head of a form", w.data(4000, "203.0.113.80", 8081, 1000, head), nfq.AcceptDecided)
		for _, b := range []string{handshake, bytesOf(1, 200), "GET /announce?info_hash=%AEF%021%BA%FDj%92%80%F5%CAv%C7%9E%5C%00R%B9%B91&port=1 HTTP/1.1\r\n\r\n"} {
			w.expect("its content", w.data(4000, "203.0.113.80", 8081, 1000+uint32(len(head)), b), nfq.AcceptDecided)
		}
		if w.e.Counters.Cuts != 0 || len(w.out.handshakes) != 0 {
			t.Errorf("locked %v: counted %+v", locked, w.e.Counters)
		}
	}
}

// Anybody may connect to a server of a locked host and send anything. The host's SYN-ACK
// shows that it is a server. At the client's own port nothing passes.
func TestServersOfALockedHost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		port   uint16
		synAck bool
		want   nfq.Verdict
	}{
		{"a server", 8388, true, nfq.AcceptDecided},
		{"the client's own port", 51413, true, nfq.Drop},
		{"as far as is known no server", 8388, false, nfq.Drop}, // the negative control
	} {
		w := lockedTorrent(t, nil)
		if tt.synAck {
			p := tcp(macA, hostA, tt.port, "203.0.113.80", 40000, nfq.SYN|nfq.ACK, nil)
			if tt.want == nfq.AcceptDecided {
				w.expect(tt.name+": the SYN-ACK", p, nfq.Accept)
			} else {
				w.expect(tt.name+": the SYN-ACK", p, nfq.Drop)
			}
		}
		w.wantVerdict(tt.name, w.goesOnFrom(tt.port, "203.0.113.80", 40000), tt.want)
	}
	// The ports used last are remembered.
	w := lockedTorrent(t, nil)
	for port := range uint16(servedPorts + 1) {
		for range 3 {
			w.e.Packet(tcp(macA, hostA, 8000+port, "203.0.113.80", 40000, nfq.SYN|nfq.ACK, nil), w.now)
		}
	}
	h := &w.e.hosts[w.e.clients[0].host]
	for port := range uint16(servedPorts + 1) {
		if h.serves(8000+port) != (port > 0) {
			t.Errorf("port %d: %v", 8000+port, h.served)
		}
	}
}
