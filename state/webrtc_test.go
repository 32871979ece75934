// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// stun returns a message with attributes. Each is given as its number, in hex, and its
// value.
func stun(kind string, attributes ...string) string {
	var b strings.Builder
	for i := 0; i < len(attributes); i += 2 {
		v := attributes[i+1]
		b.WriteString(string(mustHex(attributes[i])) + be16(len(v)) + v + strings.Repeat("\x00", -len(v)&3))
	}
	return string(mustHex(kind)) + be16(b.Len()) + "\x21\x12\xa4\x42transaction!" + b.String()
}

// Messages of WebRTC sessions.
var (
	juiceCheck   = stun("0001", "8022", "libjuice", "0006", "abcd:efgh")
	juiceAnswer  = stun("0101", "8022", "libjuice")
	pionCheck    = stun("0001", "0006", "abcd:ABCDEFGHabcdefgh")
	browserCheck = stun("0001", "0006", "ABCDEFGHabcdefgh:Ab1/") // a browser whose other side is pion
	stunAnswer   = stun("0101", "0020", "\x00\x01abcdef")

	dtlsData    = "\x17\xfe\xfd\x00\x01\x00\x00\x00\x00\x00\x01\x00\x20" + strings.Repeat("x", 32)
	dtlsRecord  = "\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00"
	bareHello   = dtlsHello("\x00\x16\x00\x00")
	calledHello = dtlsHello("\x00\x0e\x00\x05\x00\x02\x00\x01\x00")
	voice       = "\x80\x6f\x00\x01" + strings.Repeat("v", 60)
)

// dtlsHello returns a ClientHello with extensions.
func dtlsHello(extensions string) string {
	body := "\xfe\xfd" + strings.Repeat("r", 32) + "\x00\x00" + "\x00\x02\xc0\x2b" + "\x01\x00" + be16(len(extensions)) + extensions
	n := "\x00" + be16(len(body))
	return dtlsRecord + be16(12+len(body)) + "\x01" + n + "\x00\x00\x00\x00\x00" + n + body
}

// rtcPeer is the other side of the sessions.
const rtcPeer = "203.0.113.77"

func (w *world) rtcSays(sport uint16, b string) *nfq.Packet {
	return udp(macA, "192.168.1.50", sport, rtcPeer, 40000, []byte(b))
}

// TestWebRTC: what a locked host may go on with, and what not. Each step is a datagram and
// its verdict.
func TestWebRTC(t *testing.T) {
	const on, done, gone = nfq.Accept, nfq.AcceptDecided, nfq.Drop
	type step struct {
		says string
		want nfq.Verdict
	}
	for _, tt := range []struct {
		name  string
		steps []step
		cut   bool // the kernel cuts the port
	}{
		{"libjuice", []step{{juiceCheck, on}, {juiceAnswer, on}, {bareHello, on}, {dtlsData, gone}, {juiceCheck, gone}, {voice, gone}}, true},
		{"libjuice, in the middle of a session", []step{{dtlsData, on}, {dtlsData, on}, {juiceAnswer, on}, {dtlsData, gone}}, true},
		{"pion", []step{{pionCheck, on}, {calledHello, on}, {dtlsData, gone}}, true},
		{"a program with its pictures, by libjuice", []step{{juiceCheck, on}, {bareHello, on}, {voice, on}, {juiceCheck, on}, {voice, on}}, false},
		{"another program with OpenSSL", []step{{browserCheck, on}, {bareHello, on}, {dtlsData, gone}}, true},
		{"a browser's call", []step{{stunAnswer, on}, {browserCheck, on}, {stunAnswer, done}, {calledHello, done}, {voice, on}, {browserCheck, on}}, false},
		{"a browser's data", []step{{browserCheck, on}, {calledHello, done}, {dtlsData, done}, {browserCheck, on}}, false},
		{"a browser's data, in its middle", []step{{dtlsData, on}, {browserCheck, on}, {dtlsData, done}}, false},
		{"a VPN by DTLS", []step{{bareHello, done}, {dtlsData, on}}, false},
		{"a browser, where a program was", []step{{juiceCheck, on}, {browserCheck, on}, {calledHello, done}, {dtlsData, done}}, false},
		{"a browser, where a program was cut", []step{{juiceCheck, on}, {dtlsData, gone}, {browserCheck, on}, {dtlsData, done}}, false},
		{"pion, by DTLS 1.3", []step{{pionCheck, on}, {"\x2f\x01\x02\x00\x10" + strings.Repeat("x", 16), gone}}, true},
		{"the time, as another program asks for it", []step{{"\x23" + strings.Repeat("\x00", 47), on}}, false},
		{"pion, called from outside", []step{{stunAnswer, on}, {pionCheck, on}, {calledHello, on}, {dtlsData, gone}}, true},
		{"STUN of nobody in particular", []step{{stun("0001"), on}, {bareHello, on}, {dtlsData, on}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := lockedTorrent(t, nil)
			for i, s := range tt.steps {
				w.expect(fmt.Sprintf("datagram %d", i), w.rtcSays(50123, s.says), s.want)
				w.pass(10 * time.Millisecond)
			}
			if w.sets.own["192.168.1.50 17 50123"] > 0 != tt.cut {
				t.Errorf("the kernel cuts %v", w.sets.own)
			}
			if _, tcp := w.sets.own["192.168.1.50 6 50123"]; tcp {
				t.Error("the port is cut by TCP as well")
			}
			w.wantOwn("192.168.1.50", 51413)
			consistent(t, w.e, w.sets)
		})
	}
}

