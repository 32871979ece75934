// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "testing"

// BenchmarkDatagram classifies one datagram by all protocols.
func BenchmarkDatagram(b *testing.B) {
	for _, bb := range []struct{ name, payload string }{
		{"DNS", "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01"},
		{"QUIC", "\xc3\x00\x00\x00\x01\x08\x01\x02\x03\x04\x05\x06\x07\x08" + string(make([]byte, 100))},
		{"game of 32 bytes", string(make([]byte, 32))},
		{"FastTrack ping", "\x27\x00\x00\x00\xa9\x80KaZaA\x00"},
		{"FastTrack pong", "\x28\x00\x00\x00\xa9\x00\x4d\x3c\x13\x28\x05KaZaA\x00"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			payload := []byte(bb.payload)
			var f Finding
			b.ReportAllocs()
			for b.Loop() {
				f.Reset()
				for _, p := range All {
					if p.Datagram != nil {
						p.Datagram(payload, &f)
					}
				}
			}
		})
	}
}

// BenchmarkAnswer builds the answer to a ping.
func BenchmarkAnswer(b *testing.B) {
	ping := []byte("\x27\x00\x00\x00\xa9\x80KaZaA\x00")
	var out [MaxQuery]byte
	asked := Asked{Salt: 7}
	b.ReportAllocs()
	for b.Loop() {
		FastTrack.Answer(out[:], ping, AnswerWelcome, &asked)
	}
}

// BenchmarkStream reads the first data of one direction of a connection.
func BenchmarkStream(b *testing.B) {
	for _, bb := range []struct{ name, data string }{
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + string(make([]byte, 506))},
		{"HTTP", "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\nAccept-Language: en\r\nConnection: keep-alive\r\n\r\n"},
		{"transfer", "GET /.hash=0123456789abcdef0123456789abcdef01234567 HTTP/1.1\r\nUserAgent: KazaaClient Jul 27 2004 21:15:16\r\nX-Kazaa-Username: u\r\nX-Kazaa-SupernodeIP: 198.51.100.10:1214\r\n\r\n"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			data := []byte(bb.data)
			var f Finding
			var s Stream
			b.ReportAllocs()
			for b.Loop() {
				s = Stream{}
				f.Reset()
				s.Feed(1<<len(All)-1, 1, data, true, &f)
			}
		})
	}
}
