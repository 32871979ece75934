// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

// program is a program that opens a connection with message stream encryption: its secret
// number, and its first data.
type program struct {
	secret *big.Int
	first  string
}

var msePrime, _ = new(big.Int).SetString("FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74"+
	"020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A63A36210000000000090563", 16)

// newProgram returns a different program for each number.
func newProgram(n int) program {
	secret := new(big.Int).SetBytes([]byte(bytesOf(n, 20)))
	key := new(big.Int).Exp(big.NewInt(2), secret, msePrime).FillBytes(make([]byte, 96))
	return program{secret, string(key) + bytesOf(n+1, n%400)}
}

// bytesOf returns random bytes, the same for the same seed.
func bytesOf(seed, n int) string {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(uint64(seed), 77))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// proof returns what the program sends after it got a key.
func (p program) proof(key []byte) string {
	s := new(big.Int).Exp(new(big.Int).SetBytes(key), p.secret, msePrime).FillBytes(make([]byte, 96))
	sum := sha1.Sum(append([]byte("req1"), s...))
	return string(sum[:]) + bytesOf(5, 100)
}

// answer returns the last data sent in a peer's name.
func (w *world) answer() []byte {
	w.t.Helper()
	if len(w.out.handshakes) == 0 {
		w.t.Fatal("nothing was answered")
	}
	return mustHex(w.out.handshakes[len(w.out.handshakes)-1])
}

// begins opens a connection with first data b and sends b again while there is no reaction.
// It returns the last verdict.
func (w *world) begins(sport uint16, dst string, dport uint16, b string) nfq.Verdict {
	w.t.Helper()
	answers, packets := len(w.out.handshakes)+w.out.resets, w.e.Counters.Packets
	v := w.tries(sport, dst, dport, b)
	for range 3 {
		if v != nfq.Drop || len(w.out.handshakes)+w.out.resets > answers || w.e.Counters.Packets < packets+2 {
			break
		}
		w.pass(200 * time.Millisecond)
		v = w.e.Packet(w.data(sport, dst, dport, 1000, b), w.now)
		w.e.Advance(w.now)
	}
	return v
}

// tries does the same, but sends b only once.
func (w *world) tries(sport uint16, dst string, dport uint16, b string) nfq.Verdict {
	w.t.Helper()
	w.pass(time.Millisecond)
	p := tcp(macA, hostA, sport, dst, dport, nfq.SYN, nil)
	p.Seq = 999
	if v := w.e.Packet(p, w.now); v != nfq.Accept {
		return v
	}
	v := w.e.Packet(w.data(sport, dst, dport, 1000, b), w.now)
	w.e.Advance(w.now)
	return v
}

// more returns the data that follows first data b after the answer arrived.
func (w *world) more(sport uint16, dst string, dport uint16, b, next string) *nfq.Packet {
	p := w.data(sport, dst, dport, 1000+uint32(len(b)), next)
	p.Ack = 5000 + 96
	return p
}

// signs makes the host send one sign of a client: that proves nothing.
func (w *world) signs() {
	w.t.Helper()
	w.expect("a sign", w.speaks("198.51.100.9", 6881, dhtPing), nfq.Drop)
}

func (w *world) wantVerdict(what string, got, want nfq.Verdict) {
	w.t.Helper()
	if got != want {
		w.t.Fatalf("%s: verdict %d, want %d", what, got, want)
	}
}

// TestProvedByItsSecondConnection: whatever features a client has off, its reaction to the
// engine's answer proves it.
func TestProvedByItsSecondConnection(t *testing.T) {
	const first, second = "203.0.113.80", "203.0.113.81"
	for _, tt := range []struct {
		name   string
		next   func(p program, key []byte) []string
		proved bool
	}{
		{"as it should be", func(p program, key []byte) []string { return []string{p.proof(key)} }, true},
		{"behind padding", func(p program, key []byte) []string { return []string{bytesOf(3, 400) + p.proof(key)} }, true},
		{"behind a segment of padding", func(p program, key []byte) []string { return []string{bytesOf(3, 300), p.proof(key)} }, true},
		{"of another program", func(_ program, key []byte) []string { return []string{newProgram(9).proof(key)} }, false},
		{"to another key", func(p program, _ []byte) []string { return []string{p.proof([]byte(newProgram(9).first[:96]))} }, false},
		{"one bit is another", func(p program, key []byte) []string {
			b := []byte(p.proof(key))
			b[19] ^= 1
			return []string{string(b)}
		}, false},
		{"without its end", func(p program, key []byte) []string { return []string{p.proof(key)[:19]} }, false},
		{"the key that it got", func(_ program, key []byte) []string { return []string{string(key)} }, false},
		{"its own first data", func(p program, _ []byte) []string { return []string{p.first} }, false},
		{"nothing", func(program, []byte) []string { return nil }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.signs()
			one, two := newProgram(1), newProgram(2)
			w.wantVerdict("the first connection", w.begins(4000, first, 6881, one.first), nfq.Accept)
			w.wantVerdict("the second", w.begins(4001, second, 51413, two.first), nfq.Drop)
			if len(w.out.handshakes) != 1 || len(w.answer()) != 96 || w.out.resets != 0 {
				t.Fatalf("answered %d times, %d resets", len(w.out.handshakes), w.out.resets)
			}
			w.expect("its first data again", w.data(4001, second, 51413, 1000, two.first), nfq.Drop)
			if w.locked(hostA) || len(w.e.Clients(w.now)) != 0 {
				t.Fatal("the shape of a handshake proves nothing")
			}
			for _, b := range tt.next(two, w.answer()) {
				w.expect("what follows", w.more(4001, second, 51413, two.first, b), nfq.Drop)
			}
			if !tt.proved {
				w.goesOn("no proof", first, second)
				if len(w.e.Clients(w.now)) != 0 {
					t.Errorf("clients %+v", w.e.Clients(w.now))
				}
				w.pass(handshakeTime + time.Millisecond)
				w.wantVerdict("the next one there", w.begins(4002, second, 51413, newProgram(3).first), nfq.AcceptDecided)
				return
			}
			c := w.e.Clients(w.now)
			if len(c) != 1 || !c[0].Locked || c[0].Proof != ProofAnswer || c[0].Reason != detect.ReasonHandshake || c[0].Protocol.Name != "bittorrent" {
				t.Fatalf("clients %+v", c)
			}
			if p := w.e.Peers(nfq.Addr{}); len(p) != 2 || p[0].Addr != ip(second) || p[0].Port != 51413 {
				t.Errorf("peers %+v", p)
			}
			if w.out.resets != 1 {
				t.Errorf("%d resets of what is spent", w.out.resets)
			}
			w.expect("what follows again", w.more(4001, second, 51413, two.first, "x"), nfq.Drop)
			w.expect("a SYN to the peer", tcp(macA, hostA, 4005, second, 51413, nfq.SYN, nil), nfq.Drop)
			w.expect("a SYN to its other port", tcp(macA, hostA, 4005, second, 443, nfq.SYN, nil), nfq.Accept)
			if w.e.Counters.Handshakes != 1 || w.e.Counters.Answers != 1 {
				t.Errorf("counted %+v", w.e.Counters)
			}
			// Repeated data changes nothing. A client that says nothing more is released.
			w.pass(81 * time.Second)
			if w.locked(hostA) || w.sets.cut() != 0 {
				t.Error("not released")
			}
		})
	}
}

