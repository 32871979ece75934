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
	torrent   = 1 // BitTorrent's index in detect.All
)

func (w *world) speaks(dst string, dport uint16, b string) *nfq.Packet {
	return udp(macA, "192.168.1.50", 51413, dst, dport, []byte(b))
}

// hears returns a datagram from outside to the client's port.
func hears(src string, sport uint16, b string) *nfq.Packet {
	p := udp(nfq.MAC{}, src, sport, "192.168.1.50", 51413, []byte(b))
	p.InDev, p.OutDev = wanDev, lanDev
	return p
}

// toRouter returns a datagram from the host to the router's probe port.
func toRouter(sport uint16, b []byte) *nfq.Packet {
	p := udp(macA, "192.168.1.50", sport, "192.168.1.1", detect.ProbePort, b)
	p.Hook, p.OutDev = nfq.HookInput, 0
	return p
}

// random returns n bytes as an encrypted session begins.
func random(n int) string {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// hello returns a TLS ClientHello for the name.
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

// proveTorrent makes the host send a first DHT query. It goes to a decoy's address, so it
// adds no peer. The next query to another address proves the client.
func (w *world) proveTorrent() {
	w.e.Packet(w.speaks("198.18.1.1", 6881, dhtPing), w.now)
	w.e.Advance(w.now)
}

// lockedTorrent returns a world with a locked BitTorrent client.
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

func TestTorrentIsFoundAnsweredAndCut(t *testing.T) {
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
	// Its own port is cut, and the kernel shows what it sends.
	if w.sets.watched["192.168.1.50"] == 0 || w.sets.own["192.168.1.50 17 51413"] == 0 || w.sets.own["192.168.1.50 6 51413"] == 0 {
		t.Errorf("the kernel was not told: %v, %v", w.sets.watched, w.sets.own)
	}
	if len(w.sets.cuts) != 0 || len(w.sets.locks) != 0 {
		t.Errorf("a selective lock cut %v, locked %v", w.sets.cuts, w.sets.locks)
	}
	// The host gets a second address.
	v6 := tcp(macA, "2001:db8:1::50", 4000, "2001:db8:ff::80", 443, nfq.SYN, nil)
	v6.Version = 6
	w.expect("SYN by IPv6", v6, nfq.Accept)
	if w.sets.watched["2001:db8:1::50"] == 0 || w.sets.own["2001:db8:1::50 17 51413"] == 0 {
		t.Errorf("the kernel was not told of its other address: %v, %v", w.sets.watched, w.sets.own)
	}
	w.pass(81 * time.Second)
	if w.locked("192.168.1.50") || w.sets.cut() != 0 {
		t.Errorf("released, but cut: %+v", w.sets)
	}
	// The kernel still shows what it sends for a while.
	if w.pass(watchTime); w.sets.cut()+len(w.sets.watched) != 0 {
		t.Errorf("watched for ever: %+v", w.sets)
	}
	// Everything is open again.
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

// TestWhatGoesOnBesideATorrent: a locked host loses only connections that turn out to be
// its client's. The first data arrives at once, or in pieces of one byte.
func TestWhatGoesOnBesideATorrent(t *testing.T) {
	for _, tt := range []struct {
		name string
		port uint16 // the port of the server
		b    string // the host's first data; empty if the server speaks first
		want nfq.Verdict
	}{
		{"TLS with a name", 443, hello("www.example.org"), nfq.AcceptDecided},
		{"TLS with an address for a name, at any port", 9443, hello("192.0.2.1"), nfq.AcceptDecided},
		{"TLS with one label for a name", 443, hello("nas"), nfq.AcceptDecided},
		{"TLS without a name", 8444, "\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" + random(32) + "\x00\x00\x02\x13\x01\x01\x00\x00\x00", nfq.AcceptDecided},
		{"HTTP", 80, "GET /x HTTP/1.1\r\nHost: a.b\r\n\r\n", nfq.AcceptDecided},
		{"an upload by HTTP", 8000, "POST /x HTTP/1.1\r\nHost: a.b\r\nContent-Length: 100000\r\n\r\n" + random(1000), nfq.AcceptDecided},
		{"CONNECT", 3128, "CONNECT www.example.org:443 HTTP/1.1\r\nHost: www.example.org:443\r\n\r\n", nfq.Accept}, // the inner connection is still to come
		{"WebDAV", 80, "PROPFIND / HTTP/1.1\r\nHost: a.b\r\nDepth: 1\r\n\r\n", nfq.AcceptDecided},
		{"SSH", 22, "SSH-2.0-OpenSSH_9.2\r\n", nfq.AcceptDecided},
		{"SSH at any port", 2222, "SSH-2.0-OpenSSH_9.2\r\n", nfq.AcceptDecided},
		{"the data of FTP, plain", 50123, strings.Repeat("a line of a text file\n", 60), nfq.AcceptDecided},
		{"OpenVPN by TCP", 1194, "\x00\x36\x38" + random(53), nfq.AcceptDecided},
		{"OpenVPN by TCP with tls-crypt-v2, at any port", 11194, "\x01\xf4\x50" + random(499), nfq.AcceptDecided},
		{"Telegram", 5222, random(105), nfq.Accept},
		{"WhatsApp", 5222, "ED\x00\x01\x00\x00\x04\x08" + random(100), nfq.Accept},
		{"Shadowsocks at a port of the system's", 443, random(300), nfq.Accept},
		{"Shadowsocks with more than MSE has", 8388, random(700), nfq.AcceptDecided},
		{"Spotify", 4070, "\x00\x04\x00\x00\x01\x00\x52\x0e\x50\x02\xa0\x01\x01" + strings.Repeat("\x10\x20\x30\x40\x50\x60\x70\x01\x02\x03\x04", 24), nfq.AcceptDecided},
		{"Minecraft", 25565, "\x10\x00\xf4\x05\x09localhost\x63\xdd\x01", nfq.AcceptDecided},
		{"Battle.net", 1119, "\x00\x0b\x08\x00\x10\x01\x18\x00\x28\x8c\x01\x40" + strings.Repeat("proto", 30), nfq.AcceptDecided},
		{"Steam", 27017, "\x34\x00\x00\x00VT01" + random(52), nfq.AcceptDecided},
		{"telnet", 23, "\xff\xfb\x1f\xff\xfb\x20", nfq.AcceptDecided},
		{"git", 9418, "003egit-upload-pack /x.git\x00host=a.b\x00", nfq.AcceptDecided},
		{"rsync", 873, "@RSYNCD: 31.0\n", nfq.AcceptDecided},
		{"LDAP", 389, "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00", nfq.AcceptDecided},
		{"PostgreSQL", 5432, "\x00\x00\x00\x08\x04\xd2\x16\x2f", nfq.AcceptDecided},
		{"Redis", 6379, "*1\r\n$4\r\nPING\r\n", nfq.AcceptDecided},
		{"RTMP", 1935, "\x03" + "\x00\x00\x00\x00\x00\x00\x00\x00" + random(1400), nfq.AcceptDecided},
		{"SOCKS5", 1080, "\x05\x01\x00", nfq.Accept},
		{"TeamViewer", 5938, "\x17\x24\x0a\x20\x00\x2f\x00\x00", nfq.AcceptDecided},
		{"AnyDesk", 7070, hello("anydesk"), nfq.AcceptDecided},
		{"MQTT", 1883, "\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00", nfq.AcceptDecided},
		{"RDP", 3389, "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x0b\x00\x00\x00", nfq.AcceptDecided},
		{"PPTP", 1723, "\x00\x9c\x00\x01\x1a\x2b\x3c\x4d\x00\x01" + strings.Repeat("\x00", 146), nfq.AcceptDecided},
		{"an unknown protocol", 7000, "hullo\n", nfq.AcceptDecided},
		{"a torrent's TLS", 6881, hello("0123456789abcdef0123456789abcdef01234567"), nfq.Drop},
		{"TLS with a name of another length", 6881, hello("0123456789abcdef0123456789abcdef0123456"), nfq.AcceptDecided},
		{"TLS with such a name of a site", 443, hello("0123456789abcdef0123456789abcdef01234567.example"), nfq.AcceptDecided},
		{"TLS with a name of other letters", 443, hello("0123456789abcdef0123456789abcdef0123456g"), nfq.AcceptDecided},
		{"a session in clear", 6881, handshake, nfq.Drop},
		{"the same at a port of others", 443, handshake, nfq.Drop},
		{"an announce", 80, announceLine + "\r\n", nfq.Drop},
		{"an encrypted session", 6881, random(200), nfq.Drop},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := lockedTorrent(t, nil)
			w.open(4000, "203.0.113.80", tt.port)
			w.expect("first data", w.data(4000, "203.0.113.80", tt.port, 1000, tt.b), tt.want)
			// The kernel does not show further data any more. Data from outside must not
			// matter.
			w.expect("what comes in", reply("203.0.113.80", tt.port, 4000, 5000, random(1400)), nfq.Accept)
			if tt.want == nfq.Drop {
				w.expect("the same again", w.data(4000, "203.0.113.80", tt.port, 1000, tt.b), nfq.Drop)
				return
			}
			w.open(4001, "203.0.113.80", tt.port)
			for i := range len(tt.b) {
				p := w.data(4001, "203.0.113.80", tt.port, uint32(1000+i), tt.b[i:i+1])
				if v := w.e.Packet(p, w.now); v == nfq.Drop {
					t.Fatalf("byte %d is dropped", i)
				} else if v == nfq.AcceptDecided {
					break
				}
			}
			if w.out.resets != 0 {
				t.Errorf("%d resets", w.out.resets)
			}
		})
	}
}

