// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The environment variables of trials: the wall's backend, and a folder for a recording of
// each test's LAN device.
const (
	BackendEnv = "P2PWALL_BACKEND"
	CaptureEnv = "P2PWALL_PCAP"
)

// Patience limits every wait of a Trial. It only ends a run that hangs.
const Patience = 2 * time.Minute

// slack is extra time for a busy machine.
const slack = 3 * time.Second

// Trial is a test in which a client runs on a host, and a wall must find and lock it.
type Trial struct {
	T    *testing.T
	Lab  *Lab
	Host *Host  // where the client runs
	Dir  string // for the test's files
	Wall *Wall  // nil before StartWall

	Protocol string // as the wall calls it
	TimeLock time.Duration
	// State says more after a wait in vain. It may be nil.
	State func() string
}

// NewTrial makes the lab of a trial. Its router drops packets from the internet that
// nobody asked for. It skips the test if a program is missing.
func NewTrial(t *testing.T, protocol string, timelock time.Duration, cfg Config, programs ...string) *Trial {
	t.Helper()
	Need(t, append(programs, "iptables", "ip6tables")...)
	cfg.NoOffload = true
	x := &Trial{T: t, Lab: ForTest(t, cfg), Dir: t.TempDir(), Protocol: protocol, TimeLock: timelock}
	x.Host = x.Lab.Clients[0]
	x.OK(x.Lab.Firewall())
	if dir := os.Getenv(CaptureEnv); dir != "" {
		file := filepath.Join(dir, strings.NewReplacer("/", "-", " ", "-", "+", "").Replace(t.Name())+".pcap")
		_, err := x.Lab.Start(x.Lab.Router.Command("tcpdump", "-U", "-q", "-Z", "root", "-i", BridgeDev, "-w", file))
		x.OK(err)
	}
	return x
}

// OK ends the test if there is an error.
func (x *Trial) OK(err error) {
	x.T.Helper()
	if err != nil {
		x.T.Fatal(err)
	}
}

// Until waits for a condition and ends the test if it does not become true.
func (x *Trial) Until(what string, cond func() bool) {
	x.T.Helper()
	for end := time.Now().Add(Patience); !cond(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			if x.State != nil {
				what += "; " + x.State()
			}
			x.T.Fatalf("did not come within %v: %s", Patience, what)
		}
	}
}

// First waits for the host's first packet after a moment that fits, and returns when it
// came to the router.
func (x *Trial) First(after Moment, fits func(*Packet) bool) time.Time {
	x.T.Helper()
	var first []Packet
	x.Until("the client's first packet", func() bool {
		first = x.Lab.Packets.All(func(p *Packet) bool {
			return p.At > after && !p.WAN && !p.Out && p.MAC == x.Host.MAC && fits(p)
		})
		return len(first) > 0
	})
	return first[0].Time
}

// StartWall starts the wall with the trial's lock time. The configuration may say more.
func (x *Trial) StartWall(cfg WallConfig) {
	x.T.Helper()
	// A path with the test's name would be too long for the control socket.
	dir, err := os.MkdirTemp("", "wall-")
	x.OK(err)
	x.T.Cleanup(func() { os.RemoveAll(dir) })
	main := map[string]string{"timelock": fmt.Sprint(int(x.TimeLock.Seconds()))}
	if b := os.Getenv(BackendEnv); b != "" {
		main["backend"] = b
	}
	maps.Copy(main, cfg.Main)
	cfg.Bin, cfg.Dir, cfg.Main = Program(x.T), dir, main
	w, err := x.Lab.StartWall(cfg)
	x.OK(err)
	w.ShowLog(x.T)
	x.Wall = w
}

// Locked reports whether the host is locked for the protocol. When the machine stalls, the
// control socket may give no answer in time. That says nothing about the lock, so Locked
// asks again.
func (x *Trial) Locked() (locked bool) {
	x.T.Helper()
	x.Until("an answer of the control socket", func() bool {
		c, err := x.Wall.Client(x.Host)
		locked = err == nil && c.Locked && c.Protocol == x.Protocol
		return err == nil || errors.Is(err, errNoClient)
	})
	return locked
}

// Found waits for the host's lock, which must come within a time after the client's first
// packet. It returns the time of the lock, or the current time if there is none. A client
// that the wall need not find may stay without a lock.
func (x *Trial) Found(first time.Time, within time.Duration, must bool) (at time.Time, ok bool) {
	x.T.Helper()
	// What comes between the first packet and this call may take longer than that.
	for last := false; !last; time.Sleep(50 * time.Millisecond) {
		last = time.Since(first) >= within+slack
		locks := x.Wall.About(x.Host, "client", "locked")
		if len(locks) == 0 {
			continue
		}
		at, took := locks[0].Got, locks[0].Got.Sub(first)
		if took > within || locks[0].Protocol != x.Protocol {
			x.T.Errorf("found as %q after %v", locks[0].Protocol, took)
		}
		c, _ := x.Wall.Client(x.Host)
		x.T.Logf("found after %.1f s by %s, %s: %q", took.Seconds(), c.Proof, c.Reason, c.Program)
		return at, true
	}
	if must {
		clients, err := x.Wall.Clients()
		x.T.Errorf("not found within %v; the wall knows %+v (%v)", within, clients, err)
	}
	return time.Now(), false
}

// Held watches the lock until a time after the client was found, and calls meanwhile
// between two looks, if it is not nil. It returns how often it looked, and how often the
// lock was off, which is a failure if the lock must hold.
func (x *Trial) Held(found time.Time, during time.Duration, must bool, meanwhile func()) (polls, gaps int) {
	x.T.Helper()
	var gap time.Time
	for ; time.Since(found) < during; time.Sleep(200 * time.Millisecond) {
		if polls++; !x.Locked() {
			if gaps++; gaps == 1 {
				gap = time.Now()
			}
		}
		if meanwhile != nil {
			meanwhile()
		}
	}
	if gaps > 0 {
		say := x.T.Logf
		if must {
			say = x.T.Errorf
		}
		say("the lock was off %d times of %d, first %.1f s after it was on", gaps, polls, gap.Sub(found).Seconds())
	}
	for _, ev := range x.Wall.About(x.Host, "client", "released") {
		if must && ev.Protocol == x.Protocol {
			x.T.Errorf("released while the client runs, %.1f s after it was found", ev.Got.Sub(found).Seconds())
		}
	}
	return polls, gaps
}

// Released checks that the lock ends within one lock time after the client's end. It
// returns the time that it took, or a negative one.
func (x *Trial) Released(ended time.Time) time.Duration {
	x.T.Helper()
	for ; time.Since(ended) < x.TimeLock+slack; time.Sleep(50 * time.Millisecond) {
		if !x.Locked() {
			x.T.Logf("released after %.1f s", time.Since(ended).Seconds())
			return time.Since(ended)
		}
	}
	clients, err := x.Wall.Clients()
	x.T.Errorf("not released %v after the client's end: %+v (%v)", x.TimeLock, clients, err)
	return -1
}