// TestWhoIsAsked: a host is asked after connections with two addresses in half a minute,
// once in ten seconds, and less often if other programs were hit. Other signs make no
// difference.
func TestWhoIsAsked(t *testing.T) {
	type step struct {
		after time.Duration
		dst   string
		port  uint16
		b     string // empty: that of a program
		asked bool
	}
	const a, b, c, d = "203.0.113.80", "203.0.113.81", "203.0.113.82", "203.0.113.83"
	const a6, b6 = "2001:db8:1::80", "2001:db8:1::81"
	for _, tt := range []struct {
		name   string
		change func(*Config)
		steps  []step
	}{
		{"two addresses", nil, []step{{0, a, 6881, "", false}, {0, b, 6881, "", true}}},
		{"two ports of one", nil, []step{{0, a, 6881, "", false}, {0, a, 6882, "", false}, {0, a, 6883, "", false}}},
		{"one server by IPv4 and IPv6", nil, []step{{0, a, 8388, "", false}, {0, a6, 8388, "", false}, {0, a, 8388, "", false}}},
		{"two by IPv6", nil, []step{{0, a6, 8388, "", false}, {0, b6, 8388, "", true}}},
		{"30 s apart", nil, []step{{0, a, 6881, "", false}, {29 * time.Second, b, 6881, "", true}}},
		{"31 s apart", nil, []step{{0, a, 6881, "", false}, {31 * time.Second, b, 6881, "", false}, {0, a, 6881, "", true}}},
		{"one by one for long, then another", nil, []step{
			{0, a, 6881, "", false},
			{25 * time.Second, a, 6881, "", false},
			{25 * time.Second, a, 6881, "", false},
			{25 * time.Second, a, 6881, "", false},
			{0, b, 6881, "", true},
		}},
		{"many at once", nil, []step{
			{0, a, 6881, "", false},
			{0, b, 6881, "", true},
			{0, c, 6881, "", false},
			{8 * time.Second, c, 6881, "", false},
			{2 * time.Second, c, 6881, "", true},
			{time.Second, d, 6881, "", false},
		}},
		{"more and more seldom", nil, []step{
			{0, a, 6881, "", false},
			{0, b, 6881, "", true},
			{11 * time.Second, c, 6881, "", true},
			{50 * time.Second, a, 6881, "", false},
			{0, d, 6881, "", false},
			{15 * time.Second, d, 6881, "", true},
			{9 * time.Minute, a, 6882, "", false},
			{0, b, 6882, "", false},
			{2 * time.Minute, a, 6882, "", false},
			{0, b, 6882, "", true},
		}},
		{"who did not prove is not asked again", nil, []step{{0, a, 6881, "", false}, {0, b, 6881, "", true}, {20 * time.Second, a, 6881, "", false}, {0, b, 6881, "", false}}},
		{"watched only", func(c *Config) { c.Protocols[torrent].Mode = Monitor }, []step{{0, a, 6881, "", false}, {0, b, 6881, "", false}, {time.Minute, c, 6881, "", false}, {0, d, 6881, "", false}}},
		{"off", func(c *Config) { c.Protocols[torrent].Mode = Off }, []step{{0, a, 6881, "", false}, {0, b, 6881, "", false}}},
		{"connections are not read", func(c *Config) { c.Protocols[torrent].HTTP = false }, []step{{0, a, 6881, "", false}, {0, b, 6881, "", false}}},
		{"ports of the system", nil, []step{{0, a, 443, "", false}, {0, b, 80, "", true}}},
		{"a port of the system, and another", nil, []step{{0, a, 1023, "", false}, {0, b, 1024, "", false}, {0, a, 1024, "", true}}},
		{"ports of services", nil, []step{{0, a, 1194, "", false}, {0, b, 5222, "", true}}},
		{"TLS", nil, []step{{0, a, 9443, hello("www.example.org"), false}, {0, b, 9443, hello("www.example.org"), false}}},
		{"with its length before it", nil, []step{{0, a, 9443, "\x00\xc8" + bytesOf(1, 200), false}, {0, b, 9443, "\x00\xc8" + bytesOf(2, 200), false}}},
		{"too short", nil, []step{{0, a, 9443, bytesOf(1, 95), false}, {0, b, 9443, bytesOf(2, 95), false}}},
		{"too long", nil, []step{{0, a, 9443, bytesOf(1, 609), false}, {0, b, 9443, bytesOf(2, 609), false}}},
	} {
		for _, signs := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", tt.name, signs), func(t *testing.T) {
				w := newWorld(t, tt.change)
				if signs {
					w.e.Packet(w.speaks("198.51.100.9", 6881, dhtPing), w.now)
				}
				for i, s := range tt.steps {
					w.pass(s.after)
					before := len(w.out.handshakes)
					first := s.b
					if first == "" {
						first = newProgram(i).first
					}
					v := w.begins(uint16(4000+i), s.dst, s.port, first)
					if asked := len(w.out.handshakes) > before; asked != s.asked || (v == nfq.Drop) != s.asked {
						t.Fatalf("step %d: asked %v, verdict %d, want %v", i, asked, v, s.asked)
					}
				}
				// A program that says nothing after the question gets a reset, so that it
				// connects again.
				w.pass(handshakeTime + 2*table.WheelTick)
				if w.out.resets != len(w.out.handshakes) || w.sets.cut() != 0 {
					t.Errorf("%d resets, sets %+v", w.out.resets, w.sets)
				}
			})
		}
	}
}