// A server may send first: mail, IRC, news, FTP, MySQL.
func TestServersThatSpeakFirst(t *testing.T) {
	for _, tt := range []struct {
		name, greeting string
		port           uint16
		says           string
	}{
		{"mail", "220 mx.example.org ESMTP\r\n", 25, "EHLO host\r\n"},
		{"IRC", ":irc.example.org NOTICE * :*** Looking up your hostname\r\n", 6667, "NICK a\r\n"},
		{"news", "200 news.example.org ready\r\n", 119, "MODE READER\r\n"},
		{"FTP", "220 ready\r\n", 2121, "USER a\r\n"},
		{"MySQL", "\x4a\x00\x00\x00\x0a5.7.44\x00" + random(60), 3306, "\x54\x00\x00\x01\x8d\xa6\xff\x01\x00\x00\x00\x01\x21" + strings.Repeat("\x00", 23) + "root\x00\x14" + random(20) + "db\x00mysql_native_password\x00"},
		{"HTTP/2", "\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80\x00\x04\x00\x01\x00\x00\x00\x05\x00\xff\xff\xff", 8081, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
	} {
		w := lockedTorrent(t, nil)
		w.open(4000, "203.0.113.80", tt.port)
		w.expect(tt.name+": the greeting", reply("203.0.113.80", tt.port, 4000, 5000, tt.greeting), nfq.Accept)
		w.expect(tt.name+": the host", w.data(4000, "203.0.113.80", tt.port, 1000, tt.says), nfq.AcceptDecided)
	}
}

func TestDatagramsBesideATorrent(t *testing.T) {
	for _, tt := range []struct {
		name string
		port uint16
		b    string
		want nfq.Verdict // from a port of another program
		own  nfq.Verdict // from the client's own port
	}{
		{"DNS", 53, "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01", nfq.AcceptDecided, nfq.Drop},
		{"DNS with a number that FastTrack's short messages begin with", 53, "\xc1\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01", nfq.AcceptDecided, nfq.Drop},
		{"NTP", 123, "\x23" + strings.Repeat("\x00", 47), nfq.AcceptDecided, nfq.Drop},
		{"time of Windows", 123, "\xd9" + strings.Repeat("\x00", 47), nfq.Accept, nfq.Drop},
		{"QUIC", 443, quic(), nfq.AcceptDecided, nfq.Drop},
		{"STUN", 3478, "\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl", nfq.Accept, nfq.Drop},
		{"WireGuard's beginning", 51820, "\x01\x00\x00\x00" + random(144), nfq.AcceptDecided, nfq.Drop},
		{"WireGuard's data", 51820, "\x04\x00\x00\x00" + random(92), nfq.Accept, nfq.Drop},
		{"WARP, with reserved bytes", 2408, "\x01\x9a\x3c\x77" + random(144), nfq.Accept, nfq.Drop},
		{"Tailscale's discovery", 41641, "TS\xf0\x9f\x92\xac" + random(80), nfq.Accept, nfq.Drop},
		{"ZeroTier", 9993, random(137), nfq.Accept, nfq.Drop},
		{"L2TP", 1701, "\xc8\x02\x00\x14\x00\x00\x00\x00\x00\x00\x00\x00\x80\x08\x00\x00\x00\x00\x00\x01", nfq.Accept, nfq.Drop},
		{"OpenVPN at any port", 443, "\x38" + random(13), nfq.Accept, nfq.Drop},
		{"plain RTP", 40000, "\x80\x00\x00\x01\x00\x00\x00\xa0\x11\x22\x33\x44" + strings.Repeat("\xd5", 160), nfq.Accept, nfq.Drop},
		{"Source's games", 27015, "\xff\xff\xff\xffTSource Engine Query\x00", nfq.Accept, nfq.Drop},
		{"a game of its own", 7777, random(60), nfq.Accept, nfq.Drop},
		{"mosh", 60001, random(70), nfq.Accept, nfq.Drop},
		{"syslog", 514, "<14>Jan  1 00:00:00 host prog: text", nfq.Accept, nfq.Drop},
		{"SNMP", 161, "\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x04" + random(20), nfq.Accept, nfq.Drop},
		{"something unknown", 9999, "hullo", nfq.Accept, nfq.Drop},
		{"the middle of uTP, perhaps", 6881, "\x21\x00\xfd\xde\x32\xe3\x7e\x70\x00\x00\x01\x00\x00\x04\x00\x00\xf9\xce\x00\x07", nfq.Accept, nfq.Drop},
		{"the beginning of uTP", 6881, utpSYN, nfq.Drop, nfq.Drop},
		{"a query of the DHT", 6881, dhtFind, nfq.Drop, nfq.Drop},
		{"a tracker's", 6969, trackerAsks, nfq.Drop, nfq.Drop},
	} {
		w := lockedTorrent(t, nil)
		w.expect(tt.name+" of another program", udp(macA, hostA, 50555, "203.0.113.9", tt.port, []byte(tt.b)), tt.want)
		w.expect(tt.name+" of the client", w.speaks("203.0.113.9", tt.port, tt.b), tt.own)
		w.expect("a neighbour's "+tt.name, udp(macB, "192.168.1.51", 51413, "203.0.113.9", tt.port, []byte("neighbour")), nfq.Accept)
	}
	// Packets from outside are cut by the kernel: those to an own port.
	w := lockedTorrent(t, nil)
	w.expect("a query from outside", hears("203.0.113.10", 6881, dhtPing), nfq.Accept)
	w.expect("data from outside", hears("203.0.113.11", 6881, random(1400)), nfq.Accept)
	if p := w.e.Peers(nfq.Addr{}); len(p) != 1 || p[0].Addr != ip("198.51.100.7") {
		t.Errorf("peers %+v: who asks from outside is none", p)
	}
	w.pass(79 * time.Second)
	w.expect("another query from outside", hears("203.0.113.10", 6881, dhtPing), nfq.Accept)
	w.pass(2 * time.Second)
	if w.locked("192.168.1.50") {
		t.Error("the outside holds the lock")
	}
}

// A client is probed in the way that it answered last. Without an answer the other ways are
// tried in turn.
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
	// The way that was answered is used first in the next period.
	if s := strings.Join(got, " "); s != "krpc utp utp" {
		t.Errorf("probes: %s", s)
	}
	if w.e.Counters.Answers != 1 {
		t.Errorf("%d answers", w.e.Counters.Answers)
	}
	// Without any answer all three ways are tried. By TCP the default ports are tried too:
	// the client need not listen where it sent from.
	w = lockedTorrent(t, nil)
	w.e.SetProber(p)
	before, asked := len(w.out.udp), len(p.asked)
	w.pass(79 * time.Second)
	if len(w.out.udp) != before+2 || len(p.asked) != asked+guessesAtOnce || p.asked[asked].Port != 51413 {
		t.Errorf("%d by UDP, %d by TCP, want 2 and 4, the first at its own port", len(w.out.udp)-before, len(p.asked)-asked)
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

// mapping returns a request to the router to open a port.
func mapping() *nfq.Packet {
	p := udp(macA, "192.168.1.50", 5000, "192.168.1.1", 5351, []byte("\x00\x01\x00\x00\xc8\xd5\xc8\xd5\x00\x00\x0e\x10"))
	p.Hook, p.OutDev = nfq.HookInput, 0
	return p
}

// A connection that was cut stays cut when its data is sent again after the release.
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

// Ports are reused. The end of a hello that came after the verdict about its beginning may
// be left over from the earlier connection.
func TestPortsUsedAgain(t *testing.T) {
	w := lockedTorrent(t, nil)
	const server = "203.0.113.80"
	again := func(seq uint32) {
		t.Helper()
		syn := tcp(macA, "192.168.1.50", 4000, server, 443, nfq.SYN, nil)
		syn.Seq = seq - 1
		w.expect("SYN", syn, nfq.Accept)
		name := hello("www.example.org")
		w.expect("a hello", w.data(4000, server, 443, seq, name), nfq.AcceptDecided)
		w.expect("what was behind it", w.data(4000, server, 443, seq+uint32(len(name)), random(59)), nfq.AcceptDecided)
	}
	again(1000)
	again(900_000)
	again(3_000_000_000)
}

const announceLine = "GET /announce?info_hash=%AEF%021%BA%FDj%92%80%F5%CAv%C7%9E%5C%00R%B9%B91&peer_id=-lt0D60-abcdefghijkl&port=6890 HTTP/1.1\r\n"

// A host that announced itself to a tracker is asked at the port that it named.
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

// Probes wait when too many are under way, and the lock with them.
func TestProbeWaitsForRoom(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Protocols[torrent].Probe = false })
	p := &busyProber{room: 100}
	w.e.SetProber(p)
	w.open(4000, "203.0.113.80", 6969)
	w.expect("announce", w.data(4000, "203.0.113.80", 6969, 1000, announceLine+"\r\n"), nfq.Drop)
	w.e.ProbedTCP(p.id, []byte(random(300)), w.now)
	before := w.e.Counters.Probes
	p.room, p.id = 0, 0
	w.pass(100 * time.Second)
	if n := w.e.Counters.Probes - before; !w.locked("192.168.1.50") || p.id != 0 || n != 0 {
		t.Fatalf("without room: locked %v, asked %v, %d probes", w.locked("192.168.1.50"), p.id != 0, n)
	}
	p.room = 1
	if w.pass(time.Second); p.id == 0 || w.e.Counters.Probes != before+1 {
		t.Fatalf("%d probes when there was room", w.e.Counters.Probes-before)
	}
	p.room = 100
	if w.pass(80 * time.Second); w.locked("192.168.1.50") || w.e.Counters.Probes != before+uint64(len(probeAt)) {
		t.Errorf("locked %v after %d probes without an answer", w.locked("192.168.1.50"), w.e.Counters.Probes-before)
	}
}

