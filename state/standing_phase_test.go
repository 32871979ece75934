// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// donkeyPanel is what MLDonkey 3.2.1 sends to whoever connects to its user interface.
const donkeyPanel = "HTTP/1.1 403 Forbidden\nServer: MLDonkey/3.2.1\nConnection: close\n" +
	"Content-Type: text/html; charset=iso-8859-1\nContent-length: 0\r\n\n"

// mldonkey is MLDonkey with five sessions when the engine starts. It answers nothing at its
// port, but knows the words of its requests. Once a minute it opens new sessions, if it has
// none.
type mldonkey struct {
	port     uint16
	served   bool // somebody outside is connected to its port
	sends    bool // the connection table knows of its pings, which come from its port
	known    bool // an earlier engine has seen its pings
	panel    bool // its user interface answers other hosts
	searches bool // its user searches every 25 s
	stamps   bool // it uses TCP's time stamps, so the kernel shows what it acknowledges
	tick     time.Duration
	search   time.Duration // the first tick and the first search after the start
}

const (
	donkeyMinute   = 60 * time.Second
	donkeySearches = 25 * time.Second
)

// foundAfter returns how long the client is up when it is found, donkeyNever if it is not.
func (k mldonkey) foundAfter(t *testing.T) time.Duration {
	t.Helper()
	w, p := newWorld(t, nil), &prober{}
	if k.known {
		w = k.seenBefore(t)
	}
	w.e.SetProber(p)
	var open []nfq.Conn
	for i := range 5 {
		open = append(open, nfq.Conn{Port: uint16(50000 + i), To: nfq.AddrPort{Addr: ip("198.51.100." + strconv.Itoa(30+i)), Port: uint16(3000 + i)}})
	}
	up := slices.Repeat([]bool{true}, len(open))
	x := nfq.Standing{Addr: ip(hostA), Peers: len(open), Open: slices.Clone(open)}
	if k.served {
		x.Served[0] = k.port
	}
	if k.sends {
		w.e.Suspect(nfq.AddrPort{Addr: ip(hostA), Port: k.port}, w.now)
	}
	w.e.Standing(&x, macA, w.now)
	began, answered, words, stirred, round := w.now, 0, 0, 0, 0
	// lost says that a segment was dropped. The engine has reset the connection then.
	lost := func(i int, v nfq.Verdict) { up[i] = up[i] && v != nfq.Drop }
	for ; w.now.Since(began) < donkeyNever; w.pass(100 * time.Millisecond) {
		at := w.now.Since(began)
		for ; answered < len(p.ids); answered++ {
			switch port := p.asked[answered].Port; {
			case isWord(p.ids[answered]): // see below
			case port == k.port:
				w.e.ProbedTCP(p.ids[answered], []byte{}, w.now)
			case port == 4080 && k.panel:
				w.e.ProbedTCP(p.ids[answered], []byte(donkeyPanel), w.now)
			default:
				w.e.ProbedTCP(p.ids[answered], nil, w.now)
			}
		}
		for ; words < len(p.words); words++ {
			w.e.ProbedTCP(p.wordID, knowsGive(p.words[words]), w.now)
		}
		if k.stamps && stirred == 0 && len(w.out.handshakes) > 0 {
			stirred++
			for i, c := range open {
				a := w.data(c.Port, c.To.Addr.String(), c.To.Port, 9000, "")
				a.Ack = uint32(c.Port)
				lost(i, w.e.Packet(a, w.now))
			}
		}
		if k.searches && at >= k.search+time.Duration(round)*donkeySearches {
			round++
			for i, c := range open {
				if resets := w.out.resets; up[i] {
					s := w.data(c.Port, c.To.Addr.String(), c.To.Port, uint32(70000+1500*round), bytesOf(10*round+i, 25+round%7))
					lost(i, w.e.Packet(s, w.now))
					if w.out.resets > resets+1 { // the engine ended them all
						clear(up)
					}
				}
			}
		}
		if at >= k.tick && (at-k.tick)%donkeyMinute < 100*time.Millisecond && !w.locked(hostA) {
			for i := range up {
				if up[i] {
					break
				}
				if dst := "203.0.113." + strconv.Itoa(20+i); i < 2 {
					w.open(uint16(51000+i), dst, 2066)
					w.e.Packet(w.data(uint16(51000+i), dst, 2066, 1000, string(giftHello)), w.now)
				}
			}
		}
		if w.locked(hostA) {
			consistent(t, w.e, w.sets)
			return w.now.Since(began)
		}
	}
	return donkeyNever
}

