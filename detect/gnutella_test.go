// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"strings"
	"testing"
)

// Messages of gtk-gnutella 1.2.2 and MLDonkey 3.2.1.
const (
	gtkConnect = "GNUTELLA CONNECT/0.6\r\nNode: 93.47.226.53:28681\r\nRemote-IP: 104.156.226.72\r\n" +
		"User-Agent: gtk-gnutella/1.2.2 (2022-02-25; GTK2; Windows x64)\r\nPong-Caching: 0.1\r\nX-Query-Routing: 0.2\r\n\r\n"
	mlConnect = "GNUTELLA CONNECT/0.6\r\nAccept: application/x-gnutella2\r\nUser-Agent: MLDonkey/3.2.1.git\r\n" +
		"X-Ultrapeer: False\r\nListen-IP: 192.168.1.50:6346\r\nRemote-IP: 203.0.113.131\r\nX-My-Address: 192.168.1.50:6346\r\n\r\n"
	gtkRefuse = "GNUTELLA/0.6 503 Too many ultra connections (4 max)\r\nUser-Agent: gtk-gnutella/1.2.2\r\n\r\n"
	gtkGet    = "GET /uri-res/N2R?urn:sha1:LXIP2A72T5H3BU3GRUMZFYNU3OYDK6FI HTTP/1.1\r\n" +
		"User-Agent: gtk-gnutella/1.2.2 (2022-02-25; GTK2; Windows x64)\r\nHost: 189.147.72.83:26108\r\n" +
		"X-Features: tls/1.0, queue/1.1\r\nX-Token: YiUJ5OMw; OcWmcw==\r\nRange: bytes=2709924-3234211\r\n\r\n"
	gtkTree = "GET /gnutella/thex/v1?urn:tree:tiger/:3WMUS6WM2ZC7XIPRQDKXWHHJRV4IKYC4OX4ELCA&depth=9 HTTP/1.1\r\n" +
		"User-Agent: gtk-gnutella/1.2.2\r\nX-Queue: 1.1\r\n\r\n"
	shareazaReply = "HTTP/1.1 206 OK\r\nServer: Shareaza 2.7.10.2\r\nX-Nick: x\r\n" +
		"X-Content-URN: urn:bitprint:LXIP2A72T5H3BU3GRUMZFYNU3OYDK6FI.3WMUS6WM2ZC7XIPRQDKXWHHJRV4IKYC4OX4ELCA\r\n\r\n"

	gtkPingHex   = "cb1b31023c1c74d5ffbfc72c3bd61c03 00 01 00 05000000 c382514b40"
	gtkPongHex   = "104156226c1c74d5ffbfc72c3bd61c03 01 01 00 0e000000 0ad0689ce248 00000000 08000000"
	gtkDHTHex    = "00e33102236c909793a89b9e94e78968 44 00 00 3a000000 0547544b470000289d0a8d06deffc8263c33897c2c9179fd84ab61045d2fe23570090101 0000289d0a8d06deffc8263c33897c2c9179fd84ab61"
	gtkVendorHex = "62250a040006887a0000000000000000 31 01 00 09000000 47544b470900010000"
	gtkQKRHex    = "474e4410 3e91 01 01 540b514b525006524e415d2fe2350970"
	mlPIHex      = "474e4402 0001 01 01 4c0b504950065544 50c6336401ca18"
	mlAckHex     = "474e4400 0100 01 00"
)