// A busy client answers late: the next probe, which may be of another kind, was sent already.
// That counts in the same lock period, and not in a later one.
func TestAnsweredLate(t *testing.T) {
	for _, p := range detect.All {
		if len(p.Probes) > saltWay+1 {
			t.Errorf("%s has %d ways of probing, and a salt names %d", p.Name, len(p.Probes), saltWay+1)
		}
	}
	w := newWorld(t, nil)
	p := &prober{}
	w.e.SetProber(p)
	w.open(4000, "203.0.113.80", 6969)
	w.expect("announce", w.data(4000, "203.0.113.80", 6969, 1000, announceLine+"\r\n"), nfq.Drop)
	w.e.ProbedTCP(p.id, []byte(random(300)), w.now)
	probes := func(n uint64) {
		t.Helper()
		n += w.e.Counters.Probes
		for w.e.Counters.Probes < n && w.locked("192.168.1.50") {
			w.pass(time.Second)
		}
		if w.e.Counters.Probes != n {
			t.Fatalf("%d probes, want %d", w.e.Counters.Probes, n)
		}
	}
	old := uint64(0)
	for _, late := range []uint64{1, 2} {
		answers := w.e.Counters.Answers
		probes(1)
		first := p.id
		probes(late)
		if late == 1 && p.id == first {
			t.Fatal("the second is of the same kind")
		}
		if w.e.ProbedTCP(old, []byte(random(300)), w.now); w.e.Counters.Answers != answers {
			t.Error("an answer of an earlier lock period counted")
		}
		w.e.ProbedTCP(first, []byte(random(300)), w.now)
		if got := w.e.Counters.Answers - answers; got != 1 {
			t.Errorf("the answer that came after %d more: %d counted", late, got)
		}
		old = first
	}
}