// TestServersLoseLittle: a host that uses one Shadowsocks server never loses a connection.
// With five servers it loses one connection to each in a day.
func TestServersLoseLittle(t *testing.T) {
	for _, signs := range []bool{false, true} {
		w := newWorld(t, nil)
		lost := map[string]int{}
		for i := range 20_000 {
			dst := fmt.Sprintf("203.0.113.%d", 80)
			if i >= 10_000 {
				dst = fmt.Sprintf("203.0.113.%d", 80+i%5)
			}
			if signs && i%100 == 0 {
				w.e.Packet(w.speaks("198.51.100.9", 6881, dhtPing), w.now)
			}
			if w.begins(uint16(2000+i%60_000), dst, 8388, bytesOf(i, 100+i%400)) == nfq.Drop {
				lost[dst]++
			}
			if i == 9999 && len(lost) != 0 {
				t.Fatalf("with one server %v were lost", lost)
			}
			w.pass(2 * time.Second)
		}
		if len(lost) != 4 && len(lost) != 5 {
			t.Errorf("signs %v: lost %v", signs, lost)
		}
		for dst, n := range lost {
			if n != 1 {
				t.Errorf("%d lost with %s in %v", n, dst, 20_000*time.Second)
			}
		}
		if c := w.e.Clients(w.now); len(c) != 0 {
			t.Errorf("clients %+v", c)
		}
	}
}

// TestLooksRandom: hosts without file sharing use five servers of a protocol that looks
// random for a day. Each server loses one connection at most, none if the wall only watches,
// and nobody is locked.
func TestLooksRandom(t *testing.T) {
	for _, tt := range []struct {
		name string
		port uint16
		says func(i int) string // first data of a connection
		asks bool               // it is asked by the handshake
	}{
		{"Shadowsocks", 8388, func(i int) string { return bytesOf(i, 50+i%500) }, true},
		{"Telegram, obfuscated", 443, func(i int) string { return bytesOf(i, 105) }, true},
		{"OpenVPN by TCP with tls-crypt", 31194, func(i int) string { return "\x00\x36\x38" + bytesOf(i, 53) }, false},
		{"RLPx", 30303, func(i int) string { return be16(380+i%100) + bytesOf(i, 380+i%100) }, false},
		{"RLPx before EIP-8", 30303, func(i int) string { return bytesOf(i, 307) }, true},
		{"Bitcoin's BIP 324", 8333, func(i int) string { return bytesOf(i, 64+i*37%4096) }, true},
		{"obfs4", 9030, func(i int) string { return bytesOf(i, 149+i*101%1299) }, true},
	} {
		for _, mode := range []Mode{Block, Monitor} {
			t.Run(fmt.Sprintf("%s/%v", tt.name, mode), func(t *testing.T) {
				w := newWorld(t, func(c *Config) { c.Protocols[detect.ByName("bittorrent")].Mode = mode })
				lost := map[string]int{}
				for i := range 24 * 60 {
					dst := fmt.Sprintf("203.0.113.%d", 80+i%5)
					if w.begins(uint16(2000+i), dst, tt.port, tt.says(i)) == nfq.Drop {
						lost[dst]++
					}
					w.pass(time.Second)
					if i%5 == 4 {
						w.pass(5*time.Minute - 5*time.Second)
					}
				}
				if asked := len(lost) > 0; asked != (tt.asks && mode == Block) {
					t.Errorf("lost %v", lost)
				}
				for dst, n := range lost {
					if n != 1 {
						t.Errorf("%d connections lost with %s in a day", n, dst)
					}
				}
				if c := w.e.Clients(w.now); len(c) != 0 || w.sets.cut() != 0 {
					t.Errorf("clients %+v, sets %+v", c, w.sets)
				}
			})
		}
	}
}

// TestTunnelBesideATorrent: a host is locked for a day. Its Shadowsocks server loses one
// connection. Other connections that begin meanwhile wait for the result.
func TestTunnelBesideATorrent(t *testing.T) {
	const server = "203.0.113.80"
	for _, tt := range []struct {
		name string
		ends func(w *world, b string) // the program's reaction to the answer
	}{
		{"it waits", func(w *world, _ string) {
			w.pass(handshakeTime + 2*table.WheelTick)
			if w.out.resets != 1 {
				w.t.Errorf("%d resets", w.out.resets)
			}
		}},
		{"it goes on", func(w *world, b string) {
			for i := range 3 {
				w.expect("what follows", w.more(4000, server, 8388, b, bytesOf(i, 300)), nfq.Drop)
			}
		}},
		{"it closes", func(w *world, b string) {
			p := w.more(4000, server, 8388, b, "")
			p.TCPFlags = nfq.FIN | nfq.ACK
			w.expect("its end", p, nfq.Drop)
		}},
		{"it resets", func(w *world, b string) {
			p := w.more(4000, server, 8388, b, "")
			p.TCPFlags = nfq.RST | nfq.ACK
			w.expect("its end", p, nfq.Drop)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := lockedTorrent(t, nil)
			b := bytesOf(1, 300)
			w.wantVerdict("the first", w.begins(4000, server, 8388, b), nfq.Drop)
			if len(w.out.handshakes) != 1 {
				t.Fatalf("answered %d times", len(w.out.handshakes))
			}
			for i := range uint16(5) {
				w.wantVerdict("one beside it", w.tries(4001+i, server, 8388, bytesOf(int(i), 200)), nfq.Drop)
			}
			tt.ends(w, b)
			for i := range uint16(5) {
				w.expect("one beside it, sent again", w.data(4001+i, server, 8388, 1000, bytesOf(int(i), 200)), nfq.AcceptDecided)
			}
			lock := w.e.clients[0].lockUntil
			for i := range 23 {
				w.wantVerdict("a later one", w.begins(uint16(5000+i), server, 8388, bytesOf(i, 200)), nfq.AcceptDecided)
				w.expect("what follows", w.data(uint16(5000+i), server, 8388, 1200, bytesOf(i, 1400)), nfq.AcceptDecided)
				if i == 0 && w.e.clients[0].lockUntil != lock {
					t.Error("it holds the lock")
				}
				w.pass(time.Hour)
				w.proveTorrent()
				w.e.Packet(w.speaks("198.51.100.7", 6881, dhtPing), w.now)
			}
			if len(w.out.handshakes) != 1 || w.out.resets > 1 {
				t.Errorf("answered %d times, %d resets", len(w.out.handshakes), w.out.resets)
			}
			w.pass(2 * time.Hour)
			w.proveTorrent()
			w.e.Packet(w.speaks("198.51.100.7", 6881, dhtPing), w.now)
			w.wantVerdict("a day later", w.begins(6000, server, 8388, b), nfq.Drop)
			if len(w.out.handshakes) != 2 {
				t.Errorf("answered %d times", len(w.out.handshakes))
			}
		})
	}
}

