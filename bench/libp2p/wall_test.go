// SPDX-License-Identifier: GPL-2.0-or-later

package libp2p

import (
	"fmt"
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

func TestMain(m *testing.M) { os.Exit(lab.RunTests(m, "libp2p", 2)) }

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
	peers []string
}

func newEnv(t *testing.T) *env {
	t.Parallel()
	e := &env{Trial: lab.NewTrial(t, "ipfs", timelock, lab.Config{NoServers: true, NAT: true})}
	e.bin = filepath.Join(e.Dir, "node")
	build := exec.Command("go", "build", "-o", e.bin, ".")
	build.Dir = "node"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, a := range []string{"198.51.100.7", "203.0.113.7"} {
		n := e.start(e.Lab.Inet.Namespace, a)
		e.Until("a peer", func() bool { return n.address() != "" })
		e.peers = append(e.peers, n.address())
	}
	return e
}

// node is a running node.
type node struct{ *lab.Process }

// start starts a node at an address.
func (e *env) start(in *netns.Namespace, at string, peers ...string) node {
	e.T.Helper()
	p, err := e.Lab.Start(in.Command(e.bin, append([]string{fmt.Sprintf("/ip4/%s/tcp/%d", at, port)}, peers...)...))
	e.OK(err)
	return node{p}
}

// client starts the node in the LAN.
func (e *env) client() node { return e.start(e.Host.Namespace, e.Host.Addr4.String(), e.peers...) }

func (n node) address() string {
	first, _, _ := strings.Cut(n.Log.String(), "\n")
	if !strings.Contains(first, "/p2p/") {
		return ""
	}
	return first
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

// TestMonitor: by default a node is found, and loads what it likes.
func TestMonitor(t *testing.T) {
	e := newEnv(t)
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
	e := newEnv(t)
	e.StartWall(lab.WallConfig{Protocols: map[string]map[string]string{"ipfs": {"mode": "block"}}})
	begin := time.Now()
	n := e.client()
	found, _ := e.Found(begin, findTime, true)
	time.Sleep(time.Until(begin.Add(grace)))
	had := n.got()
	e.Held(found, 3*timelock, true, nil)
	if more := n.got() - had; more > 0 {
		t.Errorf("%d bytes after %v", more, grace)
	}
	n.Kill()
	e.Released(time.Now())
}