// questions is how many UDP questions one port of an unknown host gets in a round.
func questions() (n int) {
	for _, p := range detect.All {
		for i := range p.Probes {
			if way := &p.Probes[i]; !way.TCP && way.Answered != nil && !way.Hash && !way.Key {
				n++
			}
		}
	}
	return n
}

// A host that sends to several others from one port is asked.
func TestSuspectedHostIsAsked(t *testing.T) {
	w := newWorld(t, nil)
	for i, dst := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.2", "203.0.113.3"} {
		if len(w.out.udp) != 0 {
			t.Fatalf("asked after %d datagrams", i)
		}
		w.expect("something unknown", w.speaks(dst, 7000, "whatever this is"), nfq.Accept)
	}
	if len(w.out.udp) != questions() || w.out.udp[0].dst != (nfq.AddrPort{Addr: ip("192.168.1.50"), Port: 51413}) {
		t.Fatalf("sent %+v, want one round of questions", w.out.udp)
	}
	w.expect("more of it", w.speaks("203.0.113.4", 7000, "whatever this is"), nfq.Accept)
	if len(w.out.udp) != questions() {
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
	// A host that never answers is asked rarely after a while.
	w = newWorld(t, nil)
	for range 600 {
		for _, dst := range []string{"203.0.113.1", "203.0.113.2", "203.0.113.3"} {
			w.expect("something unknown", w.speaks(dst, 7000, "whatever this is"), nfq.Accept)
		}
		w.pass(time.Second)
	}
	if n := len(w.out.udp) / questions(); n < 4 || n > 16 {
		t.Errorf("asked %d times in ten minutes", n)
	}
}

