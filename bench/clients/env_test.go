// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// pcapEnv is the environment variable with a folder. Every situation writes a recording
// of the router's LAN device to it.
const pcapEnv = "P2PWALL_PCAP"

// all runs every client in every situation. Without it each situation is run once, and
// each client once with its defaults.
var all = flag.Bool("all", false, "run every client in every situation")

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, "clients", 10)) }

// wallProgram returns the path of the wall's program. It builds the program at most once.
func wallProgram(t *testing.T) string {
	t.Helper()
	bin, err := lab.TestedWall()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// need skips a test if something that it needs is missing.
func need(t *testing.T, k *kind) {
	t.Helper()
	programs := []string{
		"iptables", "ip6tables", "curl", "ssh", "ssh-keygen", "/usr/sbin/sshd",
		transmission.program, qbittorrent.program, libtorrent.program,
	}
	switch {
	case k.current:
		programs = append(programs, "mmdebstrap")
	case k.built == nil:
		programs = append(programs, k.program)
	}
	if k.needs != "" {
		programs = append(programs, k.needs)
	}
	if why := lab.Needs(programs...); why != "" {
		t.Skip(why)
	}
}

// env is a running situation.
type env struct {
	t       *testing.T
	s       situation
	lab     *lab.Lab
	host    *lab.Host // where the client runs
	swarm   *swarm
	servers *servers
	client  *program
	users   []*user
	ended   func() // stops the users and waits for them
	result  result
}

// newEnv makes the network and the swarm of a situation.
func newEnv(t *testing.T, s situation) *env {
	t.Helper()
	need(t, s.kind)
	cfg := lab.Config{NoServers: true, NoOffload: true, NAT: s.nat}
	if s.lanPeer {
		cfg.Clients = 2
	}
	if s.swarm.leech {
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
	e := &env{t: t, s: s, lab: l, host: l.Clients[0]}
	e.result = result{client: s.kind.name, situation: s.name, found: -1, released: -1}
	if err := l.Firewall(); err != nil {
		t.Fatal(err)
	}
	if s.firewall {
		if err := e.host.Firewall(); err != nil {
			t.Fatal(err)
		}
	}
	e.capture()
	s.swarm.pieces = 128
	if s.running { // the transfer must still run after the wall's start
		s.swarm.pieces = 256
	}
	dir := t.TempDir()
	if e.servers, err = startServers(l, dir); err != nil {
		t.Fatal(err)
	}
	if e.swarm, err = startSwarm(l, dir, e.servers, s.swarm); err != nil {
		t.Fatal(err)
	}
	return e
}

// use starts a user on the client's host and one on another host.
func (e *env) use() {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, h := range []*lab.Host{e.host, e.lab.Innocent} {
		u := newUser(h, e.servers, e.swarm.resolv)
		e.users = append(e.users, u)
		all.Go(func() { u.run(ctx) })
	}
	e.ended = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	e.t.Cleanup(e.ended)
}

// capture records a pcap file if pcapEnv is set.
func (e *env) capture() {
	dir := os.Getenv(pcapEnv)
	if dir == "" {
		return
	}
	file := filepath.Join(dir, strings.ReplaceAll(e.t.Name(), "/", "-")+".pcap")
	c := e.lab.Router.Command("tcpdump", "-U", "-q", "-Z", "root", "-i", lab.BridgeDev, "-w", file)
	if err := c.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.lab.OnClose(func() {
		c.Process.Signal(os.Interrupt)
		c.Wait()
	})
}

// launch starts the situation's client.
func (e *env) launch(resume bool) {
	e.t.Helper()
	dir := filepath.Join(e.swarm.dir, "client")
	p, err := start(e.lab, e.s.kind, e.options(e.host, dir, resume))
	if err != nil {
		e.t.Fatal(err)
	}
	e.client = p
}

func (e *env) options(h *lab.Host, dir string, resume bool) options {
	o := options{
		ns: h.Namespace, dir: dir, resolv: e.swarm.resolv, port: clientPort, rpc: 8081,
		node: e.swarm.node, torrent: e.swarm.torrent, resume: resume,
		ca: e.servers.caFile, proxy: e.swarm.proxy, ssl: e.swarm.ssl,
	}
	if e.s.swarm.leech {
		o.seed, o.upload = true, 2*seedRate
	}
	if e.s.opt != nil {
		e.s.opt(&o)
	}
	return o
}

// prepare does what comes before the start of the wall.
func (e *env) prepare() {
	e.t.Helper()
	switch {
	case e.s.saved:
		e.launch(false)
		e.pieces(8)
		e.client.stop()
		e.swarm.silence()
	case e.s.running:
		e.launch(false)
		e.pieces(4)
	case e.s.lanPeer:
		o := e.options(e.lab.Clients[1], filepath.Join(e.swarm.dir, "lan"), false)
		o.seed, o.upload, o.port = true, seedRate, 6891
		if _, err := start(e.lab, e.s.kind, o); err != nil {
			e.t.Fatal(err)
		}
	}
}

// begin starts the client and returns when its first packet to the swarm came to the
// router. If the client runs already, it returns the current time.
func (e *env) begin() time.Time {
	e.t.Helper()
	if e.s.running {
		return time.Now()
	}
	now := e.lab.Packets.Now()
	e.launch(e.s.saved)
	var first lab.Packet
	e.until("the client's first packet to the swarm", func() (ok bool) {
		first, ok = e.swarm.asked(e.host, now)
		return ok
	})
	if e.s.swarm.leech {
		if err := e.swarm.startPeers(); err != nil {
			e.t.Fatal(err)
		}
	}
	return first.Time
}

// have is the number of pieces that the downloading side has: the client, or with leech
// the peers on the internet.
func (e *env) have() (int, error) {
	if e.s.swarm.leech {
		return e.swarm.pieces()
	}
	return e.client.pieces()
}

// pieces waits until the downloading side has n pieces.
func (e *env) pieces(n int) {
	e.t.Helper()
	e.until(fmt.Sprintf("%d pieces", n), func() bool {
		have, err := e.have()
		if err != nil {
			e.t.Fatal(err)
		}
		return have >= n
	})
}

// until waits for a condition and ends the test if it does not become true.
func (e *env) until(what string, cond func() bool) {
	e.t.Helper()
	for end := time.Now().Add(2 * patience); !cond(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			tcp, udp := e.swarm.moved(e.host, time.Time{})
			said := ""
			if e.client != nil {
				got, err := e.client.got()
				said = fmt.Sprintf("; the client has %d bytes (%v)\n%s", got, err, e.client.log.String())
			}
			e.t.Fatalf("did not come: %s; %d bytes of pieces by TCP, %d by uTP%s", what, tcp, udp, said)
		}
	}
}

// recorded checks that the recorder missed no packet.
func (e *env) recorded() {
	e.t.Helper()
	if n := e.lab.Packets.Dropped(); n > 0 {
		e.t.Errorf("the recorder missed %d packets: what it shows proves nothing", n)
	}
}

// judgeUsers stops the users and checks that all their actions worked.
func (e *env) judgeUsers() {
	e.t.Helper()
	e.ended()
	for i, u := range e.users {
		who := []string{"the client's host", "another host"}[i]
		failed := u.failed()
		for _, f := range failed[:min(len(failed), 5)] {
			e.t.Errorf("%s: %s (%d failures)", who, f, len(failed))
		}
		if idle := u.idle(); len(idle) > 0 {
			e.t.Errorf("%s never did %s", who, strings.Join(idle, ", "))
		}
		e.t.Logf("%s: %s", who, u.did())
	}
	if e.s.nat {
		return
	}
	lost := e.lab.Lost(e.lab.Innocent)
	for i := range lost[:min(len(lost), 5)] {
		e.t.Errorf("of %d packets of or to another host that the router did not pass: %s", len(lost), &lost[i])
	}
}
