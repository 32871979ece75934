// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// timelock is the lock time of the demo. The default is two minutes.
const timelock = 2 * time.Second

func main() {
	verbose := flag.Bool("v", false, "show the log of the wall")
	flag.Parse()
	lab.CloseOnSignal()
	ok, err := demo(newTeller(os.Stdout), *verbose)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(2)
	case !ok:
		os.Exit(1)
	}
}

// story is what the parts of the demo share.
type story struct {
	*teller
	lab  *lab.Lab
	wall *lab.Wall
}

// demo runs all parts; ok says whether the wall stopped everything that it should.
func demo(t *teller, verbose bool) (ok bool, err error) {
	l, err := lab.New(lab.Config{Clients: 2, NoOffload: true})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	dir, err := os.MkdirTemp("", "p2pwall-demo-")
	if err != nil {
		return false, err
	}
	l.OnClose(func() { os.RemoveAll(dir) })
	bin, err := lab.BuildWall(dir)
	if err != nil {
		return false, err
	}
	t.began = time.Now()

	s := &story{teller: t, lab: l}
	kazaa, gift := l.Clients[0], l.Clients[1]
	t.head("A network of namespaces on this machine")
	t.say("lab", "router 192.168.1.1; clients %s and %s; innocent host %s", kazaa.Addr4, gift.Addr4, l.Innocent.Addr4)
	t.say("lab", "internet: %d FastTrack supernodes that answer, and ordinary servers", len(l.Peers))
	cfg := lab.WallConfig{Bin: bin, Dir: dir, Main: map[string]string{"timelock": strconv.Itoa(int(timelock.Seconds()))}}
	if verbose {
		cfg.Log = t
	}
	if s.wall, err = l.StartWall(cfg); err != nil {
		return false, err
	}
	st, err := s.wall.Status()
	if err != nil {
		return false, err
	}
	t.say("wall", "p2pwall %s runs on the router: %s rules, %s sets, lock time %.0f s (usually 120)", st.Version, st.Backend, st.Sets, st.TimeLock)

	in := lab.NewInnocent(l.Innocent, lab.InnocentConfig{IPv6: true, Browser: true})
	innocent := s.start(in.Run)
	t.say("host", "the innocent host begins: DNS, web, TLS, SSH, mail, QUIC, games, and goes on to the end")

	if err := s.kazaa(kazaa); err != nil {
		return false, err
	}
	if err := s.gift(gift); err != nil {
		return false, err
	}
	innocent()
	return s.summary(in), s.stop()
}

// start runs something in the background until stop is called.
func (s *story) start(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			s.say("lab", "trouble: %v", err)
		}
	}
}

// errLate ends a demo in which something did not happen in time.
var errLate = errors.New("waited in vain")

// until waits for something that must happen.
func (s *story) until(what string, cond func() bool) error {
	for end := time.Now().Add(30 * time.Second); !cond(); time.Sleep(20 * time.Millisecond) {
		if !s.wall.Running() {
			return fmt.Errorf("p2pwall ended:\n%s", s.wall.LogText())
		}
		if time.Now().After(end) {
			return fmt.Errorf("%w for %s; the wall's log:\n%s", errLate, what, s.wall.LogText())
		}
	}
	return nil
}

// seen reports whether the wall logged an event of a host with a number above since.
func (s *story) seen(h *lab.Host, event string, since uint64) (lab.Event, bool) {
	for _, e := range s.wall.Seen() {
		if e.Seq > since && e.Class == "client" && e.Event == event && e.Client == h.Addr4.String() {
			return e, true
		}
	}
	return lab.Event{}, false
}

// last returns the number of the last event so far.
func (s *story) last() uint64 {
	if all := s.wall.Seen(); len(all) > 0 {
		return all[len(all)-1].Seq
	}
	return 0
}

// report prints what the wall knows about a client.
func (s *story) report(h *lab.Host) {
	c, err := s.wall.Client(h)
	if err != nil {
		s.say("wall", "%s: %v", h.Addr4, err)
		return
	}
	lock := "not locked"
	if c.Locked {
		lock = fmt.Sprintf("TCP locked for %.1f s more", c.LockRemaining)
	}
	st, _ := s.wall.Status()
	s.say("wall", "%s: %d peers known, %d packets dropped, %s; %d pongs and %d probes sent, %d probes answered",
		h.Addr4, c.Peers, c.Dropped, lock, st.Counters["pongs"], st.Counters["probes"], st.Counters["answers"])
}

// tries reports whether another program on a host can connect to a web server.
func (s *story) tries(h *lab.Host) bool {
	return h.Connects(netip.AddrPortFrom(lab.Server4, 80), 300*time.Millisecond)
}

// stop ends the wall.
func (s *story) stop() error { return s.wall.Stop() }
