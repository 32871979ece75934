// SPDX-License-Identifier: GPL-2.0-or-later

package cases

import (
	"testing"
	"time"
)

// locked are conversations of a host that is locked for BitTorrent, and has it
// proved. All of each goes on.
var locked = []row{
	{"", "a web page", 10, func(t *talk) {
		t.tcp(50001, "203.0.113.20:80").say("GET / HTTP/1.1\r\nHost: www.example.net\r\n\r\n").
			hear("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}},
}

// cutToday are conversations of such a host that are cut wrongly. When one goes
// on, its row moves to locked.
var cutToday = append(lockedTCP, lockedUDP...)

// onLocked is a conversation of a host that is locked half a second before.
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
	for _, r := range cutToday {
		t.Run(r.kind+" "+r.name, func(t *testing.T) {
			o := replayed(t, r.onLocked(), false)
			if o.locks() != 1 {
				t.Fatalf("locked %d times, want once", o.locks())
			}
			if len(o.lost()) == 0 {
				t.Error("goes on: move this row to the table of those that do")
			}
		})
	}
}