// TestWebRTCProvesNothing: a page can make a browser send much of this. A host that is not
// locked loses nothing, and no lock is renewed.
func TestWebRTCProvesNothing(t *testing.T) {
	w := newWorld(t, nil)
	for port := uint16(50000); port < 50020; port++ {
		for _, b := range []string{juiceCheck, pionCheck, bareHello, dtlsData, voice} {
			if v := w.e.Packet(w.rtcSays(port, b), w.now); v == nfq.Drop {
				t.Fatalf("%.20q is dropped", b)
			}
		}
	}
	if n := len(w.e.Clients(w.now)); n != 0 {
		t.Errorf("%d clients", n)
	}
	w = lockedTorrent(t, nil)
	for range 2 * int(w.e.cfg.LockTime/time.Second) {
		w.e.Packet(w.rtcSays(50123, juiceCheck), w.now)
		w.e.Packet(w.rtcSays(50123, dtlsData), w.now)
		w.pass(time.Second)
	}
	if w.locked("192.168.1.50") || len(w.sets.own) != 0 {
		t.Errorf("locked %v, the kernel cuts %v", w.locked("192.168.1.50"), w.sets.own)
	}
	w.expect("the session, when the lock is over", w.rtcSays(50123, dtlsData), nfq.AcceptDecided)
	consistent(t, w.e, w.sets)
}

// TestWebRTCThatWasThere: a session from before the lock gets another look, and is cut at
// its next data.
func TestWebRTCThatWasThere(t *testing.T) {
	w := newWorld(t, nil)
	w.expect("a check", w.rtcSays(50123, juiceCheck), nfq.AcceptDecided)
	w.expect("data", w.rtcSays(50123, dtlsData), nfq.AcceptDecided)
	w.proveTorrent()
	w.expect("a DHT ping", w.speaks("198.51.100.7", 6881, dhtPing), nfq.Drop)
	if got := w.flowsToCut(); !strings.Contains(got, "192.168.1.50") {
		t.Errorf("flows to look at: %s", got)
	}
	w.expect("data", w.rtcSays(50123, dtlsData), nfq.Drop)
	if got := w.flowsToCut(); !strings.Contains(got, "50123") {
		t.Errorf("flows to cut: %s", got)
	}
	// A renewal of the lock renews the cut of the port.
	w.pass(w.e.cfg.LockTime / 2)
	w.expect("a DHT ping", w.speaks("198.51.100.8", 6881, dhtPing), nfq.Drop)
	if d := w.sets.own["192.168.1.50 17 50123"]; d != w.e.cfg.LockTime {
		t.Errorf("cut for %v", d)
	}
	consistent(t, w.e, w.sets)
}

