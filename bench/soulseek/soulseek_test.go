// SPDX-License-Identifier: GPL-2.0-or-later

package soulseek

import (
	"flag"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// all runs every situation. Without it only the most important ones are run.
var all = flag.Bool("all", false, "run every situation")

// source makes the client another version of Nicotine+ than Debian's.
var source = flag.String("nicotine", "", "run the client from this folder with Nicotine+'s source")

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, "soulseek", 10)) }

// Addresses on the internet that nothing else uses.
var (
	serverAddr = netip.MustParseAddrPort("203.0.113.66:2242")
	friendAddr = netip.MustParseAddr("198.51.100.10")
	parents    = []netip.AddrPort{
		netip.MustParseAddrPort("198.51.100.21:2234"), netip.MustParseAddrPort("203.0.113.22:2234"),
	}
)

const (
	clientPort = 2234
	friendPort = 2235
	fileSize   = 12 << 20
	rate       = 400 // KiB/s

	grace    = 2 * time.Second
	findTime = 10 * time.Second
	timelock = 30 * time.Second
	holdTime = 4 * timelock
)

// situation is one way to run a client.
type situation struct {
	name string
	kind *kind
	// forward: the router forwards the client's port to it. Otherwise nobody on the
	// internet can connect to it.
	forward bool
	// seed: a peer on the internet downloads the client's file.
	seed bool
	// running: the transfer runs before the wall starts.
	running bool
	// firewall: the client's host drops unsolicited packets, so no probe reaches the
	// client. Its logins are cut. They alone do not lock it.
	firewall bool
	// search: the client only searches for the file. With Nicotine+ as the peer
	// slsk-client cannot do more.
	search bool
	// reset: the wall resets connections instead of dropping their packets.
	reset bool
	more  bool // runs only with -all
}

// chosen are the situations to run.
func chosen() (out []situation) {
	for _, s := range situations {
		if *all || !s.more {
			out = append(out, s)
		}
	}
	return out
}

var situations = []situation{
	{name: "defaults", kind: nicotine},
	{name: "port forwarded", kind: nicotine, forward: true, more: true},
	{name: "seeding", kind: nicotine, forward: true, seed: true, more: true},
	{name: "running", kind: nicotine, forward: true, running: true, more: true},
	{name: "running behind NAT", kind: nicotine, running: true},
	{name: "seeding and running", kind: nicotine, forward: true, seed: true, running: true, more: true},
	{name: "firewall", kind: nicotine, firewall: true, more: true},
	{name: "resets", kind: nicotine, reset: true, more: true},
	{name: "defaults", kind: slskClient, search: true},
}

// env is a running situation.
type env struct {
	*lab.Trial
	s      situation
	server *server
	client *program
	friend *program
	people []*lab.Innocent
	ended  []func() // stop them and wait for them
}

func newEnv(t *testing.T, s situation) *env {
	t.Helper()
	cfg := lab.Config{NAT: true}
	if s.forward {
		cfg.Forward = clientPort
	}
	x := lab.NewTrial(t, "soulseek", timelock, cfg, append(s.kind.needs, nicotine.needs...)...)
	e := &env{Trial: x, s: s, server: &server{here: friendAddr, parents: parents, users: map[string]*user{}}}
	if s.firewall {
		e.OK(e.Host.Firewall())
	}
	lab.Serve(t, e.Lab.Inet, serverAddr, func(c net.Conn) { e.server.session(c) })
	for _, p := range parents {
		lab.Serve(t, e.Lab.Inet, p, lab.Silent)
	}
	if !s.seed {
		e.friend = e.start(nicotine, options{ns: e.Lab.Inet.Namespace, user: "friend", port: friendPort, rate: rate, share: fileSize})
		e.Until("the friend's login", func() bool { return e.server.listening("friend").Port() != 0 })
	}
	return e
}

func (e *env) start(k *kind, o options) *program {
	e.T.Helper()
	o.dir, o.server = filepath.Join(e.Dir, o.user), serverAddr
	p, err := start(e.Lab, k, o)
	e.OK(err)
	e.T.Cleanup(func() {
		if e.T.Failed() {
			e.T.Logf("%s says:\n%s", o.user, lab.Tail(p.Log.String(), 40))
		}
	})
	return p
}