// TestEncryptedSessionsOfAClient: each place is asked once, and sessions of the client are
// cut.
func TestEncryptedSessionsOfAClient(t *testing.T) {
	w := lockedTorrent(t, nil)
	for i := range 50 {
		dst, p := fmt.Sprintf("203.0.113.%d", i), newProgram(i)
		w.wantVerdict("a session", w.begins(4000, dst, 6881, p.first), nfq.Drop)
		w.expect("what proves it", w.more(4000, dst, 6881, p.first, p.proof(w.answer())), nfq.Drop)
		w.wantVerdict("the next", w.begins(4001, dst, 6881, newProgram(i+1).first), nfq.Drop)
		if len(w.out.handshakes) != i+1 || w.out.resets != i+1 {
			t.Fatalf("answered %d times, %d resets, after %d", len(w.out.handshakes), w.out.resets, i+1)
		}
	}
	until := w.e.clients[0].lockUntil
	w.pass(time.Second)
	w.wantVerdict("to one that is not known", w.begins(4002, "203.0.113.200", 6881, newProgram(77).first), nfq.Drop)
	if w.e.clients[0].lockUntil != until {
		t.Error("the shape of a session holds the lock")
	}
	// If nothing can be asked, they are cut while the lock lasts, and are no sign of life.
	w = lockedTorrent(t, nil)
	w.e.sets = nil
	w.pass(time.Second)
	until = w.e.clients[0].lockUntil
	for i := range uint16(3) {
		w.wantVerdict("a session", w.begins(4000+i, "203.0.113.80", 6881, newProgram(1).first), nfq.Drop)
	}
	if w.out.resets != 3 || w.e.clients[0].lockUntil != until || len(w.out.handshakes) != 0 {
		t.Errorf("%d resets, answered %d times", w.out.resets, len(w.out.handshakes))
	}
	w = lockedTorrent(t, func(c *Config) { c.Protocols[torrent].ResetEncrypted = false })
	w.e.sets = nil
	w.wantVerdict("a session", w.begins(4000, "203.0.113.80", 6881, newProgram(1).first), nfq.Drop)
	if w.out.resets != 0 {
		t.Error("reset against the configuration")
	}
	// One encrypted session and one other sign are not two signs.
	w = newWorld(t, nil)
	w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	w.wantVerdict("a session beside it", w.begins(4000, "203.0.113.80", 6881, newProgram(1).first), nfq.Accept)
	if len(w.e.Clients(w.now)) != 0 {
		t.Errorf("clients %+v", w.e.Clients(w.now))
	}
}

// TestWhereClientsGo: a host was proved and released. It is recognised when it goes where
// its client went. Other hosts are not judged by that.
func TestWhereClientsGo(t *testing.T) {
	const one, two = "203.0.113.80", "203.0.113.81"
	w := lockedTorrent(t, nil)
	for i, dst := range []string{one, two} {
		p := newProgram(i)
		w.wantVerdict("a session", w.begins(4000, dst, 6881, p.first), nfq.Drop)
		w.expect("what proves it", w.more(4000, dst, 6881, p.first, p.proof(w.answer())), nfq.Drop)
	}
	w.pass(82 * time.Second)
	if w.locked(hostA) {
		t.Fatal("not released")
	}
	answered := len(w.out.handshakes)
	for i := range 3 {
		for j, dst := range []string{one, two} {
			syn := tcp(macB, hostB, uint16(4000+i), dst, 6881, nfq.SYN, nil)
			syn.Seq = 999
			w.expect("another host's SYN", syn, nfq.Accept)
			p := tcp(macB, hostB, uint16(4000+i), dst, 6881, nfq.ACK|nfq.PSH, []byte(bytesOf(i, 200)))
			p.Seq = 1000
			v := w.e.Packet(p, w.now)
			w.e.Advance(w.now)
			if v == nfq.Drop { // the host may send it again, to be asked
				w.pass(200 * time.Millisecond)
				v = w.e.Packet(p, w.now)
			}
			if v == nfq.Drop && len(w.out.handshakes) == answered {
				t.Fatalf("another host's connection %d to %d is cut for what the first showed", i, j)
			}
			w.pass(11 * time.Second)
			answered = len(w.out.handshakes)
		}
	}
	if w.locked(hostB) {
		t.Error("another host is locked for it")
	}
	again := newProgram(3)
	w.wantVerdict("a session with one", w.begins(4010, one, 6881, again.first), nfq.Drop)
	w.wantVerdict("another with the same", w.begins(4011, one, 6881, newProgram(4).first), nfq.Accept)
	if w.locked(hostA) || len(w.out.handshakes) != answered+1 {
		t.Fatalf("locked without a proof, or asked %d times", len(w.out.handshakes)-answered)
	}
	w.expect("what proves it", w.more(4010, one, 6881, again.first, again.proof(w.answer())), nfq.Drop)
	if c := w.e.Clients(w.now); !w.locked(hostA) || c[0].Proof != ProofAnswer {
		t.Errorf("clients %+v", c)
	}
	// If nobody can be asked, two such places prove it.
	w.pass(82 * time.Second)
	w.e.sets = nil
	answered = len(w.out.handshakes)
	w.wantVerdict("a session with one", w.begins(4020, one, 6881, newProgram(3).first), nfq.Drop)
	w.wantVerdict("another with the same", w.begins(4021, one, 6881, newProgram(4).first), nfq.Drop)
	if w.locked(hostA) {
		t.Fatal("locked by one place")
	}
	w.wantVerdict("a session with the other", w.begins(4022, two, 6881, newProgram(5).first), nfq.Drop)
	c := w.e.Clients(w.now)
	if !w.locked(hostA) || c[0].Proof != ProofConduct || c[0].Reason != detect.ReasonEncrypted || len(w.out.handshakes) != answered {
		t.Errorf("clients %+v", c)
	}
}