// TestWebRTCIsNotWaitedFor: data of an unknown program passes, and after a while the port
// is let go.
func TestWebRTCIsNotWaitedFor(t *testing.T) {
	w := lockedTorrent(t, nil)
	w.expect("data", w.rtcSays(50123, dtlsData), nfq.Accept)
	w.pass(rtcPatience + time.Second)
	w.expect("data, later", w.rtcSays(50123, dtlsData), nfq.AcceptDecided)
}

// TestManyWebRTC: after some sessions were cut, a program's next one is cut at its first
// message. A browser's goes on. If there are too many ports, the oldest ones go on.
func TestManyWebRTC(t *testing.T) {
	w := lockedTorrent(t, nil)
	for i := range 3 * maxRTC {
		port := uint16(50000 + i)
		check := nfq.Accept
		if i >= rtcEnough {
			check = nfq.Drop
		}
		w.expect("a check", w.rtcSays(port, juiceCheck), check)
		w.expect("data", w.rtcSays(port, dtlsData), nfq.Drop)
		w.pass(100 * time.Millisecond)
	}
	w.expect("a browser's check", w.rtcSays(40000, browserCheck), nfq.Accept)
	n := 0
	for k := range w.sets.own {
		if strings.Contains(k, " 17 5") && k != "192.168.1.50 17 51413" {
			n++
		}
	}
	if n == 0 || n > maxRTC {
		t.Errorf("the kernel cuts %d ports", n)
	}
	consistent(t, w.e, w.sets)
}

// TestWebRTCOfAnotherMode: in mode monitor, and if UDP is not blocked, sessions go on.
func TestWebRTCOfAnotherMode(t *testing.T) {
	torrent := detect.ByName("bittorrent")
	for name, change := range map[string]func(*Config){
		"monitor":  func(c *Config) { c.Protocols[torrent].Mode = Monitor },
		"UDP goes": func(c *Config) { c.Protocols[torrent].BlockUDP = false },
	} {
		w := newWorld(t, change)
		w.proveTorrent()
		w.e.Packet(w.speaks("198.51.100.7", 6881, dhtPing), w.now)
		w.expect(name, w.rtcSays(50123, juiceCheck), nfq.AcceptDecided)
		w.expect(name, w.rtcSays(50123, dtlsData), nfq.AcceptDecided)
	}
}

