// SPDX-License-Identifier: GPL-2.0-or-later

package soulseek

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// all runs every situation. Without it only the most important ones are run.
var all = flag.Bool("all", false, "run every situation")

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
	slack    = 3 * time.Second
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
	t      *testing.T
	s      situation
	lab    *lab.Lab
	host   *lab.Host
	dir    string
	server *server
	client *program
	friend *program
	people []*lab.Innocent
	ended  func()
}

func newEnv(t *testing.T, s situation) *env {
	t.Helper()
	if why := lab.Needs(append([]string{"iptables", "ip6tables"}, append(s.kind.needs, nicotine.needs...)...)...); why != "" {
		t.Skip(why)
	}
	cfg := lab.Config{NAT: true, NoOffload: true}
	if s.forward {
		cfg.Forward = clientPort
	}
	l, err := lab.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	e := &env{t: t, s: s, lab: l, host: l.Clients[0], dir: t.TempDir()}
	if err := l.Firewall(); err != nil {
		t.Fatal(err)
	}
	if s.firewall {
		if err := e.host.Firewall(); err != nil {
			t.Fatal(err)
		}
	}
	e.server = &server{here: friendAddr, parents: parents}
	listen := func(at netip.AddrPort, serve func(net.Listener)) {
		tcp, err := l.Inet.ListenTCP(at)
		if err != nil {
			t.Fatal(err)
		}
		l.OnClose(func() { tcp.Close() })
		go serve(tcp)
	}
	listen(serverAddr, e.server.serve)
	for _, p := range parents {
		listen(p, swallow)
	}
	friend := options{ns: l.Inet.Namespace, user: "friend", port: friendPort, rate: rate, share: fileSize}
	if s.seed {
		friend.share, friend.from, friend.size = 0, "client", fileSize
	}
	if !s.seed {
		e.friend = e.start(nicotine, friend)
		e.until("the friend's login", func() bool { return e.server.listening("friend").Port() != 0 })
	}
	return e
}

// swallow accepts connections and never answers.
func swallow(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			var b [4096]byte
			for {
				if _, err := c.Read(b[:]); err != nil {
					return
				}
			}
		}()
	}
}

func (e *env) start(k *kind, o options) *program {
	e.t.Helper()
	o.dir, o.server = filepath.Join(e.dir, o.user), serverAddr
	p, err := start(e.lab, k, o)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		if e.t.Failed() {
			e.t.Logf("%s says:\n%s", o.user, tail(p.log.String(), 40))
		}
	})
	return p
}

func tail(s string, n int) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// run starts the client, and with seed the peer that wants its file. It returns when the
// client's first packet to the server came to the router.
func (e *env) run() time.Time {
	e.t.Helper()
	o := options{ns: e.host.Namespace, user: "client", port: clientPort, from: "friend", size: fileSize}
	if e.s.seed {
		o.from, o.size, o.share, o.rate = "", 0, fileSize, rate
	}
	e.client = e.start(e.s.kind, o)
	var first time.Time
	e.until("the client's first packet", func() bool {
		p := e.lab.Packets.All(func(p *lab.Packet) bool { return p.MAC == e.host.MAC && p.Dst == serverAddr })
		if len(p) > 0 {
			first = p[0].Time
		}
		return len(p) > 0
	})
	if e.s.seed {
		// The peer starts as soon as the client has logged in.
		end := time.Now().Add(5 * time.Second)
		for e.server.listening("client").Port() == 0 && time.Now().Before(end) {
			time.Sleep(50 * time.Millisecond)
		}
		e.friend = e.start(nicotine, options{ns: e.lab.Inet.Namespace, user: "friend", port: friendPort, from: "client", size: fileSize})
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
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, h := range []*lab.Host{e.host, e.lab.Innocent} {
		in := lab.NewInnocent(h, lab.InnocentConfig{Every: 500 * time.Millisecond, Timeout: 10 * time.Second, Retries: 1, IPv6: true})
		e.people = append(e.people, in)
		all.Go(func() { in.Run(ctx) })
	}
	e.ended = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	e.t.Cleanup(e.ended)
}

// judgePeople stops the users and checks that all their actions worked.
func (e *env) judgePeople() {
	e.t.Helper()
	e.ended()
	for i, in := range e.people {
		if _, failed := in.Counts(); failed > 0 {
			e.t.Errorf("%s: %s: %v", []string{"the client's host", "another host"}[i], in.Kinds(), in.Errors())
		}
	}
}

func (e *env) until(what string, cond func() bool) {
	e.t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			e.t.Fatalf("%s did not come within a minute", what)
		}
	}
}

