// SPDX-License-Identifier: GPL-2.0-or-later

package libp2p

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, "libp2p", 4)) }

const (
	grace    = 2 * time.Second
	findTime = 10 * time.Second
	timelock = 10 * time.Second
	port     = 4001
)

// env is a node in the LAN, with its peers on the internet.
type env struct {
	*lab.Trial
	bin   string
	way   way
	at    string // the node's address
	peers []string
}

// way is how the nodes talk.
type way int

const (
	byTCP   way = iota
	byQUIC      // the peers have nothing else; the client listens by TCP as well
	another     // by QUIC that is none of libp2p's
)

func newEnv(t *testing.T, v6 bool, w way) *env {
	t.Parallel()
	e := &env{Trial: lab.NewTrial(t, "ipfs", timelock, lab.Config{NoServers: true, NAT: true}), way: w}
	e.at = e.Host.Addr4.String()
	peers := []string{"198.51.100.7", "203.0.113.7"}
	if v6 {
		e.at = e.Host.Addr6.String()
		peers = []string{"2001:db8:ff::7", "2001:db8:ff:1::7"}
	}
	e.bin = filepath.Join(e.Dir, "node")
	build := exec.Command("go", "build", "-o", e.bin, ".")
	build.Dir = "node"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, a := range peers {
		n := e.start(e.Lab.Inet.Namespace, e.address(a, false))
		e.Until("a peer", func() bool { return n.address() != "" })
		e.peers = append(e.peers, n.address())
	}
	return e
}

// node is a running node.
type node struct{ *lab.Process }

// address is where a node listens.
func (e *env) address(at string, client bool) string {
	if e.way == another {
		return net.JoinHostPort(at, strconv.Itoa(port))
	}
	kind := "ip4"
	if strings.Contains(at, ":") {
		kind = "ip6"
	}
	tcp, quic := fmt.Sprintf("/%s/%s/tcp/%d", kind, at, port), fmt.Sprintf("/%s/%s/udp/%d/quic-v1", kind, at, port)
	switch {
	case e.way == byTCP:
		return tcp
	case client:
		return quic + "," + tcp
	}
	return quic
}

// start starts a node at an address.
func (e *env) start(in *netns.Namespace, at string, peers ...string) node {
	e.T.Helper()
	args := append([]string{at}, peers...)
	if e.way == another {
		args = append([]string{"other"}, args...)
	}
	p, err := e.Lab.Start(in.Command(e.bin, args...))
	e.OK(err)
	return node{p}
}

// client starts the node in the LAN.
func (e *env) client() node {
	return e.start(e.Host.Namespace, e.address(e.at, true), e.peers...)
}

func (n node) address() string {
	// quic-go may warn before it.
	for line := range strings.Lines(n.Log.String()) {
		if strings.Contains(line, "/p2p/") && strings.HasSuffix(line, "\n") {
			return strings.TrimSuffix(strings.TrimSpace(line), "/p2p/-")
		}
	}
	return ""
}

// got is how many bytes the node has loaded.
func (n node) got() int {
	text := n.Log.String()
	i := strings.LastIndex(strings.TrimRight(text, "\n"), "got ")
	if i < 0 {
		return 0
	}
	word, _, whole := strings.Cut(text[i+len("got "):], "\n")
	if !whole {
		return 0
	}
	got, _ := strconv.Atoi(word)
	return got
}

// TestOther: a program whose QUIC is none of libp2p's, at the same port, is asked and nothing
// else. It loads what it likes.
func TestOther(t *testing.T) {
	e := newEnv(t, false, another)
	e.StartWall(lab.WallConfig{Protocols: map[string]map[string]string{"ipfs": {"mode": "block"}}})
	n := e.client()
	asked := func() bool {
		return len(e.Lab.Packets.All(func(p *lab.Packet) bool {
			return p.Out && !p.WAN && p.IsSYN() && p.Dst == netip.AddrPortFrom(e.Host.Addr4, port)
		})) > 0
	}
	e.Until("a question", asked)
	time.Sleep(grace)
	had := n.got()
	e.Until("more pieces", func() bool { return n.got() > had+1<<20 })
	if c, err := e.Wall.Client(e.Host); err == nil || len(e.Wall.About(e.Host, "client", "locked")) > 0 {
		t.Errorf("found: %+v", c)
	}
}

// TestMonitor: by default a node is found, and loads what it likes.
func TestMonitor(t *testing.T) {
	e := newEnv(t, false, byTCP)
	e.StartWall(lab.WallConfig{})
	n := e.client()
	e.Until("the client", func() bool {
		c, err := e.Wall.Client(e.Host)
		return err == nil && c.Protocol == "ipfs"
	})
	had := n.got()
	e.Until("more pieces", func() bool { return n.got() > had+1<<20 })
	if c, err := e.Wall.Client(e.Host); err != nil || c.Locked || c.Dropped > 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestBlock: nothing comes after the grace, and the lock holds while the node runs.
func TestBlock(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		name        string
		v6, running bool
		way         way
	}{
		{name: "defaults"},
		{name: "IPv6", v6: true},
		{name: "running", running: true},
		{name: "QUIC", way: byQUIC},
		{name: "QUIC and IPv6", way: byQUIC, v6: true},
		{name: "QUIC, running", way: byQUIC, running: true},
	} {
		t.Run(s.name, func(t *testing.T) {
			e := newEnv(t, s.v6, s.way)
			var n node
			if s.running {
				n = e.client()
				e.Until("some pieces", func() bool { return n.got() > 1<<20 })
			}
			e.StartWall(lab.WallConfig{Protocols: map[string]map[string]string{"ipfs": {"mode": "block"}}})
			begin := time.Now()
			if !s.running {
				n = e.client()
			}
			found, _ := e.Found(begin, findTime, true)
			time.Sleep(time.Until(begin.Add(grace)))
			had := n.got()
			e.Held(found, 3*timelock, true, nil)
			if more := n.got() - had; more > 0 {
				t.Errorf("%d bytes after %v", more, grace)
			}
			n.Kill()
			e.Released(time.Now())
		})
	}
}