func TestGnutellaStream(t *testing.T) {
	const guid = "0123456789abcdefABCDEF0123456789"
	for _, tt := range []struct {
		name   string
		text   string // ~ cuts segments
		in     bool
		want   bool
		reason Reason
		client string
		port   uint16
		sure   bool // it is conduct, and no browser sent it
	}{
		{name: "gtk-gnutella", text: gtkConnect, want: true, reason: ReasonHello, client: "gtk-gnutella/1.2.2 (2022-02-25; GTK2; Windows x6", port: 28681, sure: true},
		{name: "MLDonkey, for G2", text: mlConnect, want: true, reason: ReasonHello, client: "MLDonkey/3.2.1.git", port: 6346, sure: true},
		{name: "the old version", text: "GNUTELLA CONNECT/0.4\n\n", want: true, reason: ReasonHello, sure: true},
		{name: "in pieces", text: "GNUT~ELLA CONN~ECT/0~.6\r\n\r\n", want: true, reason: ReasonHello, sure: true},
		{name: "an answer", text: gtkRefuse, want: true, reason: ReasonHello, client: "gtk-gnutella/1.2.2", sure: true},
		{name: "from outside", text: gtkConnect, in: true},
		{name: "another word", text: "GNUTELLA HELLO/0.6\r\n\r\n"},
		{name: "no version", text: "GNUTELLA CONNECT/x.6\r\n\r\n"},

		{name: "a file that was asked for", text: "GIV 12:" + guid + "/a song.mp3\n\n", want: true, reason: ReasonPush, sure: true},
		{name: "the same by G2", text: "PUSH guid:" + guid + "\r\n\r\n", want: true, reason: ReasonPush, sure: true},
		{name: "FastTrack's", text: "GIVE 12\r\n"},
		{name: "no number", text: "GIV :" + guid + "/"},
		{name: "a number that is too long", text: "GIV 12345678901:" + guid + "/"},
		{name: "a short guid", text: "GIV 1:0123/"},
		{name: "a guid that does not end", text: "GIV 1:" + guid + guid},

		{name: "a download", text: gtkGet, want: true, reason: ReasonTransfer, client: "gtk-gnutella/1.2.2 (2022-02-25; GTK2; Windows x6", sure: true},
		{name: "the hashes of a file", text: gtkTree, want: true, reason: ReasonTransfer, client: "gtk-gnutella/1.2.2", sure: true},
		{name: "an upload", text: shareazaReply, want: true, reason: ReasonTransfer, sure: true},
		{name: "what is shared", text: "GET / HTTP/1.1\r\nAccept: text/html\r\nAccept: application/x-gnutella-packets\r\n\r\n", want: true, reason: ReasonTransfer, sure: true},
		{
			name: "a picture in a page",
			text: "GET /uri-res/N2R?urn:sha1:LXIP2A72T5H3BU3GRUMZFYNU3OYDK6FI HTTP/1.1\r\nHost: a\r\nUser-Agent: Mozilla/5.0\r\nX-Features: a\r\n\r\n",
		},
		{name: "words of a page", text: "POST / HTTP/1.1\r\nUser-Agent: Mozilla/5.0\r\nX-Gnutella-Content-URN: urn:sha1:A\r\n\r\n"},
		{name: "the address alone", text: "GET /uri-res/N2R?urn:sha1:LXIP2A72 HTTP/1.1\r\nUser-Agent: curl/8\r\n\r\n", want: true, reason: ReasonTransfer, client: "curl/8"},
		{name: "usual words and another address", text: "GET /a HTTP/1.1\r\nUser-Agent: x\r\nX-Token: 1\r\nX-Features: 2\r\n\r\n"},
	} {
		var s Stream
		var f Finding
		seq := uint32(99)
		got, conduct := false, false
		var reason Reason
		for _, b := range strings.Split(tt.text, "~") {
			f.Reset()
			if s.Feed(1<<ByName("gnutella"), seq, []byte(b), !tt.in, &f) == Yes {
				got, reason, conduct = true, f.Reason, conduct || f.Conduct
			}
			seq += uint32(len(b))
		}
		if got != tt.want || reason != tt.reason || f.Client.String() != tt.client || f.TCPPort != tt.port || (conduct && s.Sure()) != tt.sure {
			t.Errorf("%s: %v, %v, client %q, port %d, conduct %v, sure %v", tt.name, got, reason, f.Client.String(), f.TCPPort, conduct, s.Sure())
		}
	}
}

