// SPDX-License-Identifier: GPL-2.0-or-later

package gnutella

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, "gnutella", 4)) }

const (
	grace    = 2 * time.Second
	findTime = 10 * time.Second
	timelock = 10 * time.Second
	patience = 60 * time.Second
)

// situations are the two networks, and a client that ran before the wall.
var situations = []struct {
	name        string
	g2, running bool
}{
	{"Gnutella", false, false},
	{"G2", true, false},
	{"Gnutella running", false, true},
}

// env is a client with its peers.
type env struct {
	t      *testing.T
	lab    *lab.Lab
	client *client
	stop   func()
}

func newEnv(t *testing.T, g2 bool) *env {
	t.Parallel()
	if why := lab.Needs("iptables", "ip6tables"); why != "" {
		t.Skip(why)
	}
	l, err := lab.New(lab.Config{NoServers: true, NoOffload: true, NAT: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := l.Firewall(); err != nil {
		t.Fatal(err)
	}
	e := &env{t: t, lab: l, client: &client{host: l.Clients[0], g2: g2}}
	for _, a := range []string{"198.51.100.7", "203.0.113.7", "192.0.2.7"} {
		at := netip.AddrPortFrom(netip.MustParseAddr(a), port)
		stop, err := peer(l.Inet, at)
		if err != nil {
			t.Fatal(err)
		}
		l.OnClose(stop)
		e.client.peers = append(e.client.peers, at)
	}
	return e
}

func (e *env) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.client.run(ctx) }()
	e.stop = func() {
		cancel()
		if err := <-done; err != nil {
			e.t.Error(err)
		}
	}
	e.lab.OnClose(cancel)
}

func (e *env) until(what string, limit time.Duration, cond func() bool) bool {
	e.t.Helper()
	for end := time.Now().Add(limit); !cond(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			e.t.Errorf("did not come within %v: %s", limit, what)
			return false
		}
	}
	return true
}

// TestWithoutWall shows that every situation can fail.
func TestWithoutWall(t *testing.T) {
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			e := newEnv(t, s.g2)
			e.start()
			e.until("the file", patience, func() bool { return e.client.got.Load() > fileSize/4 && e.client.sessions.Load() > 2 })
		})
	}
}

// TestWall checks that no data of the file comes after the grace, and that the lock holds
// while the client runs, even if it only answers.
func TestWall(t *testing.T) {
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			e := newEnv(t, s.g2)
			if s.running {
				e.start()
				e.until("some of the file", patience, func() bool { return e.client.got.Load() > 1<<20 })
			}
			w := e.wall()
			begin := time.Now()
			if !s.running {
				e.start()
			}
			locked := func() bool {
				c, err := w.Client(e.client.host)
				return err == nil && c.Locked && c.Protocol == "gnutella"
			}
			if e.until("the lock", findTime, locked) {
				c, _ := w.Client(e.client.host)
				t.Logf("found after %.1f s by %s, %s: %q", time.Since(begin).Seconds(), c.Proof, c.Reason, c.Program)
			}
			time.Sleep(time.Until(begin.Add(grace)))
			had, sessions := e.client.got.Load(), e.client.sessions.Load()
			e.held(locked, timelock)
			e.client.quiet.Store(true)
			before := e.client.asked.Load()
			e.held(locked, 3*timelock)
			if n := e.client.got.Load() - had; n > 0 {
				t.Errorf("%d bytes of the file after %v", n, grace)
			}
			if n := e.client.sessions.Load() - sessions; n > 0 {
				t.Errorf("%d sessions after %v", n, grace)
			}
			if e.client.asked.Load() == before {
				t.Error("it was not asked any more")
			}
			e.stop()
			stopped := time.Now()
			if e.until("the release", timelock+5*time.Second, func() bool { return !locked() }) {
				t.Logf("released after %.1f s", time.Since(stopped).Seconds())
			}
		})
	}
}

// held checks that the lock holds for a time.
func (e *env) held(locked func() bool, d time.Duration) {
	e.t.Helper()
	polls, gaps := 0, 0
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if polls++; !locked() {
			gaps++
		}
	}
	if gaps > 0 {
		e.t.Errorf("the lock was off %d times of %d", gaps, polls)
	}
}

func (e *env) wall() *lab.Wall {
	e.t.Helper()
	bin, err := lab.TestedWall()
	if err != nil {
		e.t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "wall-")
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { os.RemoveAll(dir) })
	w, err := e.lab.StartWall(lab.WallConfig{
		Bin: bin, Dir: dir, Main: map[string]string{"timelock": fmt.Sprint(int(timelock.Seconds()))},
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		if e.t.Failed() {
			e.t.Logf("log of the wall:\n%s", w.LogText())
		}
	})
	return w
}
