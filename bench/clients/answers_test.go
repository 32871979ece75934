// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// TestAnswers counts the client's datagrams and the answers that the wall sends in its
// peers' names. The wall must answer just often enough to keep the client talking. The
// lock must last for ten lock times.
func TestAnswers(t *testing.T) {
	t.Parallel()
	if !*all {
		t.Log("only with -all")
		return
	}
	for _, s := range []struct {
		kind *kind
		sets string // without the kernel's sets each datagram comes to the wall
	}{{qbittorrent, "auto"}, {qbittorrent, "off"}, {transmission, "off"}} {
		t.Run(s.kind.name+", sets "+s.sets, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, situation{kind: s.kind, swarm: swarmConfig{tracker: "http"}})
			e.prepare()
			e.StartWall(lab.WallConfig{Main: map[string]string{"sets": s.sets}})
			first := e.begin()
			found, _ := e.Found(first, findTime, true)
			began := time.Now()
			before, err := e.Wall.Counter("pongs")
			e.OK(err)
			asked := e.asks()
			e.Held(found, holdTime, true, nil)
			after, err := e.Wall.Counter("pongs")
			e.OK(err)
			minutes := time.Since(began).Minutes()
			answers := float64(after-before) / minutes
			t.Logf("a minute: %.0f datagrams, %.0f answers", float64(e.asks()-asked)/minutes, answers)
			if answers > 150 {
				t.Error("that is more than two a second, and 16 once")
			}
		})
	}
}

// asks is the number of datagrams that the client's host has sent.
func (e *env) asks() int {
	return len(e.Lab.Packets.All(func(p *lab.Packet) bool { return p.Proto == lab.UDP && !p.WAN && !p.Out && p.MAC == e.Host.MAC }))
}
