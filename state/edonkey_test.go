// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"crypto/md5"
	"crypto/rc4"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

const (
	kadPort     = 4672
	kadHidden   = "d87ae7dce8e7fb218cfa434ce780ccf08a19590503cef6115f1f6c3e50829cc1b47e280321648e8c0df51b6c3a20f75ce81485"
	kadNumber   = "2873f4c86234b7e5f23ba73b267b4557"
	kadGreeted  = "e419" + kadNumber + "36120800"
	kadFindHead = "e42102"
	kadFind     = kadFindHead + "d263c0bfde199876479fe3f44ba06515847dcb786032431d5989882ae4a6a639"
)

// kad returns a datagram of the host from Kad's port.
func kad(dst, b string) *nfq.Packet { return udp(macA, hostA, kadPort, dst, kadPort, mustHex(b)) }

// finds answers the questions for nodes as the node with that number does.
func finds(w *world) (n int) {
	for _, q := range w.questions() {
		if len(q.payload) == 70 && strings.HasPrefix(q.payload, kadFindHead) && strings.HasSuffix(q.payload, kadNumber) {
			n++
			w.expect("the answer with the token", toRouter(q.dst.Port, mustHex("e429"+q.payload[6:38]+"00")), nfq.Drop)
		}
	}
	return n
}

// TestReceivedByEDonkey: a client that waits for blocks says nothing. On a locked host what
// looks random ends an old connection, if it comes from where such programs listen.
func TestReceivedByEDonkey(t *testing.T) {
	const peer = "203.0.113.80"
	var random, tls []string
	for i := range 8 {
		random = append(random, bytesOf(i, 1<<14))
		tls = append(tls, "\x17\x03\x03\x40\x11"+bytesOf(i, 1<<14+17))
	}
	for _, tt := range []struct {
		name   string
		port   uint16
		writes []string
		cut    bool
	}{
		{"where such programs listen", 4662, random, true},
		{"elsewhere", 8388, random, false},
		{"TLS", 4662, tls, false},
		{"a little", 4662, random[:1], false},
	} {
		w := newWorld(t, nil)
		if dropped, _ := w.comes(peer, tt.port, 4000, tt.writes); dropped {
			t.Errorf("%s: cut on a host that is not locked", tt.name)
		}
		for _, a := range []string{"198.51.100.7", "198.51.100.8"} {
			w.expect("a query", kad(a, kadFind), nfq.Drop)
		}
		if !w.locked(hostA) {
			t.Fatal("not locked")
		}
		w.pass(time.Second)
		if dropped, _ := w.comes(peer, tt.port, 4000, tt.writes); dropped != tt.cut {
			t.Errorf("%s: cut %v", tt.name, dropped)
		}
	}
}

// TestKadIsAskedTwice: one datagram that looks like an obfuscated one makes a suspect. The
// host's answer reveals its number. The second question uses the number, and its answer is
// proof.
func TestKadIsAskedTwice(t *testing.T) {
	w := newWorld(t, nil)
	w.expect("what looks like Kad", kad("198.51.100.7", kadHidden), nfq.Accept)
	asked := ""
	for _, q := range w.questions() {
		asked += " " + q.payload[:4]
		if q.dst.Port != kadPort {
			t.Errorf("asked at port %d", q.dst.Port)
		}
	}
	if asked != " e411 c590" {
		t.Fatalf("asked%s", asked)
	}
	w.expect("an answer without a token", toRouter(kadPort, mustHex(kadGreeted)), nfq.Drop)
	if w.locked(hostA) {
		t.Fatal("locked by an answer without a token")
	}
	if n := finds(w); n != 1 {
		t.Fatalf("asked %d times for the token", n)
	}
	if !w.locked(hostA) {
		t.Fatal("not locked by the answer")
	}
	w.expect("its port is cut", kad("198.51.100.8", kadHidden[:36]), nfq.Drop)
	w.expect("another port is not", udp(macA, hostA, 40000, "198.51.100.8", 40001, mustHex(kadHidden[:38])), nfq.Accept)

	// As long as it answers it stays locked. Two minutes later it is released.
	for range 20 {
		w.pass(15 * time.Second)
		finds(w)
		if !w.locked(hostA) {
			t.Fatal("released, though it answers")
		}
	}
	w.pass(w.e.cfg.LockTime + time.Second)
	if w.locked(hostA) {
		t.Error("still locked")
	}
}