// run starts the client, and with seed the peer that wants its file. It returns when the
// client's first packet to the server came to the router.
func (e *env) run() time.Time {
	e.T.Helper()
	o := options{ns: e.Host.Namespace, user: "client", port: clientPort, from: "friend", size: fileSize, source: *source}
	if e.s.seed {
		o.from, o.size, o.share, o.rate = "", 0, fileSize, rate
	}
	e.client = e.start(e.s.kind, o)
	first := e.First(0, func(p *lab.Packet) bool { return p.Dst == serverAddr })
	if e.s.seed {
		// The peer starts as soon as the client has logged in.
		end := time.Now().Add(5 * time.Second)
		for e.server.listening("client").Port() == 0 && time.Now().Before(end) {
			time.Sleep(50 * time.Millisecond)
		}
		e.friend = e.start(nicotine, options{ns: e.Lab.Inet.Namespace, user: "friend", port: friendPort, from: "client", size: fileSize})
	}
	return first
}

// loader is the program that downloads the file.
func (e *env) loader() *program {
	if e.s.seed {
		return e.friend
	}
	return e.client
}

// use starts a user on the client's host and one on another host.
func (e *env) use() {
	for _, h := range []*lab.Host{e.Host, e.Lab.Innocent} {
		in := lab.NewInnocent(h, lab.InnocentConfig{Every: 500 * time.Millisecond, Timeout: 10 * time.Second, Retries: 1, IPv6: true})
		e.people = append(e.people, in)
		e.ended = append(e.ended, lab.Background(e.T, in.Run))
	}
}

// judgePeople stops the users and checks that all their actions worked.
func (e *env) judgePeople() {
	e.T.Helper()
	for i, in := range e.people {
		e.ended[i]()
		if _, failed := in.Counts(); failed > 0 {
			e.T.Errorf("%s: %s: %v", []string{"the client's host", "another host"}[i], in.Kinds(), in.Errors())
		}
	}
}

// moved is the number of bytes after a time between the client and the peer on the
// internet. Traffic to and from the server does not count.
func (e *env) moved(after time.Time) (n int) {
	friend := func(a netip.Addr) bool { return a == friendAddr || a == e.Lab.Inet.Addr4 }
	for _, p := range e.Lab.Packets.All(func(p *lab.Packet) bool {
		return p.Out && p.Proto == lab.TCP && p.Time.After(after) &&
			(p.WAN && friend(p.Dst.Addr()) || !p.WAN && friend(p.Src.Addr()) && p.Dst.Addr() == e.Host.Addr4)
	}) {
		n += p.Len
	}
	return n
}

// TestWithoutWall shows that every situation can fail: without the wall the file comes,
// and a large part of it after the grace.
func TestWithoutWall(t *testing.T) {
	t.Parallel()
	for _, s := range chosen() {
		if s.reset {
			continue // without the wall this is the same as the defaults
		}
		t.Run(s.name+" "+s.kind.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s)
			e.use()
			first := e.run()
			if s.search {
				e.Until("an answer", func() bool { return strings.Contains(e.client.Log.String(), "found 1") })
				return
			}
			e.Until("the file", func() bool {
				b, err := os.ReadFile(filepath.Join(e.loader().opt.complete(), fileName))
				return err == nil && len(b) == fileSize
			})
			t.Logf("complete %.1f s after the first packet", time.Since(first).Seconds())
			if n := e.moved(first.Add(grace)); n < fileSize/4 {
				t.Errorf("only %d bytes after the first seconds", n)
			}
			e.judgePeople()
			e.Lab.Packets.Complete(t)
		})
	}
}

// TestWall runs every situation with the wall.
func TestWall(t *testing.T) {
	t.Parallel()
	for _, s := range chosen() {
		t.Run(s.name+" "+s.kind.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s)
			if s.running {
				e.run()
				e.Until("data of the file", func() bool { return e.moved(time.Time{}) > 1<<20 })
			}
			cfg := lab.WallConfig{}
			if s.reset {
				cfg.Main = map[string]string{"action": "reset"}
			}
			e.StartWall(cfg)
			first := time.Now()
			e.use()
			if !s.running {
				first = e.run()
			}
			found, _ := e.Found(first, findTime, !s.firewall)
			time.Sleep(time.Until(first.Add(grace)))
			after := time.Now()
			e.Held(found, holdTime, !s.firewall, nil)
			e.judgePeople()
			// After the grace nothing may pass between the client and the peer.
			n, got := e.moved(after), e.loader().got()
			t.Logf("%d bytes passed after the first seconds; %d of the file came", n, got)
			if n > 0 {
				t.Errorf("%d bytes passed after the first seconds", n)
			}
			if !s.running && got > 0 {
				t.Errorf("%d bytes of the file came", got)
			}
			if s.search && strings.Contains(e.client.Log.String(), "found 1") {
				t.Error("the client found the file")
			}
			e.client.Stop()
			e.Released(time.Now())
			e.Lab.Packets.Complete(t)
		})
	}
}
