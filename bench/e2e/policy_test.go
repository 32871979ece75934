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
	t.Cleanup(e.report)
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
	e.must(len(e.events(allowed, "found")) == 0 && !e.locked(allowed), "the device that is left alone was found")
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

// marked: of a host in mode mark, the packets of its BitTorrent client reach their peers,
// with the code point LE and the owner's mark on their connections. Nothing is dropped. The
// packets of an innocent host beside it have neither.
func marked(e *env) {
	h := e.lab.Clients[0]
	e.cfg.More = "config policy 'slow'\n\tlist ip '192.168.1.0/24'\n\toption mode 'mark'\n"
	e.countMarks(h, e.lab.Innocent)
	e.startWall()
	judge := e.innocent(lab.InnocentConfig{})
	c := lab.NewTorrent(h, lab.TorrentConfig{Peers: torrentPeers})
	stop := e.start(c.Run)
	if e.wall != nil {
		e.until("the client is held", func() bool { return e.locked(h) })
	}
	e.goesOn("what is marked", c)
	for name, what := range map[string]string{
		"up": "to the internet with the code point LE", "down": "to the client with the code point LE",
		"conn": "in connections with the owner's mark",
	} {
		e.until("packets "+what, func() bool { return e.counted(name) > 20 })
		e.must(e.counted(name) > 20, "%d packets went %s", e.counted(name), what)
	}
	e.must(e.counter("dropped") <= e.counter("answers") && e.counter("pongs") == 0 && e.counter("handshakes") == 0, "something was dropped or answered")
	e.must(c.Seen().Resets == 0, "%d sessions were reset", c.Seen().Resets)
	stop()
	judge()
	e.must(e.counted("innocent") == 0, "%d packets of the innocent host were marked", e.counted("innocent"))
}

// counted is the value of one of the counters of countMarks, in packets.
func (e *env) counted(name string) (n int) {
	out, err := e.lab.Router.Run("nft", "list", "counter", "inet", "seen", name)
	if err != nil {
		e.fault("%v", err)
	}
	_, rest, _ := strings.Cut(out, "packets ")
	fmt.Sscan(rest, &n)
	return n
}

// countMarks installs rules in the router that count marked packets of a client's host and
// of an innocent one.
func (e *env) countMarks(client, innocent *lab.Host) {
	const mark = "ct mark & 0x00ff0000 == 0x00010000"
	rules := "table inet seen {\n"
	for _, name := range []string{"up", "down", "conn", "innocent"} {
		rules += "counter " + name + " {\n}\n"
	}
	rules += fmt.Sprintf(`chain post {
type filter hook postrouting priority 300; policy accept;
oifname "wan" ip saddr %[1]s ip dscp 1 counter name up
oifname "%[3]s" ip daddr %[1]s ip dscp 1 counter name down
ip saddr %[1]s %[4]s counter name conn
ip saddr %[2]s ip dscp 1 counter name innocent
ip daddr %[2]s ip dscp 1 counter name innocent
ip saddr %[2]s %[4]s counter name innocent
ip daddr %[2]s %[4]s counter name innocent
}
}
`, client.Addr4, innocent.Addr4, lab.BridgeDev, mark)
	c := e.lab.Router.Command("nft", "-f", "-")
	c.Stdin = strings.NewReader(rules)
	if out, err := c.CombinedOutput(); err != nil {
		e.t.Fatalf("%v: %s", err, out)
	}
}
