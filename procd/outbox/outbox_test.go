// SPDX-License-Identifier: GPL-2.0-or-later

package outbox

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

var start = time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)

// world is an outbox whose clock and receivers the test controls.
type world struct {
	*Outbox
	t      *testing.T
	time   time.Time
	answer map[string]error // result of sending, by receiver
	told   []string         // "minute receiver: text"
	tries  int
	log    strings.Builder
}

func newWorld(t *testing.T, names ...string) *world {
	w := &world{t: t, time: start, answer: map[string]error{}}
	w.Outbox = New("router", syslog.New(&w.log), make(chan struct{}), func(nfq.Addr, nfq.MAC) (string, string) { return "", "" },
		func() time.Time { return w.time })
	w.send = func(r *receiver, l *letter, _ time.Duration) error {
		w.tries++
		err := w.answer[r.Name]
		if err == nil || err == errUncertain {
			w.told = append(w.told, w.time.Sub(start).Round(time.Second).String()+" "+r.Name+": "+l.title)
		}
		return err
	}
	var all []config.Notify
	for _, n := range names {
		all = append(all, config.Notify{Name: n, Kind: config.NotifyNtfy, URL: "http://" + n, Events: 7})
	}
	w.Configure(all)
	return w
}

// pass lets time pass, and sends the messages that become due.
func (w *world) pass(d time.Duration) {
	for end := w.time.Add(d); ; {
		r, m, wait := w.next()
		switch {
		case r != nil:
			w.outcome(r, &m, w.send(r, w.letter(r, &m), patience))
		case wait == 0 || w.time.Add(wait).After(end):
			w.time = end
			return
		default:
			w.time = w.time.Add(wait)
		}
	}
}

func addr(s string) nfq.Addr { return nfq.AddrFrom(netip.MustParseAddr(s)) }

func (w *world) event(what state.What, host byte) {
	w.Event(&events.Entry{Wall: w.time, Event: state.Event{
		Class: state.ClassClient, What: what, Protocol: uint8(detect.ByName("bittorrent")),
		Client: addr("192.168.1.50"), MAC: nfq.MAC{2, 0, 0, 0, 0, host},
	}})
}

func (w *world) expect(want ...string) {
	w.t.Helper()
	if d := cmp.Diff(want, w.told); d != "" {
		w.t.Errorf("told (-want +got):\n%s", d)
	}
	w.told = nil
}

const (
	found    = "P2Pwall: file sharing found"
	released = "P2Pwall: released"
)

// TestOncePerHour: there is at most one message per hour about a host. After the hour the
// message has the state at that time.
func TestOncePerHour(t *testing.T) {
	w := newWorld(t, "a")
	w.event(state.EventFound, 1)
	w.event(state.EventLocked, 1)
	w.event(state.EventLocked, 2)
	w.pass(time.Minute)
	w.expect("3s a: "+found, "3s a: "+found)
	w.event(state.EventReleased, 1)
	w.pass(10 * time.Minute)
	w.event(state.EventLocked, 1)
	w.pass(10 * time.Minute)
	w.event(state.EventReleased, 1)
	w.event(state.EventReleased, 2)
	w.event(state.EventFound, 2) // the state is the same as before
	w.event(state.EventForgotten, 1)
	w.expect()
	w.pass(3 * time.Hour)
	w.expect("1h0m3s a: " + released)
	w.event(state.EventLocked, 1)
	w.pass(time.Minute)
	w.expect("3h21m3s a: " + found)
	w.pass(2 * time.Hour)
	w.Event(&events.Entry{Quiet: true, Event: state.Event{Class: state.ClassClient, What: state.EventReleased, MAC: nfq.MAC{2, 0, 0, 0, 0, 1}}})
	w.pass(2 * time.Hour)
	w.expect() // quiet: the administrator did it
}

