// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"fmt"
	"os"
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
	// slack is extra time for a busy machine.
	slack = 2 * time.Second
)

// TestWithoutWall shows that every situation can fail: without the wall the client gets
// the file, and a large part of it after the grace.
func TestWithoutWall(t *testing.T) {
	for _, s := range chosen() {
		t.Run(s.name+" "+s.kind.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s)
			e.prepare()
			e.use()
			first := e.begin()
			e.pieces(e.swarm.torrent.total())
			t.Logf("complete %.1f s after the first packet", time.Since(first).Seconds())
			tcp, udp := e.swarm.moved(e.host, first.Add(grace))
			t.Logf("pieces after %v: %d bytes by TCP, %d by uTP", grace, tcp, udp)
			if want := len(e.swarm.torrent.content) / 4; tcp+udp < want {
				t.Errorf("only %d bytes after the first seconds, want %d", tcp+udp, want)
			}
			if p, ok := e.swarm.around(e.host); ok {
				t.Errorf("the client went past its proxy: %s", &p)
			}
			e.judgeUsers()
			e.recorded()
		})
	}
}

// TestWall runs every situation with the wall.
func TestWall(t *testing.T) {
	var table results
	t.Cleanup(func() { table.show(t) })
	for _, s := range chosen() {
		t.Run(s.name+" "+s.kind.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s)
			e.prepare()
			w := e.startWall()
			e.use()
			first := e.begin()
			defer func() { table.add(t, e.result) }()

			found := e.found(w, first)
			if s.late || s.second {
				first = found
			}
			time.Sleep(time.Until(first.Add(grace)))
			account, pieces := e.settled()
			e.held(w, found)
			e.judgeUsers()
			e.nothing(first.Add(grace), account, pieces)

			e.client.stop()
			e.released(w, time.Now())
			e.recorded()
		})
	}
}

// startWall starts the wall with a short lock time.
func (e *env) startWall() *lab.Wall {
	return e.startWallWith(map[string]string{"timelock": fmt.Sprint(int(timelock.Seconds()))})
}

func (e *env) startWallWith(main map[string]string) *lab.Wall {
	e.t.Helper()
	// A path with the test's name would be too long for the control socket.
	dir, err := os.MkdirTemp("", "wall-")
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { os.RemoveAll(dir) })
	w, err := e.lab.StartWall(lab.WallConfig{
		Bin: wallProgram(e.t), Dir: dir,
		Main:       main,
		BitTorrent: map[string]string{"mode": "block"},
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

// locked reports whether the client's host is locked for BitTorrent.
func (e *env) locked(w *lab.Wall) bool {
	c, err := w.Client(e.host)
	return err == nil && c.Locked && c.Protocol == "bittorrent"
}

// found waits until the wall has locked the client, and returns the time. This may be
// before the client's control interface answered.
func (e *env) found(w *lab.Wall, first time.Time) time.Time {
	e.t.Helper()
	within := findTime
	if e.s.second {
		within = againTime
	}
	for ; ; time.Sleep(50 * time.Millisecond) {
		for _, ev := range w.Seen() {
			if ev.Event != "locked" || ev.Class != "client" || !e.about(ev) {
				continue
			}
			took := ev.Got.Sub(first)
			e.result.found = max(took, 0)
			if took > within || ev.Protocol != "bittorrent" {
				e.t.Errorf("found as %q after %v", ev.Protocol, took)
			}
			return ev.Got
		}
		if time.Since(first) > within+slack {
			break
		}
	}
	if e.s.mute {
		e.t.Logf("not found, and need not be")
		return time.Now()
	}
	clients, err := w.Clients()
	e.t.Errorf("not found within %v; the wall knows %+v (%v)", within, clients, err)
	return time.Now()
}

// account returns the number of bytes that the client reports and the number of pieces on
// disk.
func (e *env) account() (bytes, pieces int) {
	e.t.Helper()
	// A client that waits for unreachable peers may answer late.
	bytes, err := e.client.got()
	if err != nil {
		e.t.Logf("the client's account: %v", err)
	}
	if pieces, err = e.have(); err != nil {
		e.t.Error(err)
	}
	return bytes, pieces
}

// settled returns the account when it no longer changes. Clients count what they have
// received only every few seconds, and when they have verified it. What comes meanwhile is
// seen on the wire.
func (e *env) settled() (bytes, pieces int) {
	e.t.Helper()
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

// held watches the lock for holdTime. With a peer in the LAN the file must be complete by
// the end of that time.
func (e *env) held(w *lab.Wall, found time.Time) {
	e.t.Helper()
	r := &e.result
	var gap time.Time
	for ; time.Since(found) < holdTime; time.Sleep(250 * time.Millisecond) {
		r.polls++
		if !e.locked(w) {
			if r.gaps++; r.gaps == 1 {
				gap = time.Now()
			}
		}
	}
	if e.s.silent || e.s.mute {
		e.t.Logf("the lock was off %d times of %d", r.gaps, r.polls)
		return
	}
	if r.gaps > 0 {
		e.t.Errorf("the lock was off %d times of %d; first %.1f s after it was on", r.gaps, r.polls, gap.Sub(found).Seconds())
	}
	for _, ev := range w.Seen() {
		if ev.Event == "released" && ev.Class == "client" && e.about(ev) {
			e.t.Errorf("released while the client runs, %.1f s after it was found", ev.Got.Sub(found).Seconds())
		}
	}
}

// about reports whether an event is about the client's host.
func (e *env) about(ev lab.Event) bool {
	return ev.MAC == e.host.MACText() || ev.Client == e.host.Addr4.String() || ev.Client == e.host.Addr6.String()
}

// nothing checks that no piece came from the internet after the grace: less than a block
// on the wire and in the client's account, and no new piece on disk. With a peer in the
// LAN the file must be complete, so only the packets on the wire count.
func (e *env) nothing(after time.Time, account, pieces int) {
	e.t.Helper()
	tcp, udp := e.swarm.moved(e.host, after)
	e.result.bytes = tcp + udp
	e.t.Logf("pieces after %v: %d bytes by TCP, %d by uTP; %d pieces before", grace, tcp, udp, pieces)
	if tcp+udp >= blockSize {
		e.t.Errorf("of pieces passed %d bytes by TCP and %d by uTP", tcp, udp)
	}
	now, have := e.account()
	if e.s.lanPeer {
		if have != e.swarm.torrent.total() {
			e.t.Errorf("the peer in the LAN gave %d of %d pieces", have, e.swarm.torrent.total())
		}
		return
	}
	// A block that came within the grace may be counted late.
	if now-account >= blockSize {
		e.t.Errorf("the client says it got %d bytes after the first seconds", now-account)
	}
	if have > pieces+1 {
		e.t.Errorf("%d pieces were complete after the first seconds, now %d", pieces, have)
	}
}

// released checks that the lock ends within one lock time after the client's end.
func (e *env) released(w *lab.Wall, ended time.Time) {
	e.t.Helper()
	if e.result.found < 0 {
		return
	}
	for time.Since(ended) < timelock+slack {
		if !e.locked(w) {
			e.result.released = time.Since(ended)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	clients, err := w.Clients()
	e.t.Errorf("not released %v after the client's end: %+v (%v)", timelock, clients, err)
}
