// SPDX-License-Identifier: GPL-2.0-or-later

package syslog

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLoggerKinds writes the same lines to each kind of log.
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
		l, err := Open(kind, &out)
		if err != nil {
			t.Fatal(err)
		}
		if say(l); out.String() != want {
			t.Errorf("%q: %q, want %q", kind, out.String(), want)
		}
	}
	if _, err := Open("paper", nil); err == nil {
		t.Error("a kind that does not exist is taken")
	}
}

func TestLoggerToSyslog(t *testing.T) {
	var out strings.Builder
	l, err := Open("syslog", &out)
	if err != nil {
		t.Fatal(err)
	}
	l.path = filepath.Join(t.TempDir(), "log")
	l.now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 600e6, time.UTC) }
	// The system's log does not run yet. The line goes to procd, which adds the name.
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
	l.Errorf("e")
	l.Printf("i")
	l.Noticef("%d", 1)
	l.Warnf("w")
	const at = "Jan  2 03:04:05 p2pwall: "
	if len(at)-len("p2pwall: ") != 16 { // the length that OpenWrt's log strips
		t.Error("the time has not 16 bytes")
	}
	b := make([]byte, 200)
	for _, want := range []string{
		"<27>" + at + "e", "<30>" + at + "i", "<29>" + at + "1", "<28>" + at + "w",
	} {
		n, err := unix.Read(fd, b)
		if err != nil || string(b[:n]) != want {
			t.Errorf("the log got %q, %v, want %q", b[:max(n, 0)], err, want)
		}
	}
	_ = unix.Close(fd) // as after a restart of the log, seen from a jail
	if l.Printf("late"); out.String() != "early\nlate\n" {
		t.Errorf("after the log's end: %q", out.String())
	}
}