// TestDownForAnHour: while a receiver cannot be reached, its messages wait, and the
// others get theirs. No message is sent twice.
func TestDownForAnHour(t *testing.T) {
	w := newWorld(t, "down", "up")
	w.answer["down"] = errors.New("curl: (7) refused")
	var want []string
	for host := range byte(20) {
		w.event(state.EventFound, host)
		want = append(want, "down: "+found)
		w.pass(3 * time.Minute)
	}
	if len(w.told) != 20 {
		t.Errorf("the other one was told %d times", len(w.told))
	}
	w.told = nil
	if r := w.Receivers(); r[0].Waiting != 20 || r[0].Fault != "curl: (7) refused" || r[1].Waiting != 0 || r[1].Fault != "" {
		t.Errorf("receivers: %+v", r)
	}
	if w.tries > 20+25 {
		t.Errorf("%d tries in an hour", w.tries-20)
	}
	w.answer["down"] = nil
	w.pass(longestPause)
	for i := range w.told {
		_, w.told[i], _ = strings.Cut(w.told[i], " ")
	}
	w.expect(want...)
	w.pass(24 * time.Hour)
	w.expect()
	if want := "p2pwall: notify down: curl: (7) refused: it is tried again\np2pwall: notify down: told, 19 more messages wait\n"; w.log.String() != want {
		t.Errorf("log %q", w.log.String())
	}
}

// TestBounds: for a receiver that is down for days, at most maxWaiting messages wait.
func TestBounds(t *testing.T) {
	w := newWorld(t, "down")
	w.answer["down"] = errors.New("refused")
	for n := range 10 * maxHosts {
		w.event(state.EventFound, byte(n))
		w.pass(time.Second)
		w.event(state.EventReleased, byte(n))
		w.pass(time.Second)
		if n%maxHosts == maxHosts-1 {
			w.pass(3 * time.Hour)
		}
	}
	if len(w.receivers[0].queue) != maxWaiting || len(w.hosts) != maxHosts {
		t.Errorf("%d wait, %d hosts", len(w.receivers[0].queue), len(w.hosts))
	}
	if n := strings.Count(w.log.String(), "left out"); n != 1 {
		t.Errorf("it was said %d times: %s", n, w.log.String())
	}
	w.pass(25 * time.Hour)
	if n := len(w.receivers[0].queue); n != 0 {
		t.Errorf("%d wait after a day", n)
	}
}

// TestUncertain: a message that may have arrived is not sent again.
func TestUncertain(t *testing.T) {
	w := newWorld(t, "slow")
	w.answer["slow"] = errUncertain
	w.event(state.EventFound, 1)
	w.pass(2 * time.Hour)
	w.expect("3s slow: " + found)
}

func TestEventsThatAreWanted(t *testing.T) {
	w := newWorld(t, "a", "b")
	w.receivers[0].Events = config.NotifyReleased
	w.receivers[1].Events = config.NotifyUnprotected
	w.event(state.EventFound, 1)
	w.pass(2 * time.Hour)
	w.expect()
	w.event(state.EventReleased, 1)
	w.Trouble("")
	w.pass(time.Minute)
	w.expect("2h0m3s a: " + released)
	w.Trouble("its queue is lost")
	w.pass(time.Minute)
	w.Trouble("")
	w.pass(time.Minute)
	w.Trouble("its queue is lost")
	w.pass(time.Minute)
	w.Trouble("")
	w.pass(2 * time.Hour)
	w.expect("2h1m3s b: P2Pwall: does not protect", "2h2m3s b: P2Pwall: protects again")
}

// TestConfigure: a receiver that stays gets the messages that wait for it. Those for a
// removed receiver are dropped.
func TestConfigure(t *testing.T) {
	w := newWorld(t, "stays", "goes")
	w.event(state.EventFound, 1)
	stays := w.receivers[0].Notify
	w.Configure([]config.Notify{{Name: "new", Events: 7}, stays})
	w.pass(time.Minute)
	w.expect("3s stays: " + found)
	w.Configure(nil)
	w.event(state.EventFound, 2)
	w.Configure([]config.Notify{stays})
	w.pass(time.Minute)
	w.expect()
}