// TestWebRTCAllocates: the packet path must not.
func TestWebRTCAllocates(t *testing.T) {
	w := lockedTorrent(t, nil)
	w.e.sets, w.e.sender, w.e.OnEvent = idleSets{}, idleSets{}, nil
	p := [...]*nfq.Packet{w.rtcSays(50123, juiceCheck), w.rtcSays(50123, dtlsData), w.rtcSays(50124, browserCheck), w.rtcSays(50124, calledHello)}
	n := uint16(0)
	if a := testing.AllocsPerRun(1000, func() {
		n++
		for i := range p {
			p[i].SrcPort = 20000 + n
			w.e.Packet(p[i], w.now)
		}
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

// TestServerNames: a host that asks a server for a listed name by TLS becomes a suspect,
// nothing else.
func TestServerNames(t *testing.T) {
	for name, want := range map[string]int{"dht.libtorrent.org": 1, "www.example.org": 0} {
		w := newWorld(t, byName)
		w.open(4001, "203.0.113.80", 443)
		w.expect(name, w.data(4001, "203.0.113.80", 443, 1000, namedHello(name)), nfq.AcceptDecided)
		if s := w.e.Suspects(w.now); len(s) != want || len(w.e.Clients(w.now)) != 0 {
			t.Errorf("%s: suspects %+v", name, s)
		}
	}
}

// namedHello returns a ClientHello of TLS to a server with that name.
func namedHello(name string) string {
	list := "\x00" + be16(len(name)) + name
	list = be16(len(list)) + list
	ext := "\x00\x00" + be16(len(list)) + list
	body := "\x03\x03" + strings.Repeat("r", 32) + "\x00" + "\x00\x02\x13\x01" + "\x01\x00" + be16(len(ext)) + ext
	msg := "\x01\x00" + be16(len(body)) + body
	return "\x16\x03\x01" + be16(len(msg)) + msg
}

// TestAskedAfterATracker: a host that asked for a name of BitTorrent's is asked where such
// programs listen. A session of WebRTC of a program leads to another round. Only an answer
// proves anything: a page may have caused the one, and another program the other.
func TestAskedAfterATracker(t *testing.T) {
	ports := detect.All[torrent].Ports
	for _, tt := range []struct {
		name   string
		server string // whose name it asked for by TLS
		known  bool   // it is known where it may listen
		says   []string
		asked  []uint16
	}{
		{"a tracker alone", "tracker.openwebtorrent.com", false, nil, ports[:3]},
		{"a tracker, and a browser's call", "tracker.openwebtorrent.com", false, []string{browserCheck, calledHello, dtlsData}, ports[:3]},
		{"a tracker, and pion's session", "tracker.openwebtorrent.com", false, []string{pionCheck, calledHello, dtlsData}, ports[:6]},
		{"a tracker, and libjuice's session", "tracker.openwebtorrent.com", false, []string{juiceCheck, bareHello, dtlsData}, ports[:6]},
		{"a tracker, and many sessions", "tracker.openwebtorrent.com", false, slices.Repeat([]string{juiceCheck, bareHello, dtlsData}, 3), slices.Concat(ports, ports[:3])},
		{"a tracker, and it is known where it listens", "tracker.openwebtorrent.com", true, []string{pionCheck}, []uint16{23987, 23987}},
		{"no tracker", "www.example.org", false, []string{pionCheck, calledHello, dtlsData}, nil},
		{"another network's name", "server.napster.com", false, []string{pionCheck}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, p := newWorld(t, byName), &prober{}
			w.e.SetProber(p)
			if tt.known {
				h := w.e.hostOf(w.rtcSays(50123, voice), w.e.device(lanDev), w.now)
				a := ip("192.168.1.50")
				w.e.suspect(h, torrent, detect.ReasonMapping, &a, w.e.device(lanDev), 0, 23987, w.now)
				w.pass(askPatience)
			}
			w.open(4001, "203.0.113.80", 443)
			w.expect("a hello", w.data(4001, "203.0.113.80", 443, 1000, namedHello(tt.server)), nfq.AcceptDecided)
			for _, b := range tt.says {
				w.pass(askPatience)
				if v := w.e.Packet(w.rtcSays(50123, b), w.now); v == nfq.Drop {
					t.Errorf("%.20q is dropped", b)
				}
			}
			var asked []uint16
			for _, a := range p.asked {
				asked = append(asked, a.Port)
			}
			if !slices.Equal(asked, tt.asked) {
				t.Errorf("asked at %v, want %v", asked, tt.asked)
			}
			// The DHT and uTP have a question each, at the same ports.
			if n := len(w.out.udp); !tt.known && n != 2*len(tt.asked) {
				t.Errorf("%d datagrams, want %d", n, 2*len(tt.asked))
			}
			if n := len(w.e.Clients(w.now)); n != 0 {
				t.Errorf("%d clients", n)
			}
			if tt.asked == nil || tt.known {
				return
			}
			w.e.ProbedTCP(p.id, []byte("SSH-2.0-x\r\n"), w.now)
			if w.locked("192.168.1.50") {
				t.Error("locked by a banner")
			}
			w.e.ProbedTCP(p.id, []byte(random(300)), w.now)
			if !w.locked("192.168.1.50") {
				t.Error("a key that answers the key locks nobody")
			}
			w.wantOwn("192.168.1.50", p.asked[len(p.asked)-1].Port)
		})
	}
}

// TestAnswerAtADefaultPort: an answer by UDP proves the program if it comes from one of the
// ports that are asked.
func TestAnswerAtADefaultPort(t *testing.T) {
	for _, tt := range []struct {
		port uint16
		want nfq.Verdict
	}{{6890, nfq.Drop}, {6890 + 1, nfq.Accept}} {
		w := newWorld(t, byName)
		w.open(4001, "203.0.113.80", 443)
		w.expect("a hello", w.data(4001, "203.0.113.80", 443, 1000, namedHello("tracker.openwebtorrent.com")), nfq.AcceptDecided)
		w.expect("an answer", toRouter(tt.port, utpAnswer(w.asked("utp"))), tt.want)
		if w.locked(hostA) != (tt.want == nfq.Drop) {
			t.Errorf("port %d: locked %v", tt.port, w.locked(hostA))
		}
	}
}
