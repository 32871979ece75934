// SPDX-License-Identifier: GPL-2.0-or-later

package events

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

// timed is a runner with a clock that the test sets. Its commands take no time.
type timed struct {
	*Commands
	now   time.Time
	began []call
	at    []time.Duration // since the start of the test
}

func newTimed() *timed {
	var log output
	return &timed{Commands: newCommands("/event", syslog.New(&log), commandPatience, commandPause), now: wallNow}
}

// step starts all commands that may start now.
func (c *timed) step() {
	for {
		x, _ := c.next(c.now)
		if x == nil {
			return
		}
		c.began = append(c.began, *x)
		c.at = append(c.at, c.now.Sub(wallNow))
		c.over()
	}
}

// pass lets the time d pass.
func (c *timed) pass(d time.Duration) {
	c.step()
	c.now = c.now.Add(d)
	c.step()
}

// drain lets time pass until no command waits.
func (c *timed) drain(t *testing.T) {
	t.Helper()
	for range 1000 {
		if c.pass(0); len(c.clients)+len(c.rest) == 0 {
			return
		}
		_, wait := c.next(c.now)
		if wait <= 0 {
			t.Fatalf("%d and %d calls wait, and nobody looks again", len(c.clients), len(c.rest))
		}
		c.pass(wait)
	}
	t.Fatal("there is no end of calls")
}

// told lists the arguments of the started commands, one line each.
func (c *timed) told() (out []string) {
	for i, x := range c.began {
		out = append(out, fmt.Sprintf("%v %s %s %s", c.at[i], action(&x.Entry), x.Client, x.peers))
	}
	return out
}

func event(class state.Class, what state.What, client, peer string) *Entry {
	e := Entry{Event: found(client)}
	e.Class, e.What, e.Peer = class, what, nfq.Addr{}
	if peer != "" {
		e.Peer = addr(peer)
	}
	return &e
}

func peerFound(client, peer string) *Entry {
	return event(state.ClassPeer, state.EventFound, client, peer)
}

// TestPeersAreGathered: 380 peers of one client come in order, with one call per second.
// The test varies the pause between two events.
func TestPeersAreGathered(t *testing.T) {
	const peers = 380
	for _, pause := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond, 300 * time.Millisecond} {
		c := newTimed()
		var want []string
		for i := range peers {
			a := fmt.Sprintf("198.51.%d.%d", i/200, i%200)
			if c.add(peerFound("192.168.1.50", a)) {
				want = append(want, a+":1214")
			}
			c.pass(pause)
		}
		took := peers * pause
		c.drain(t)
		if most := 2 + int(took/commandPause); len(c.began) > most {
			t.Errorf("%v between two events: %d processes, want %d at most", pause, len(c.began), most)
		}
		// The first peer has a call of its own, at once.
		if kept := min(peers, 1+maxPeers*int(1+took/commandPause)); len(want) < kept {
			t.Errorf("%v between two events: %d peers had place, want %d", pause, len(want), kept)
		}
		var got []string
		for i, x := range c.began {
			list := strings.Fields(string(x.peers))
			if len(list) > maxPeers || len(list) != x.n || list[0] != x.word('p') {
				t.Errorf("a call tells of %d peers, the first is %v, PEER is %v", len(list), list, x.word('p'))
			}
			if i > 0 && c.at[i]-c.at[i-1] < commandPause {
				t.Errorf("%v between two processes", c.at[i]-c.at[i-1])
			}
			got = append(got, list...)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%v between two events (-want +got):\n%s", pause, d)
		}
	}
}