// TestFoundOnce: a host that was proved is asked at its next connection that looks random,
// as long as it is remembered, even at an unknown place.
func TestFoundOnce(t *testing.T) {
	w := lockedTorrent(t, nil)
	w.pass(82 * time.Second)
	if w.locked(hostA) {
		t.Fatal("not released")
	}
	p := newProgram(1)
	w.wantVerdict("a session", w.begins(4000, "203.0.113.80", 6881, p.first), nfq.Drop)
	w.expect("what proves it", w.more(4000, "203.0.113.80", 6881, p.first, p.proof(w.answer())), nfq.Drop)
	if !w.locked(hostA) {
		t.Error("not locked again")
	}
	w.pass(82 * time.Second)
	w.pass(DefaultForget)
	w.wantVerdict("a session after it is forgotten", w.begins(4001, "203.0.113.81", 6881, newProgram(2).first), nfq.Accept)
}

// TestAskedOnlyWhereItIsShown: without the kernel's help the engine would not see the
// reaction to its answer, and would take a client for another program.
func TestAskedOnlyWhereItIsShown(t *testing.T) {
	const a, b = "203.0.113.80", "203.0.113.81"
	for _, tt := range []struct {
		name    string
		between func(w *world)
		asked   bool
	}{
		{"as it should be", func(*world) {}, true},
		{"the time of the set is over", func(w *world) {
			for i := range uint16(5) {
				w.pass(20 * time.Second) // the watch is renewed in time
				w.e.Packet(w.speaks("198.51.100.9", 6881, dhtPing), w.now)
				w.begins(4010+i, a, 6881, newProgram(1).first)
			}
		}, true},
		{"a lock that has ended", func(w *world) {
			w.proveTorrent()
			w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
			w.e.Unlock(netip.MustParseAddr(hostA), w.now)
			w.signs()
			w.begins(4001, a, 6881, newProgram(1).first)
		}, true},
		{"no sets", func(w *world) { w.e.sets = nil }, false},
		{"sets that were lost", func(w *world) { w.e.SetSets(newFakeSets(), w.now) }, true},
		{"an address of two hosts", func(w *world) {
			w.e.Packet(tcp(macB, hostA, 4000, a, 443, nfq.SYN, nil), w.now)
		}, false},
		{"no room", func(w *world) {
			s := &slowSets{fakeSets: w.sets}
			w.e.SetSets(s, w.now)
		}, false},
		{"the kernel has not got it yet", func(w *world) {
			s := &slowSets{fakeSets: w.sets, size: 100}
			w.e.SetSets(s, w.now)
			w.begins(4001, a, 6881, newProgram(1).first)
		}, false},
	} {
		w := newWorld(t, nil)
		w.signs()
		w.wantVerdict("the first", w.begins(4000, a, 6881, newProgram(0).first), nfq.Accept)
		tt.between(w)
		v := w.begins(4002, b, 6881, newProgram(2).first)
		if asked := len(w.out.handshakes) > 0; asked != tt.asked || (v == nfq.Drop) != tt.asked {
			t.Errorf("%s: asked %v, verdict %d", tt.name, asked, v)
		} else if f, ok := w.e.sets.(*fakeSets); asked && ok {
			if f.cut(); f.watched[hostA] == 0 {
				t.Errorf("%s: asked, and what follows is not shown", tt.name)
			}
		}
	}
	// A locked client's data is dropped until the kernel shows it. Sent again, it is asked.
	w := newWorld(t, nil)
	w.proveTorrent()
	w.open(4000, a, 6881)
	w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	p := newProgram(1)
	w.expect("at once", w.data(4000, a, 6881, 1000, p.first), nfq.Drop)
	if len(w.out.handshakes) != 0 {
		t.Fatal("answered before the kernel shows what follows")
	}
	w.pass(200 * time.Millisecond)
	w.expect("sent again", w.data(4000, a, 6881, 1000, p.first), nfq.Drop)
	w.expect("what proves it", w.more(4000, a, 6881, p.first, p.proof(w.answer())), nfq.Drop)
	if w.e.Counters.Answers != 1 {
		t.Errorf("counted %+v", w.e.Counters)
	}
}

// failing is a sender that cannot send anything.
type failing struct{ fakeSender }

func (*failing) Answer(*nfq.Packet, []byte) error { return errors.New("no") }

func TestAnswersThatCannotBeSent(t *testing.T) {
	for _, locked := range []bool{false, true} {
		w := newWorld(t, nil)
		w.e.sender = &failing{}
		want := nfq.Accept
		if locked {
			w.proveTorrent()
			w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
			want = nfq.Drop
		} else {
			w.signs()
		}
		for i := range 6 {
			w.wantVerdict("a session", w.begins(uint16(4000+i), fmt.Sprintf("203.0.113.%d", 80+i%2), 6881, newProgram(i).first), want)
			w.pass(11 * time.Second)
		}
		if w.e.Counters.SendErrors == 0 || w.e.Counters.Handshakes != 0 {
			t.Errorf("counted %+v", w.e.Counters)
		}
		if w.pass(20 * time.Second); w.locked(hostA) {
			t.Error("what cannot be asked holds the lock")
		}
	}
}

