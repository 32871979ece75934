// SPDX-License-Identifier: GPL-2.0-or-later

package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// policyEnv is a lab with two client hosts and a wall with policies.
func policyEnv(t *testing.T, policies func() string) *env {
	t.Helper()
	t.Parallel()
	e := newEnv(t, scenario{lab: lab.Config{Clients: 2}, main: map[string]string{"timelock": "4"}, late: true}, true)
	e.cfg.More = policies()
	e.startWall()
	t.Cleanup(func() {
		for _, f := range e.faults {
			t.Error(f)
		}
	})
	return e
}

// goesOn checks that the client still receives data from peers.
func (e *env) goesOn(who string, c *lab.Torrent) {
	before := c.Seen()
	e.until(who+" gets more", func() bool {
		now := c.Seen()
		return now.UDPIn > before.UDPIn+20_000 && now.TCPIn > before.TCPIn
	})
}

// TestPolicyOfDevice: one device is exempt and shares files. Another one is locked.
func TestPolicyOfDevice(t *testing.T) {
	e := policyEnv(t, func() string { return "config policy 'mine'\n\tlist mac '" + macOfSecond + "'\n\toption mode 'off'\n" })
	blocked, allowed := e.lab.Clients[0], e.lab.Clients[1]
	if allowed.MACText() != macOfSecond {
		t.Fatalf("the second client's MAC is %s", allowed.MACText())
	}
	c := lab.NewTorrent(blocked, lab.TorrentConfig{Peers: torrentPeers})
	free := lab.NewTorrent(allowed, lab.TorrentConfig{Peers: torrentPeers})
	defer e.start(c.Run)()
	defer e.start(free.Run)()
	e.until("the lock", func() bool { return e.locked(blocked) })
	e.cutOff(blocked, c, 2*time.Second)
	e.goesOn("the device that is left alone", free)
	e.must(len(e.events(allowed, "client", "found")) == 0 && !e.locked(allowed), "the device that is left alone was found")
}

// macOfSecond is the hardware address of the lab's second client.
const macOfSecond = "02:00:00:00:01:33"

// clock formats a time of day as the configuration has it.
func clock(t time.Time) string { return t.Format("15:04:05") }

// hours is a policy that exempts everybody for some time.
func hours(name string, from, to time.Time) string {
	return fmt.Sprintf("config policy '%s'\n\toption start_time '%s'\n\toption stop_time '%s'\n\toption mode 'off'\n", name, clock(from), clock(to))
}

// TestPolicyHours: a program is free until its hours end. Then it is locked at once. It
// is released when its hours begin again.
func TestPolicyHours(t *testing.T) {
	var end time.Time
	e := policyEnv(t, func() string {
		now := time.Now()
		end = now.Add(20 * time.Second)
		return hours("evening", now.Add(-time.Hour), end) + hours("night", now.Add(45*time.Second), now.Add(time.Hour))
	})
	h := e.lab.Clients[0]
	c := lab.NewTorrent(h, lab.TorrentConfig{Peers: torrentPeers})
	defer e.start(c.Run)()
	e.goesOn("the program in its hours", c)
	early := time.Now().Before(end)
	e.must(!early || !e.locked(h), "locked in its hours")
	e.until("the lock after its hours", func() bool { return e.locked(h) })
	e.must(time.Now().After(end.Truncate(time.Second)), "locked before the end of its hours")
	e.until("the release when its hours begin again", func() bool { return !e.locked(h) })
	e.goesOn("the program in its hours again", c)
	e.must(!e.locked(h), "locked in its hours again")
}

// TestPolicyMark: marked packets reach their peers, and nothing is dropped.
func TestPolicyMark(t *testing.T) {
	e := policyEnv(t, func() string { return "config policy 'slow'\n\tlist ip '192.168.1.0/24'\n\toption mode 'mark'\n" })
	e.countLowEffort()
	h := e.lab.Clients[0]
	c := lab.NewTorrent(h, lab.TorrentConfig{Peers: torrentPeers})
	defer e.start(c.Run)()
	e.until("the client is held", func() bool { return e.locked(h) })
	e.goesOn("what is marked", c)
	e.must(e.counter("dropped") <= e.counter("answers") && e.counter("pongs") == 0 && e.counter("handshakes") == 0, "something was dropped or answered")
	e.must(c.Seen().Resets == 0, "%d sessions were reset", c.Seen().Resets)
	e.until("packets with the code point LE", func() bool { return e.lowEffort() > 20 })
}

// lowEffort is the number of packets that left to the internet with the code point LE.
func (e *env) lowEffort() (n int) {
	out, err := e.lab.Router.Run("nft", "list", "counter", "inet", "seen", "low")
	if err != nil {
		e.fault("%v", err)
	}
	_, rest, _ := strings.Cut(out, "packets ")
	fmt.Sscan(rest, &n)
	return n
}

// countLowEffort installs a rule in the router that counts these packets.
func (e *env) countLowEffort() {
	c := e.lab.Router.Command("nft", "-f", "-")
	c.Stdin = strings.NewReader("table inet seen {\ncounter low {\n}\nchain post {\ntype filter hook postrouting priority 300; policy accept;\noifname \"wan\" ip dscp 1 counter name low\n}\n}\n")
	if out, err := c.CombinedOutput(); err != nil {
		e.t.Fatalf("%v: %s", err, out)
	}
}