// seenBefore returns a world with a new engine, and with what an earlier one has saved that
// saw the client's pings.
func (k mldonkey) seenBefore(t *testing.T) *world {
	t.Helper()
	old, w := newWorld(t, nil), newWorld(t, nil)
	for _, dst := range []string{firstPeer, "198.51.100.7"} {
		old.e.Packet(udp(macA, hostA, k.port, dst, 1214, kazaaPing), old.now)
	}
	if !old.locked(hostA) {
		t.Fatal("not locked for its pings")
	}
	old.pass(5 * time.Minute)
	if err := w.e.Restore(old.e.Snapshot(nil, old.now), w.now); err != nil {
		t.Fatal(err)
	}
	return w
}

// isWord reports whether the question with that number has a word.
func isWord(id uint64) bool { return id>>62 == 1 && id>>32&0xffff == standingWords }

// knowsGive is how MLDonkey takes a word: it holds the connection, or closes it.
func knowsGive(word string) []byte {
	if strings.HasPrefix(word, "GIV") {
		return []byte{0}
	}
	return []byte{}
}

const donkeyNever = 3 * time.Minute

// TestStandingPhases: MLDonkey is found within a minute, at whatever moment of its own
// minute and of its searches the engine starts. It stays hidden for longer only if nothing
// tells its port, and its user interface is closed to other hosts. Then its next search has
// its connections ended, and it opens new ones with its next minute: 25 s and 60 s.
func TestStandingPhases(t *testing.T) {
	for _, tt := range []struct {
		name string
		k    mldonkey
		most time.Duration // and it is reached
	}{
		{"at the usual port", mldonkey{port: 1214, panel: true, searches: true, stamps: true}, time.Second},
		{"without time stamps", mldonkey{port: 1214, panel: true, searches: true}, time.Second},
		{"and silent", mldonkey{port: 1214, panel: true, stamps: true}, time.Second},
		{"silent, without time stamps", mldonkey{port: 1214, panel: true}, time.Second},
		{"at a port of its own", mldonkey{port: 6789, panel: true, searches: true, stamps: true}, 28 * time.Second},
		{"at a port of its own, without time stamps", mldonkey{port: 6789, panel: true, searches: true}, 28 * time.Second},
		{"closed, at the usual port", mldonkey{port: 1214, searches: true, stamps: true}, 2 * time.Second},
		{"closed, at the usual port, silent", mldonkey{port: 1214, stamps: true}, 2 * time.Second},
		{"closed, without time stamps", mldonkey{port: 1214, searches: true}, 2 * time.Second},
		{"closed, silent, without time stamps", mldonkey{port: 1214}, 2 * time.Second},
		{"closed, at a port of its own that is used", mldonkey{port: 6789, served: true, searches: true, stamps: true}, 28 * time.Second},
		{"closed, at a port of its own that it pings from", mldonkey{port: 6789, sends: true, searches: true, stamps: true}, 28 * time.Second},
		{"closed, at a port of its own where it was found before", mldonkey{port: 6789, known: true, searches: true, stamps: true}, 28 * time.Second},
		{"closed, at a port of its own", mldonkey{port: 6789, searches: true, stamps: true}, 86 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var worst time.Duration
			for tick := range donkeyMinute / time.Second {
				for _, search := range []time.Duration{tick % 25, 0, 24} {
					k := tt.k
					k.tick, k.search = tick*time.Second, search*time.Second
					worst = max(worst, k.foundAfter(t))
				}
			}
			if t.Logf("at worst %v", worst); worst > tt.most || worst < tt.most*8/10 && tt.most > 2*time.Second {
				t.Errorf("found after %v at worst, want %v", worst, tt.most)
			}
		})
	}
}

