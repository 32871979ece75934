// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

const (
	// grace is the time after which no more pieces may come. findTime is the time within
	// which the wall must report the client. Both count from the client's first packet to
	// the swarm, or from the wall's start if the client ran before.
	grace    = 2 * time.Second
	findTime = 10 * time.Second
	// againTime replaces findTime for a client that must connect again first. libtorrent
	// does that after a minute, aria2 after two.
	againTime = 150 * time.Second

	// Transmission answers nobody in its first eight seconds, while it searches for a
	// router that maps ports.
	timelock = 10 * time.Second
	// holdTime is how long the client runs before the test ends it.
	holdTime = 10 * timelock
)

// TestWithoutWall shows that every situation can fail: without the wall the client gets
// the file, and a large part of it after the grace.
func TestWithoutWall(t *testing.T) {
	t.Parallel()
	for _, s := range chosen() {
		t.Run(s.name+" "+s.kind.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s)
			e.prepare()
			e.use()
			first := e.begin()
			e.pieces(e.swarm.torrent.total())
			t.Logf("complete %.1f s after the first packet", time.Since(first).Seconds())
			tcp, udp := e.swarm.moved(e.Host, first.Add(grace))
			t.Logf("pieces after %v: %d bytes by TCP, %d by uTP", grace, tcp, udp)
			if want := len(e.swarm.torrent.content) / 4; tcp+udp < want {
				t.Errorf("only %d bytes after the first seconds, want %d", tcp+udp, want)
			}
			if p, ok := e.swarm.around(e.Host); ok {
				t.Errorf("the client went past its proxy: %s", &p)
			}
			e.judgeUsers()
			e.Lab.Packets.Complete(t)
		})
	}
}

// TestWall runs every situation with the wall.
func TestWall(t *testing.T) {
	t.Parallel()
	var table results
	t.Cleanup(func() { table.show(t) })
	for _, s := range chosen() {
		t.Run(s.name+" "+s.kind.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s)
			e.prepare()
			e.StartWall(lab.WallConfig{})
			e.use()
			first := e.begin()
			r := &e.result
			defer func() { table.add(t, *r) }()

			within := findTime
			if s.second {
				within = againTime
			}
			found, ok := e.Found(first, within, !s.mute)
			if ok {
				r.found = max(found.Sub(first), 0)
			}
			if s.late || s.second {
				first = found
			}
			time.Sleep(time.Until(first.Add(grace)))
			account, pieces := e.settled()
			r.polls, r.gaps = e.Held(found, holdTime, !s.silent && !s.mute, nil)
			e.judgeUsers()
			e.nothing(first.Add(grace), account, pieces)

			e.client.Stop()
			if ok {
				r.released = e.Released(time.Now())
			}
			e.Lab.Packets.Complete(t)
		})
	}
}

// account returns the number of bytes that the client reports and the number of pieces on
// disk.
func (e *env) account() (bytes, pieces int) {
	e.T.Helper()
	// A client that waits for unreachable peers may answer late.
	bytes, err := e.client.got()
	if err != nil {
		e.T.Logf("the client's account: %v", err)
	}
	if pieces, err = e.have(); err != nil {
		e.T.Error(err)
	}
	return bytes, pieces
}

// settled returns the account when it no longer changes. Clients count what they have
// received only every few seconds, and when they have verified it. What comes meanwhile is
// seen on the wire.
func (e *env) settled() (bytes, pieces int) {
	e.T.Helper()
	same := 0
	for range 15 {
		b, n := e.account()
		if same++; b != bytes || n != pieces {
			bytes, pieces, same = b, n, 0
		}
		if same == 3 {
			break
		}
		time.Sleep(time.Second)
	}
	return bytes, pieces
}

// nothing checks that no piece came from the internet after the grace: less than a block
// on the wire and in the client's account, and no new piece on disk. With a peer in the
// LAN the file must be complete, so only the packets on the wire count.
func (e *env) nothing(after time.Time, account, pieces int) {
	e.T.Helper()
	tcp, udp := e.swarm.moved(e.Host, after)
	e.result.bytes = tcp + udp
	e.T.Logf("pieces after %v: %d bytes by TCP, %d by uTP; %d pieces before", grace, tcp, udp, pieces)
	if tcp+udp >= blockSize {
		e.T.Errorf("of pieces passed %d bytes by TCP and %d by uTP", tcp, udp)
	}
	now, have := e.account()
	if e.s.lanPeer {
		if have != e.swarm.torrent.total() {
			e.T.Errorf("the peer in the LAN gave %d of %d pieces", have, e.swarm.torrent.total())
		}
		return
	}
	// A block that came within the grace may be counted late.
	if now-account >= blockSize {
		e.T.Errorf("the client says it got %d bytes after the first seconds", now-account)
	}
	if have > pieces+1 {
		e.T.Errorf("%d pieces were complete after the first seconds, now %d", pieces, have)
	}
}