// TestKadEcho: a host that sends everything back, or answers without the token, is not
// locked.
func TestKadEcho(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 40 {
		w.expect("what looks like Kad", udp(macA, hostA, kadPort, "198.51.100.7", uint16(2000+i), mustHex(kadHidden)), nfq.Accept)
		for _, q := range w.questions() {
			b := mustHex(q.payload)
			w.e.Packet(toRouter(q.dst.Port, b), w.now)
			w.e.Packet(toRouter(q.dst.Port, mustHex(kadGreeted)), w.now)
			w.e.Packet(toRouter(q.dst.Port, mustHex("c592")), w.now)
			w.e.Packet(toRouter(q.dst.Port, mustHex("e42900112233445566778899aabbccddeeff00")), w.now)
		}
		w.pass(3 * time.Second)
	}
	if w.locked(hostA) {
		t.Error("locked")
	}
}

// TestKadConduct: a node's query to two others proves it; a query that is too short does
// not.
func TestKadConduct(t *testing.T) {
	for _, tt := range []struct {
		name, hex string
		want      bool
	}{
		{"boot", "e401", false},
		{"ping", "e460", false},
		{"find", kadFind, true},
		{"boot, Kad 1", "e40089770024aa2317672704fc55686c5b870100007f9b3b361200", true},
		{"server status", "e396c9d5aa55", true},
		{"an answer", "e429d263c0bfde199876479fe3f44ba0651500", false},
	} {
		w := newWorld(t, nil)
		w.expect(tt.name, kad("198.51.100.7", tt.hex), nfq.Drop)
		if w.locked(hostA) {
			t.Errorf("%s: locked by one", tt.name)
		}
		w.expect(tt.name, kad("203.0.113.9", tt.hex), nfq.Drop)
		if w.locked(hostA) != tt.want {
			t.Errorf("%s: locked by two: %t", tt.name, !tt.want)
		}
	}
}

// TestEDonkeyLogin: the login is cut, and the host is asked at the ports that it names.
func TestEDonkeyLogin(t *testing.T) {
	login := mustHex("e33f00000001e43e1279ff0e0e641255583bd9726f44c0a801323612040000000201000106006a6667626f71030100113e000000030100200d010000030100fb8008060a")
	w := newWorld(t, nil)
	asked := &prober{}
	w.e.SetProber(asked)
	w.expect("SYN", tcp(macA, hostA, 40000, "198.51.100.7", 4661, nfq.SYN, nil), nfq.Accept)
	p := tcp(macA, hostA, 40000, "198.51.100.7", 4661, nfq.ACK, login)
	p.Seq++
	w.expect("login", p, nfq.Drop)
	if c := w.e.Clients(w.now); len(c) != 0 {
		t.Errorf("proved by one login: %+v", c)
	}
	if len(asked.asked) != 1 || asked.asked[0].Port != 4662 {
		t.Fatalf("asked %+v", asked.asked)
	}
	w.e.ProbedTCP(asked.id, mustHex("c55800000001470109000000030100200100000003010022"), w.now)
	if w.locked(hostA) {
		t.Error("locked by half of an answer")
	}
	w.e.ProbedTCP(asked.id, mustHex("e36b0000004c1536aa395d0e85fe04305f1a5cf46f3001000000361207000000"+hex.EncodeToString(make([]byte, 100))), w.now)
	if !w.locked(hostA) {
		t.Error("not locked by the answer")
	}
	w.expect("its port is cut", tcp(macA, hostA, 4662, "198.51.100.9", 30000, nfq.ACK, []byte("x")), nfq.Drop)
	w.expect("another connection is not", tcp(macA, hostA, 40001, "198.51.100.9", 443, nfq.SYN, nil), nfq.Accept)
}

// donkey is a client that logs in obfuscated: its secret number, and its first data.
type donkey struct {
	private *big.Int
	first   string
}

var donkeyPrime, _ = new(big.Int).SetString(""+
	"f2bf52c55f587add5371a936e886eb3c6217a33ec34cb40dc73a41a643affce7"+
	"21fc286366535bdbce259f2286da4a91b207cbaa5255d4f61cceaed45ad5e074"+
	"7df7781828105f340f762387f88b289142fb42688f05150f548b5f436af70df3", 16)

