// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"context"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// TestPlaces has a client behind a host with NAT, like a container, and a client on a
// host whose IPv6 address changes every few seconds. No piece may come after the grace,
// and the lock must hold. Probes cannot reach the client behind its host. Only its own
// packets keep the lock: Transmission sends something every 20 seconds.
func TestPlaces(t *testing.T) {
	t.Parallel()
	if !*all {
		t.Log("only with -all")
		return
	}
	for _, p := range []struct {
		name string
		s    situation
		put  func(e *env)
		lock time.Duration
	}{
		{"behind the host", situation{kind: qbittorrent, swarm: swarmConfig{tracker: "http"}}, behind, 40 * time.Second},
		{"behind the host", situation{kind: transmission, swarm: swarmConfig{tracker: "http"}}, behind, 40 * time.Second},
		{"addresses that change", situation{kind: transmission, swarm: swarmConfig{tracker: "http", v6: true}}, renewed, timelock},
		{"addresses that change", situation{kind: qbittorrent, swarm: swarmConfig{tracker: "http", v6: true}}, renewed, timelock},
	} {
		for _, wall := range []bool{false, true} {
			name := p.name + " " + p.s.kind.name
			if !wall {
				name += " without the wall"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				e := newEnv(t, p.s)
				p.put(e)
				e.prepare()
				e.TimeLock = p.lock
				if wall {
					e.StartWall(lab.WallConfig{})
				}
				first := e.begin()
				if !wall {
					e.pieces(e.swarm.torrent.total())
					return
				}
				found, _ := e.Found(first, findTime, true)
				time.Sleep(time.Until(first.Add(grace)))
				e.Held(found, holdTime, true, nil)
				if n := e.fromSeeds(first.Add(grace)); n >= blockSize {
					t.Errorf("%d bytes came from the seeds", n)
				}
				e.client.Stop()
				e.Released(time.Now())
				e.Lab.Packets.Complete(t)
			})
		}
	}
}

// behind puts the client into a namespace behind its host.
func behind(e *env) {
	e.T.Helper()
	inner, err := e.Lab.Behind(e.Host)
	e.OK(err)
	e.s.opt = func(o *options) { o.ns = inner }
}

// renewed gives the host another address every three seconds.
func renewed(e *env) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := uint16(1); ctx.Err() == nil; n++ {
			if err := e.Host.Renew(n); err != nil {
				e.T.Error(err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(3 * time.Second):
			}
		}
	}()
	e.T.Cleanup(func() { cancel(); <-done })
}

// fromSeeds is the payload after a time that the router passed from the seeds into the
// LAN, without DHT datagrams.
func (e *env) fromSeeds(after time.Time) (n int) {
	for _, p := range e.Lab.Packets.All(func(p *lab.Packet) bool {
		return !p.WAN && p.Out && p.Time.After(after) && e.swarm.isSeed(p.Src.Addr())
	}) {
		if p.Proto == lab.TCP || p.Proto == lab.UDP && p.Head[0] != 'd' {
			n += p.Len
		}
	}
	return n
}
