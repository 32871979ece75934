// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/control"
	"github.com/p2pwall/p2pwall/state"
)

// TestWatchPolicies: when other policies hold, every engine follows, and one line of the log
// names them. A pause comes before all of them.
func TestWatchPolicies(t *testing.T) {
	leases := filepath.Join(t.TempDir(), "leases")
	before := config.LeaseFiles
	config.LeaseFiles = []string{leases}
	t.Cleanup(func() { config.LeaseFiles = before })
	h := newHouse(t, 2, "config policy 'night'", "option mode 'off'", "option start_time '22:00'", "option stop_time '06:00'",
		"config policy 'pc'", "option mode 'off'", "list host 'kids-pc'")
	h.put(leases, "")
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	h.policies.clock = func() time.Time { return now }
	h.watchPolicies()
	h.said.take()
	for _, x := range []struct {
		name    string
		change  func()
		says    string
		holding string
		verdict nfq.Verdict // on pings of 127.0.0.50
	}{
		{"day", func() {}, "", "pc", nfq.Drop},
		{"night", func() { now = now.Add(11 * time.Hour) }, "policies that hold now: night, pc\n", "night pc", nfq.Accept},
		{"still", func() { now = now.Add(time.Hour) }, "", "night pc", nfq.Accept},
		{"morning", func() { now = now.Add(7 * time.Hour) }, "policies that hold now: pc\n", "pc", nfq.Drop},
		{"its lease", func() { h.put(leases, "9 02:00:00:00:00:32 127.0.0.50 kids-pc *\n") }, "", "pc", nfq.Accept},
		{"no lease", func() { h.put(leases, "") }, "", "pc", nfq.Drop},
		{"pause", func() { h.policies.pause.set(time.Hour) }, "policies that hold now: pause\n", "pause", nfq.Accept},
		{"night in a pause", func() { now = now.Add(16 * time.Hour) }, "", "pause", nfq.Accept},
		{"the pause ends", func() { h.policies.pause.set(0) }, "policies that hold now: night, pc\n", "night pc", nfq.Accept},
		{"no policies", func() { h.status.cfg.Policies = nil }, "policies that hold now: none\n", "", nfq.Drop},
		{"none still", func() {}, "", "", nfq.Drop},
		{"pause without policies", func() { h.policies.pause.set(time.Hour) }, "policies that hold now: pause\n", "pause", nfq.Accept},
		{"its end", func() { h.policies.pause.set(0) }, "policies that hold now: none\n", "", nfq.Drop},
	} {
		x.change()
		h.watchPolicies()
		h.saidThen(x.name, x.says)
		if got := strings.Join(h.status.holding, " "); got != x.holding {
			t.Errorf("%s: %s holds, want %s", x.name, got, x.holding)
		}
		for i := range h.workers {
			if v := h.ping(i, "127.0.0.50"); v != x.verdict {
				t.Errorf("%s, queue %d: verdict %d, want %d", x.name, i, v, x.verdict)
			}
		}
	}
}

// TestRequests: what the control socket changes, reaches every engine of the daemon.
func TestRequests(t *testing.T) {
	h := newHouse(t, 2)
	service := filepath.Join(h.dir, "sock")
	h.status.cfg.Control = service
	if err := h.listen(&h.status.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.server.Close)
	for i := range h.workers {
		h.ping(i, "127.0.0.50")
	}
	for _, x := range []struct {
		request, want string
		verdict       nfq.Verdict // on pings of the host
		locked        int         // before these pings
	}{
		{`{"cmd":"unlock","host":"127.0.0.50"}`, `{"ok":true}`, nfq.Drop, 0},
		{`{"cmd":"exempt","host":"127.0.0.50","seconds":60}`, `{"ok":true,"seconds":60}`, nfq.Accept, 0},
		{`{"cmd":"exempt","host":"127.0.0.50"}`, `{"ok":true,"seconds":0}`, nfq.Drop, 0},
		{`{"cmd":"exempt","host":"8.8.8.8","seconds":60}`, `{"error":"8.8.8.8 is not on the LAN: only a computer of the LAN can be exempted, \"clients\" lists those that were found"}`, nfq.Drop, 1},
		{`{"cmd":"pause","seconds":60}`, `{"ok":true,"seconds":60}`, nfq.Accept, 0},
		{`{"cmd":"pause"}`, `{"ok":true,"seconds":0}`, nfq.Drop, 0},
		{`{"cmd":"notify"}`, `{"error":"nobody is told of events: add a \"config notify\" section to the configuration"}`, nfq.Drop, 1},
	} {
		got := ""
		if err := control.Call(service, []byte(x.request+"\n"), time.Minute, func(line []byte) bool { got = string(line); return false }); err != nil {
			t.Fatal(err)
		}
		if got != x.want {
			t.Errorf("%s: got %s, want %s", x.request, got, x.want)
		}
		h.watchPolicies() // as each second
		for i := range h.workers {
			if _, locked := h.count(i); locked != x.locked {
				t.Errorf("%s, queue %d: %d locked, want %d", x.request, i, locked, x.locked)
			}
			if v := h.ping(i, "127.0.0.50"); v != x.verdict {
				t.Errorf("%s, queue %d: verdict %d, want %d", x.request, i, v, x.verdict)
			}
		}
	}
}

// TestStatus: the control socket learns of the daemon what is so, from the first moment on.
func TestStatus(t *testing.T) {
	h := newHouse(t, 1, "config policy 'night'", "option mode 'off'", "option start_time '22:00'", "option stop_time '22:01'",
		"config policy 'always'", "option mode 'mark'")
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	h.policies.clock = func() time.Time { return now }
	h.watchPolicies()
	i := h.status.info()
	if i.Version != "1.2.3" || i.Config != h.file() || i.Backend != "starting" || i.Sets != "starting" || i.RulesOK {
		t.Errorf("at the start: %+v", i)
	}
	if len(i.Policies) != 2 || i.Policies[0].Holds || i.Policies[0].Mode != "off" || !i.Policies[1].Holds || i.Policies[1].Name != "always" {
		t.Errorf("policies %+v", i.Policies)
	}
	h.status.setRules("nft", "nft", true)
	h.policies.pause.set(time.Hour)
	h.watchPolicies()
	i = h.status.info()
	if i.Backend != "nft" || !i.RulesOK || i.Paused <= 0 || i.Policies[1].Holds {
		t.Errorf("in a pause: %+v", i)
	}
}

// TestDeviceOf: a host is on the device whose network has its address.
func TestDeviceOf(t *testing.T) {
	log, _ := logged()
	d := newDaemon(Options{Log: log}, config.Default())
	d.status.setDevices([]string{"br-lan", "br-guest"}, []state.Device{
		{Index: 3, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24"), netip.MustParsePrefix("2001:db8:1::/64")}},
		{Index: 4, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/9")}},
	})
	for a, want := range map[string]uint32{
		"192.168.1.0": 3, "192.168.1.255": 3, "192.168.2.0": 0, "2001:db8:1::7": 3, "2001:db8:1:1::7": 0,
		"10.127.255.255": 4, "10.128.0.0": 0, "203.0.113.9": 0,
	} {
		x := nfq.AddrFrom(netip.MustParseAddr(a))
		if got := d.status.deviceOf(&x); got != want {
			t.Errorf("%s: device %d, want %d", a, got, want)
		}
	}
}
