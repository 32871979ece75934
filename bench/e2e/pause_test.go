// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"os"
	"syscall"
	"testing"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// TestLeftAloneForATime: clients get their sessions while the wall leaves them alone. They
// send nothing but what belongs to these sessions. When that time is over, they are found
// again and lose their sessions. Connections of others go on. Each client has several
// sessions: one with a single session is found only if it was found before, as the browser
// tests show with Kazaa's behaviour.
func TestLeftAloneForATime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		// begin makes the wall leave the hosts alone, end makes it watch them again.
		begin, end func(*env, ...*lab.Host)
	}{
		{
			"pause",
			func(e *env, _ ...*lab.Host) { e.ask(lab.Request{Cmd: "pause", Seconds: 600}) },
			func(e *env, _ ...*lab.Host) { e.ask(lab.Request{Cmd: "pause"}) },
		},
		{
			"policy",
			func(e *env, _ ...*lab.Host) {},
			func(e *env, _ ...*lab.Host) { e.reload("") },
		},
		{
			"exemption",
			func(e *env, all ...*lab.Host) {
				for _, h := range all {
					e.ask(lab.Request{Cmd: "exempt", Host: h.Addr4.String(), Seconds: 600})
				}
			},
			func(e *env, all ...*lab.Host) {
				for _, h := range all {
					e.ask(lab.Request{Cmd: "exempt", Host: h.Addr4.String()})
				}
			},
		},
		{
			"exemption that runs out",
			func(e *env, all ...*lab.Host) {
				for _, h := range all {
					e.ask(lab.Request{Cmd: "exempt", Host: h.Addr4.String(), Seconds: 35})
				}
			},
			func(*env, ...*lab.Host) {},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, scenario{lab: lab.Config{Clients: 3}, main: map[string]string{"timelock": "4"}, late: true}, true)
			if tt.name == "policy" {
				e.cfg.More = "config policy\n\toption mode 'off'\n\tlist protocol 'fasttrack'\n"
			}
			all := e.lab.Clients
			// Before the wall, which would ask one of those that look random.
			judge, judgeOther := e.lasting(all[0], 100, shownTalks()), e.lasting(e.lab.Innocent, 130, talks)
			e.startWall()
			tt.begin(e, all...)
			clients := []player{
				lab.NewGiFT(all[0], lab.OpenConfig{Peers: e.lab.Peers[:40], Speed: openSpeed, Quiet: true}),
				lab.NewGiFT(all[1], lab.OpenConfig{Peers: e.lab.Peers[:40], Port: 2345, Speed: openSpeed, Quiet: true}),
				lab.NewMLDonkey(all[2], lab.OpenConfig{Peers: e.lab.Peers[:40], Speed: openSpeed, Quiet: true}),
			}
			for _, c := range clients {
				defer e.start(c.Run)()
			}
			e.until("their sessions", func() bool {
				for _, c := range clients {
					if o := c.Seen(); o.Open < 3 || o.Searches == 0 {
						return false
					}
				}
				return true
			})
			for _, h := range all {
				e.must(!e.locked(h), "%s is locked while it is left alone", h.Name)
			}
			tt.end(e, all...)
			for i, h := range all {
				e.until("the lock of "+h.Name, func() bool { return e.locked(h) })
				e.until("the end of its sessions", func() bool { return clients[i].Seen().Open == 0 })
			}
			judge()
			judgeOther()
			e.must(!e.locked(e.lab.Innocent), "the innocent host is locked")
			e.report()
		})
	}
}

// ask sends a request to the wall. An error ends the test.
func (e *env) ask(r lab.Request) {
	e.t.Helper()
	if err := e.wall.Control.Do(r, nil); err != nil {
		e.t.Fatalf("%s: %v", r.Cmd, err)
	}
}

// reload lets the wall read its configuration again, with these further sections.
func (e *env) reload(more string) {
	e.t.Helper()
	e.cfg.More = more
	text := e.wall.Config
	text.More = more
	e.ok(os.WriteFile(e.wall.File, []byte(text.UCI()), 0o600))
	e.ok(e.wall.Signal(syscall.SIGHUP))
}
