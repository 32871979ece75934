// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/bench/netns"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/control"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

// site is a directory with a daemon's configuration and files. The test's thread is in a
// network namespace of its own.
type site struct {
	t      *testing.T
	dir    string
	config string
	said   *logbook
}

func newSite(t *testing.T) *site {
	t.Helper()
	netns.Enter(t)
	dir := t.TempDir()
	return &site{t: t, dir: dir, config: filepath.Join(dir, "p2pwall"), said: &logbook{}}
}

// write writes the configuration: each option of the main section in a line.
func (s *site) write(options ...string) {
	s.t.Helper()
	text := "config p2pwall 'main'\n\toption control '" + s.dir + "/sock'\n\toption state_file '" + s.dir + "/state'\n\toption history_file '" +
		s.dir + "/flash'\n\toption devices_file '" + s.dir + "/devices'\n\toption backend 'iptables'\n\toption sets 'nft'\n"
	if err := os.WriteFile(s.config, []byte(text+"\t"+strings.Join(options, "\n\t")+"\n"), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// make makes a daemon that is not started.
func (s *site) make(noRules bool, options ...string) *daemon {
	s.t.Helper()
	s.write(options...)
	c, err := config.Load(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	d := newDaemon(Options{Config: s.config, NoRules: noRules, Version: "1.2.3", Log: syslog.New(s.said)}, c)
	d.rules.keeper.HoldFile = filepath.Join(s.dir, "hold.nft")
	return d
}

func (s *site) start(noRules bool, options ...string) *daemon {
	s.t.Helper()
	d := s.make(noRules, options...)
	if err := d.start(); err != nil {
		s.t.Fatalf("%v\n%s", err, s.said)
	}
	return d
}

// loaded counts what is loaded: the jumps to the rules, and the table of the sets.
func (s *site) loaded() (jumps, tables int) {
	jumps = strings.Count(netns.Run(s.t, "", "iptables-save", "-t", "mangle"), "-j p2pwall-")
	return jumps, strings.Count(netns.Run(s.t, "", "nft", "list", "tables"), "inet p2pwall")
}

// files returns the content of all files that a daemon keeps.
func (s *site) files() map[string]string {
	all := map[string]string{}
	for _, name := range []string{"state", "state.1", "state.events", "state.history", "flash"} {
		b, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			s.t.Error(err)
		}
		all[name] = string(b)
	}
	return all
}

// TestStartFails: a daemon that cannot start says why, gives its queues back, and leaves the
// files of the one that runs as they are.
func TestStartFails(t *testing.T) {
	s := newSite(t)
	first := s.start(true, "list device 'lo'", "option queue '300'", "option queues '2'")
	defer first.stop(false)
	first.save(true)
	first.workers.do(func(e *state.Engine, now state.Time) { e.DroppedByKernel(1, 1, now) }) // gives the history something
	first.save(true)
	first.files.flashHistory(&first.history, s.dir+"/flash")
	kept := s.files()
	if err := os.WriteFile(s.dir+"/devices", []byte("lan\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name    string
		options []string
		want    string
		running bool
	}{
		{"queue", []string{"list device 'lo'", "option queue '299'", "option queues '2'"}, "queue 300 is held by another program", false},
		{"socket", []string{"list device 'lo'", "option queue '298'", "option queues '2'"}, "control socket " + s.dir + "/sock: another p2pwall is running and answers: stop it first", true},
		{"devices", []string{"list network 'lan'", "option queue '298'"}, s.dir + "/devices:1: not a network and its device, write: lan br-lan", false},
	} {
		d := s.make(true, x.options...)
		err := d.start()
		if err == nil || !strings.HasPrefix(err.Error(), x.want) || errors.Is(err, control.ErrRunning) != x.running {
			t.Errorf("%s: %v, want %s", x.name, err, x.want)
		}
		d.stop(false)
		if diff := cmp.Diff(kept, s.files()); diff != "" {
			t.Errorf("%s: other files: %s", x.name, diff)
		}
		for _, n := range []uint16{298, 299} {
			if q, _, err := nfq.Open(nfq.Config{Num: n, MaxLen: 10, CopyRange: 100}); err != nil {
				t.Errorf("%s: it keeps a queue: %v", x.name, err)
			} else {
				q.Close()
			}
		}
	}
	if _, err := os.Lstat(s.dir + "/sock"); err != nil {
		t.Errorf("the socket of the one that runs: %v", err)
	}
}

// TestRunFails: what keeps the daemon from running is logged and returned.
func TestRunFails(t *testing.T) {
	s := newSite(t)
	if err := os.WriteFile(s.dir+"/sock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.write("list device 'lo'")
	err := Run(t.Context(), Options{Config: s.config, NoRules: true, Log: syslog.New(s.said)})
	want := "control socket " + s.dir + "/sock: exists and is no socket: move it away, or set \"option control\"\n"
	if got := s.said.take(); err == nil || err.Error()+"\n" != want || got != want {
		t.Errorf("%v, said %s", err, got)
	}
}

// news returns the lines since the last call, without those about the connection table: a
// kernel may lack it, and helpers of the daemon read that of another network namespace.
func (s *site) news() string {
	var lines []string
	for _, line := range strings.SplitAfter(s.said.take(), "\n") {
		if !strings.HasSuffix(line, "is found when it asks somebody new\n") && !strings.Contains(line, "connections that were made before") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// veth makes the device lan0 with an address.
func veth(t *testing.T) {
	t.Helper()
	for _, args := range []string{"link add lan0 type veth peer name lan1", "addr add 192.0.2.1/24 dev lan0", "link set lan0 up"} {
		netns.Run(t, "", "ip", strings.Fields(args)...)
	}
}

// TestRules: the daemon puts its rules back when somebody removes them, with the locks. It
// takes them away at its end, but not for a successor.
func TestRules(t *testing.T) {
	netns.Need(t, "nft", "iptables")
	s := newSite(t)
	veth(t)
	options := []string{"list device 'lan0'", "config protocol 'fasttrack'", "option probe '0'"}
	set := func() string { return netns.Run(t, "", "nft", "list", "set", "inet", "p2pwall", "lock4") }
	locked := func(when string, want bool) {
		t.Helper()
		eventually(t, when, func() bool { return strings.Contains(set(), "192.0.2.50") == want })
	}
	d := s.start(false, options...)
	if i := d.status.info(); i.Backend != "iptables" || i.Sets != "nft" || !i.RulesOK {
		t.Errorf("after the start: %+v", i)
	}
	d.workers.do(func(e *state.Engine, now state.Time) {
		e.SetNeighbours(nil) // its goroutine is in another network namespace
		pings(e, now, d.status.devices[0].Index, "192.0.2.50")
	})
	locked("locked", true)
	s.news()
	round := func(when, want string, ok bool) {
		t.Helper()
		d.keepHouse()
		if got := s.news(); !strings.HasPrefix(got, want) || (got == "") != (want == "") || d.status.info().RulesOK != ok {
			t.Errorf("%s: said %q, want %q; rules %v", when, got, want, d.status.info().RulesOK)
		}
		if !ok {
			return
		}
		if jumps, tables := s.loaded(); jumps != 3 || tables != 1 {
			t.Errorf("%s: %d jumps, %d tables", when, jumps, tables)
		}
	}
	round("nothing happened", "", true)
	netns.Run(t, "", "nft", "delete", "table", "inet", "p2pwall")
	round("no table", "rules: the nft table inet p2pwall is gone: put back\n", true)
	locked("locked in the new sets", true)
	eventually(t, "an event of it", func() bool {
		return slices.ContainsFunc(d.journal.Since(0), func(e events.Entry) bool { return e.What == state.EventRules })
	})
	netns.Run(t, "", "iptables", "-t", "mangle", "-F", "FORWARD")
	round("no jump", "rules: iptables, table mangle: our rules were changed: put back\n", true)

	withoutNFT(t, func() {
		s.write("list device 'lan0'", "option timelock '99'")
		d.reload()
		if got := s.news(); !strings.HasPrefix(got, "rules: ") || d.status.info().RulesOK {
			t.Errorf("a reload while nft fails: %s", got)
		}
	})
	round("the rules of before", "", true)
	netns.Run(t, "", "nft", "delete", "table", "inet", "p2pwall")
	withoutNFT(t, func() {
		round("nft fails", "rules: the nft table inet p2pwall is gone, and they cannot be put back: nft sets cannot be used (nft: no memory): ", false)
		round("still", "", false)
	})
	round("nft works", "rules: the nft table inet p2pwall is gone: put back\n", true)

	locked("locked before the end", true)
	d.stop(true)
	locked("locked for the successor", true)
	// This one shows whether the sets are kept, or emptied and filled again.
	netns.Run(t, "", "nft", "add", "element", "inet", "p2pwall", "lock4", "{ 192.0.2.77 timeout 1h }")
	d = s.start(false, options...)
	if got := set(); !strings.Contains(got, "192.0.2.77") {
		t.Errorf("the successor has emptied the sets: %s", got)
	}
	if clients, n := d.workers[0].loop.Engine.Len(); clients != 1 || n != 1 {
		t.Errorf("the successor knows %d clients, %d of them locked", clients, n)
	}
	locked("locked by the successor", true)
	d.stop(true)
	// A successor that does not know why a host is locked must not leave it locked.
	if err := os.Remove(s.dir + "/state"); err != nil {
		t.Fatal(err)
	}
	d = s.start(false, options...)
	if got := set(); strings.Contains(got, "192.0.2.") {
		t.Errorf("locked without a state file: %s", got)
	}
	d.stop(false)
	if jumps, tables := s.loaded(); jumps+tables > 0 {
		t.Errorf("left at the end: %d jumps, %d tables", jumps, tables)
	}
}

// withoutNFT calls f while the program nft always fails.
func withoutNFT(t *testing.T, f func()) {
	t.Helper()
	dir, path := t.TempDir(), os.Getenv("PATH")
	if err := os.WriteFile(filepath.Join(dir, "nft"), []byte("#!/bin/sh\necho no memory >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	os.Setenv("PATH", dir+":"+path)
	defer os.Setenv("PATH", path)
	f()
}

// TestNoDevice: a daemon without a LAN device removes the rules of the one before. It loads
// its own when a reload names a device.
func TestNoDevice(t *testing.T) {
	netns.Need(t, "nft", "iptables")
	s := newSite(t)
	veth(t)
	s.start(false, "list device 'lan0'").stop(true)
	d := s.start(false, "list network 'lan'")
	if jumps, tables := s.loaded(); jumps+tables > 0 {
		t.Errorf("without a device: %d jumps, %d tables", jumps, tables)
	}
	if i := d.status.info(); i.RulesOK || i.Backend != "none (no LAN device)" || d.summary() != "watching nothing" {
		t.Errorf("without a device: %+v, %s", i, d.summary())
	}
	s.news()
	d.reload()
	d.keepHouse()
	if got := s.news(); got != "configuration read again: watching nothing\n" {
		t.Errorf("a reload that names none: said %s", got)
	}
	if err := os.WriteFile(s.dir+"/devices", []byte("lan lan0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	d.reload()
	if got := s.news(); got != "configuration read again: watching lan0, rules by iptables, sets by nft, lock time 2m0s\n" {
		t.Errorf("a reload with a device: said %s", got)
	}
	if jumps, tables := s.loaded(); jumps != 3 || tables != 1 || !d.status.info().RulesOK {
		t.Errorf("with a device: %d jumps, %d tables, %+v", jumps, tables, d.status.info())
	}
	d.stop(false)
}

// TestDevicesComeAndGo: a device that goes is named once, and its hosts are watched again
// when it is back with another address.
func TestDevicesComeAndGo(t *testing.T) {
	s := newSite(t)
	d := s.start(true, "list device 'lo'", "list device 'lan0'")
	defer d.stop(false)
	lan := func() (networks string) {
		for _, p := range d.status.lan() {
			networks += " " + p.String()
		}
		return networks
	}
	verdict := func(client string) (v nfq.Verdict) {
		index := d.status.deviceOf(new(nfq.AddrFrom(netip.MustParseAddr(client))))
		d.workers.do(func(e *state.Engine, now state.Time) { v = pings(e, now, index, client) })
		return v
	}
	s.news()
	const gone = "device lan0 is not there: its hosts are not watched until it is\n"
	for _, x := range []struct {
		name, ip  string
		rounds    int
		says, lan string
		verdict   nfq.Verdict // on pings of 192.0.2.50
	}{
		{"not there yet", "", 1, gone, " 127.0.0.0/8 ::1/128", nfq.Accept},
		{"still not", "", 2 * historyEvery, "", " 127.0.0.0/8 ::1/128", nfq.Accept},
		{"there", "link add lan0 type veth peer name lan1", 1, "", " 127.0.0.0/8 ::1/128", nfq.Accept},
		{"with an address", "addr add 192.0.2.1/24 dev lan0", 1, "", " 127.0.0.0/8 ::1/128 192.0.2.0/24", nfq.Drop},
		{"gone again", "link del lan0", 1, gone, " 127.0.0.0/8 ::1/128", nfq.Accept},
	} {
		if x.ip != "" {
			netns.Run(t, "", "ip", strings.Fields(x.ip)...)
		}
		for range x.rounds {
			d.keepHouse()
		}
		if got := s.news(); got != x.says {
			t.Errorf("%s: said %q, want %q", x.name, got, x.says)
		}
		if got := lan(); got != x.lan {
			t.Errorf("%s: networks%s, want%s", x.name, got, x.lan)
		}
		if got := verdict("192.0.2.50"); got != x.verdict {
			t.Errorf("%s: verdict %d, want %d", x.name, got, x.verdict)
		}
	}
}
