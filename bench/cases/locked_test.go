// SPDX-License-Identifier: GPL-2.0-or-later

package cases

import (
	"slices"
	"testing"
	"time"
)

// locked has conversations of a host whose BitTorrent client is proved and locked. No
// packet of these conversations may be dropped.
var locked = slices.Concat([]row{
	{"", "a web page", 10, func(t *talk) {
		t.tcp(50001, "203.0.113.20:80").say("GET / HTTP/1.1\r\nHost: www.example.net\r\n\r\n").
			hear("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}},
}, lockedTCP, lockedUDP)

// onLocked is a conversation of a host that was locked half a second before.
func (r *row) onLocked() *talk {
	t := newTalk(r.name, r.host)
	t.torrent()
	t.until(500 * time.Millisecond)
	r.make(t)
	return t
}

func TestLockedHost(t *testing.T) {
	for _, r := range locked {
		t.Run(r.kind+" "+r.name, func(t *testing.T) {
			o := replayed(t, r.onLocked(), false)
			if o.locks() != 1 {
				t.Fatalf("locked %d times, want once", o.locks())
			}
			if lost := o.lost(); len(lost) > 0 {
				t.Errorf("%d packets are dropped, the first at %v", len(lost), lost[0].at)
			}
		})
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
			if o := replayed(t, r.onLocked(), false); len(o.lost()) == 0 {
				t.Error("goes on")
			}
		})
	}
}