// TestEnd: an engine that ends resets what it has answered, and nothing else.
func TestEnd(t *testing.T) {
	w := newWorld(t, nil)
	w.signs()
	one, two := newProgram(1), newProgram(2)
	w.wantVerdict("the first connection", w.begins(4000, "203.0.113.80", 6881, one.first), nfq.Accept)
	w.wantVerdict("the second", w.begins(4001, "203.0.113.81", 51413, two.first), nfq.Drop)
	if len(w.out.handshakes) != 1 || w.out.resets != 0 {
		t.Fatalf("answered %d times, %d resets", len(w.out.handshakes), w.out.resets)
	}
	for range 2 {
		if w.e.End(w.now); w.out.resets != 1 {
			t.Errorf("%d resets, want one, of what was answered", w.out.resets)
		}
	}
	w.wantVerdict("the next one there", w.begins(4002, "203.0.113.81", 51413, two.first), nfq.AcceptDecided)
}

// TestPlacesAreBounded: a client that goes to more and more places uses no more memory.
// Places in use are not forgotten.
func TestPlacesAreBounded(t *testing.T) {
	w := lockedTorrent(t, nil)
	const server = "203.0.113.80"
	w.wantVerdict("the tunnel's first", w.begins(4000, server, 8388, bytesOf(1, 200)), nfq.Drop)
	w.pass(handshakeTime + time.Millisecond)
	p := newProgram(1)
	for i := range 20 * maxJudged {
		dst := nfq.AddrFrom4([4]byte{198, 18 + 2, byte(i >> 8), byte(i)}).String()
		w.e.Packet(w.speaks("198.51.100.7", 6881, dhtPing), w.now)
		w.wantVerdict("a session", w.begins(uint16(5000+i), dst, 6881, p.first), nfq.Drop)
		if i%400 == 0 {
			w.wantVerdict("the tunnel's", w.begins(4001, server, 8388, bytesOf(i, 200)), nfq.AcceptDecided)
		}
	}
	if w.e.judged.Len() != maxJudged || len(w.e.judged.judged) != maxJudged {
		t.Errorf("%d places", w.e.judged.Len())
	}
	consistent(t, w.e, w.sets)
}

// TestInTheMiddle: connections from before the lock go on, except those that look like the
// client's encrypted sessions: downloads, and uploads in progress.
func TestInTheMiddle(t *testing.T) {
	message := func(kind byte, b string) string {
		return string(binary.BigEndian.AppendUint32(nil, uint32(1+len(b)))) + string(kind) + b
	}
	request := message(6, "\x00\x00\x00\x01\x00\x00\x40\x00\x00\x00\x40\x00")
	upload := func(n int) (all []string) {
		for i := range n {
			all = append(all, bytesOf(i, 1448))
		}
		return all
	}
	record := func(n int) string { return "\x17\x03\x03" + be16(n) + bytesOf(n, n) }
	masked := func(n int) string { return "\x81\xfe" + be16(n) + bytesOf(n, n+4) }
	for _, tt := range []struct {
		name  string
		port  uint16
		parts []string
		cut   bool
	}{
		{"an encrypted session", 6881, upload(13), true},
		{"a small part of one", 6881, upload(10), false},
		{"in small pieces", 6881, []string{bytesOf(1, 17), bytesOf(2, 17), bytesOf(3, 34), bytesOf(4, 17), bytesOf(5, 17)}, true},
		{"pieces in clear", 6881, []string{message(7, "\x00\x00\x00\x01\x00\x00\x40\x00"+strings.Repeat("piece", 1<<14)[:1<<14])[:1400]}, true},
		{"requests in clear", 6881, []string{request + request}, true},
		{"TLS", 8443, []string{record(200), record(1000)}, false},
		{"TLS at any port", 9443, []string{record(200), record(1000)}, false},
		{"an upload by TLS", 443, []string{bytesOf(1, 1448), bytesOf(2, 1448)}, false},
		{"an upload by TLS, at any port", 9443, append(upload(9), record(1400), bytesOf(1, 500)), false},
		{"SSH", 22, []string{bytesOf(1, 1448), bytesOf(2, 36)}, false},
		{"SSH at any port", 2222, []string{bytesOf(1, 36), bytesOf(2, 44), bytesOf(3, 36), bytesOf(4, 36), bytesOf(5, 52), bytesOf(6, 36)}, false},
		{"RDP", 3389, []string{"\x17\x03\x03" + be16(100) + bytesOf(1, 100), bytesOf(2, 1448)}, false},
		{"OpenVPN by TCP", 1194, []string{be16(1400) + "\x48" + bytesOf(1, 1399), bytesOf(2, 1448)}, false},
		{"OpenVPN by TCP at any port", 11194, []string{be16(1300) + "\x48" + bytesOf(1, 1299)}, false},
		{"WebSocket", 443, []string{masked(200)}, false},
		{"an upload by HTTP", 80, []string{bytesOf(1, 1448), bytesOf(2, 1448)}, false},
		{"an upload of text by HTTP, at any port", 8000, []string{strings.Repeat("a line of a text file\n", 60)}, false},
		{"MySQL", 3306, []string{"\x24\x00\x00\x00\x03SELECT * FROM t WHERE id = 1234567", "\x01\x00\x00\x00\x0e"}, false},
		{"telnet", 2323, []string{"l", "s", "\r\n"}, false},
		{"a game's little", 7777, []string{"\x05\x00\x00\x00\x01", "\x05\x00\x00\x00\x02"}, false},
		{"Telegram", 5222, []string{bytesOf(1, 300)}, false},
	} {
		for held := range 3 { // for how many protocols the host is locked
			t.Run(fmt.Sprintf("%s/%d", tt.name, held), func(t *testing.T) {
				w := newWorld(t, nil)
				if held > 0 {
					w = lockedTorrent(t, nil)
				}
				if held > 1 { // eDonkey's sessions can look random, too
					for _, node := range []string{"198.51.100.7", "203.0.113.9"} {
						w.expect("a query of Kad", kad(node, kadFind), nfq.Drop)
					}
				}
				seq, dropped := uint32(1000), false
				for _, part := range tt.parts {
					v := w.e.Packet(w.data(4000, "203.0.113.80", tt.port, seq, part), w.now)
					dropped = dropped || v == nfq.Drop
					if v == nfq.AcceptDecided {
						break // the kernel shows no more of it
					}
					seq += uint32(len(part))
				}
				if dropped != (tt.cut && held > 0) {
					t.Errorf("cut: %v", dropped)
				}
				want := nfq.Accept
				if dropped { // it was under way
					want = nfq.Drop
				}
				w.expect("what comes in", reply("203.0.113.80", tt.port, 4000, 5000, bytesOf(7, 1448)), want)
				w.expect("a bare acknowledgement of it", w.data(4000, "203.0.113.80", tt.port, seq, ""), nfq.Accept)
			})
		}
	}
}