// TestClientsDoNotWait: events of clients get their commands at once and in order,
// however many peers wait. None of them is lost because of peers.
func TestClientsDoNotWait(t *testing.T) {
	c := newTimed()
	for i := range 50 * maxPeers {
		c.add(peerFound(fmt.Sprintf("192.168.1.%d", i%50), fmt.Sprintf("198.51.%d.%d", i/200, i%200)))
	}
	c.pass(0)
	c.began, c.at = nil, nil
	if len(c.rest) != restBacklog-1 {
		t.Fatalf("%d calls for peers wait", len(c.rest))
	}
	for i := range 5 {
		client := fmt.Sprintf("192.168.2.%d", i)
		if !c.add(event(state.ClassClient, state.EventFound, client, "")) || !c.add(event(state.ClassClient, state.EventReleased, client, "")) {
			t.Fatal("an event of a client is lost")
		}
		c.pass(0)
	}
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprintf("0s client-found 192.168.2.%d ", i), fmt.Sprintf("0s client-gone 192.168.2.%d ", i))
	}
	if d := cmp.Diff(want, c.told()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestOrderOfCommands: the command for a client comes before that for its peers. Each
// client's peers have their own call. There is none for peers of a client that is gone.
func TestOrderOfCommands(t *testing.T) {
	c := newTimed()
	for _, e := range []*Entry{
		event(state.ClassClient, state.EventFound, "192.168.1.50", "198.51.100.1"),
		peerFound("192.168.1.50", "198.51.100.1"),
		event(state.ClassTable, state.EventTableFull, "192.168.1.60", ""),
		peerFound("192.168.1.51", "198.51.100.2"),
		event(state.ClassTable, state.EventTableFull, "192.168.1.61", ""),
		peerFound("192.168.1.50", "198.51.100.3"),
		peerFound("192.168.1.52", "198.51.100.4"),
		event(state.ClassClient, state.EventFound, "192.168.1.51", ""),
	} {
		if !c.add(e) {
			t.Errorf("%v is left out", e.Text())
		}
	}
	c.pass(300 * time.Millisecond)
	c.add(event(state.ClassClient, state.EventReleased, "192.168.1.52", ""))
	c.drain(t)
	want := []string{
		"0s client-found 192.168.1.50 ", "0s client-found 192.168.1.51 ", "300ms client-gone 192.168.1.52 ",
		"1.3s peer-found 192.168.1.50 198.51.100.1:1214 198.51.100.3:1214",
		"2.3s table-full 192.168.1.60 ",
		"3.3s peer-found 192.168.1.51 198.51.100.2:1214",
	}
	if d := cmp.Diff(want, c.told()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	// A single peer after a quiet time has its command at once.
	c.pass(time.Minute)
	c.add(peerFound("192.168.1.50", "198.51.100.5"))
	c.pass(0)
	if got, want := c.told()[len(want):], []string{"1m3.3s peer-found 192.168.1.50 198.51.100.5:1214"}; cmp.Diff(want, got) != "" {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestRestWaitsForAPlace: while a command runs, only commands for clients start.
func TestRestWaitsForAPlace(t *testing.T) {
	c := newTimed()
	c.add(event(state.ClassClient, state.EventFound, "192.168.1.50", ""))
	c.next(c.now)
	c.add(peerFound("192.168.1.50", "198.51.100.1"))
	c.now = c.now.Add(time.Hour)
	if x, wait := c.next(c.now); x != nil || wait != 0 {
		t.Errorf("beside a command %v begins, or is waited for for %v", x, wait)
	}
	c.add(event(state.ClassClient, state.EventReleased, "192.168.1.51", ""))
	if x, _ := c.next(c.now); x == nil || x.Class != state.ClassClient {
		t.Errorf("a client waits: %v", x)
	}
	c.add(event(state.ClassClient, state.EventReleased, "192.168.1.52", ""))
	if x, _ := c.next(c.now); x != nil {
		t.Errorf("%d run, and another one begins", maxCommands)
	}
}

// TestCommandsEnd: after Close no command starts, neither a waiting nor a new one.
func TestCommandsEnd(t *testing.T) {
	dir := t.TempDir()
	var log output
	path := script(t, dir, "echo $$ >"+dir+"/new.$$ && mv "+dir+"/new.$$ "+dir+"/run.$$\nfor i in $(seq 3000); do [ -e "+dir+"/go ] && break; sleep 0.01; done\n")
	c := NewCommands(path, syslog.New(&log))
	for i := range 40 {
		c.Event(event(state.ClassClient, state.EventFound, "192.168.1."+strconv.Itoa(i), ""))
		c.Event(peerFound("192.168.1."+strconv.Itoa(i), "198.51.100.1"))
	}
	until(t, "two that run", func() bool { return files(t, dir, "run.*") == maxCommands })
	c.Close()
	select {
	case <-c.ended:
	default:
		t.Error("Close does not wait for the runner")
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Event(event(state.ClassClient, state.EventFound, "192.168.1.99", ""))
	until(t, "their end", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.running == 0
	})
	if n := files(t, dir, "run.*"); n != maxCommands {
		t.Errorf("%d commands ran, %d of them after Close", n, n-maxCommands)
	}
}
