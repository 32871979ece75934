// SPDX-License-Identifier: GPL-2.0-or-later

package syslog

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
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

// TestFailure: an error with several faults is one line of the log for each, as an error. Else
// all but the first would have no priority and no name.
func TestFailure(t *testing.T) {
	err := errors.Join(errors.New("f:1: wrong, 100% so"), errors.New("f:2: %s"))
	for kind, want := range map[string]string{
		"stderr":  "p2pwall: f:1: wrong, 100% so\np2pwall: f:2: %s\n",
		"journal": "<3>f:1: wrong, 100% so\n<3>f:2: %s\n",
	} {
		var out strings.Builder
		l, openErr := Open(kind, &out)
		if openErr != nil {
			t.Fatal(openErr)
		}
		if l.Failure(err); out.String() != want {
			t.Errorf("%s: %q, want %q", kind, out.String(), want)
		}
	}
}

// TestUnknownKind: the error says which kinds there are.
func TestUnknownKind(t *testing.T) {
	const want = `unknown kind of log "paper": use stderr, journal or syslog`
	if _, err := Open("paper", nil); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestLinesStayWhole: goroutines that write at the same time do not mix their lines.
func TestLinesStayWhole(t *testing.T) {
	const writers, lines = 8, 50
	var out pieces
	l := New(&out)
	var all sync.WaitGroup
	for i := range writers {
		all.Add(1)
		go func() {
			defer all.Done()
			for range lines {
				l.Printf("writer %d", i)
			}
		}()
	}
	all.Wait()
	got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(got) != writers*lines {
		t.Errorf("%d lines, want %d", len(got), writers*lines)
	}
	for _, line := range got {
		if len(line) != len("p2pwall: writer 0") || !strings.HasPrefix(line, "p2pwall: writer ") {
			t.Fatalf("the line %q", line)
		}
	}
}

// pieces takes text byte by byte, so that writes at the same time would mix.
type pieces []byte

func (p *pieces) Write(b []byte) (int, error) {
	for _, c := range b {
		*p = append(*p, c)
		runtime.Gosched()
	}
	return len(b), nil
}

// TestFullSyslog: a log that does not read loses no line and stops nobody: what its socket
// does not take goes to standard error.
func TestFullSyslog(t *testing.T) {
	var out strings.Builder
	l, err := Open("syslog", &out)
	if err != nil {
		t.Fatal(err)
	}
	l.path = filepath.Join(t.TempDir(), "log")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: l.path}); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; out.Len() == 0 && n < 1_000_000; n++ {
		l.Printf("line %d", n)
	}
	b, taken := make([]byte, 200), 0
	for ; ; taken++ {
		if _, err := unix.Read(fd, b); err != nil {
			break
		}
	}
	if want := fmt.Sprintf("line %d\n", n-1); out.String() != want || taken != n-1 || n < 2 {
		t.Errorf("of %d lines, the log has %d, and standard error %q, want %q", n, taken, out.String(), want)
	}
}