func TestGnutellaDatagram(t *testing.T) {
	for _, tt := range []struct {
		name, hex string
		want      Kind
		reason    Reason
	}{
		{"ping", gtkPingHex, Query, ReasonPing},
		{"pong", gtkPongHex, Reply, ReasonPong},
		{"a question to the DHT", gtkDHTHex, Query, ReasonPing},
		{"a maker's message", gtkVendorHex, Reply, ReasonPong},
		{"a length that is not its own", strings.Replace(gtkPingHex, "05000000", "06000000", 1), None, 0},
		{"another type", strings.Replace(gtkPingHex, "03 00 01", "03 10 01", 1), None, 0},
		{"a pong that is too short", strings.Replace(gtkPingHex, "03 00 01", "03 01 01", 1), None, 0},
		{"a maker without letters", strings.Replace(gtkVendorHex, "47544b47", "01020304", 1), None, 0},
		{"zeros", strings.Repeat("00", 23), None, 0},
		{"too far", strings.Replace(gtkPingHex, "00 01 00", "00 ff 00", 1), None, 0},
		{"a question of G2", gtkQKRHex, Query, ReasonPing},
		{"ping of G2", mlPIHex, Query, ReasonPing},
		{"pong of G2", "474e4400 0001 01 01 08504f", Reply, ReasonPong},
		{"acknowledgement", mlAckHex, Reply, ReasonPong},
		{"the longer one", "47544120 0001 03 00 00000007", Reply, ReasonPong},
		{"by gtk-gnutella's own form", "47544102 0001 01 01" + gtkPingHex, Query, ReasonPing},
		{"that, and no message", "47544102 0001 01 01 0102030405", None, 0},
		{"the second part", "474e4402 0001 02 03 aabbcc", Query, ReasonPing},
		{"deflated", "474e4403 0001 01 01 789caabb", Query, ReasonPing},
		{"a flag that nobody knows", "474e4404 0001 01 01 085049", None, 0},
		{"a part beyond the last", "474e4402 0001 03 02 085049", None, 0},
		{"part zero", "474e4402 0001 00 02 085049", None, 0},
		{"a name in small letters", "474e4402 0001 01 01 087069", None, 0},
		{"a length that is too long", "474e4402 0001 01 01 48085049", None, 0},
		{"a length that is too short", "474e4402 0001 01 01 0850490102", None, 0},
		{"an acknowledgement and more", mlAckHex + "00", None, 0},
		{"text", "474e4420" + "68656c6c6f20776f726c64", None, 0},
		{"nothing", "", None, 0},
	} {
		var f Finding
		b := unhex(t, tt.hex)
		k := gnDatagram(b, &f)
		if k != tt.want || k != None && (f.Reason != tt.reason || !f.Conduct) {
			t.Errorf("%s: %d, %v, conduct %v", tt.name, k, f.Reason, f.Conduct)
		}
	}
}

// TestGnutellaBesideTorrents: Shareaza has the same user agent in both networks.
func TestGnutellaBesideTorrents(t *testing.T) {
	for _, tt := range []struct {
		text string
		want *Protocol
	}{
		{"GNUTELLA CONNECT/0.6\r\nUser-Agent: Shareaza 2.7.10.2\r\n\r\n", &Gnutella},
		{"GET /uri-res/N2R?urn:sha1:LXIP2A72 HTTP/1.1\r\nUser-Agent: Shareaza 2.7.10.2\r\nX-Queue: 0.1\r\n\r\n", &Gnutella},
		{"GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=-SD2710-aaaaaaaaaaaa&port=6346 HTTP/1.1\r\nUser-Agent: Shareaza 2.7.10.2\r\n\r\n", &BitTorrent},
	} {
		var s Stream
		var f Finding
		if s.Feed(^Set(0), 1, []byte(tt.text), true, &f) != Yes || All[f.Protocol] != tt.want {
			t.Errorf("%q: %s", tt.text, All[f.Protocol].Name)
		}
	}
}

