// SPDX-License-Identifier: GPL-2.0-or-later

package events

import (
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/golden"
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

func TestEventLogLimits(t *testing.T) {
	var out strings.Builder
	l := Log{Log: syslog.New(&out), Wanted: func(e *Entry) bool { return e.Port != 99 }}
	at := wallNow
	lines := func(class state.Class, n int) int {
		before := strings.Count(out.String(), "\n")
		for range n {
			l.Event(&Entry{Wall: at, Event: state.Event{Class: class, What: state.EventFound, Client: addr("192.168.1.5")}})
		}
		return strings.Count(out.String(), "\n") - before
	}
	if n := lines(state.ClassPeer, 100); n != logBurst {
		t.Errorf("a burst of %d lines, want %d", n, logBurst)
	}
	if n := lines(state.ClassClient, 1); n != 1 {
		t.Error("another class is limited, too")
	}
	if n := lines(state.ClassPeer, 1); n != 0 {
		t.Error("a line without time for it")
	}
	at = at.Add(-time.Hour) // setting the clock back does not change the limit
	if n := lines(state.ClassPeer, 1); n != 0 {
		t.Error("a line from a clock that was set back")
	}
	at = at.Add(time.Second)
	if n := lines(state.ClassPeer, 100); n != logRate+1 {
		t.Errorf("%d lines after a second, want %d and one that says what was left out", n, logRate)
	}
	if want := "p2pwall: 42 peer lines were left out\n"; strings.Count(out.String(), want) != 1 {
		t.Errorf("no %q in:\n%s", want, out.String())
	}
	at = at.Add(time.Hour)
	if n := lines(state.ClassPeer, 100); n != logBurst+1 {
		t.Errorf("%d lines after an hour", n)
	}
	before := out.Len()
	l.Event(&Entry{Wall: at, Event: state.Event{Class: state.ClassProbe, Port: 99}})
	if out.Len() != before {
		t.Error("an event that nobody wants was logged")
	}
}

// TestSentences compares the text of each event.
func TestSentences(t *testing.T) {
	var got strings.Builder
	for class := state.ClassClient; class <= state.ClassSystem; class++ {
		for what := state.EventFound; what <= state.EventRules; what++ {
			ev := found("192.168.1.50")
			ev.Class, ev.What = class, what
			e := Entry{Event: ev}
			if text := e.Text(); text != what.String() {
				got.WriteString(class.String() + " " + what.String() + ": " + text + "\n")
			}
		}
	}
	bare := found("2001:db8::1")
	bare.MAC, bare.Port = [6]byte{}, 0
	e := Entry{Event: bare}
	got.WriteString("bare: " + e.Text() + "\n")
	answered := found("192.168.1.50")
	answered.Reason = detect.ReasonProbe
	e = Entry{Event: answered}
	got.WriteString("answered: " + e.Text() + "\n")
	answered.Reason = detect.ReasonHandshake
	e = Entry{Event: answered}
	got.WriteString("handshake: " + e.Text() + "\n")
	six := found("2001:db8::1")
	six.Peer = addr("2001:db8:2::9")
	six.Class, six.What, six.TCP = state.ClassPacket, state.EventDropped, true
	e = Entry{Event: six}
	got.WriteString("IPv6: " + e.Text() + "\n")
	golden.Compare(t, "testdata/sentences.txt", got.String())
}

// TestEventPriorities: events that matter to the owner of the router have a higher
// priority.
func TestEventPriorities(t *testing.T) {
	var out strings.Builder
	l, err := syslog.Open("journal", &out)
	if err != nil {
		t.Fatal(err)
	}
	log := Log{Log: l, Wanted: func(*Entry) bool { return true }}
	for _, class := range []state.Class{state.ClassClient, state.ClassPeer, state.ClassTable} {
		log.Event(&Entry{Wall: wallNow, Event: state.Event{Class: class, What: state.EventReleased, Client: addr("192.168.1.5")}})
	}
	if want := "<5>client 192.168.1.5: gone, released\n<6>released\n<4>released\n"; out.String() != want {
		t.Errorf("the log has %q, want %q", out.String(), want)
	}
}
