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
	patience = 60 * time.Second
	port     = 4001
)

// env is a node in the LAN, with its peers on the internet.
type env struct {
	t     *testing.T
	lab   *lab.Lab
	bin   string
	peers []string
}

func newEnv(t *testing.T) *env {
	t.Parallel()
	if why := lab.Needs("iptables", "ip6tables"); why != "" {
		t.Skip(why)
	}
	e := &env{t: t, bin: filepath.Join(t.TempDir(), "node")}
	build := exec.Command("go", "build", "-o", e.bin, ".")
	build.Dir = "node"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l, err := lab.New(lab.Config{NoServers: true, NoOffload: true, NAT: true})
	if err != nil {
		t.Fatal(err)
	}
	e.lab = l
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := l.Firewall(); err != nil {
		t.Fatal(err)
	}
	for _, a := range []string{"198.51.100.7", "203.0.113.7"} {
		n := e.start(l.Inet.Namespace, a)
		e.until("a peer", patience, func() bool { return n.address() != "" })
		e.peers = append(e.peers, n.address())
	}
	return e
}

// node is a running node.
type node struct {
	cmd  *exec.Cmd
	said lab.Output
}

// start starts a node at an address.
func (e *env) start(in *netns.Namespace, at string, peers ...string) *node {
	e.t.Helper()
	n := &node{}
	n.cmd = in.Command(e.bin, append([]string{fmt.Sprintf("/ip4/%s/tcp/%d", at, port)}, peers...)...)
	n.cmd.Stdout, n.cmd.Stderr = &n.said, &n.said
	if err := n.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.lab.OnClose(n.stop)
	return n
}

func (n *node) stop() {
	if n.cmd.ProcessState == nil {
		n.cmd.Process.Kill()
		n.cmd.Wait()
	}
}

func (n *node) address() string {
	first, _, _ := strings.Cut(n.said.String(), "\n")
	if !strings.Contains(first, "/p2p/") {
		return ""
	}
	return first
}

// got is how many bytes the node has loaded.
func (n *node) got() int {
	text := n.said.String()
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

func (e *env) until(what string, limit time.Duration, cond func() bool) bool {
	e.t.Helper()
	for end := time.Now().Add(limit); !cond(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			e.t.Errorf("did not come within %v: %s", limit, what)
			return false
		}
	}
	return true
}

// TestMonitor: by default a node is found, and loads what it likes.
func TestMonitor(t *testing.T) {
	e := newEnv(t)
	w := e.wall(nil)
	n := e.start(e.lab.Clients[0].Namespace, e.lab.Clients[0].Addr4.String(), e.peers...)
	e.until("the client", findTime, func() bool {
		c, err := w.Client(e.lab.Clients[0])
		return err == nil && c.Protocol == "ipfs"
	})
	had := n.got()
	e.until("more pieces", patience, func() bool { return n.got() > had+1<<20 })
	if c, err := w.Client(e.lab.Clients[0]); err != nil || c.Locked || c.Dropped > 0 {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestBlock: nothing comes after the grace, and the lock holds while the node runs.
func TestBlock(t *testing.T) {
	e := newEnv(t)
	w := e.wall(map[string]string{"mode": "block"})
	begin := time.Now()
	n := e.start(e.lab.Clients[0].Namespace, e.lab.Clients[0].Addr4.String(), e.peers...)
	locked := func() bool {
		c, err := w.Client(e.lab.Clients[0])
		return err == nil && c.Locked && c.Protocol == "ipfs"
	}
	if e.until("the lock", findTime, locked) {
		c, _ := w.Client(e.lab.Clients[0])
		t.Logf("found after %.1f s by %s, %s", time.Since(begin).Seconds(), c.Proof, c.Reason)
	}
	time.Sleep(time.Until(begin.Add(grace)))
	had := n.got()
	for end := time.Now().Add(3 * timelock); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if !locked() {
			t.Fatal("the lock ended while the node ran")
		}
	}
	if more := n.got() - had; more > 0 {
		t.Errorf("%d bytes after %v", more, grace)
	}
	n.stop()
	e.until("the release", timelock+5*time.Second, func() bool { return !locked() })
}

// wall starts the wall.
func (e *env) wall(ipfs map[string]string) *lab.Wall {
	e.t.Helper()
	bin, err := lab.TestedWall()
	if err != nil {
		e.t.Fatal(err)
	}
	cfg := lab.WallConfig{Bin: bin, Dir: e.t.TempDir(), Main: map[string]string{"timelock": fmt.Sprint(int(timelock.Seconds()))}}
	if ipfs != nil {
		cfg.Others = map[string]map[string]string{"ipfs": ipfs}
	}
	w, err := e.lab.StartWall(cfg)
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