func TestSuspectFromBefore(t *testing.T) {
	w := newWorld(t, nil)
	w.e.Suspect(nfq.AddrPort{Addr: ip("192.168.1.50"), Port: 51413}, w.now)
	w.e.Suspect(nfq.AddrPort{Addr: ip("10.1.1.1"), Port: 51413}, w.now)
	if len(w.out.udp) != questions() {
		t.Fatalf("%d questions, want those of one round", len(w.out.udp))
	}
	probe, _ := hex.DecodeString(w.out.udp[0].payload)
	tid := probe[strings.Index(string(probe), "1:t4:")+5:][:4]
	w.expect("the answer", toRouter(51413, []byte("d1:rd2:id20:"+nodeID+"e1:t4:"+string(tid)+"1:y1:re")), nfq.Drop)
	if !w.locked("192.168.1.50") || w.sets.watched["192.168.1.50"] == 0 {
		t.Errorf("clients %+v, watched %v", w.e.Clients(w.now), w.sets.watched)
	}
}

func TestSearchInTheLAN(t *testing.T) {
	w := newWorld(t, nil)
	p := udp(macA, "192.168.1.50", 6771, "239.192.152.143", 6771, []byte("BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\n"+
		"Port: 51413\r\nInfohash: 0123456789abcdef0123456789abcdef01234567\r\n\r\n\r\n"))
	p.Hook, p.OutDev = nfq.HookInput, 0
	w.expect("local search", p, nfq.Accept)
	// Other programs can send this, too.
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
	if w.sets.locks["192.168.1.50"] == 0 || w.sets.watched["192.168.1.50"] == 0 {
		t.Errorf("locks %v, watched %v", w.sets.locks, w.sets.watched)
	}
	w.pass(81 * time.Second)
	if w.sets.cut() != 0 {
		t.Errorf("cut: %+v", w.sets)
	}
	if w.pass(watchTime); w.sets.cut()+len(w.sets.watched) != 0 {
		t.Errorf("left: %+v", w.sets)
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
	w.expect("TLS", w.data(4000, "203.0.113.80", 443, 1000, hello("www.example.org")), nfq.AcceptDecided)
	w.expect("SYN to the peer", w.syn("198.51.100.7"), nfq.Drop)
}

// Answers that pass may name others. They are no peers until the client itself goes there.
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
	if len(c) != 1 || !c[0].Locked || c[0].Program != w.e.Clients(w.now)[0].Program || sets.watched["192.168.1.50"] == 0 || sets.own["192.168.1.50 17 51413"] == 0 {
		t.Errorf("clients %+v, sets %+v", c, sets)
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
