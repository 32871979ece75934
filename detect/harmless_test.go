// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"crypto/tls"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"unsafe"
)

// hello returns what a TLS client of today sends first: it has a post-quantum
// key, and more than a segment's bytes.
func tlsClientHello(name string) string {
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: name == ""}).Handshake()
		client.Close()
	}()
	b := make([]byte, 8192)
	n, err := server.Read(b)
	if err != nil {
		panic(err)
	}
	return string(b[:n])
}

// records cuts the message in one TLS record into records of n bytes.
func records(hello string, n int) string {
	var out strings.Builder
	for rest := hello[tlsHead:]; rest != ""; {
		k := min(n, len(rest))
		out.WriteString(hello[:3] + string([]byte{byte(k >> 8), byte(k)}) + rest[:k])
		rest = rest[k:]
	}
	return out.String()
}

// smallHello is a hello with the given extensions.
func smallHello(extensions string) string {
	body := "\x03\x03" + strings.Repeat("\x55", 32) + "\x00\x00\x02\x13\x01\x01\x00"
	if extensions != "" {
		body += string([]byte{byte(len(extensions) >> 8), byte(len(extensions))}) + extensions
	}
	message := string([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}) + body
	return "\x16\x03\x01" + string([]byte{byte(len(message) >> 8), byte(len(message))}) + message
}

func serverName(name string) string {
	n := len(name)
	return string([]byte{0, 0, 0, byte(n + 5), 0, byte(n + 3), 0, 0, byte(n)}) + name
}

