// SPDX-License-Identifier: GPL-2.0-or-later

package notify

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// manager returns the socket on which systemd would listen.
func manager(t *testing.T, watchdog time.Duration) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	return c
}

func heard(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1024)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestNotify(t *testing.T) {
	c := manager(t, 0)
	n := New(1)
	n.Ready()
	n.Reloading()
	n.Stopping()
	for _, want := range []string{`^READY=1$`, `^RELOADING=1\nMONOTONIC_USEC=[0-9]+$`, `^STOPPING=1$`} {
		if got := heard(t, c); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("got %q, want %s", got, want)
		}
	}
	n.Watch(nil) // returns at once: there is no watchdog
}

// TestWatchdogIsFed: the watchdog is fed while the loops beat.
func TestWatchdogIsFed(t *testing.T) {
	c := manager(t, 40*time.Millisecond)
	n := New(2)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		n.Watch(done)
		close(ended)
	}()
	for fed := false; !fed; {
		n.Beat(0)
		n.Beat(1)
		c.SetReadDeadline(time.Now().Add(time.Millisecond))
		b := make([]byte, 64)
		if k, err := c.Read(b); err == nil {
			fed = true
			if string(b[:k]) != "WATCHDOG=1" {
				t.Errorf("got %q", b[:k])
			}
		}
	}
	close(done)
	<-ended
}

// TestAlive: one loop that hangs is enough to starve the watchdog.
func TestAlive(t *testing.T) {
	n := &Notifier{interval: 30 * time.Second, beats: New(2).beats}
	for _, x := range []struct {
		a, b, now time.Duration
		want      bool
	}{
		{0, 0, 15 * time.Second, true}, // has just started
		{0, 0, 15*time.Second + 1, false},
		{100 * time.Second, 100 * time.Second, 115 * time.Second, true},
		{100 * time.Second, 90 * time.Second, 105 * time.Second, true},
		{100 * time.Second, 90 * time.Second, 106 * time.Second, false},
		{90 * time.Second, 100 * time.Second, 106 * time.Second, false},
	} {
		n.beats[0].Store(int64(x.a))
		n.beats[1].Store(int64(x.b))
		if got := n.alive(x.now); got != x.want {
			t.Errorf("beats at %v and %v, at %v: %v", x.a, x.b, x.now, got)
		}
	}
}

func TestNobodyToTell(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	n := New(1)
	n.Ready()
	n.Watch(nil)
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	n.Ready()
	n.Stopping()
}
