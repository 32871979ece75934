// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// The environment variables of the tests, see the package's documentation.
const (
	offEnv  = "P2PWALL_E2E"
	paceEnv = "P2PWALL_E2E_PACE"
)

// patience limits every wait. It only ends a run that hangs, also on a busy machine.
const patience = 2 * time.Minute

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, "e2e", 10)) }

// env is a lab with or without a wall, and the faults seen in it.
type env struct {
	t    *testing.T
	lab  *lab.Lab
	wall *lab.Wall // nil without a wall
	cfg  lab.WallConfig
	// before are the rules that the router had before the wall started.
	before []string

	mu     sync.Mutex
	faults []string
}

// scenario is one way to use a lab.
type scenario struct {
	name      string
	without   string // regular expression of the fault that must occur without the wall
	lab       lab.Config
	main      map[string]string // options of the main section
	fasttrack map[string]string
	late      bool // run starts the wall itself
	run       func(*env)
}

// newEnv makes the lab of a scenario. It starts the wall unless the test runs without
// one.
func newEnv(t *testing.T, s scenario, wall bool) *env {
	t.Helper()
	lab.Need(t, "iptables|nft")
	s.lab.NoOffload = true
	e := &env{t: t, lab: lab.ForTest(t, s.lab)}
	if !wall {
		return e
	}
	e.cfg = lab.WallConfig{Bin: lab.Program(t), Dir: t.TempDir(), Main: map[string]string{}, Protocols: map[string]map[string]string{"fasttrack": s.fasttrack}}
	if b := os.Getenv(lab.BackendEnv); b != "" {
		e.cfg.Main["backend"] = b
	}
	maps.Copy(e.cfg.Main, s.main)
	e.before = e.lab.Leftovers()
	if !s.late {
		e.startWall()
	}
	return e
}

// startWall starts the wall unless the test runs without one. It may be called again.
func (e *env) startWall() {
	if e.cfg.Bin == "" {
		return
	}
	w, err := e.lab.StartWall(e.cfg)
	e.ok(err)
	w.ShowLog(e.t)
	e.wall = w
}