func newDonkey(i int64) donkey {
	d := donkey{private: new(big.Int).Add(new(big.Int).Lsh(big.NewInt(0x5a5b5c5d), 90), big.NewInt(i*7919))}
	key := new(big.Int).Exp(big.NewInt(2), d.private, donkeyPrime).FillBytes(make([]byte, 96))
	d.first = "\x11" + string(key) + "\x05" + bytesOf(int(i), 5)
	return d
}

// back returns what the client sends to a server that has answered with a key.
func (d donkey) back(key []byte) string {
	shared := append(new(big.Int).Exp(new(big.Int).SetBytes(key), d.private, donkeyPrime).FillBytes(make([]byte, 96)), 34)
	sum := md5.Sum(shared)
	c, _ := rc4.NewCipher(sum[:])
	skipped := make([]byte, 1024)
	c.XORKeyStream(skipped, skipped)
	b := append([]byte{0xc4, 0x6f, 0x5e, 0x83, 0, 0}, "login"...)
	c.XORKeyStream(b, b)
	return string(b)
}

// TestEDonkeyServerIsAnswered: the engine answers one obfuscated login in the server's
// name. The reaction proves the client. Another program loses this connection.
func TestEDonkeyServerIsAnswered(t *testing.T) {
	const server = "203.0.113.80"
	for _, right := range []bool{true, false} {
		w := newWorld(t, nil)
		d := newDonkey(1)
		w.wantVerdict("the login", w.begins(4000, server, 4661, d.first), nfq.Drop)
		if len(w.out.handshakes) != 1 || len(w.answer()) != 103 {
			t.Fatalf("answered %d times", len(w.out.handshakes))
		}
		if w.locked(hostA) {
			t.Fatal("locked by its shape")
		}
		with := d
		if !right {
			with = newDonkey(2)
		}
		p := w.data(4000, server, 4661, 1000+uint32(len(d.first)), with.back(w.answer()[:96]))
		p.Ack = 5000 + 103
		w.expect("what follows", p, nfq.Drop)
		if w.locked(hostA) != right {
			t.Errorf("locked: %t, want %t", !right, right)
		}
		if c := w.e.Clients(w.now); right && (c[0].Protocol != &detect.EDonkey || c[0].Reason != detect.ReasonHandshake) {
			t.Errorf("clients %+v", c)
		}
		if !right {
			w.pass(handshakeTime + time.Second)
			w.wantVerdict("the next login there", w.begins(4002, server, 4661, newDonkey(3).first), nfq.AcceptDecided)
		}
	}
}

// TestEDonkeyShape: a connection that looks like one between clients ends, on a locked
// client only, and once for each place. If it comes again at once, another program opens
// it.
func TestEDonkeyShape(t *testing.T) {
	const peer = "203.0.113.90"
	w := newWorld(t, nil)
	first := "\x42" + bytesOf(5, 150)
	w.wantVerdict("before", w.begins(4100, peer, 5000, first), nfq.Accept)
	w.wantVerdict("before, another", w.begins(4101, "198.51.100.90", 5000, first[:90]), nfq.AcceptDecided)
	w.expect("what looks like Kad", kad("198.51.100.7", kadHidden), nfq.Accept)
	w.questions()
	w.expect("its number", toRouter(kadPort, mustHex(kadGreeted)), nfq.Drop)
	if finds(w); !w.locked(hostA) {
		t.Fatal("not locked")
	}
	w.pass(time.Second)
	w.wantVerdict("locked", w.begins(4102, "203.0.113.91", 5000, first), nfq.Drop)
	w.wantVerdict("at once again", w.begins(4103, "203.0.113.91", 5000, first), nfq.AcceptDecided)
	w.wantVerdict("to a well-known service", w.begins(4104, "203.0.113.92", 443, first[:90]), nfq.Accept)
	w.wantVerdict("text", w.begins(4105, "203.0.113.93", 5000, "USER somebody\r\nPASS something\r\n"), nfq.AcceptDecided)
	w.wantVerdict("another place", w.begins(4106, "203.0.113.94", 5000, first[:90]), nfq.Drop)
	w.pass(shapedAgain + time.Second)
	finds(w)
	w.wantVerdict("the same later", w.begins(4107, "203.0.113.94", 5000, first[:90]), nfq.Drop)
}