func TestGnutellaAsked(t *testing.T) {
	var q, b [MaxAnswer]byte
	ping := q[:gnPing(q[:], nil, 77)]
	var f Finding
	if gnDatagram(ping, &f) != Query || len(ping) != 23 || ping[8] != 0xff || ping[15] != 0 {
		t.Fatalf("ping % x", ping)
	}
	if gnPinged(ping, ping) {
		t.Error("the ping answers itself")
	}
	a := Asked{Peer: [16]byte{10: 0xff, 11: 0xff, 12: 203, 13: 0, 14: 113, 15: 9}, PeerPort: 6346}
	pong := b[:gnAnswer(b[:], ping, AnswerWelcome, &a)]
	if !gnPinged(pong, ping) {
		t.Errorf("pong % x", pong)
	}
	if want := append(append([]byte(nil), ping[:16]...), unhex(t, "01 01 00 0e000000 ca18 cb007109 00000000 00000000")...); string(pong) != string(want) {
		t.Errorf("pong % x, want % x", pong, want)
	}
	pong[0]++
	if gnPinged(pong, ping) {
		t.Error("a pong with another number is taken")
	}
	for _, n := range []int{gnAnswer(b[:], ping, AnswerNone, &a), gnAnswer(b[:10], ping, AnswerWelcome, &a), gnAnswer(b[:], unhex(t, gtkDHTHex), AnswerWelcome, &a), gnPing(b[:9], nil, 1), g2Ping(b[:9], nil, 1)} {
		if n != 0 {
			t.Errorf("%d bytes where there is no answer", n)
		}
	}

	g2 := append([]byte(nil), q[:g2Ping(q[:], nil, 77)]...)
	if gnDatagram(g2, &f) != Query || string(g2[:4]) != "GND\x02" || string(g2[8:]) != "\x08PI" {
		t.Fatalf("ping of G2 % x", g2)
	}
	ack := append([]byte("GND\x00"), g2[4], g2[5], 1, 0)
	if !g2Pinged(ack, g2) {
		t.Error("what acknowledges it is not taken")
	}
	ack[5]++
	if g2Pinged(ack, g2) || g2Pinged(g2, g2) {
		t.Error("another number, or the ping itself, is taken")
	}

	ask := q[:gnQuestion(q[:], nil, 1)]
	for _, tt := range []struct {
		text string
		want bool
	}{
		{"GNUTELLA/0.6 200 OK\r\n", true},
		{gtkRefuse, true},
		{string(ask), false},
		{"GNUTELLA/0.6 hello", false},
		{"HTTP/1.1 400 Bad Request\r\n", false},
		{"", false},
	} {
		if got := gnAnswered([]byte(tt.text), ask); got != tt.want {
			t.Errorf("%q: %v", tt.text, got)
		}
	}
}

func TestGnutellaAllocates(t *testing.T) {
	datagrams := [][]byte{unhex(t, gtkPingHex), unhex(t, gtkDHTHex), unhex(t, gtkQKRHex), unhex(t, mlPIHex)}
	streams := [][]byte{[]byte(gtkConnect), []byte(gtkGet), []byte(shareazaReply)}
	var f Finding
	var b [MaxAnswer]byte
	var a Asked
	var s Stream
	if n := testing.AllocsPerRun(100, func() {
		for _, x := range datagrams {
			f.Reset()
			gnDatagram(x, &f)
			gnAnswer(b[:], x, AnswerWelcome, &a)
		}
		for _, x := range streams {
			f.Reset()
			s = Stream{}
			s.Feed(1<<ByName("gnutella"), 1, x, true, &f)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzGnutella(f *testing.F) {
	for _, s := range []string{gtkPingHex, gtkPongHex, gtkDHTHex, gtkVendorHex, gtkQKRHex, mlPIHex, mlAckHex} {
		f.Add(unhex(f, s))
	}
	for _, s := range []string{gtkConnect, mlConnect, gtkRefuse, gtkGet, shareazaReply, "GIV 1:0123456789abcdef0123456789abcdef/"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var x Finding
		var out [MaxAnswer]byte
		a := Asked{Peer: [16]byte{10: 0xff, 11: 0xff, 12: 203, 15: 9}}
		if n := gnAnswer(out[:], b, AnswerWelcome, &a); n > 0 && !gnPinged(out[:n], b) {
			t.Errorf("the answer % x does not fit", out[:n])
		}
		gnDatagram(b, &x)
		gnFirst(b, true, &x)
		gnHeader(b, true, true, &x)
		gnHeader(b, false, true, &x)
		gnAnswered(b, nil)
		g2Pinged(b, b)
	})
}
