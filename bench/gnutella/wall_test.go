// SPDX-License-Identifier: GPL-2.0-or-later

package gnutella

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, "gnutella", 6)) }

const (
	grace    = 2 * time.Second
	findTime = 10 * time.Second
	timelock = 10 * time.Second
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
	*lab.Trial
	client *client
	stop   func()
}

func newEnv(t *testing.T, g2 bool) *env {
	t.Parallel()
	e := &env{Trial: lab.NewTrial(t, "gnutella", timelock, lab.Config{NoServers: true, NAT: true})}
	e.client = &client{host: e.Host, g2: g2}
	for _, a := range []string{"198.51.100.7", "203.0.113.7", "192.0.2.7"} {
		at := netip.AddrPortFrom(netip.MustParseAddr(a), port)
		stop, err := peer(e.Lab.Inet, at)
		e.OK(err)
		e.Lab.OnClose(stop)
		e.client.peers = append(e.client.peers, at)
	}
	return e
}

func (e *env) start() { e.stop = lab.Background(e.T, e.client.run) }

// TestWithoutWall shows that every situation can fail.
func TestWithoutWall(t *testing.T) {
	t.Parallel()
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			e := newEnv(t, s.g2)
			e.start()
			e.Until("the file", func() bool { return e.client.got.Load() > fileSize/4 && e.client.sessions.Load() > 2 })
		})
	}
}

// TestWall checks that no data of the file comes after the grace, and that the lock holds
// while the client runs, even if it only answers.
func TestWall(t *testing.T) {
	t.Parallel()
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			e := newEnv(t, s.g2)
			if s.running {
				e.start()
				e.Until("some of the file", func() bool { return e.client.got.Load() > 1<<20 })
			}
			e.StartWall(lab.WallConfig{})
			begin := time.Now()
			if !s.running {
				e.start()
			}
			e.Found(begin, findTime, true)
			time.Sleep(time.Until(begin.Add(grace)))
			had, sessions := e.client.got.Load(), e.client.sessions.Load()
			e.Held(time.Now(), timelock, true, nil)
			e.client.quiet.Store(true)
			before := e.client.asked.Load()
			e.Held(time.Now(), 3*timelock, true, nil)
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
			e.Released(time.Now())
		})
	}
}
