// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"
)

const all = Set(1<<MaxProtocols - 1)

const hello = "\xfa\x00\xb6\x2b\xfa\xcb\x12\x38\x32\x09\xd2\x32"

// Messages to a proxy: authentication methods and destinations.
const (
	socksHello = "\x05\x01\x00"
	socksTo4   = "\x05\x01\x00\x01\xcb\x00\x71\x07\x1a\xe1"
)

// hash40 is a file's hash as written in a request.
const hash40 = "a65b5f21a110182b2d8df6c36adcef8bbf63ffff"

func endpoint(s string) Endpoint {
	e, ok := parseEndpoint([]byte(s))
	if !ok {
		panic(s)
	}
	return e
}

// streamForms are beginnings of TCP connections. | in the text cuts segments.
var streamForms = []struct {
	name     string
	text     string
	inbound  bool
	want     Match // No, Yes, or More when the end is not reached
	reason   Reason
	peers    string // endpoints, separated by blanks
	ignored  int
	httpDone bool // the head was read to its end
	sure     bool // a program sent it, and no browser
}{
	// Behind a proxy.
	{name: "SOCKS5, a handshake", text: socksHello + "|" + socksTo4 + "|" + peerProtocol + strings.Repeat("x", 48), want: Yes, reason: ReasonHello, sure: true},
	{name: "SOCKS5 to a name", text: "\x05\x02\x00\x02|\x05\x01\x00\x03\x0bexample.org\x1a\xe1|" + peerProtocol, want: Yes, reason: ReasonHello, sure: true},
	{name: "SOCKS5 by IPv6", text: socksHello + "|\x05\x01\x00\x04" + strings.Repeat("\x20", 16) + "\x1a\xe1|" + peerProtocol, want: Yes, reason: ReasonHello, sure: true},
	{name: "SOCKS5 with a password", text: "\x05\x01\x02|\x01\x04user\x06secret|" + socksTo4 + "|" + peerProtocol, want: Yes, reason: ReasonHello, sure: true},
	{name: "SOCKS5 with an empty password", text: "\x05\x01\x02|\x01\x01u\x00|" + socksTo4 + "|" + peerProtocol, want: Yes, reason: ReasonHello, sure: true},
	{name: "SOCKS5, all at once", text: socksHello + socksTo4 + peerProtocol, want: Yes, reason: ReasonHello, sure: true},
	{name: "SOCKS5 byte by byte", text: bytewise("\x05\x01\x02\x01\x04user\x06secret" + socksTo4 + peerProtocol), want: Yes, reason: ReasonHello, sure: true},
	{name: "SOCKS5, a request of Kazaa's", text: socksHello + "|" + socksTo4 + "|GET /.hash=" + hash40 + " HTTP/1.1\r\nX-Kazaa-Username: u\r\n\r\n", want: Yes, reason: ReasonTransfer, sure: true},
	{name: "SOCKS5, a page", text: socksHello + "|" + socksTo4 + "|GET / HTTP/1.1\r\nHost: x\r\n\r\n", want: No, httpDone: true},
	{name: "SOCKS5, TLS", text: socksHello + "|" + socksTo4 + "|\x16\x03\x01\x02\x00\x01\x00\x01\xfc", want: No},
	{name: "SOCKS5, nothing inside yet", text: socksHello + "|" + socksTo4, want: More},
	{name: "SOCKS5, a part of its request", text: socksHello + "|" + socksTo4[:7], want: More},
	{name: "SOCKS5, no such request", text: socksHello + "|\x05\x04\x00\x01\x01\x02\x03\x04\x00\x50", want: No},
	{name: "SOCKS5, no such address", text: socksHello + "|\x05\x01\x00\x02\x01\x02\x03\x04\x00\x50", want: No},
	{name: "SOCKS5, no such method", text: "\x05\x01\x20abcdef", want: No},
	{name: "a 5, and something else", text: "\x05\x01\x00abcdef", want: No},
	{name: "SOCKS5 from outside is none", text: socksHello + "|" + socksTo4 + "|" + peerProtocol, inbound: true, want: No},
	{name: "SOCKS4", text: "\x04\x01\x1a\xe1\xcb\x00\x71\x07user\x00|" + peerProtocol, want: Yes, reason: ReasonHello, sure: true},
	{name: "SOCKS4 without a user", text: "\x04\x01\x1a\xe1\xcb\x00\x71\x07\x00|" + peerProtocol, want: Yes, reason: ReasonHello, sure: true},
	{name: "SOCKS4a", text: "\x04\x01\x1a\xe1\x00\x00\x00\x01u\x00example.org\x00|" + peerProtocol, want: Yes, reason: ReasonHello, sure: true},
	{name: "SOCKS4, and something else", text: "\x04\x01\x1a\xe1\xcb\x00\x71\x07\x00and more", want: No},
	{name: "CONNECT", text: "CONNECT 203.0.113.7:6881 HTTP/1.1\r\nHost: 203.0.113.7:6881\r\n\r\n|" + peerProtocol, want: Yes, reason: ReasonHello, sure: true},
	{name: "CONNECT of a program that calls itself a browser", text: "CONNECT 203.0.113.7:6881 HTTP/1.1\r\nUser-Agent: Mozilla/5.0\r\n\r\n|" + peerProtocol, want: Yes, reason: ReasonHello, sure: true},
	{name: "CONNECT, all at once", text: "CONNECT 203.0.113.7:6881 HTTP/1.0\r\n\r\n" + peerProtocol, want: Yes, reason: ReasonHello, sure: true},
	{name: "CONNECT byte by byte", text: bytewise("CONNECT 203.0.113.7:6881 HTTP/1.1\r\nHost: x\r\n\r\n" + peerProtocol), want: Yes, reason: ReasonHello, sure: true},
	{name: "CONNECT, an announce", text: "CONNECT t.example:80 HTTP/1.1\r\n\r\n|GET /announce?info_hash=%AEF%021%BA%FDj%92%80%F5%CAv%C7%9E%5C%00R%B9%B91&port=1 HTTP/1.1\r\nUser-Agent: Transmission/3.00\r\n\r\n", want: Yes, reason: ReasonAnnounce, sure: true},
	{name: "CONNECT, TLS", text: "CONNECT www.example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n|\x16\x03\x01\x02\x00\x01\x00\x01\xfc", want: No},
	{name: "CONNECT through CONNECT is not followed", text: "CONNECT a:1 HTTP/1.1\r\n\r\n|CONNECT b:1 HTTP/1.1\r\n\r\n|" + peerProtocol, want: No, httpDone: true},
	{name: "CONNECT from outside is none", text: "CONNECT a:1 HTTP/1.1\r\n\r\n|" + peerProtocol, inbound: true, want: No, httpDone: true},

	// Requests of a client.
	{name: "giFT's request", text: "GET /.hash=" + hash40 + " HTTP/1.1\r\nRange: bytes=0-39999\r\nUserAgent: giFT-FastTrack 0.8.9\r\nX-Kazaa-Network: KaZaA\r\nX-Kazaa-Username: giFTed\r\nHost: 203.0.113.77:1214\r\n\r\n", want: Yes, reason: ReasonTransfer, sure: true},
	{name: "MLDonkey's request", text: "GET /.hash=" + hash40 + " HTTP/1.0\r\nX-Kazaa-Network: KaZaA\r\nConnection: Keep-Alive\r\n\r\n", want: Yes, reason: ReasonTransfer, sure: true},
	{name: "hash alone is a picture's address", text: "GET /.hash=" + hash40 + " HTTP/1.1\r\nHost: x\r\n\r\n", want: No, httpDone: true},
	{name: "hash alone, HEAD", text: "HEAD /.hash=" + hash40 + " HTTP/1.1\r\n\r\n", want: No, httpDone: true},
	{name: "hash, bare line feed", text: "GET /.hash=" + hash40 + " HTTP/1.1\nX-Kazaa-Username: u\n\n", want: Yes, reason: ReasonTransfer, sure: true},
	{name: "hash, HEAD", text: "HEAD /.hash=" + hash40 + " HTTP/1.1\r\nX-Kazaa-Username: u\r\n\r\n", want: Yes, reason: ReasonTransfer, sure: true},
	{name: "hash cut within GET", text: "G|ET /.hash=" + hash40 + " HTTP/1.1\r\nX-Kazaa-Username: u\r\n", want: Yes, reason: ReasonTransfer},
	{name: "hash cut within the path", text: "GET /.ha|sh=" + hash40 + " HTTP/1.1\r\nX-Kazaa-Username: u\r\n", want: Yes, reason: ReasonTransfer},
	{name: "hash cut before its line end", text: "GET /.hash=" + hash40 + " HTTP/1.1|\r|\nX-Kazaa-Username: u\r\n\r|\n", want: Yes, reason: ReasonTransfer, sure: true},
	{name: "hash byte by byte", text: bytewise("GET /.hash=" + hash40 + " HTTP/1.1\r\nX-Kazaa-Username: u\r\n\r\n"), want: Yes, reason: ReasonTransfer, sure: true},
	{name: "file id with Kazaa's header", text: "GET /12345/song.mp3 HTTP/1.1\r\nX-Kazaa-Username: u\r\n", want: Yes, reason: ReasonTransfer},
	{name: "file id alone is web", text: "GET /12345/song.mp3 HTTP/1.1\r\nHost: x\r\n\r\n", want: No, httpDone: true},
	{name: "header in lower case", text: "GET /1/a HTTP/1.1\r\nx-kazaa-network: KaZaA\r\n", want: Yes, reason: ReasonTransfer},
	{name: "header in upper case", text: "GET /1/a HTTP/1.1\r\nX-KAZAA-NETWORK: KaZaA\r\n", want: Yes, reason: ReasonTransfer},
	{name: "header after many others", text: "GET /1/a HTTP/1.1\r\n" + strings.Repeat("Accept: text/html\r\n", 50) + "X-Kazaa-Username: u\r\n", want: Yes, reason: ReasonTransfer},
	{name: "header behind 4 KiB counts no more", text: "GET /1/a HTTP/1.1\r\n" + strings.Repeat("Accept: text/html\r\n", 250) + "X-Kazaa-Username: u\r\n", want: No, httpDone: true},
	{name: "header after a line longer than the buffer", text: "GET /1/a HTTP/1.1\r\nX-Long: " + strings.Repeat("c", 3000) + "\r\nX-Kazaa-Username: u\r\n", want: Yes, reason: ReasonTransfer},
	{name: "long line in pieces, then the header", text: "GET /1/a HTTP/1.1\r\nX-Long: " + strings.Repeat("c", 500) + "|" + strings.Repeat("d", 500) + "|\r\nX-Kazaa-Username: u\r\n", want: Yes, reason: ReasonTransfer},
	{name: "header cut within its name", text: "GET /1/a HTTP/1.1\r\nX-Ka|zaa-Username: u\r\n", want: Yes, reason: ReasonTransfer},
	{name: "header cut at its line end", text: "GET /1/a HTTP/1.1\r|\nX-Kazaa-Username: u\r|\n", want: Yes, reason: ReasonTransfer},
	{name: "X-KazaaTag", text: "GET /1/a HTTP/1.1\r\nX-KazaaTag: 4=song\r\n", want: Yes, reason: ReasonTransfer},
	{name: "UserAgent of Kazaa", text: "GET /1/a HTTP/1.1\r\nUserAgent: KazaaClient Jun  2 2003\r\n", want: Yes, reason: ReasonTransfer},
	{name: "User-Agent of giFT", text: "GET /1/a HTTP/1.1\r\nUser-Agent:gift-fasttrack 0.8\r\n", want: Yes, reason: ReasonTransfer},
	{name: "User-Agent that only mentions it", text: "GET /1/a HTTP/1.1\r\nUser-Agent: Mozilla (not KazaaClient)\r\n\r\n", want: No, httpDone: true},
	{name: "supernode", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP: 198.51.100.9:2354\r\n", want: Yes, reason: ReasonTransfer, peers: "198.51.100.9:2354"},
	{name: "supernode cut within the address", text: "GET /.hash=" + hash40 + " HTTP/1.1\r\nX-Kazaa-SupernodeIP: 198.51.|100.9:2354\r\n", want: Yes, reason: ReasonTransfer, peers: "198.51.100.9:2354"},
	{name: "supernode with blanks", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP:\t 198.51.100.9:2354 \t\r\n", want: Yes, reason: ReasonTransfer, peers: "198.51.100.9:2354"},
	{name: "supernode without blank", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP:198.51.100.9:2354\r\n", want: Yes, reason: ReasonTransfer, peers: "198.51.100.9:2354"},
	{name: "the client's own address is no peer", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-IP: 198.51.100.9:2354\r\n", want: Yes, reason: ReasonTransfer},
	{name: "supernode without a port", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP: 198.51.100.9\r\n", want: Yes, reason: ReasonTransfer, ignored: 1},
	{name: "supernode with port 0", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP: 198.51.100.9:0\r\n", want: Yes, reason: ReasonTransfer, ignored: 1},
	{name: "supernode with port 65536", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP: 198.51.100.9:65536\r\n", want: Yes, reason: ReasonTransfer, ignored: 1},
	{name: "supernode with 256", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP: 198.51.100.256:1214\r\n", want: Yes, reason: ReasonTransfer, ignored: 1},
	{name: "supernode with a number that overflows", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP: 4294967494.51.100.9:1214\r\n", want: Yes, reason: ReasonTransfer, ignored: 1},
	{name: "supernode with a sign", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP: 198.51.100.-9:1214\r\n", want: Yes, reason: ReasonTransfer, ignored: 1},
	{name: "supernode with text behind", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP: 198.51.100.9:1214x\r\n", want: Yes, reason: ReasonTransfer, ignored: 1},
	{name: "private supernode", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP: 192.168.1.1:1214\r\n", want: Yes, reason: ReasonTransfer, ignored: 1},
	{name: "multicast supernode", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP: 239.1.2.3:1214\r\n", want: Yes, reason: ReasonTransfer, ignored: 1},
	{name: "loopback supernode", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP: 127.0.0.1:1214\r\n", want: Yes, reason: ReasonTransfer, ignored: 1},
	{name: "empty supernode", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-SupernodeIP:\r\n", want: Yes, reason: ReasonTransfer, ignored: 1},
	// Replies.
	{name: "giFT's reply", inbound: true, text: "HTTP/1.1 206 Partial Content\r\nServer: x\r\nX-Kazaa-IP: 203.0.113.77:1214\r\nX-Kazaa-SupernodeIP: 203.0.113.99:2354\r\n\r\nRRRR", want: Yes, reason: ReasonTransfer, peers: "203.0.113.77:1214 203.0.113.99:2354", sure: true},
	{name: "reply in pieces", inbound: true, text: "HTTP/1.1 206 Partial Content\r\nServer: x\r\nX-Kaz|aa-IP: 203.0.113.77:12|14\r\n\r\n", want: Yes, reason: ReasonTransfer, peers: "203.0.113.77:1214", sure: true},
	{name: "404 with headers", inbound: true, text: "HTTP/1.0 404 Not Found\r\nX-Kazaa-Username: giFTed\r\n\r\n", want: Yes, reason: ReasonTransfer, sure: true},
	{name: "web reply", inbound: true, text: "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>X-Kazaa-Username: u\r\n", want: No, httpDone: true},
	{name: "web reply of which the head is not over", inbound: true, text: "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", want: More, httpDone: true},
	// Push.
	{name: "GIVE from outside", inbound: true, text: "GIVE 1\r\n", want: Yes, reason: ReasonPush, sure: true},
	{name: "GIVE to the outside", text: "GIVE 4294967295\r\n", want: Yes, reason: ReasonPush, sure: true},
	{name: "GIVE in pieces", inbound: true, text: "GI|VE |12|\r|\n", want: Yes, reason: ReasonPush, sure: true},
	{name: "GIVE with a bare line feed", inbound: true, text: "GIVE 1\n", want: Yes, reason: ReasonPush, sure: true},
	{name: "GIVE without a number", inbound: true, text: "GIVE \r\n", want: No},
	{name: "GIVE with text", inbound: true, text: "GIVE one\r\n", want: No},
	{name: "GIVE with eleven digits", inbound: true, text: "GIVE 12345678901\r\n", want: No},
	{name: "GIV of Gnutella", inbound: true, text: "GIV 1:00/file\r\n", want: No},
	// Sessions.
	{name: "hello", text: hello, want: Yes, reason: ReasonHello, sure: true},
	{name: "hello with more", text: hello + "abcdef", want: Yes, reason: ReasonHello, sure: true},
	{name: "hello in pieces", text: hello[:1] + "|" + hello[1:11] + "|" + hello[11:], want: Yes, reason: ReasonHello, sure: true},
	{name: "hello, not whole", text: hello[:11], want: More},
	{name: "hello from outside is none of the client's", inbound: true, text: hello, want: No},
	{name: "hello with one byte changed", text: hello[:11] + "\x33", want: No},
	// Harmless connections.
	{name: "TLS", text: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", want: No},
	{name: "SSH", text: "SSH-2.0-OpenSSH_9.2\r\n", want: No},
	{name: "SMTP", inbound: true, text: "220 mail.example ESMTP\r\n", want: No},
	{name: "SMTP client", text: "EHLO example\r\n", want: No},
	{name: "POST", text: "POST /form HTTP/1.1\r\nHost: x\r\n\r\nX-Kazaa-Username: u\r\n", want: No, httpDone: true},
	{name: "path that mentions the hash", text: "GET /search?q=/.hash= HTTP/1.1\r\nHost: x\r\n\r\n", want: No, httpDone: true},
	{name: "value that mentions the header", text: "GET / HTTP/1.1\r\nReferer: X-Kazaa-Username: u\r\n\r\n", want: No, httpDone: true},
	{name: "header name that only ends so", text: "GET / HTTP/1.1\r\nNot-X-Kazaa-Username: u\r\n\r\n", want: No, httpDone: true},
}

func bytewise(s string) string { return strings.Join(strings.Split(s, ""), "|") }

// feedAll feeds the segments in turn and collects the findings.
func feedAll(s *Stream, segments []string, outbound bool, f *Finding) (Match, []Endpoint) {
	seq := uint32(0xfffffff0) // the numbers wrap on the way
	last := More
	found := false
	var peers []Endpoint
	for _, g := range segments {
		m := s.Feed(all, seq, []byte(g), outbound, f)
		seq += uint32(len(g))
		peers = append(peers, f.Peers[:f.N]...)
		f.N = 0
		if m == Yes {
			found = true
		}
		last = m
	}
	if found {
		return Yes, peers
	}
	return last, peers
}

// feedAllocs returns how often a stream allocates when a segment begins a connection.
func feedAllocs(segment string, outbound bool) float64 {
	var s Stream
	var f Finding
	b := []byte(segment)
	return testing.AllocsPerRun(50, func() {
		s = Stream{}
		f.Reset()
		s.Feed(all, 1, b, outbound, &f)
	})
}

func TestStreamForms(t *testing.T) {
	for _, tt := range streamForms {
		t.Run(tt.name, func(t *testing.T) {
			var s Stream
			var f Finding
			got, peers := feedAll(&s, strings.Split(tt.text, "|"), !tt.inbound, &f)
			if got != tt.want {
				t.Fatalf("match %d, want %d", got, tt.want)
			}
			if got == Yes && (f.Reason != tt.reason || f.Kind != Session) {
				t.Errorf("reason %v, want %v", f.Reason, tt.reason)
			}
			var names []string
			for _, p := range peers {
				names = append(names, fmt.Sprintf("%d.%d.%d.%d:%d", p.Addr[12], p.Addr[13], p.Addr[14], p.Addr[15], p.Port))
			}
			if n := strings.Join(names, " "); n != tt.peers {
				t.Errorf("peers %q, want %q", n, tt.peers)
			}
			if f.Ignored != tt.ignored {
				t.Errorf("ignored %d, want %d", f.Ignored, tt.ignored)
			}
			if s.Sure() != tt.sure {
				t.Errorf("sure: %v, want %v", s.Sure(), tt.sure)
			}
			if got != Yes && s.http != tt.httpDone {
				t.Errorf("taken for HTTP: %v, want %v", s.http, tt.httpDone)
			}
			if n := feedAllocs(tt.text, !tt.inbound); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
	if len(streamForms) < 40 {
		t.Errorf("only %d forms", len(streamForms))
	}
}

// TestBrowsersHeadIsNotReadOn: after a line that only browsers write, the rest of the head
// can tell nothing, unless the head asks a proxy for a connection.
func TestBrowsersHeadIsNotReadOn(t *testing.T) {
	for _, tt := range []struct {
		head string
		done bool
	}{
		{"GET / HTTP/1.1\r\nHost: a.example\r\n", false},
		{"GET / HTTP/1.1\r\nHost: a.example\r\nUser-Agent: Mozilla/5.0\r\n", true},
		{"GET / HTTP/1.1\r\nUser-Agent: Wget/1.21\r\n", false},
		{"CONNECT a.example:443 HTTP/1.1\r\nUser-Agent: Mozilla/5.0\r\n", false},
	} {
		var s Stream
		var f Finding
		if s.Feed(all, 1, []byte(tt.head), true, &f); s.Done() != tt.done {
			t.Errorf("%q: done: %v", tt.head, s.Done())
		}
	}
}

// TestGeneratedHeads builds 5,000 heads with headers in any order and case, cut anywhere.
// A head is recognised exactly if it has a Kazaa header. It counts as a program's exactly
// if it has no browser's line.
func TestGeneratedHeads(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	harmless := []string{
		"Host: example.com", "Accept: */*", "Range: bytes=0-1", "Connection: close", "X-Forwarded-For: 192.0.2.1",
		"User-Agent: Wget/1.21", "X-Cookie: x-kazaa-username=u", "X-Kazoo: 1", "Via: 1.1 kazaa", "X-Referer: http://kazaa.example/.hash=",
	}
	browser := []string{"User-Agent: Mozilla/5.0", "Cookie: x-kazaa-username=u", "Accept-Language: en", "Origin: null", "Referer: http://kazaa.example/", "Sec-Fetch-Site: none"}
	telling := []string{
		"X-Kazaa-Username: u", "X-Kazaa-Network: KaZaA", "X-Kazaa-XferId: 7", "X-Kazaa-XferUid: a=", "X-KazaaTag: 4=s",
		"UserAgent: KazaaClient x", "X-Kazaa-SupernodeIP: 198.51.100.9:1214", "X-Kazaa-IP: 203.0.113.77:1214",
	}
	mix := func(s string) string {
		name, value, _ := strings.Cut(s, ":")
		b := []byte(name)
		for i, c := range b {
			if rng.IntN(2) == 0 {
				b[i] = lower(c)
			} else if c >= 'a' && c <= 'z' {
				b[i] = c - 'a' + 'A'
			}
		}
		return string(b) + ":" + value
	}
	yes := 0
	for i := range 5000 {
		inbound := rng.IntN(2) == 0
		first := [...]string{"GET / HTTP/1.1", "GET /9/a.mp3 HTTP/1.0", "POST /x HTTP/1.1"}[rng.IntN(3)]
		if inbound {
			first = [...]string{"HTTP/1.1 200 OK", "HTTP/1.0 206 Partial Content", "HTTP/1.1 404 Not Found"}[rng.IntN(3)]
		}
		want := No
		lines := []string{}
		for range rng.IntN(12) {
			lines = append(lines, mix(harmless[rng.IntN(len(harmless))]))
		}
		node := false
		if rng.IntN(2) == 0 {
			want = Yes
			for range 1 + rng.IntN(4) {
				l := telling[rng.IntN(len(telling))]
				node = node || strings.HasPrefix(l, "X-Kazaa-Super")
				lines = append(lines, mix(l))
			}
		}
		sure := want == Yes
		if rng.IntN(3) == 0 {
			sure = false
			lines = append(lines, mix(browser[rng.IntN(len(browser))]))
		}
		rng.Shuffle(len(lines), func(a, b int) { lines[a], lines[b] = lines[b], lines[a] })
		head := first + "\r\n" + strings.Join(append(lines, "", ""), "\r\n") + "body X-Kazaa-Username: u\r\n"
		var segments []string
		for rest := head; rest != ""; {
			n := 1 + rng.IntN(min(len(rest), 1+rng.IntN(200)))
			segments = append(segments, rest[:n])
			rest = rest[n:]
		}
		var s Stream
		var f Finding
		got, peers := feedAll(&s, segments, !inbound, &f)
		if s.Sure() != sure {
			t.Fatalf("head %d: sure: %v:\n%q", i, s.Sure(), segments)
		}
		if want == Yes && !sure {
			// The lines before the browser's line are a match, and may or may not name a
			// peer.
			continue
		}
		if got != want {
			t.Fatalf("head %d: match %d, want %d:\n%q", i, got, want, segments)
		}
		if got == Yes {
			yes++
		}
		seen := false
		for _, p := range peers {
			seen = seen || p == endpoint("198.51.100.9:1214")
		}
		if seen != node {
			t.Fatalf("head %d: supernode seen: %v, want %v:\n%q", i, seen, node, segments)
		}
	}
	if yes < 1300 || yes > 2000 {
		t.Errorf("%d of 5,000 heads had something to find: the generator is lopsided", yes)
	}
}

// TestBrowserMarks: a head with a line that only web browsers write never counts as a
// program's, wherever that line stands and however the head is cut.
func TestBrowserMarks(t *testing.T) {
	const hash = "%AEF%021%BA%FDj%92%80%F5%CAv%C7%9E%5C%00R%B9%B91"
	tellings := []struct{ first, header string }{
		{"GET /.hash=" + hash40 + " HTTP/1.1", "X-Kazaa-Username: u"},
		{"GET / HTTP/1.1", "X-Kazaa-SupernodeIP: 198.51.100.9:1214"},
		{"POST /x HTTP/1.1", "UserAgent: KazaaClient Jun  2 2003"},
		{"GET /announce?info_hash=" + hash + "&port=6881 HTTP/1.1", "Host: t.example"},
		{"GET /announce?info_hash=" + hash + "&port=6881 HTTP/1.1", "User-Agent: Transmission/3.00"},
	}
	marks := []string{
		"", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "Accept-Language: en", "Origin: https://a.example", "Referer: https://a.example/",
		"Cookie: a=b", "Sec-Fetch-Mode: no-cors", "sec-ch-ua: x", "ORIGIN: null", "accept-language:de",
		// Lines that only look similar.
		"X-Origin: a", "Accept: text/html", "User-Agent: Wget/1.21 Mozilla/", "Second: 1", "Cookies: 1",
	}
	const last = 9
	for _, tt := range tellings {
		for i, mark := range marks {
			sure := i == 0 || i > last
			for place, lines := range map[string][]string{
				"before": {tt.first, mark, tt.header}, "behind": {tt.first, tt.header, mark},
				"far behind": {tt.first, tt.header, "Accept: " + strings.Repeat("x", 1200), mark},
			} {
				head := strings.Join(lines, "\r\n") + "\r\n\r\n"
				if mark == "" {
					head = strings.Replace(head, "\r\n\r\n", "\r\n", 1)
					if !strings.HasSuffix(head, "\r\n\r\n") {
						head += "\r\n"
					}
				}
				half := len(head) / 2
				for how, segments := range map[string][]string{
					"in one": {head}, "in two": {head[:half], head[half:]}, "byte by byte": strings.Split(head, ""),
				} {
					var s Stream
					var f Finding
					got, _ := feedAll(&s, segments, true, &f)
					if s.Sure() != sure {
						t.Errorf("%q, %q %s, %s: sure %v, want %v", tt.header, mark, place, how, s.Sure(), sure)
					}
					if how == "in one" && (got == Yes) != sure {
						t.Errorf("%q, %q %s: match %d", tt.header, mark, place, got)
					}
				}
				// Before the end of the head, the sender is unknown.
				var s Stream
				var f Finding
				feedAll(&s, []string{head[:len(head)-1]}, true, &f)
				if s.Sure() {
					t.Errorf("%q, %q %s: sure before the head is over", tt.header, mark, place)
				}
			}
		}
	}
	// Anything other than HTTP counts as a program's at once.
	for _, b := range []string{hello, "GIVE 1\r\n", peerProtocol} {
		var s Stream
		var f Finding
		feedAll(&s, []string{b}, true, &f)
		if !s.Sure() {
			t.Errorf("%q: not sure", b)
		}
	}
}

func TestStreamSize(t *testing.T) {
	if n := unsafe.Sizeof(Stream{}); n > 188 {
		t.Errorf("a stream has %d bytes", n)
	}
}

func TestStreamOrder(t *testing.T) {
	head := "GET /9/a HTTP/1.1\r\nX-Kazaa-Username: u\r\n\r\n"
	var s Stream
	var f Finding
	s.Start(100)
	if m := s.Feed(all, 110, []byte(head[10:]), true, &f); m != Gap {
		t.Fatalf("a segment that came too early: %d, want a gap", m)
	}
	if m := s.Feed(all, 100, []byte(head[:10]), true, &f); m != More {
		t.Fatalf("the first segment: %d", m)
	}
	if m := s.Feed(all, 95, []byte("xxxxx"+head[:8]), true, &f); m != More {
		t.Fatalf("what was seen before: %d", m)
	}
	if m := s.Feed(all, 105, []byte(head[5:]), true, &f); m != Yes {
		t.Fatalf("a segment that overlaps: %d, want a match", m)
	}
}

func FuzzStream(f *testing.F) {
	for _, tt := range streamForms {
		f.Add([]byte(tt.text), []byte{3, 40, 1}, !tt.inbound)
	}
	// Sessions of which a later message is read as well.
	for _, text := range []string{slskNicotine33 + slskListen, slskMLDonkey + slskListen2, adcHello + adcEiskalt, "$Supports a|$Key b|$ValidateNick bob|$MyINFO $ALL bob <++ V:1,M:A>$|"} {
		f.Add([]byte(text), []byte{3, 40, 1}, true)
	}
	f.Fuzz(func(t *testing.T, b, cuts []byte, outbound bool) {
		beginsAsNamed(t, b, outbound)
		// The cuts of a stream do not change what is found. The exception is a long first
		// line: in one piece, more of it is read.
		var whole, parts Stream
		var f1, f2 Finding
		// This includes a beginning that fills the buffer before it is recognised as
		// HTTP.
		one, p1 := feedAll(&whole, []string{string(b)}, outbound, &f1)
		var segments []string
		rest := string(b)
		for _, c := range cuts {
			n := min(int(c)+1, len(rest))
			if n == 0 {
				break
			}
			segments = append(segments, rest[:n])
			rest = rest[n:]
		}
		segments = append(segments, rest)
		many, p2 := feedAll(&parts, segments, outbound, &f2)
		if bytes.IndexByte(b, '\n') > StreamBuffer {
			return
		}
		if (one == Yes) != (many == Yes) {
			t.Fatalf("%q in one: %d, in %q: %d", b, one, segments, many)
		}
		if len(p1) < MaxNamed && len(p1) != len(p2) {
			t.Fatalf("%q: peers %v in one, %v in %q", b, p1, p2, segments)
		}
	})
}

// A protocol that does not recognise a beginning must leave the finding as it was:
// another protocol may recognise the beginning later.
func TestFirstSaysNothingButYes(t *testing.T) {
	for _, tt := range streamForms {
		for n := range len(tt.text) {
			for _, p := range All {
				var f, nothing Finding
				if p.First != nil && p.First([]byte(tt.text[:n+1]), !tt.inbound, &f) != Yes && f != nothing {
					t.Errorf("%s of %q: %+v", p.Name, tt.text[:n+1], f)
				}
			}
		}
	}
}

// beginsAsNamed fails if a protocol knows a beginning that Begins does not name.
func beginsAsNamed(t *testing.T, b []byte, outbound bool) {
	t.Helper()
	for _, p := range All {
		if p.First == nil || p.Begins == "" || len(b) == 0 || strings.IndexByte(p.Begins, b[0]) >= 0 {
			continue
		}
		var f Finding
		if m := p.First(b, outbound, &f); m != No {
			t.Errorf("%s does not name %#x, and says %d of %q", p.Name, b[0], m, b)
		}
	}
}

func TestBegins(t *testing.T) {
	for _, tt := range streamForms {
		b := []byte(tt.text)
		for c := range 256 {
			b[0] = byte(c)
			beginsAsNamed(t, b, !tt.inbound)
			beginsAsNamed(t, b[:1], !tt.inbound)
		}
	}
	for _, tt := range greetings {
		beginsAsNamed(t, []byte(strings.ReplaceAll(tt.text, "|", "")), !tt.in)
	}
}

func FuzzHello(f *testing.F) {
	f.Add([]byte(hello))
	f.Add([]byte("GIVE 1\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var fi Finding
		m := FastTrack.First(b, true, &fi)
		isHello := strings.HasPrefix(string(b), hello)
		if isHello && m != Yes || m == Yes && !isHello && !strings.HasPrefix(string(b), "GIVE ") {
			t.Fatalf("%x: match %d", b, m)
		}
	})
}

// TestInner: each destination behind a proxy has a hash of its own. The inner stream
// begins after the messages to the proxy.
func TestInner(t *testing.T) {
	numbers := map[uint32]string{0: "none"}
	for _, head := range []string{
		socksHello + "|" + socksTo4,
		socksHello + "|" + socksTo4[:9] + "\x51",
		socksHello + "|\x05\x01\x00\x03\x0bexample.org\x1a\xe1",
		"\x04\x01\x1a\xe1\xcb\x00\x71\x07u\x00",
		"CONNECT 203.0.113.7:6881 HTTP/1.1\r\n\r\n",
		"CONNECT 203.0.113.8:6881 HTTP/1.1\r\n\r\n",
	} {
		var s Stream
		var f Finding
		seq := uint32(1000)
		for part := range strings.SplitSeq(head, "|") {
			s.Feed(all, seq, []byte(part), true, &f)
			seq += uint32(len(part))
		}
		if other := numbers[s.Inner()]; other != "" {
			t.Errorf("%q has the number of %q", head, other)
		}
		numbers[s.Inner()] = head
		if s.Began() != seq {
			t.Errorf("%q: what is inside begins at %d, want %d", head, s.Began(), seq)
		}
	}
	// Datagrams through a SOCKS proxy.
	const query = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"
	for _, tt := range []struct {
		head string
		ok   bool
	}{
		{"", true},
		{"\x00\x00\x00\x01\xcb\x00\x71\x07\x1a\xe1", true},
		{"\x00\x00\x00\x03\x01a\x1a\xe1", true},
		{"\x00\x00\x00\x04" + strings.Repeat("\x20", 16) + "\x1a\xe1", true},
		{"\x00\x00\x01\x01\xcb\x00\x71\x07\x1a\xe1", false}, // a fragment
		{"\x00\x00\x00\x02\xcb\x00\x71\x07\x1a\xe1", false},
		{"\x00\x00\x00\x01\xcb\x00\x71\x07\x1a", false},
	} {
		var f Finding
		kind := btDatagram([]byte(tt.head+query), &f)
		if (kind == Query) != tt.ok || tt.ok && (f.Inner != 0) != (tt.head != "") {
			t.Errorf("%q: kind %v, inner %d", tt.head, kind, f.Inner)
		}
	}
}

func FuzzProxy(f *testing.F) {
	f.Add([]byte(socksHello+socksTo4+peerProtocol), uint8(3))
	f.Add([]byte("\x05\x01\x02\x01\x04user\x06secret"+socksTo4+peerProtocol), uint8(1))
	f.Add([]byte("\x04\x01\x1a\xe1\x00\x00\x00\x01u\x00example.org\x00"), uint8(5))
	f.Add([]byte("CONNECT a:1 HTTP/1.1\r\n\r\n"+peerProtocol), uint8(7))
	f.Add([]byte("\x00\x00\x00\x01\xcb\x00\x71\x07\x1a\xe1d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"), uint8(9))
	f.Fuzz(func(t *testing.T, b []byte, size uint8) {
		if inner, to := relayed(b); len(inner) > len(b) || (to == 0) != (len(inner) == len(b)) {
			t.Fatalf("%d of %d bytes, %d", len(inner), len(b), to)
		}
		var s Stream
		var x Finding
		seq := uint32(1)
		for rest := b; len(rest) > 0; {
			n := min(len(rest), 1+int(size))
			s.Feed(all, seq, rest[:n], true, &x)
			if s.Began() > s.next || s.Began() == 0 {
				t.Fatalf("begins at %d, %d was seen", s.Began(), s.next)
			}
			rest, seq = rest[n:], seq+uint32(n)
		}
	})
}
