// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"strings"
	"testing"
)

// tlsHello is the beginning of OpenSSL 3.0's first data to a server.
var tlsHello = unhexString("1603010200010001fc0303bccb5387e6b3ba73255c1e5d9c3d3d81ed7ad620a160bef0879316e83693deb4206e715980503f3cf7f0333ec2394c1a25a746c5c9c4a5101b65fe86253ab7db130024130213031301c02cc030c02bc02fcca9cca8c024c028c023c027009f009e006b006700ff0100018f0000001f001d00001a747261636b65722e6f70656e776562746f7272656e742e636f6d000b000403000102")

var serverNameTests = []struct{ name, data, want string }{
	{"OpenSSL's", tlsHello, "tracker.openwebtorrent.com"},
	{"up to the end of the name", tlsHello[:153], "tracker.openwebtorrent.com"},
	{"one byte less", tlsHello[:152], ""},
	{"of another version", replaced(tlsHello, 1, "\x02"), ""},
	{"another message", replaced(tlsHello, 5, "\x02"), ""},
	{"another record", replaced(tlsHello, 0, "\x17"), ""},
	{"without a name", replaced(tlsHello, 118, "\x99\x99"), ""},
	{"with a name of another kind", replaced(tlsHello, 124, "\x01"), ""},
	{"with a name longer than its list", replaced(tlsHello, 125, "\x01"), ""},
	{"with a number of its session that is too long", replaced(tlsHello, 43, "\xff"), ""},
	{"DTLS", openSSLHello, ""},
	{"nothing", "", ""},
	{"HTTP", "GET / HTTP/1.1\r\nHost: tracker.openwebtorrent.com\r\n\r\n", ""},
}

func TestServerName(t *testing.T) {
	for _, tt := range serverNameTests {
		if name, _ := Hello([]byte(tt.data)); string(name) != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, name, tt.want)
		}
	}
}

func FuzzTLSHello(f *testing.F) {
	for _, tt := range serverNameTests {
		f.Add([]byte(tt.data))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		name, protocols := Hello(b)
		if !strings.Contains(string(b), string(name)) || !strings.Contains(string(b), string(protocols)) {
			t.Errorf("%q or %q is not in it", name, protocols)
		}
		for _, p := range All {
			if p.TLS != nil {
				p.TLS(name, protocols)
			}
		}
	})
}
