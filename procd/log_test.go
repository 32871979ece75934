// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/state"
)

func TestEventLogLimits(t *testing.T) {
	var out strings.Builder
	l := EventLog{Log: NewLogger(&out), Wanted: func(e *Entry) bool { return e.Port != 99 }}
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
	at = at.Add(-time.Hour) // a clock that is set back gives and takes nothing
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

// TestSentences has what each event says.
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
	golden(t, "sentences.txt", []byte(got.String()))
}

// TestLoggerKinds has each kind of log get the same lines.
func TestLoggerKinds(t *testing.T) {
	say := func(l *Logger) {
		l.Errorf("e%d", 1)
		l.Warnf("w")
		l.Noticef("n")
		l.Printf("i")
	}
	for kind, want := range map[string]string{
		"":        "p2pwall: e1\np2pwall: w\np2pwall: n\np2pwall: i\n",
		"stderr":  "p2pwall: e1\np2pwall: w\np2pwall: n\np2pwall: i\n",
		"journal": "<3>e1\n<4>w\n<5>n\n<6>i\n",
	} {
		var out strings.Builder
		l, err := NewLoggerTo(kind, &out)
		if err != nil {
			t.Fatal(err)
		}
		if say(l); out.String() != want {
			t.Errorf("%q: %q, want %q", kind, out.String(), want)
		}
	}
	if _, err := NewLoggerTo("paper", nil); err == nil {
		t.Error("a kind that does not exist is taken")
	}
}

func TestLoggerToSyslog(t *testing.T) {
	var out strings.Builder
	l, err := NewLoggerTo("syslog", &out)
	if err != nil {
		t.Fatal(err)
	}
	l.path = filepath.Join(t.TempDir(), "log")
	l.now = func() time.Time { return wallNow }
	// Nobody is there yet: procd gets it, and puts the name before it.
	if l.Warnf("early"); out.String() != "early\n" {
		t.Errorf("without a log: %q", out.String())
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: l.path}); err != nil {
		t.Fatal(err)
	}
	log := EventLog{Log: l, Wanted: func(*Entry) bool { return true }}
	l.Errorf("e")
	l.Printf("i")
	for _, class := range []state.Class{state.ClassClient, state.ClassPeer, state.ClassTable} {
		log.Event(&Entry{Wall: wallNow, Event: state.Event{Class: class, What: state.EventReleased, Client: addr("192.168.1.5")}})
	}
	const at = "Jan  2 03:04:05 p2pwall: "
	if len(at)-len("p2pwall: ") != 16 { // what OpenWrt's log strips
		t.Error("the time has not 16 bytes")
	}
	b := make([]byte, 200)
	for _, want := range []string{
		"<27>" + at + "e", "<30>" + at + "i", "<29>" + at + "client 192.168.1.5: gone, released", "<30>" + at + "released", "<28>" + at + "released",
	} {
		n, err := unix.Read(fd, b)
		if err != nil || string(b[:n]) != want {
			t.Errorf("the log got %q, %v, want %q", b[:max(n, 0)], err, want)
		}
	}
	_ = unix.Close(fd) // a restart of the log, seen from a jail
	if l.Printf("late"); out.String() != "early\nlate\n" {
		t.Errorf("after the log's end: %q", out.String())
	}
}