// TestProvedForAnother: the client of a network without encrypted sessions counts as any
// other host: its first connection that looks random goes on. That of a network with such
// sessions is asked.
func TestProvedForAnother(t *testing.T) {
	const gnutella = "cb1b31023c1c74d5ffbfc72c3bd61c0000010000000000"
	for _, tt := range []struct {
		name, query string
		asked       bool
	}{
		{"nobody", "", false},
		{"Gnutella", gnutella, false},
		{"eDonkey", kadFind, true},
	} {
		w := newWorld(t, nil)
		if tt.query != "" {
			for _, to := range []string{"198.51.100.7", "203.0.113.9"} {
				w.expect("a query", kad(to, tt.query), nfq.Drop)
			}
			if !w.locked(hostA) {
				t.Fatalf("%s: not locked", tt.name)
			}
		}
		if v := w.begins(4000, "203.0.113.80", 8388, bytesOf(1, 400)); (v == nfq.Drop) != tt.asked {
			t.Errorf("%s: verdict %d", tt.name, v)
		}
	}
}

// What was known about a place before the lock also counts for the middle of a connection.
func TestInTheMiddleOfWhatIsKnown(t *testing.T) {
	for _, tt := range []struct {
		name, first string
		port        uint16
		cut         bool
	}{
		{"an upload by TLS at any port", hello("nas.example.org"), 9443, false},
		{"an upload by HTTP at any port", "POST /x HTTP/1.1\r\nHost: a.b\r\nContent-Length: 100000\r\n\r\n", 8000, false},
		{"SSH at any port", "SSH-2.0-OpenSSH_9.2\r\n", 2222, false},
		{"a session of the client's", newProgram(1).first, 6881, true},
	} {
		w := newWorld(t, nil)
		before := nfq.AcceptDecided
		if tt.cut { // it may show something later
			before = nfq.Accept
		}
		w.wantVerdict(tt.name, w.begins(4000, "203.0.113.80", tt.port, tt.first), before)
		w.proveTorrent()
		w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
		for range synsPerHost { // its beginning is forgotten
			w.e.Packet(w.syn("203.0.113.90"), w.now)
		}
		w.pass(31 * time.Second)
		want := nfq.AcceptDecided
		if tt.cut {
			want = nfq.Drop
		}
		w.wantVerdict(tt.name+", in its middle", w.goesOnFrom(4000, "203.0.113.80", tt.port), want)
		// A new connection to that place is still asked.
		if !tt.cut {
			before := len(w.out.handshakes)
			w.wantVerdict("what begins as a session", w.begins(4001, "203.0.113.80", tt.port, newProgram(2).first), nfq.Drop)
			if len(w.out.handshakes) != before+1 {
				t.Errorf("%s: not asked", tt.name)
			}
		}
	}
	// The same goes for a tunnel whose place was asked.
	w := lockedTorrent(t, nil)
	w.wantVerdict("the first", w.begins(4000, "203.0.113.80", 8388, bytesOf(1, 200)), nfq.Drop)
	w.pass(handshakeTime + time.Millisecond)
	w.wantVerdict("one in its middle", w.goesOnFrom(4001, "203.0.113.80", 8388), nfq.AcceptDecided)
}

// goesOnFrom uploads random bytes in the middle of a connection until there is a decision.
// It returns the last verdict.
func (w *world) goesOnFrom(sport uint16, dst string, dport uint16) (v nfq.Verdict) {
	w.t.Helper()
	for i := range 20 {
		if v = w.e.Packet(w.data(sport, dst, dport, 1_000_000+1448*uint32(i), bytesOf(i, 1448)), w.now); v != nfq.Accept {
			break
		}
	}
	return v
}

// TestPeersAtPortsOfServices: a client with peers at ports 443 and 80 only is proved as
// usual. Then its sessions there are cut. Other programs of the host lose one connection to
// a server.
func TestPeersAtPortsOfServices(t *testing.T) {
	const one, two, other = "203.0.113.80", "203.0.113.81", "203.0.113.90"
	seq := uint32(1_000_000)
	says := func(w *world, sport uint16, dst string, n int) (v nfq.Verdict) {
		for i := range 8 {
			seq += uint32(n)
			if v = w.e.Packet(w.data(sport, dst, 443, seq, bytesOf(i, n)), w.now); v != nfq.Accept {
				break
			}
		}
		return v
	}
	requests := func(w *world, sport uint16, dst string) nfq.Verdict { return says(w, sport, dst, 33) }
	for _, held := range []bool{false, true} { // whether it is locked for another sign
		w := newWorld(t, nil)
		if held {
			w = lockedTorrent(t, nil)
		}
		w.wantVerdict("a first session", w.begins(4000, one, 443, newProgram(0).first), nfq.Accept)
		p := newProgram(1)
		w.wantVerdict("a second", w.begins(4001, two, 80, p.first), nfq.Drop)
		w.expect("what proves it", w.more(4001, two, 80, p.first, p.proof(w.answer())), nfq.Drop)
		if !w.locked(hostA) {
			t.Fatal("not locked")
		}
		w.pass(time.Second)
		w.wantVerdict("the middle of the first", requests(w, 4000, one), nfq.Drop)
		w.wantVerdict("another session", w.begins(4002, one, 443, newProgram(2).first), nfq.Drop)
		w.wantVerdict("TLS", w.begins(4003, other, 443, hello("www.example.org")), nfq.AcceptDecided)
	}
	// Sessions with two peers are running when the lock begins. One is reset, so that the
	// client opens another.
	w := lockedTorrent(t, nil)
	w.wantVerdict("the middle of a session", requests(w, 4000, one), nfq.Accept)
	w.wantVerdict("of another", requests(w, 4001, two), nfq.Drop)
	if w.out.resets != 1 {
		t.Errorf("%d resets", w.out.resets)
	}
	p := newProgram(1)
	w.wantVerdict("it connects again", w.begins(4002, two, 443, p.first), nfq.Drop)
	w.expect("what proves it", w.more(4002, two, 443, p.first, p.proof(w.answer())), nfq.Drop)
	w.wantVerdict("the middle of the first", requests(w, 4000, one), nfq.Drop)
	// A session that asks for one block at a time can be recognised.
	w = lockedTorrent(t, nil)
	w.wantVerdict("requests, each alone", says(w, 4000, one, 17), nfq.Drop)
	// A messenger's only connection is never cut.
	w = lockedTorrent(t, nil)
	for range 100 {
		if v := says(w, 4000, one, 105); v == nfq.Drop {
			t.Fatal("the middle of a messenger's connection is cut")
		}
		w.pass(time.Second)
	}
}