// TestStandingPanel: the answer of a user interface alone locks nobody, nor does a sign
// alone, and in neither case does a connection end in which something was said.
func TestStandingPanel(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		peers  int
		panel  string // what comes from the port of the interface
		shuts  bool   // the protocol's own port takes a connection and says nothing
		found  bool
		locked bool
	}{
		{"both", nil, 5, donkeyPanel, true, true, true},
		{"no sign", nil, 5, donkeyPanel, false, false, false},
		{"another server", nil, 5, "HTTP/1.1 403 Forbidden\r\nServer: nginx\r\n\r\n", true, false, false},
		{"nothing that could be a session", nil, 1, donkeyPanel, true, false, false},
		{"only watched", func(c *Config) { c.Protocols[0].Mode = Monitor }, 5, donkeyPanel, true, true, false},
		{"off", func(c *Config) { c.Protocols[0].Mode = Off }, 5, donkeyPanel, true, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, o, p := stands(t, tt.change, tt.peers)
			for i, a := range p.asked {
				switch {
				case a.Port == 4080:
					w.e.ProbedTCP(p.ids[i], []byte(tt.panel), w.now)
				case a.Port == 1214 && tt.shuts:
					w.e.ProbedTCP(p.ids[i], []byte{}, w.now)
				}
			}
			w.pass(3 * time.Second)
			if found := len(w.e.Clients(w.now)) == 1; found != tt.found || w.locked(hostA) != tt.locked {
				t.Fatalf("found %v, locked %v", found, w.locked(hostA))
			}
			if !tt.shuts {
				w.wantVerdict("what is unknown", o.says(50000, "203.0.113.80", 8388, bytesOf(1, 62)), nfq.Accept)
			}
			if w.pass(40 * time.Second); w.out.resets != 0 {
				t.Errorf("%d connections were ended", w.out.resets)
			}
			consistent(t, w.e, w.sets)
		})
	}
}

// TestStandingWords: a host that closed the connection at the protocol's port is sent words,
// one after the other, when there is room. That it knows them all proves the client with such
// a sign. Another answer proves nothing, and is the last.
func TestStandingWords(t *testing.T) {
	held := func(string) []byte { return []byte{0} }
	closed := func(string) []byte { return []byte{} }
	for _, tt := range []struct {
		name   string
		change func(*Config)
		peers  int
		port   uint16 // that closes the connection
		answer func(word string) []byte
		asked  int // number of words
		locked bool
	}{
		{"known", nil, 5, 1214, knowsGive, detect.Words, true},
		{"all held", nil, 5, 1214, held, -2, false},
		{"all closed", nil, 5, 1214, closed, -2, false},
		{"nobody there", nil, 5, 1214, func(string) []byte { return nil }, 1, false},
		{"no sign", nil, 5, 6346, knowsGive, detect.Words, false},
		{"nothing that could be a session", nil, 1, 1214, nil, 0, false},
		{"only watched", func(c *Config) { c.Protocols[0].Mode = Monitor }, 5, 1214, knowsGive, detect.Words, false},
		{"off", func(c *Config) { c.Protocols[0].Mode = Off }, 5, 1214, nil, 0, false},
		{"no questions by TCP", func(c *Config) { c.Protocols[0].TCPProbe = false }, 5, 1214, nil, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, p := newWorld(t, tt.change), &busyProber{room: 100}
			w.e.SetProber(p)
			x := nfq.Standing{Addr: ip(hostA), Peers: tt.peers}
			if tt.port != 1214 {
				x.Served[0] = tt.port
			}
			w.e.Standing(&x, macA, w.now)
			w.pass(4 * time.Second)
			p.room = 0
			for i, a := range p.asked {
				if a.Port == tt.port {
					w.e.ProbedTCP(p.ids[i], []byte{}, w.now)
				}
			}
			w.pass(4 * time.Second)
			if len(p.words) != 0 {
				t.Fatal("a word was sent without room")
			}
			p.room = 100
			answered := 0
			for range 3 * detect.Words {
				for ; answered < len(p.words); answered++ {
					w.e.ProbedTCP(p.wordID, tt.answer(p.words[answered]), w.now)
				}
				w.pass(time.Second)
			}
			// How soon an answer is wrong depends on the order of the words.
			if n := len(p.words); n != tt.asked && (tt.asked >= 0 || n == 0 || n > -tt.asked) {
				t.Errorf("asked with %q", p.words)
			}
			if found := len(w.e.Clients(w.now)) == 1; w.locked(hostA) != tt.locked || found != (tt.asked == detect.Words && tt.port == 1214) {
				t.Errorf("found %v, locked %v", found, w.locked(hostA))
			}
			consistent(t, w.e, w.sets)
		})
	}
}
