// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"strings"
	"testing"
)

func napMessage(kind byte, text string) string {
	return string([]byte{byte(len(text)), byte(len(text) >> 8), kind, 0}) + text
}

var napStreams = []struct {
	name   string
	text   string // | cuts segments
	in     bool
	title  string // the protocol's title, "" for none
	reason Reason
	client string
	port   uint16
}{
	{name: "login", text: napMessage(2, `foo badpass 6699 "nap v0.8" 3`), title: "OpenNAP", reason: ReasonHello, client: "nap v0.8", port: 6699},
	{name: "login of WinMX", text: napMessage(2, `foo123 pw 6699 "WinMX v2.6" 8`), title: "OpenNAP", reason: ReasonHello, client: "WinMX v2.6", port: 6699},
	{name: "login behind a firewall", text: napMessage(2, `foo pw 0 "TekNap" 0`), title: "OpenNAP", reason: ReasonHello, client: "TekNap"},
	{name: "registration", text: napMessage(6, `foo pw 6699 "nap v0.8" 3 a@b.c`), title: "OpenNAP", reason: ReasonHello, client: "nap v0.8", port: 6699},
	{name: "login in pieces", text: "\x1d|\x00\x02|\x00fo|o badpass 66|99 |\"nap v|0.8\" 3", title: "OpenNAP", reason: ReasonHello, client: "nap v0.8", port: 6699},
	{name: "login from outside", text: napMessage(2, `foo badpass 6699 "nap v0.8" 3`), in: true},
	{name: "another message", text: napMessage(3, `foo badpass 6699 "nap v0.8" 3`)},
	{name: "port that is none", text: napMessage(2, `foo badpass 66x9 "nap v0.8" 3`)},
	{name: "no program", text: napMessage(2, `foo badpass 6699 nap 3`)},
	{name: "empty nick", text: napMessage(2, ` badpass 6699 "nap v0.8" 3`)},
	{name: "unprintable nick", text: napMessage(2, "f\x01o badpass 6699 \"nap v0.8\" 3")},
	{name: "endless nick", text: napMessage(2, strings.Repeat("f", 100))},

	{name: "download", text: `GET|foo "a song.mp3" 0`, title: "WinMX", reason: ReasonTransfer},
	{name: "download in one", text: `GETfoo "a song.mp3" 0`, title: "WinMX", reason: ReasonTransfer},
	{name: "upload", text: `SEND|foo "a song.mp3" 1234567`, title: "WinMX", reason: ReasonPush},
	{name: "the other downloads", text: `GET|foo "a song.mp3" 0`, in: true, title: "WinMX", reason: ReasonTransfer},
	{name: "HTTP", text: "GET /a HTTP/1.1\r\n\r\n"},
	{name: "HTTP in pieces", text: "GET| /a HTTP/1.1\r\n\r\n"},
	{name: "a name without a file", text: "SENDER foo\r\n"},
	{name: "one that is too long", text: "SEND" + strings.Repeat("f", 100)},
	{name: "SSH", text: "SSH-2.0-x"},
}

func TestNapster(t *testing.T) {
	for _, tt := range napStreams {
		var s Stream
		var f Finding
		segments := strings.Split(tt.text, "|")
		m, _ := feedAll(&s, segments, !tt.in, &f)
		if tt.title == "" {
			if m != No {
				t.Errorf("%s: match %d", tt.name, m)
			}
		} else if m != Yes || All[f.Protocol].Title != tt.title || f.Reason != tt.reason || f.Client.String() != tt.client || f.TCPPort != tt.port {
			t.Errorf("%s: match %d: %s, %v, client %q, port %d", tt.name, m, All[f.Protocol].Title, f.Reason, f.Client.String(), f.TCPPort)
		}
		if n := feedAllocs(segments[0], !tt.in); n != 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func FuzzNapster(f *testing.F) {
	for _, tt := range napStreams {
		f.Add([]byte(tt.text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		var f1, f2 Finding
		for _, p := range []*Protocol{&OpenNAP, &WinMX} {
			// A decision stays the same with more bytes.
			whole := p.First(b, true, &f1)
			for i := 1; i < len(b); i++ {
				if m := p.First(b[:i], true, &f2); m != More && m != whole {
					t.Fatalf("%s: %q: %d behind %d bytes, %d behind all", p.Title, b, m, i, whole)
				}
			}
		}
	})
}
