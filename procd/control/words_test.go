// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/state"
)

// TestStatusInWords: each thing that the owner has to know has its line, and no line is
// there without need.
func TestStatusInWords(t *testing.T) {
	for _, x := range []struct {
		name   string
		change func(w *world, i *Info)
		want   string // a line that is there only after the change
	}{
		{"pause", func(_ *world, i *Info) { i.Paused = 90*time.Second + 400*time.Millisecond }, "paused   nothing is looked for, for 1m30s more: \"p2pwall pause 0\" ends that\n"},
		{"rules", func(_ *world, i *Info) { i.RulesOK = false }, "rules    nft, sets nft, NOT in place: see \"p2pwall check\"\n"},
		{"no device", func(_ *world, i *Info) { i.Devices = nil }, "LAN      no device: nothing is watched, see \"p2pwall check\"\n"},
		{"a policy that holds", func(_ *world, i *Info) { i.Policies = []Policy{{Name: "night", Mode: "off", Holds: true}} }, "policy   night: off, holds now\n"},
		{"a policy that does not", func(_ *world, i *Info) { i.Policies = []Policy{{Name: "night", Mode: "off"}} }, "policy   night: off, not now\n"},
		{"restart", func(_ *world, i *Info) { i.Restart = []string{"queue"} }, "restart  needed for the new queue\n"},
		{"marked", func(w *world, _ *Info) { w.count(func(c *state.Counters) { c.Marked = 3 }) }, "marked   6 packets, and what follows them in their connections\n"},
		{"by the kernel", func(w *world, _ *Info) { w.count(func(c *state.Counters) { c.DroppedKernel = 4 }) }, "packets  0 seen, 0 accepted, 0 dropped (0 TCP, 0 UDP; 8 by the kernel alone)\n"},
		{"unusual", func(w *world, _ *Info) { w.count(func(c *state.Counters) { c.Forged = 1 }) }, "unusual  forged=2\n"},
		{"a lock by an answer", func(w *world, _ *Info) { w.prove(1, "192.168.1.51") }, "clients  1, 1 locked; 0 proved by an answer, 1 by what they sent\n"},
		{"a suspect", func(w *world, _ *Info) { w.ping(0, "192.168.1.52", "203.0.113.9", false) }, "suspects 1 looked at, nothing found\n"},
	} {
		w := newWorld(t, 2)
		i := w.Info()
		w.Info = func() Info { return i }
		status := func() string {
			var b strings.Builder
			if err := w.statusText(&b, &Request{}); err != nil {
				t.Fatal(err)
			}
			return "\n" + b.String()
		}
		if before := status(); strings.Contains(before, "\n"+x.want) {
			t.Errorf("%s: it is there before:%s", x.name, before)
		}
		x.change(w, &i)
		if after := status(); !strings.Contains(after, "\n"+x.want) {
			t.Errorf("%s: no %q in:%s", x.name, x.want, after)
		}
	}
}

// count changes the counters of all engines.
func (w *world) count(change func(c *state.Counters)) {
	w.each(func(e *state.Engine, _ state.Time) { change(&e.Counters) })
}

// TestStatusMembers: members of the status that depend on the daemon alone.
func TestStatusMembers(t *testing.T) {
	w := newWorld(t, 1)
	i := w.Info()
	w.Info = func() Info { return i }
	path := control(t, w.Handle)
	for _, x := range []struct {
		name   string
		change func()
		want   string
	}{
		{"no pause", func() {}, `"paused":0,`},
		{"the last moment of a pause", func() { i.Paused = time.Nanosecond }, `"paused":1,`},
		{"a second", func() { i.Paused = time.Second }, `"paused":1,`},
		{"more than a second", func() { i.Paused = time.Second + 1 }, `"paused":2,`},
		{"policies", func() { i.Policies = []Policy{{Name: "n\"", Mode: "off", Holds: true}, {Name: "b", Mode: "mark"}} }, `"policies":[{"name":"n\"","mode":"off","holds":true},{"name":"b","mode":"mark","holds":false}],`},
		{"no receivers", func() { w.Receivers = func() []Receiver { return nil } }, `"notify":[],`},
		{"lost events", func() {
			for range 5000 { // nobody takes them
				w.Journal.Record(&state.Event{})
			}
		}, `"events_lost":`},
	} {
		x.change()
		if got := ask(t, path, `{"cmd":"status"}`); !strings.Contains(got, x.want) || strings.Contains(got, `"events_lost":0`) == (x.name == "lost events") {
			t.Errorf("%s: no %s in %s", x.name, x.want, got)
		}
	}
}

// TestPolicyOfAClient: the list of clients names the policy that decides about each.
func TestPolicyOfAClient(t *testing.T) {
	w := newWorld(t, 1)
	path := control(t, w.Handle)
	w.prove(0, "192.168.1.51")
	w.each(func(e *state.Engine, now state.Time) {
		e.SetPolicies([]state.Policy{{Name: "kids", All: true, Protocols: 1 << detect.ByName("fasttrack"), Mode: state.Monitor}}, now)
	})
	if got := words(t, ask(t, path, `{"cmd":"clients","text":true}`)); !strings.HasSuffix(got, " it looked for peers at several addresses (policy kids)\n") || !strings.Contains(got, " monitor ") {
		t.Error(got)
	}
	if got := ask(t, path, `{"cmd":"clients"}`); !strings.Contains(got, `"mode":"monitor","policy":"kids","locked":false`) {
		t.Error(got)
	}
}