// TestStormOfSYNs: a client opens more connections than can be remembered. Refused ones are
// not remembered at all. The beginnings of others are still asked, and no port of another
// connection is taken for the client's own.
func TestStormOfSYNs(t *testing.T) {
	storm := func(w *world, dst string) {
		for i := range 3 * synsPerHost {
			p := tcp(macA, hostA, uint16(10_000+i), dst, 6881, nfq.SYN, nil)
			p.Seq = uint32(i) << 16
			w.e.Packet(p, w.now)
		}
	}
	p := newProgram(1)
	w := lockedTorrent(t, nil)
	w.pass(time.Millisecond)
	w.open(4000, "203.0.113.80", 7000)
	storm(w, "198.51.100.7") // a peer: refused
	if w.e.hosts[w.e.clients[0].host].forgets(w.now) {
		t.Error("SYNs that were refused are remembered")
	}
	w.open(4001, "203.0.113.81", 6881)
	storm(w, "203.0.113.200")
	if !w.e.hosts[w.e.clients[0].host].forgets(w.now) {
		t.Fatal("no storm")
	}
	w.expect("a session whose beginning is forgotten", w.data(4001, "203.0.113.81", 6881, 1000, p.first), nfq.Drop)
	w.expect("what proves it", w.more(4001, "203.0.113.81", 6881, p.first, p.proof(w.answer())), nfq.Drop)
	if w.e.Counters.Answers != 1 {
		t.Error("it was not asked")
	}
	w.open(4002, "203.0.113.82", 6882)
	storm(w, "203.0.113.200")
	w.expect("a handshake in clear whose beginning is forgotten", w.data(4002, "203.0.113.82", 6882, 1000, handshake), nfq.Drop)
	w.wantOwn(hostA, 51413)
	// Other programs' connections go on.
	for i, b := range []string{hello("www.example.org"), "GET / HTTP/1.1\r\nHost: a.b\r\n\r\n", "SSH-2.0-x\r\n", "hullo\n"} {
		port := uint16(4100 + i)
		w.open(port, "203.0.113.83", 7000)
		storm(w, "203.0.113.200")
		if v := w.e.Packet(w.data(port, "203.0.113.83", 7000, 1000, b), w.now); v == nfq.Drop {
			t.Errorf("another program's %q is dropped", b)
		}
	}
	w.pass(31 * time.Second)
	if w.e.hosts[w.e.clients[0].host].forgets(w.now) {
		t.Error("the storm is not over")
	}
}

// TestNoAllocationsForHandshakes: no step of a handshake allocates, nor do changes of own
// ports.
func TestNoAllocationsForHandshakes(t *testing.T) {
	for _, locked := range []bool{false, true} {
		w := newWorld(t, nil)
		w.e.sender, w.e.sets = idleSets{}, idleSets{}
		if locked {
			w.proveTorrent()
			w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
		}
		syn := tcp(macA, hostA, 4000, "203.0.113.80", 6881, nfq.SYN, nil)
		syn.Seq = 999
		first := w.data(4000, "203.0.113.80", 6881, 1000, newProgram(1).first)
		next := w.more(4000, "203.0.113.80", 6881, newProgram(1).first, bytesOf(1, 200))
		end := w.more(4000, "203.0.113.80", 6881, newProgram(1).first, "")
		end.TCPFlags = nfq.FIN | nfq.ACK
		middle := w.data(4000, "203.0.113.80", 6881, 1_000_000, bytesOf(1, 60))
		query := w.speaks("198.51.100.7", 6881, dhtPing)
		n := 0
		if a := testing.AllocsPerRun(500, func() {
			n++
			if h := w.e.hostAt(&syn.Src); h != nil {
				h.suspicion.innocents = 0 // otherwise it is asked less and less often
			}
			w.now += Time(11 * time.Second / 4)
			for _, p := range []*nfq.Packet{syn, first, next, next, next, next, end, middle, middle, middle} {
				p.SrcPort, p.Dst[15], p.Dst[14] = uint16(4000+n), byte(n), byte(n>>8)
				w.e.Packet(p, w.now)
			}
			query.SrcPort = uint16(2000 + n)
			w.e.Packet(query, w.now)
			w.e.Advance(w.now)
		}); a != 0 {
			t.Errorf("locked %v: %v allocations", locked, a)
		}
		if w.e.Counters.Handshakes < 100 {
			t.Errorf("locked %v: not all was gone through: %+v", locked, w.e.Counters)
		}
	}
	// The proof itself.
	w := newWorld(t, nil)
	w.out.recordNothing = true
	p := newProgram(1)
	f := &w.e.flows.flows[0]
	hand := detect.All[torrent].Hidden
	if a := testing.AllocsPerRun(100, func() {
		hand.Answer(w.e.out[:], nil, 7)
		hand.Proof([]byte(p.first), 7, &f.proof)
		hand.Proved([]byte(p.first), &f.proof)
	}); a > 2 { // the two conversions in this test
		t.Errorf("%v allocations", a)
	}
}