// moved is the number of bytes after a time between the client and the peer on the
// internet. Traffic to and from the server does not count.
func (e *env) moved(after time.Time) (n int) {
	friend := func(a netip.Addr) bool { return a == friendAddr || a == e.lab.Inet.Addr4 }
	for _, p := range e.lab.Packets.All(func(p *lab.Packet) bool {
		return p.Out && p.Proto == lab.TCP && p.Time.After(after) &&
			(p.WAN && friend(p.Dst.Addr()) || !p.WAN && friend(p.Src.Addr()) && p.Dst.Addr() == e.host.Addr4)
	}) {
		n += p.Len
	}
	return n
}

func (e *env) recorded() {
	e.t.Helper()
	if n := e.lab.Packets.Dropped(); n > 0 {
		e.t.Errorf("the recorder missed %d packets: what it shows proves nothing", n)
	}
}

// TestWithoutWall shows that every situation can fail: without the wall the file comes,
// and a large part of it after the grace.
func TestWithoutWall(t *testing.T) {
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
				e.until("an answer", func() bool { return strings.Contains(e.client.log.String(), "found 1") })
				return
			}
			e.until("the file", func() bool {
				b, err := os.ReadFile(filepath.Join(e.loader().opt.complete(), fileName))
				return err == nil && len(b) == fileSize
			})
			t.Logf("complete %.1f s after the first packet", time.Since(first).Seconds())
			if n := e.moved(first.Add(grace)); n < fileSize/4 {
				t.Errorf("only %d bytes after the first seconds", n)
			}
			e.judgePeople()
			e.recorded()
		})
	}
}

// TestWall runs every situation with the wall.
func TestWall(t *testing.T) {
	for _, s := range chosen() {
		t.Run(s.name+" "+s.kind.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, s)
			if s.running {
				e.run()
				e.until("data of the file", func() bool { return e.moved(time.Time{}) > 1<<20 })
			}
			w := e.startWall()
			first := time.Now()
			e.use()
			if !s.running {
				first = e.run()
			}
			found := e.found(w, first)
			time.Sleep(time.Until(first.Add(grace)))
			after := time.Now()
			e.held(w, found)
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
			if s.search && strings.Contains(e.client.log.String(), "found 1") {
				t.Error("the client found the file")
			}
			e.client.stop()
			e.released(w, time.Now())
			e.recorded()
		})
	}
}

func (e *env) startWall() *lab.Wall {
	e.t.Helper()
	bin, err := lab.TestedWall()
	if err != nil {
		e.t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "wall-") // a path with the test's name is too long for the socket
	if err != nil {
		e.t.Fatal(err)
	}
	main := map[string]string{"timelock": fmt.Sprint(int(timelock.Seconds()))}
	if e.s.reset {
		main["action"] = "reset"
	}
	w, err := e.lab.StartWall(lab.WallConfig{
		Bin: bin, Dir: dir, Main: main,
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

func (e *env) locked(w *lab.Wall) bool {
	c, err := w.Client(e.host)
	return err == nil && c.Locked && c.Protocol == "soulseek"
}

// found waits until the wall has locked the client and returns the time.
func (e *env) found(w *lab.Wall, first time.Time) time.Time {
	e.t.Helper()
	for ; time.Since(first) < findTime; time.Sleep(50 * time.Millisecond) {
		for _, ev := range w.Seen() {
			if ev.Event == "locked" && ev.Class == "client" && ev.MAC == e.host.MACText() {
				e.t.Logf("found after %.2f s", ev.Got.Sub(first).Seconds())
				if ev.Protocol != "soulseek" {
					e.t.Errorf("found as %q", ev.Protocol)
				}
				return ev.Got
			}
		}
	}
	if e.s.firewall {
		return time.Now()
	}
	clients, err := w.Clients()
	e.t.Errorf("not found within %v; the wall knows %+v (%v)", findTime, clients, err)
	return time.Now()
}

// held watches the lock for holdTime.
func (e *env) held(w *lab.Wall, found time.Time) {
	e.t.Helper()
	polls, gaps := 0, 0
	for ; time.Since(found) < holdTime; time.Sleep(250 * time.Millisecond) {
		polls++
		if !e.locked(w) {
			gaps++
		}
	}
	if gaps > 0 && !e.s.firewall {
		e.t.Errorf("the lock was off %d times of %d", gaps, polls)
	}
	if c, err := w.Client(e.host); err == nil {
		e.t.Logf("the lock was off %d times of %d; proof %s, client %q, %d locks", gaps, polls, c.Proof, c.Program, c.Locks)
	}
}

// released checks that the lock ends within one lock time after the client's end.
func (e *env) released(w *lab.Wall, ended time.Time) {
	e.t.Helper()
	for time.Since(ended) < timelock+slack {
		if !e.locked(w) {
			e.t.Logf("released after %.1f s", time.Since(ended).Seconds())
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	clients, err := w.Clients()
	e.t.Errorf("not released %v after the client's end: %+v (%v)", timelock, clients, err)
}