// siftForms are beginnings of connections. In text, <|> cuts segments.
var siftForms = []struct {
	name string
	text string
	port uint16
	in   bool
	want bool  // harmless
	end  Match // of the last segment, where it is not No
}{
	{name: "TLS", text: tlsClientHello("example.org"), port: 443, want: true},
	{name: "TLS elsewhere", text: tlsClientHello("www.example.org"), port: 40443, want: true},
	{name: "TLS to a LAN host", text: tlsClientHello("www.example.org"), port: 40443, in: true, want: true},
	{name: "TLS cut in records", text: records(tlsClientHello("www.example.org"), 100), port: 443, want: true},
	{name: "TLS cut in records of a byte", text: records(smallHello(serverName("www.example.org")), 1), port: 443, want: true},
	{name: "TLS whose name is behind 4 KiB", text: smallHello("\x00\x15\x10\x00" + strings.Repeat("\x00", 0x1000) + serverName("www.example.org")), port: 443},
	{name: "TLS in segments", text: "\x16\x03\x01<|>" + tlsClientHello("example.org")[3:], port: 443, want: true},
	{name: "TLS without a name", text: tlsClientHello(""), port: 443, want: true},
	{name: "TLS without a name, elsewhere", text: tlsClientHello(""), port: 40443},
	{name: "TLS without extensions", text: smallHello(""), port: 443, want: true},
	{name: "TLS without extensions, elsewhere", text: smallHello(""), port: 6881},
	{name: "small hello", text: smallHello("\x00\x17\x00\x00" + serverName("example.org")), port: 6881, want: true},
	{name: "info hash for a name", text: smallHello(serverName(hash40)), port: 443},
	{name: "address for a name", text: smallHello(serverName("203.0.113.10")), port: 443},
	{name: "address of IPv6 for a name", text: smallHello(serverName("2001:db8::1")), port: 443},
	{name: "name without a dot", text: smallHello(serverName("tracker")), port: 443},
	{name: "name with a blank", text: smallHello(serverName("a.b c")), port: 443},
	{name: "name of two kinds", text: smallHello(strings.Replace(serverName("example.org"), "\x0e\x00\x00", "\x0e\x01\x00", 1)), port: 443},
	{name: "name longer than its extension", text: smallHello("\x00\x00\x00\x06\x00\x04\x00\x00\x02a."), port: 443},
	{name: "extension longer than the hello", text: smallHello("\x00\x17\x00\x09"), port: 443},
	{name: "name not whole", text: smallHello(serverName("example.org"))[:70], port: 443, end: More},
	{name: "TLS alert", text: "\x15\x03\x01\x00\x02\x02\x28", port: 443},
	{name: "server hello", text: "\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + strings.Repeat("\x55", 100), port: 443, in: true},

	{name: "SSH", text: "SSH-2.0-OpenSSH_9.2\r\n", want: true},
	{name: "SSH in pieces", text: "S<|>S<|>H<|>-2.0-OpenSSH_9.2\r\n", want: true},
	{name: "SSH server", text: "SSH-2.0-dropbear\r\n", in: true, want: true},
	{name: "mail server", text: "220 mail.example ESMTP\r\n", in: true, want: true},
	{name: "mail server with more lines", text: "220-mail.example\r\n", in: true, want: true},
	{name: "mail client", text: "EHLO example\r\n", want: true},
	{name: "mail client in lower case", text: "ehlo example\r\n", want: true},
	{name: "POP3", text: "+OK ready\r\n", in: true, want: true},
	{name: "IMAP", text: "* OK [CAPABILITY IMAP4rev1] ready\r\n", in: true, want: true},
	{name: "IRC", text: "NICK joe\r\nUSER joe 0 * :joe\r\n", want: true},
	{name: "IRC with capabilities", text: "CAP LS 302\r\n", want: true},
	{name: "XMPP", text: "<?xml version='1.0'?><stream:stream to='example.org'", want: true},
	{name: "XMPP without a declaration", text: "<stream:stream to='example.org'", want: true},
	{name: "RTSP", text: "DESCRIBE rtsp://example.org/a RTSP/1.0\r\n", want: true},
	{name: "RTSP with options first", text: "OPTIONS rtsp://example.org/a RTSP/1.0\r\nCSeq: 1\r\n\r\n", want: true},
	{name: "SIP", text: "REGISTER sip:example.org SIP/2.0\r\n", want: true},
	{name: "VNC", text: "RFB 003.008\n", in: true, want: true},
	{name: "remote desktop", text: "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x0b\x00\x00\x00", want: true},
	{name: "TPKT of something else", text: "\x03\x00\x00\x13\x0e\xf0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x0b\x00\x00\x00"},
	{name: "SMB 1", text: "\x00\x00\x00\x45\xffSMB\x72", want: true},
	{name: "SMB 2", text: "\x00\x00\x00\xd0\xfeSMB\x40", want: true},
	{name: "SMB 2 in pieces", text: "\x00<|>\x00\x00\xd0\xfe<|>SM<|>B\x40", want: true},
	{name: "DNS", text: "\x00\x1d" + dnsQuery[:29], port: 53, want: true},
	{name: "DNS elsewhere", text: "\x00\x1d" + dnsQuery[:29], port: 54},
	{name: "DNS, length alone", text: "\x00\x1d<|>" + dnsQuery[:29], port: 53, want: true},
	{name: "MQTT", text: "\x10\x1a\x00\x04MQTT\x04\x02\x00\x3c", want: true},
	{name: "MQTT 3.1", text: "\x10\x9a\x01\x00\x06MQIsdp\x03\x02\x00\x3c", want: true},
	{name: "TURN", text: unhexString("000300082112a4424e735a564e306b515969737a0019000411000000"), want: true},
	{name: "STUN with its length", text: "\x00\x14" + unhexString("000100002112a4424e735a564e306b515969737a"), want: true},
	{name: "STUN in pieces", text: "\x00\x14<|>" + unhexString("00010000") + "<|>" + unhexString("2112a4424e735a564e306b515969737a"), want: true},
	{name: "HTTP/2", text: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", want: true},
	{name: "web", text: "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", want: true},
	{name: "web in pieces", text: "G<|>ET / HTTP/1.1\r\nHo<|>st: example.org\r\n\r<|>\n", want: true},
	{name: "web reply", text: "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n<p>", in: true, want: true},
	{name: "web, head not over", text: "GET / HTTP/1.1\r\nHost: example.org\r\n", end: More},
	{name: "web, long head", text: "GET / HTTP/1.1\r\n" + strings.Repeat("Cookie: aaaaaaaaaaaaaaaaaaaaaaaa\r\n", 200), want: true},

	{name: "tracker", text: "GET /announce?info_hash=%AEF%021%BA%FDj%92%80%F5%CAv%C7%9E%5C%00R%B9%B91&port=1 HTTP/1.1\r\nHost: x\r\n\r\n", end: Yes},
	{name: "tracker in pieces", text: "GET /announce?info_hash=%AEF%021%BA%FDj%92%80%F5%CAv%C7%9E%5C%00R%B9%B91&port=1 HTTP/1.1\r\n<|>Host: x\r\n\r\n"},
	{name: "Kazaa", text: "GET /1/a HTTP/1.1\r\nX-Kazaa-Username: u\r\n<|>\r\n"},
	{name: "peer", text: peerProtocol + strings.Repeat("\x00", 48), end: Yes},
	{name: "peer in pieces", text: peerProtocol[:5] + "<|>" + peerProtocol[5:], end: Yes},
	{name: "encrypted peer", text: strings.Repeat("\x9a\x27\x18\xa5", 24)},
	{name: "Gnutella", text: "GNUTELLA CONNECT/0.6\r\n\r\n"},
	{name: "Direct Connect", text: "$Lock EXTENDEDPROTOCOL"},
	{name: "eDonkey", text: "\xe3\x29\x00\x00\x00\x01\x10"},
	{name: "one byte", text: "1", in: true},
}

func siftAll(t *testing.T, s *Stream, segments []string, outbound bool) Match {
	t.Helper()
	var f Finding
	seq := uint32(0xfffffff0)
	var m Match
	for _, g := range segments {
		m = s.Feed(all|Harmless, seq, []byte(g), outbound, &f)
		seq += uint32(len(g))
	}
	return m
}

func TestSift(t *testing.T) {
	for _, tt := range siftForms {
		var s Stream
		s.WantPort(tt.port)
		m := siftAll(t, &s, strings.Split(tt.text, "<|>"), !tt.in)
		if m != tt.end || s.Harmless() != tt.want {
			t.Errorf("%s: match %d, harmless %v, want %d and %v", tt.name, m, s.Harmless(), tt.end, tt.want)
		}
		if m == No && !s.Done() {
			t.Errorf("%s: more is wanted behind the end", tt.name)
		}
		b := []byte(tt.text)
		var f Finding
		if n := testing.AllocsPerRun(20, func() {
			s = Stream{}
			s.WantPort(tt.port)
			s.Feed(all|Harmless, 1, b, !tt.in, &f)
			s.Harmless()
		}); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

// However a hello is cut, its name is read.
func TestHelloInPieces(t *testing.T) {
	hello := tlsClientHello("www.example.org")
	if len(hello) < 1400 {
		t.Errorf("the hello has %d bytes: no post-quantum key", len(hello))
	}
	for _, text := range []string{hello, records(hello, 700), smallHello(serverName("a.b"))} {
		for i := range len(text) {
			var s Stream
			if m := siftAll(t, &s, []string{text[:i], text[i:]}, true); m != No || !s.Harmless() {
				t.Fatalf("%d bytes cut at %d: match %d, harmless %v", len(text), i, m, s.Harmless())
			}
		}
		var s Stream
		if siftAll(t, &s, strings.Split(text, ""), true); !s.Harmless() {
			t.Fatalf("%d bytes one by one: not harmless", len(text))
		}
	}
}

// Without the bit, nothing is looked for: a stream ends where it did.
func TestSiftIsOnlyWhenAsked(t *testing.T) {
	for _, text := range []string{tlsClientHello("example.org"), "SSH-2.0-x\r\n", "rf"} {
		var s Stream
		var f Finding
		if m := s.Feed(all, 1, []byte(text), true, &f); m != No || s.Harmless() || !s.Done() {
			t.Errorf("%.8q: match %d, harmless %v", text, m, s.Harmless())
		}
	}
}

// The first message of an encrypted session is unknown, and known to be so at
// once.
func TestSiftRandom(t *testing.T) {
	rng := rand.NewChaCha8([32]byte{1})
	b := make([]byte, 608)
	later := 0
	for range 200000 {
		rng.Read(b)
		var s Stream
		var f Finding
		s.WantPort(443)
		// What looks like the beginning of something may be looked at
		// for longer, but is nothing known.
		switch m := s.Feed(all|Harmless, 1, b[:96], true, &f); {
		case s.Harmless() || m == Yes:
			t.Fatalf("%x: match %d, harmless %v", b[:96], m, s.Harmless())
		case m == More:
			later++
		}
	}
	if later > 2 {
		t.Errorf("%d of 200,000 random beginnings are open behind 96 bytes", later)
	}
}

func TestStreamSize(t *testing.T) {
	if n := unsafe.Sizeof(Stream{}); n > 208 {
		t.Errorf("a stream has %d bytes", n)
	}
}

func FuzzSift(f *testing.F) {
	for _, tt := range siftForms {
		f.Add([]byte(tt.text), []byte{3, 40, 1, 200}, tt.port, !tt.in)
	}
	f.Fuzz(func(t *testing.T, b, cuts []byte, port uint16, outbound bool) {
		var whole, parts, old Stream
		var fi Finding
		whole.WantPort(port)
		parts.WantPort(port)
		one := whole.Feed(all|Harmless, 1, b, outbound, &fi)
		var segments []string
		rest := string(b)
		for _, c := range cuts {
			n := min(int(c)+1, len(rest))
			segments = append(segments, rest[:n])
			rest = rest[n:]
		}
		siftAll(t, &parts, append(segments, rest), outbound)
		// A line or a beginning that is longer than the buffer may be
		// judged by less of it.
		if whole.Harmless() != parts.Harmless() {
			t.Fatalf("%q: harmless %v, but %v in %q", b, whole.Harmless(), parts.Harmless(), segments)
		}
		// The bit changes nothing of what is found.
		fi.Reset()
		if two := old.Feed(all, 1, b, outbound, &fi); (one == Yes) != (two == Yes) || two == More && one == No {
			t.Fatalf("%q: %d without the bit, %d with it", b, two, one)
		}
	})
}

func BenchmarkSift(b *testing.B) {
	hello := tlsClientHello("www.example.org")
	for _, bb := range []struct {
		name     string
		segments []string
	}{
		{"TLS", []string{hello}},
		{"TLS in two segments", []string{hello[:1300], hello[1300:]}},
		{"HTTP", []string{"GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n\r\n"}},
		{"encrypted peer", []string{string(make([]byte, 50)) + strings.Repeat("\x9a\x27\x18\xa5", 50)}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var data [][]byte
			for _, s := range bb.segments {
				data = append(data, []byte(s))
			}
			var f Finding
			var s Stream
			b.ReportAllocs()
			for b.Loop() {
				s = Stream{}
				s.WantPort(443)
				seq := uint32(1)
				for _, d := range data {
					s.Feed(all|Harmless, seq, d, true, &f)
					seq += uint32(len(d))
				}
			}
		})
	}
}
