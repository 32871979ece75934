// SPDX-License-Identifier: GPL-2.0-or-later

package gnutella

import (
	"context"
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

// situation is one way to run a client.
type situation struct {
	name    string
	g2      bool
	running bool // it ran before the wall
	seed    bool // a peer downloads the client's file, through a forwarded port
	v6      bool
}

var situations = []situation{
	{name: "Gnutella"},
	{name: "G2", g2: true},
	{name: "Gnutella running", running: true},
	{name: "Gnutella seeding", seed: true},
	{name: "Gnutella seeding and running", seed: true, running: true},
	{name: "Gnutella by IPv6", v6: true},
	{name: "G2 by IPv6", g2: true, v6: true},
}

// env is a client with its peers.
type env struct {
	*lab.Trial
	client *client
	loader *client // who downloads: the client, or a peer
	stop   func()
}

func newEnv(t *testing.T, s situation) *env {
	t.Parallel()
	cfg := lab.Config{NoServers: true, NAT: true}
	if s.seed {
		cfg.Forward = port
	}
	e := &env{Trial: lab.NewTrial(t, "gnutella", timelock, cfg)}
	e.client = &client{host: e.Host, g2: s.g2, seed: s.seed}
	addrs := []string{"198.51.100.7", "203.0.113.7", "192.0.2.7"}
	if s.v6 {
		addrs = []string{"2001:db8:ff::7", "2001:db8:ff:1::7", "2001:db8:ff:2::7"}
	}
	for _, a := range addrs {
		at := netip.AddrPortFrom(netip.MustParseAddr(a), port)
		stop, err := peer(e.Lab.Inet, at)
		e.OK(err)
		e.Lab.OnClose(stop)
		e.client.peers = append(e.client.peers, at)
	}
	e.loader = e.client
	if s.seed {
		e.loader = &client{host: e.Lab.Inet}
		lab.Background(t, func(ctx context.Context) error {
			e.loader.download(ctx, netip.AddrPortFrom(lab.WAN4, port))
			return nil
		})
	}
	return e
}

func (e *env) start() { e.stop = lab.Background(e.T, e.client.run) }

// TestWithoutWall shows that every situation can fail.
func TestWithoutWall(t *testing.T) {
	t.Parallel()
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			e := newEnv(t, s)
			e.start()
			e.Until("the file", func() bool { return e.loader.got.Load() > fileSize/4 && e.client.sessions.Load() > 2 })
		})
	}
}

// TestWall checks that no data of the file comes after the grace, and that the lock holds
// while the client runs, even if it only answers.
func TestWall(t *testing.T) {
	t.Parallel()
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			e := newEnv(t, s)
			if s.running {
				e.start()
				e.Until("some of the file", func() bool { return e.loader.got.Load() > 1<<20 })
			}
			e.StartWall(lab.WallConfig{})
			begin := time.Now()
			if !s.running {
				e.start()
			}
			e.Found(begin, findTime, true)
			time.Sleep(time.Until(begin.Add(grace)))
			had, sessions := e.loader.got.Load(), e.client.sessions.Load()
			e.Held(time.Now(), timelock, true, nil)
			e.client.quiet.Store(true)
			before := e.client.asked.Load()
			e.Held(time.Now(), 3*timelock, true, nil)
			if n := e.loader.got.Load() - had; n > 0 {
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
