// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// TestQueues has two clients and two queues. Both clients are locked as with one queue.
// Each is known to only one of the two engines, with all its peers.
func TestQueues(t *testing.T) {
	t.Parallel()
	e := newEnv(t, scenario{lab: lab.Config{Clients: 2}, main: map[string]string{"timelock": "4", "queues": "2"}}, true)
	s, err := e.wall.Status()
	e.ok(err)
	e.must(len(s.Queues) == 2, "%d queues", len(s.Queues))

	a, stopA := e.kazaa(e.lab.Clients[0], lab.KazaaConfig{})
	b, stopB := e.kazaa(e.lab.Clients[1], lab.KazaaConfig{Network: "fileshare"})
	e.until("pings of both", func() bool { return a.Seen().Pings >= 400 && b.Seen().Pings >= 400 })
	e.until("both locked", func() bool { return e.locked(e.lab.Clients[0]) && e.locked(e.lab.Clients[1]) })
	all, err := e.wall.Clients()
	e.must(err == nil, "clients: %v", err)
	// If a host's packets went to both queues, both engines would know it.
	e.must(len(all) == 2, "%d clients are known, two there are", len(all))
	for _, c := range all {
		e.must(c.Peers == len(e.lab.Peers), "%s has %d of %d peers", c.Address, c.Peers, len(e.lab.Peers))
	}
	for _, n := range queueIDs(e) {
		e.must(n > 0, "a queue had no packet: %v", queueIDs(e))
	}
	stopA()
	e.until("the release of the first", func() bool { return e.lastLock(e.lab.Clients[0]) == "released" })
	e.must(e.locked(e.lab.Clients[1]), "the second was let go with the first")
	stopB()
	e.noLeak(e.lab.Clients[0], 0)
	e.noLeak(e.lab.Clients[1], 0)
	e.finish()
}

// queueIDs are the IDs of the last packets in the router's queues.
func queueIDs(e *env) (ids []int) {
	err := e.lab.Router.Do(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_queue")
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) >= 8 {
				id, err := strconv.Atoi(f[7])
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
		}
		return err
	})
	e.must(err == nil && len(ids) == 2, "the kernel's queues: %d, %v", len(ids), err)
	return ids
}