// pace says how many times slower than a workstation the machine is.
func pace() int {
	n, err := strconv.Atoi(os.Getenv(paceEnv))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// fault notes that a property did not hold.
func (e *env) fault(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.faults = append(e.faults, fmt.Sprintf(format, args...))
}

// must notes a fault unless the property holds.
func (e *env) must(holds bool, format string, args ...any) bool {
	if !holds {
		e.fault(format, args...)
	}
	return holds
}

// until waits for a condition and notes a fault if it does not become true. Without a
// wall many conditions never become true. Then the wait is short and its end is no fault.
func (e *env) until(what string, cond func() bool) bool {
	limit := patience
	if e.cfg.Bin == "" {
		limit = 2 * time.Second
	}
	for end := time.Now().Add(limit); ; time.Sleep(time.Duration(pace()) * 5 * time.Millisecond) {
		if cond() {
			return true
		}
		if time.Now().After(end) {
			if e.cfg.Bin != "" {
				e.fault("did not come: %s", what)
			}
			return false
		}
		if e.wall != nil && !e.wall.Running() {
			e.fault("the wall ended by itself while waiting for %s", what)
			return false
		}
	}
}

// start runs a function until stop is called or the test ends.
func (e *env) start(run func(context.Context) error) (stop func()) { return lab.Background(e.t, run) }

// worked notes a fault if any action of a user failed. It returns the number of actions.
func (e *env) worked(who string, user *lab.Innocent) int {
	m, failed := user.Counts()
	e.must(failed == 0, "%s failed %d of %d times (%s): %s", who, failed, m, user.Kinds(), strings.Join(user.Errors(), "; "))
	return m
}

// innocent starts the innocent host. judge stops it and checks the results.
func (e *env) innocent(cfg lab.InnocentConfig) (judge func()) {
	if cfg.Every == 0 {
		cfg.Every = time.Duration(pace()) * 100 * time.Millisecond
	}
	in := lab.NewInnocent(e.lab.Innocent, cfg)
	stop := e.start(in.Run)
	return func() {
		stop()
		m := e.worked("the innocent host", in)
		if m < 14 && pace() == 1 || m < 7 { // each kind of action once
			e.t.Errorf("the innocent host did only %d things", m)
		}
		if cfg.Retries == 0 {
			lost := e.lab.Lost(e.lab.Innocent)
			for i := range lost[:min(len(lost), 5)] {
				e.fault("of %d packets of or to the innocent host, packet %d was lost: %s", len(lost), lost[i].At, &lost[i])
			}
		}
		e.lab.Packets.Complete(e.t)
	}
}

func (e *env) ok(err error) { e.t.Helper(); lab.OK(e.t, err) }

func (e *env) raw(h *lab.Host) *lab.Raw { return lab.OpenRaw(e.t, h) }

// kazaa starts a Kazaa client on a host. It pings all peers unless the configuration says
// otherwise.
func (e *env) kazaa(h *lab.Host, cfg lab.KazaaConfig) (k *lab.Kazaa, stop func()) {
	if cfg.Peers == nil {
		cfg.Peers = e.lab.Peers
	}
	if cfg.Speed == 0 {
		cfg.Speed = 20
	}
	cfg.Mode = 1
	k = lab.NewKazaa(h, cfg)
	return k, e.start(k.Run)
}

// events returns the wall's events of one kind about a host's client.
func (e *env) events(h *lab.Host, what string) []lab.Event {
	if e.wall == nil {
		return nil
	}
	return e.wall.About(h, "client", what)
}

// locked reports whether the last event about a host's lock is "locked".
func (e *env) locked(h *lab.Host) bool { return e.lastLock(h) == "locked" }

func (e *env) lastLock(h *lab.Host) string {
	if e.wall == nil {
		return ""
	}
	return e.wall.LastLock(h)
}

// counter returns one of the wall's counters.
func (e *env) counter(name string) uint64 {
	if e.wall == nil {
		return 0
	}
	v, err := e.wall.Counter(name)
	if err != nil {
		e.fault("%v", err)
	}
	return v
}

// noLeak checks that no packet of a host that entered the router at or after a moment
// reached a supernode.
func (e *env) noLeak(h *lab.Host, from lab.Moment) {
	// When a packet comes for a program that was just closed, the host's kernel answers
	// with an ICMP error. The client did not send it.
	leaks := slices.DeleteFunc(e.lab.Leaks(h, from), func(c lab.Crossing) bool { return c.Proto != lab.TCP && c.Proto != lab.UDP })
	for i := range leaks[:min(len(leaks), 5)] {
		e.fault("leak %d of %d: packet %d, entered as %d: %s", i+1, len(leaks), leaks[i].At, leaks[i].Entered, &leaks[i].Packet)
	}
	e.lab.Packets.Complete(e.t)
}

// noSYNWhileLocked checks that no SYN of a host, to any address, left to the internet if
// it entered the router between the lock and a moment.
func (e *env) noSYNWhileLocked(h *lab.Host, end lab.Moment) {
	locks := e.events(h, "locked")
	if !e.must(len(locks) > 0, "never locked") {
		return
	}
	for _, c := range e.lab.Crossings(h) {
		if c.IsSYN() && c.Entered > locks[0].At && c.Entered <= end {
			e.fault("a SYN left while locked: packet %d, entered as %d: %s", c.At, c.Entered, &c.Packet)
			return
		}
	}
}

// canConnect connects from a host to a web server, as another program on the host would.
func (e *env) canConnect(h *lab.Host, to netip.Addr, patience time.Duration) bool {
	return h.Connects(netip.AddrPortFrom(to, 80), patience)
}

// finish ends the wall and reports all faults.
func (e *env) finish() {
	e.endWall()
	e.report()
}

// endWall stops the wall and checks that it leaves nothing in the router.
func (e *env) endWall() {
	if e.wall == nil {
		return
	}
	if err := e.wall.Stop(); err != nil {
		e.fault("stopping: %v", err)
	}
	e.nothingLeft()
}

// report makes the faults errors of the test.
func (e *env) report() {
	for _, f := range e.faults {
		e.t.Error(f)
	}
}

func (e *env) nothingLeft() {
	for _, f := range e.lab.Leftovers() {
		if !slices.Contains(e.before, f) {
			e.fault("left behind: %s", f)
		}
	}
	if _, err := os.Lstat(e.wall.Path); !errors.Is(err, os.ErrNotExist) {
		e.fault("the control socket was left behind")
	}
}
