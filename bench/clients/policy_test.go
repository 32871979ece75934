// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// policyKinds are the clients of these tests. The transfer is long enough that it still runs
// when the wall stops it.
var policyKinds = []situation{
	{name: "policy", kind: transmission, running: true, swarm: swarmConfig{tracker: "http"}},
	{name: "policy", kind: qbittorrent, running: true, swarm: swarmConfig{tracker: "udp"}},
}

// stopped checks that no piece comes to a host after a time, for a while.
func (e *env) stopped(h *lab.Host, after time.Time, while time.Duration) {
	e.T.Helper()
	time.Sleep(time.Until(after.Add(while)))
	if tcp, udp := e.swarm.moved(h, after); tcp+udp >= blockSize {
		e.T.Errorf("%d bytes by TCP and %d by uTP came after %v", tcp, udp, after)
	}
}

// TestPolicyOfDevice: the client on one computer is stopped. The same client on another
// computer, which a policy leaves alone, gets its file meanwhile.
func TestPolicyOfDevice(t *testing.T) {
	t.Parallel()
	for _, s := range policyKinds {
		t.Run(s.kind.name, func(t *testing.T) {
			t.Parallel()
			s.lanPeer = true // for a second host
			e := newEnv(t, s)
			allowed := e.Lab.Clients[1]
			e.StartWall(lab.WallConfig{More: "config policy 'mine'\n\tlist mac '" + allowed.MACText() + "'\n\toption mode 'off'\n"})
			e.launch(false)
			e.Until("the lock", e.Locked)
			locked := time.Now()
			other, err := start(e.Lab, s.kind, e.options(allowed, filepath.Join(e.swarm.dir, "allowed"), false))
			e.OK(err)
			e.Until("the file on the computer that is left alone", func() bool {
				have, err := other.pieces()
				e.OK(err)
				return have == e.swarm.torrent.total()
			})
			e.stopped(e.Host, locked.Add(grace), holdTime/4)
			if !e.Locked() {
				t.Error("the lock did not hold")
			}
			if found := e.Wall.About(allowed, "client", "found"); len(found) > 0 {
				t.Errorf("the computer that is left alone was found: %+v", found)
			}
		})
	}
}

// hours is a policy that leaves everybody alone from an hour ago until a time.
func hours(end time.Time) string {
	return "config policy 'night'\n\toption mode 'off'\n" +
		"\toption start_time '" + time.Now().Add(-time.Hour).Format(time.TimeOnly) + "'\n" +
		"\toption stop_time '" + end.Format(time.TimeOnly) + "'\n"
}

// TestPolicyHours: a policy leaves the client alone, and its transfer runs. Then the owner
// has the hours of the policy end soon. The transfer ends with them.
func TestPolicyHours(t *testing.T) {
	t.Parallel()
	for _, s := range policyKinds {
		t.Run(s.kind.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s)
			e.StartWall(lab.WallConfig{More: hours(time.Now().Add(time.Hour))})
			e.launch(false)
			e.pieces(4)
			if e.Locked() {
				t.Error("locked in its hours")
			}
			end := time.Now().Add(4 * time.Second).Truncate(time.Second)
			cfg := e.Wall.Config
			cfg.More = hours(end)
			e.OK(os.WriteFile(e.Wall.File, []byte(cfg.UCI()), 0o600))
			e.OK(e.Wall.Signal(syscall.SIGHUP))
			e.Until("the lock", e.Locked)
			locked := time.Now()
			if locked.Before(end) {
				t.Errorf("locked %v before the end of its hours", end.Sub(locked))
			}
			e.stopped(e.Host, locked.Add(grace), holdTime/4)
			have, err := e.have()
			e.OK(err)
			if have == e.swarm.torrent.total() {
				t.Error("the client had its file before the end of its hours: this proves nothing")
			}
			t.Logf("locked %.1f s after the end of its hours, with %d pieces", locked.Sub(end).Seconds(), have)
		})
	}
}
