// SPDX-License-Identifier: GPL-2.0-or-later

package cases

import (
	"slices"
	"testing"
	"time"
)

// locked has conversations of a host whose client is proved and locked. No packet of these
// conversations may be dropped, whichever of the selective networks the client is of.
var locked = slices.Concat([]row{
	{"", "a web page", 10, func(t *talk) {
		t.tcp(50001, "203.0.113.20:80").say("GET / HTTP/1.1\r\nHost: www.example.net\r\n\r\n").
			hear("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}},
}, lockedTCP, lockedUDP)

// networks are those whose lock cuts the program only, each with what proves its client.
var networks = []struct {
	name  string
	prove func(*talk)
}{
	{"BitTorrent", (*talk).torrent},
	{"eDonkey", func(t *talk) {
		for _, node := range []string{"203.0.113.99:4672", "198.51.100.77:4672"} {
			t.udp(4672, node).out(join(unhex("e42102"), unhex("d263c0bfde199876479fe3f44ba06515847dcb786032431d5989882ae4a6a639")))
		}
	}},
	{"Soulseek", func(t *talk) {
		for i, peer := range []string{"203.0.113.99:2234", "198.51.100.77:2234"} {
			t.tcp(uint16(49001+i), peer).say("\x12\x00\x00\x00\x01\x04\x00\x00\x00anna\x01\x00\x00\x00F\x00\x00\x00\x00")
		}
	}},
	{"Direct Connect", func(t *talk) {
		for _, who := range []string{"203.0.113.99:3412", "198.51.100.77:3412"} {
			t.udp(3412, who).out([]byte("URES DXEBCJ4N7SOGDLZBPOC5OORSA4H7IXBOQNO3GMQ SI3000000 SL2 FN/share/song.mp3 TO4098512921\n"))
		}
	}},
	{"Gnutella", func(t *talk) {
		for _, peer := range []string{"203.0.113.99:6346", "198.51.100.77:6346"} {
			t.udp(6346, peer).out(unhex("cb1b31023c1c74d5ffbfc72c3bd61c00" + "00010000000000"))
		}
	}},
}

// onLocked is a conversation of a host that was locked half a second before, for some
// networks.
func (r *row) onLocked(prove ...func(*talk)) *talk {
	t := newTalk(r.name, r.host)
	t.peer = true
	for _, p := range prove {
		p(t)
		t.peer = true
	}
	t.peer = false
	t.until(500 * time.Millisecond)
	r.make(t)
	return t
}

func TestLockedHost(t *testing.T) {
	for _, r := range locked {
		var all []func(*talk)
		for _, n := range networks {
			all = append(all, n.prove)
			t.Run(r.kind+" "+r.name+"/"+n.name, func(t *testing.T) { r.unharmed(t, n.prove) })
		}
		t.Run(r.kind+" "+r.name+"/all", func(t *testing.T) { r.unharmed(t, all...) })
	}
}

func (r *row) unharmed(t *testing.T, prove ...func(*talk)) {
	o := replayed(t, r.onLocked(prove...), false)
	if o.locks() != 1 {
		t.Fatalf("locked %d times, want once", o.locks())
	}
	if lost := o.lost(); len(lost) > 0 {
		t.Errorf("%d packets are dropped, the first at %v", len(lost), lost[0].at)
	}
}

// A locked host loses the file sharing itself. This shows that the test above can fail.
func TestLockedHostLosesItsTorrent(t *testing.T) {
	for _, r := range []row{
		{"", "the DHT", 10, func(t *talk) { t.udp(51413, "203.0.113.9:6881").out(krpcPing([]byte("abcdefghij0123456789"))) }},
		{"", "anything by UDP from the port of the DHT", 10, func(t *talk) { t.udp(51413, "203.0.113.9:40000").out(t.random(300)) }},
		{"", "the DHT from another port", 10, func(t *talk) { t.udp(40000, "203.0.113.9:6881").out(krpcPing([]byte("abcdefghij0123456789"))) }},
		{"", "a handshake in clear", 10, func(t *talk) { t.tcp(50001, "203.0.113.9:51413").out(t.handshake()) }},
		{"", "an encrypted handshake", 10, func(t *talk) { t.tcp(50001, "203.0.113.9:51413").out(t.random(300)) }},
		{"", "a stranger's connection to the port of the DHT", 10, func(t *talk) { t.accept(51413, "203.0.113.9:40000").out(t.random(300)) }},
	} {
		t.Run(r.name, func(t *testing.T) {
			if o := replayed(t, r.onLocked((*talk).torrent), false); len(o.lost()) == 0 {
				t.Error("goes on")
			}
		})
	}
}
