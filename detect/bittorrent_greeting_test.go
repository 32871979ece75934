// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"bytes"
	"strings"
	"testing"
)

// TestGreeting: the plain probe is a handshake for the named torrent. Its answer is a
// handshake for the same torrent with a different peer ID.
func TestGreeting(t *testing.T) {
	const hash = "ABCDEFGHIJKLMNOPQRST"
	var dst [MaxAnswer]byte
	n := btGreeting(dst[:], []byte(hash), 7)
	probe := dst[:n]
	if want := peerProtocol + strings.Repeat("\x00", 8) + hash; n != peerHandshake || string(probe[:48]) != want {
		t.Fatalf("%q", probe)
	}
	var other [MaxAnswer]byte
	btGreeting(other[:], []byte(hash), 8)
	if bytes.Equal(other[48:n], probe[48:]) {
		t.Error("two questions have the same name")
	}
	for _, h := range []string{"", hash[1:], hash + "x"} {
		if n := btGreeting(dst[:], []byte(h), 7); n != 0 {
			t.Errorf("with the hash %q: %d bytes", h, n)
		}
	}
	if n := btGreeting(make([]byte, 20), []byte(hash), 7); n != 0 {
		t.Errorf("%d bytes without room", n)
	}
	btGreeting(dst[:], []byte(hash), 7)
	answer := peerProtocol + "\x00\x00\x00\x00\x00\x10\x00\x05" + hash + "-qB4650-abcdefghijkl"
	for _, tt := range []struct {
		name, b string
		want    bool
	}{
		{"the answer", answer, true},
		{"with what follows", answer + "\x00\x00\x00\x01\x0e", true},
		{"cut off", answer[:peerHandshake-1], false},
		{"for another torrent", strings.Replace(answer, "ABC", "XYZ", 1), false},
		{"our own words", string(probe), false},
		{"our own words behind others", answer + string(probe), false},
		{"a key of MSE", strings.Repeat("\x81", 96), false},
		{"nothing", "", false},
	} {
		if got := btGreeted([]byte(tt.b), probe); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if a := testing.AllocsPerRun(50, func() { btGreeting(dst[:], []byte(hash), 7); btGreeted(probe, probe) }); a > 0 {
		t.Errorf("%v allocations", a)
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add([]byte(peerProtocol+strings.Repeat("\x00", 8)+"ABCDEFGHIJKLMNOPQRST-qB4650-abcdefghijkl"), uint32(7))
	f.Fuzz(func(t *testing.T, b []byte, salt uint32) {
		var dst [MaxAnswer]byte
		probe := dst[:btGreeting(dst[:], []byte("ABCDEFGHIJKLMNOPQRST"), salt)]
		if btGreeted(b, probe) && (len(b) < peerHandshake || bytes.Contains(b, probe)) {
			t.Errorf("%q answers %q", b, probe)
		}
	})
}

// TestInfoHash: which payloads name a torrent.
func TestInfoHash(t *testing.T) {
	const hash = "ABCDEFGHIJKLMNOPQRST"
	udp := func(b string) [20]byte {
		var f Finding
		btDatagram([]byte(b), &f)
		return f.Hash
	}
	head := func(line string) [20]byte {
		var f Finding
		btHeader([]byte(line), true, true, &f)
		return f.Hash
	}
	first := func(b string, outbound bool) [20]byte {
		var f Finding
		btFirst([]byte(b), outbound, &f)
		return f.Hash
	}
	a := []byte(announce("-TR3000-abcdefghijkl", 2, 51413))
	copy(a[16:], hash)
	hello := peerProtocol + strings.Repeat("\x00", 8) + hash + "-qB4650-abcdefghijkl"
	want := [20]byte([]byte(hash))
	for _, tt := range []struct {
		name      string
		got, want [20]byte
	}{
		{"an announce by UDP", udp(string(a)), want},
		{"get_peers", udp("d1:ad2:id20:" + id20 + "9:info_hash20:" + hash + "e1:q9:get_peers1:t2:aa1:y1:qe"), want},
		{"announce_peer", udp("d1:ad2:id20:" + id20 + "9:info_hash20:" + hash + "4:porti1e5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe"), want},
		{"find_node", udp("d1:ad2:id20:" + id20 + "6:target20:" + hash + "e1:q9:find_node1:t2:aa1:y1:qe"), [20]byte{}},
		{"an announce by HTTP", head("GET /announce?info_hash=%41BCDEFGHIJKLMNOPQRST&peer_id=-TR3000-abcdefghijkl&port=51413 HTTP/1.1"), want},
		{"a handshake", first(hello, true), want},
		{"one that came in", first(hello, false), [20]byte{}},
		{"its beginning", first(hello[:47], true), [20]byte{}},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q", tt.name, tt.got)
		}
	}
}