// TestLetter compares the messages about events, for people and for programs. Names come
// from the network and are not trusted.
func TestLetter(t *testing.T) {
	w := newWorld(t, "a")
	hook := &receiver{Notify: config.Notify{Kind: config.NotifyWebhook}}
	name, program := "kids-pc", "qBittorrent 5.1"
	w.describe = func(nfq.Addr, nfq.MAC) (string, string) { return name, program }
	m := &message{
		what: config.NotifyFound, number: 35, wall: start, client: addr("192.168.1.50"), mac: nfq.MAC{2, 0, 0, 0, 0, 1},
		protocol: uint8(detect.ByName("bittorrent")),
	}
	check := func(text, json string) {
		t.Helper()
		l := w.letter(hook, m)
		if l.text != text {
			t.Errorf("text %s\nwant %s", l.text, text)
		}
		if l.json != json {
			t.Errorf("json %s\nwant %s", l.json, json)
		}
	}
	check("kids-pc (192.168.1.50) runs BitTorrent (qBittorrent 5.1), seen at 03:04.",
		`{"event":"found","id":"z","router":"router","host":"192.168.1.50","mac":"02:00:00:00:00:01","name":"kids-pc","protocol":"bittorrent","title":"BitTorrent","program":"qBittorrent 5.1","text":"kids-pc (192.168.1.50) runs BitTorrent (qBittorrent 5.1), seen at 03:04.","time":1767323040}`)
	name, program = "a\r\nBcc: x\"<b>\u2028\xff\x7fé", ""
	check("a??Bcc: x\"<b>???é (192.168.1.50) runs BitTorrent, seen at 03:04.",
		`{"event":"found","id":"z","router":"router","host":"192.168.1.50","mac":"02:00:00:00:00:01","name":"a??Bcc: x\"\u003cb\u003e???é","protocol":"bittorrent","title":"BitTorrent","text":"a??Bcc: x\"\u003cb\u003e???é (192.168.1.50) runs BitTorrent, seen at 03:04.","time":1767323040}`)
	name = strings.Repeat("é", 1000)
	if l := w.letter(hook, m); len(l.text) > 400 {
		t.Errorf("%d bytes of text", len(l.text))
	}
	name, m.what = "", config.NotifyReleased
	check("192.168.1.50 is released since 03:04: BitTorrent has ended there, or is allowed now.",
		`{"event":"released","id":"z","router":"router","host":"192.168.1.50","mac":"02:00:00:00:00:01","protocol":"bittorrent","title":"BitTorrent","text":"192.168.1.50 is released since 03:04: BitTorrent has ended there, or is allowed now.","time":1767323040}`)
	m = &message{what: config.NotifyUnprotected, wall: start, text: "no\nqueue"}
	check("P2Pwall cannot protect since 03:04: no?queue.",
		`{"event":"unprotected","id":"0","router":"router","text":"P2Pwall cannot protect since 03:04: no?queue.","time":1767323040}`)
	m.well = true
	check("P2Pwall protects again, since 03:04.",
		`{"event":"protected","id":"0","router":"router","text":"P2Pwall protects again, since 03:04.","time":1767323040}`)
}

// TestFlush: at the program's end all that waits is sent at once, also to a receiver that was
// to be tried again later. One that still does not answer is not waited for without end.
func TestFlush(t *testing.T) {
	for _, answers := range []bool{true, false} {
		w := newWorld(t, "a", "b")
		done, ended := make(chan struct{}), make(chan struct{})
		w.done = done
		w.answer["b"] = errors.New("nobody is there")
		w.Trouble("the queue failed")
		w.pass(10 * time.Second)
		w.told, w.tries = nil, 0
		most, left := time.Minute, 0
		if answers {
			w.answer["b"] = nil
		} else {
			most, left = 200*time.Millisecond, 1
		}
		if n := w.waiting(); n != 1 {
			t.Fatalf("%d messages wait", n)
		}
		go func() {
			w.Run()
			close(ended)
		}()
		w.Flush(most)
		if n := w.waiting(); n != left {
			t.Errorf("answers %v: %d messages wait", answers, n)
		}
		close(done)
		w.look() // it may be waiting
		<-ended
		if len(w.told) != 1-left || w.tries == 0 {
			t.Errorf("answers %v: told %q in %d tries", answers, w.told, w.tries)
		}
	}
}