// TestBytesInWords: a number of bytes has up to four digits and the right unit.
func TestBytesInWords(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 9999: "9999 B", 10_000: "10 KB", 10_499: "10 KB", 10_500: "11 KB", 9_999_499: "9999 KB", 9_999_500: "10 MB",
		12_345_678_901: "12 GB", 9_999e12: "9999 TB", 10_000e12: "10000 TB", 18e18: "18000000 TB",
	} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// TestHistoryInItsZone: days and times of the history are those of the router's time zone.
func TestHistoryInItsZone(t *testing.T) {
	w := newWorld(t, 1)
	path := control(t, w.Handle)
	at := wallNow
	w.Now = func() time.Time { return at.In(time.FixedZone("", -5*3600-1800)) } // the evening before
	w.takeHistory()
	w.prove(0, "192.168.1.51")
	if got := words(t, ask(t, path, `{"cmd":"history","text":true}`)); !strings.Contains(got, "\n2026-01-01 21:34 21:34 192.168.1.51 ") {
		t.Error(got)
	}
	// Every moment is the same one in the JSON.
	if got := ask(t, path, `{"cmd":"history"}`); !strings.Contains(got, `"day":"2026-01-01","address":"192.168.1.51","mac":"02:00:00:00:00:33","name":"\u003ckids\u003e pc"`) || !strings.Contains(got, `"first_seen":1767323045,"last_seen":1767323045`) {
		t.Error(got)
	}
}

// TestHistoryOfAHost: a request that names a host gets that host's days alone.
func TestHistoryOfAHost(t *testing.T) {
	w := newWorld(t, 2)
	path := control(t, w.Handle)
	w.takeHistory()
	w.prove(0, "192.168.1.50")
	w.prove(1, "192.168.1.51")
	for _, form := range []string{"", `,"text":true`} {
		if got := ask(t, path, `{"cmd":"history"`+form+`}`); !strings.Contains(got, "192.168.1.50") || !strings.Contains(got, "192.168.1.51") {
			t.Errorf("all: %s", got)
		}
		if got := ask(t, path, `{"cmd":"history","host":"192.168.1.51"`+form+`}`); strings.Contains(got, "192.168.1.50") || !strings.Contains(got, "192.168.1.51") {
			t.Errorf("one: %s", got)
		}
	}
	if got := words(t, ask(t, path, `{"cmd":"peers","host":"192.168.1.50","text":true}`)); strings.Contains(got, "192.168.1.51") || strings.Count(got, "\n") != 3 {
		t.Errorf("peers of one: %s", got)
	}
	if got := words(t, ask(t, path, `{"cmd":"peers","host":"192.168.1.99","text":true}`)); got != "no peer found\n" {
		t.Errorf("peers of nobody: %s", got)
	}
}

// TestClockIsSet: when the router's clock is set, moments before that are shown by the new
// clock.
func TestClockIsSet(t *testing.T) {
	w := newWorld(t, 1)
	path := control(t, w.Handle)
	w.prove(0, "192.168.1.51")
	w.pass(10 * time.Second)
	w.Now = func() time.Time { return wallNow.Add(time.Hour) }
	if got := ask(t, path, `{"cmd":"clients"}`); !strings.Contains(got, `"first_seen":1767326635.6,"last_seen":1767326635.6`) || !strings.Contains(got, `"last_answer":0.0`) {
		t.Error(got)
	}
}

// TestEventMembers: an event has only those members that it is about.
func TestEventMembers(t *testing.T) {
	w := newWorld(t, 1)
	path := control(t, w.Handle)
	for _, x := range []struct {
		event state.Event
		want  string
	}{
		{state.Event{Class: state.ClassSystem, What: state.EventRules}, `"class":"system","event":"rules","text":"`},
		{state.Event{Class: state.ClassTable, What: state.EventTableFull}, `"class":"table","event":"full","text":"`},
		{found("192.168.1.40"), `"class":"client","event":"found","client":"192.168.1.40","mac":"02:00:00:00:00:0a","peer":"198.51.100.7","port":1214,"protocol":"fasttrack","reason":"ping","text":"`},
		{state.Event{Class: state.ClassClient, What: state.EventUnlocked, Client: addr("192.168.1.41")}, `"class":"client","event":"unlocked","client":"192.168.1.41","protocol":"` + detect.All[0].Name + `","text":"`},
	} {
		since := w.Journal.Last()
		w.Journal.Enter(x.event)
		got := follow(t, path, `{"cmd":"events"}`, 1)[0]
		_, last, _ := strings.Cut(got, `"seq":`+string(rune('1'+since))+`,"time":1767323045.6,`)
		if !strings.HasPrefix(last, x.want) {
			t.Errorf("got %s, want %s", got, x.want)
		}
	}
}
