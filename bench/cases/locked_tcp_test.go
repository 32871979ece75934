// SPDX-License-Identifier: GPL-2.0-or-later

package cases

import (
	"bytes"
	"encoding/binary"
)

// The addresses of the servers that a locked host uses.
const (
	webServer = "203.0.113.23:80"
	tlsServer = "203.0.113.20:443"
)

var lockedTCP = []row{
	{"K4", "an upload of 43 KB", 10, func(t *talk) {
		c := t.tcp(50001, webServer).say("POST /upload HTTP/1.1\r\nHost: up.example\r\nContent-Length: 43440\r\n\r\n")
		for range 15 {
			c.out(bytes.Repeat([]byte("A"), 2*mss)).acknowledge()
		}
		c.hear("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}},
	{"K4", "an answer behind many acknowledgements", 10, func(t *talk) {
		data := func(n int) []byte { return bytes.Repeat([]byte("C"), n) }
		c := t.tcp(50001, webServer).say("POST /u HTTP/1.1\r\nHost: up.example\r\nContent-Length: 40000\r\n\r\n")
		for range 20 {
			c.out(data(1400))
		}
		for range 30 {
			c.acknowledge()
		}
		// The last one was captured before it was cut into segments.
		c.out(data(1400)).segment(step, true, "PA", data(10600))
		c.hear("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}},
	{"K6", "CONNECT", 10, func(t *talk) {
		t.tcp(50001, "203.0.113.22:3128").say("CONNECT www.example.net:443 HTTP/1.1\r\nHost: www.example.net:443\r\n\r\n").
			hear("HTTP/1.1 200 Connection established\r\n\r\n").
			out(t.clientHello("www.example.net")).in(t.serverHello())
	}},
	{"K6", "PROPFIND", 10, method("PROPFIND")},
	{"K6", "RPC_IN_DATA", 10, method("RPC_IN_DATA")},
	{"K6", "LOCK", 10, method("LOCK")},
	{"K8", "TLS to a name that is an address", 10, tls("203.0.113.20")},
	{"K8", "TLS to a name of one label", 10, tls("exchange")},
	{"K9", "OpenVPN by TCP", 10, func(t *talk) {
		t.tcp(50001, "203.0.113.30:1194").
			out(append(t.filled("000e38", 11), 0, 0, 0, 0, 0)).
			in(append(t.filled("001a40", 11), t.filled("0100000000", 18)...)).cipher(3)
	}},
	{"K9", "PPTP", 10, func(t *talk) {
		start := func(kind string) []byte { return append(unhex("009c00011a2b3c4d"+kind), make([]byte, 146)...) }
		t.tcp(50001, "203.0.113.30:1723").out(start("0001")).in(start("0002")).cipher(3)
	}},
	{"K10", "IRC", 10, func(t *talk) {
		t.tcp(50001, "203.0.113.30:6667").hear(":irc.example NOTICE * :*** Looking up your hostname...\r\n").
			say("CAP LS 302\r\nNICK a\r\n").hear(":irc.example 001 a :Welcome\r\n").cipher(3)
	}},
	{"K10", "NNTP", 10, func(t *talk) {
		t.tcp(50001, "203.0.113.30:119").hear("200 news.example ready\r\n").say("MODE READER\r\n").hear("200 ok\r\n").cipher(3)
	}},
	{"K10", "HTTP/2 without TLS, the server first", 10, func(t *talk) {
		t.tcp(50001, webServer).in(t.filled("000012040000000000", 27)).
			out([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")).
			in(unhex("000000040100000000")).cipher(3)
	}},
	{"K11", "FTP, passive", 10, func(t *talk) {
		c := t.tcp(50001, "203.0.113.40:21").hear("220 ready\r\n").
			say("USER anonymous\r\n").hear("331 ok\r\n").say("PASS x\r\n").hear("230 ok\r\n").
			say("PASV\r\n").hear("227 Entering Passive Mode (203,0,113,40,195,80)\r\n")
		data := t.tcp(50002, "203.0.113.40:50000")
		c.say("RETR a.zip\r\n").hear("150 here\r\n")
		for range 20 {
			data.in(t.filled("504b0304", 1404))
		}
		c.hear("226 done\r\n")
	}},
	{"K14", "WhatsApp's chat", 10, func(t *talk) {
		t.tcp(50001, "203.0.113.30:5222").out(t.filled("45440001000004085c", 55)).in(t.random(60)).cipher(3)
	}},
	{"K14", "Telegram on port 443", 10, func(t *talk) {
		t.tcp(50001, "203.0.113.30:443").out(t.random(105)).in(t.random(100)).cipher(3)
	}},
	{"K14", "RTMP", 10, func(t *talk) {
		t.tcp(50001, "203.0.113.30:1935").out(t.filled("03", mss)).in(t.filled("03", mss)).cipher(3)
	}},
}

// method makes two HTTP requests with a method that browsers do not use.
func method(name string) func(*talk) {
	return func(t *talk) {
		t.tcp(50001, webServer).say(name + " /dav/ HTTP/1.1\r\nHost: dav.example\r\nContent-Length: 0\r\n\r\n").
			hear("HTTP/1.1 207 Multi-Status\r\nContent-Length: 0\r\n\r\n").
			say(name + " /dav/2 HTTP/1.1\r\nHost: dav.example\r\n\r\n")
	}
}

func tls(name string) func(*talk) {
	return func(t *talk) {
		record := func() []byte { return t.filled("1703030040", 69) }
		t.tcp(50001, tlsServer).out(t.clientHello(name)).in(t.serverHello()).out(record()).in(record())
	}
}

// clientHello returns the ClientHello of TLS for a server name.
func (t *talk) clientHello(name string) []byte {
	list := prefixed16(append([]byte{0}, prefixed16([]byte(name))...))
	extensions := append(unhex("0000"), prefixed16(list)...)
	extensions = append(extensions, unhex("000a00080006001d00170018")...) // groups
	extensions = append(extensions, unhex("000d0006000404030804")...)     // signatures
	extensions = append(extensions, unhex("002b0003020304")...)           // versions
	body := append(unhex("0303"), t.random(32)...)
	body = append(append(body, 32), t.random(32)...)
	body = append(body, unhex("000613011302c02f0100")...)
	return tlsRecord(1, append(body, prefixed16(extensions)...))
}

// serverHello returns the server's answer to a ClientHello.
func (t *talk) serverHello() []byte {
	body := append(unhex("0303"), t.random(32)...)
	body = append(append(body, 32), t.random(32)...)
	body = append(body, unhex("130100002e")...)
	return tlsRecord(2, append(body, t.random(46)...))
}

func tlsRecord(kind byte, body []byte) []byte {
	message := append([]byte{kind, 0}, prefixed16(body)...)
	return append([]byte{0x16, 3, 1}, prefixed16(message)...)
}

func prefixed16(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}
