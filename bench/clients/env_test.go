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

// all runs every client in every situation. Without it each situation is run once, and
// each client once with its defaults.
var all = flag.Bool("all", false, "run every client in every situation")

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, "clients", 16)) }

// needs are the programs that a test of a client needs.
func needs(k *kind) []string {
	programs := []string{
		"curl", "ssh", "ssh-keygen", "/usr/sbin/sshd",
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
	return programs
}

// env is a running situation.
type env struct {
	*lab.Trial
	s       situation
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
	cfg := lab.Config{NoServers: true, NAT: s.nat}
	if s.lanPeer {
		cfg.Clients = 2
	}
	if s.swarm.leech {
		cfg.Forward = clientPort
	}
	e := &env{s: s, Trial: lab.NewTrial(t, "bittorrent", timelock, cfg, needs(s.kind)...)}
	e.State = e.progress
	e.result = result{client: s.kind.name, situation: s.name, found: -1, released: -1}
	if s.firewall {
		e.OK(e.Host.Firewall())
	}
	s.swarm.pieces = 128
	if s.running { // the transfer must still run after the wall's start
		s.swarm.pieces = 256
	}
	var err error
	e.servers, err = startServers(e.Lab, e.Dir)
	e.OK(err)
	e.swarm, err = startSwarm(e.Lab, e.Dir, e.servers, s.swarm)
	e.OK(err)
	return e
}

// use starts a user on the client's host and one on another host.
func (e *env) use() {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, h := range []*lab.Host{e.Host, e.Lab.Innocent} {
		u := newUser(h, e.servers, e.swarm.resolv)
		e.users = append(e.users, u)
		all.Go(func() { u.run(ctx) })
	}
	e.ended = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	e.T.Cleanup(e.ended)
}

// launch starts the situation's client.
func (e *env) launch(resume bool) {
	e.T.Helper()
	dir := filepath.Join(e.swarm.dir, "client")
	var err error
	e.client, err = start(e.Lab, e.s.kind, e.options(e.Host, dir, resume))
	e.OK(err)
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
	e.T.Helper()
	switch {
	case e.s.saved:
		e.launch(false)
		e.pieces(8)
		e.client.Stop()
		e.swarm.silence()
	case e.s.running:
		e.launch(false)
		e.pieces(4)
	case e.s.lanPeer:
		o := e.options(e.Lab.Clients[1], filepath.Join(e.swarm.dir, "lan"), false)
		o.seed, o.upload, o.port = true, seedRate, 6891
		_, err := start(e.Lab, e.s.kind, o)
		e.OK(err)
	}
}

// begin starts the client and returns when its first packet to the swarm came to the
// router. If the client runs already, it returns the current time.
func (e *env) begin() time.Time {
	e.T.Helper()
	if e.s.running {
		return time.Now()
	}
	now := e.Lab.Packets.Now()
	e.launch(e.s.saved)
	first := e.First(now, func(p *lab.Packet) bool { return e.swarm.isSwarm(p.Dst.Addr()) })
	if e.s.swarm.leech {
		e.OK(e.swarm.startPeers())
	}
	return first
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
	e.T.Helper()
	e.Until(fmt.Sprintf("%d pieces", n), func() bool {
		have, err := e.have()
		e.OK(err)
		return have >= n
	})
}

// progress is what has been transferred, and what the client says.
func (e *env) progress() string {
	tcp, udp := e.swarm.moved(e.Host, time.Time{})
	text := fmt.Sprintf("%d bytes of pieces by TCP, %d by uTP", tcp, udp)
	if e.client != nil {
		got, err := e.client.got()
		text += fmt.Sprintf("; the client has %d bytes (%v)\n%s", got, err, e.client.Log.String())
	}
	return text
}

// judgeUsers stops the users and checks that all their actions worked.
func (e *env) judgeUsers() {
	e.T.Helper()
	e.ended()
	for i, u := range e.users {
		who := []string{"the client's host", "another host"}[i]
		failed := u.failed()
		for _, f := range failed[:min(len(failed), 5)] {
			e.T.Errorf("%s: %s (%d failures)", who, f, len(failed))
		}
		if idle := u.idle(); len(idle) > 0 {
			e.T.Errorf("%s never did %s", who, strings.Join(idle, ", "))
		}
		e.T.Logf("%s: %s", who, u.did())
	}
	if e.s.nat {
		return
	}
	lost := e.Lab.Lost(e.Lab.Innocent)
	for i := range lost[:min(len(lost), 5)] {
		e.T.Errorf("of %d packets of or to another host that the router did not pass: %s", len(lost), &lost[i])
	}
}
