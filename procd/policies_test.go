// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

// TestPoliciesFollow: the clock, the leases and the devices change which policies hold.
func TestPoliciesFollow(t *testing.T) {
	dir := t.TempDir()
	leases, devices := filepath.Join(dir, "leases"), filepath.Join(dir, "devices")
	before := config.LeaseFiles
	config.LeaseFiles = []string{filepath.Join(dir, "none"), leases}
	t.Cleanup(func() { config.LeaseFiles = before })
	c, err := config.Parse(strings.NewReader("config p2pwall\noption devices_file "+devices+"\n"+
		"config policy night\noption mode off\noption start_time 22:00\noption stop_time 06:00\n"+
		"config policy pc\noption mode off\nlist host kids-pc\nlist network guest\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	now := time.Unix(5000, 0).UTC()
	p := policies{complaints: newComplaints(syslog.New(&log)), clock: func() time.Time { return now }}
	lan := []state.Device{{Index: 3, Name: "br-lan"}, {Index: 4, Name: "br-guest"}}
	holding := func() string {
		var s []string
		for _, x := range p.now(&c, lan) {
			one := x.Name
			for _, m := range x.MACs {
				one += " " + m.String()
			}
			if len(x.Devices) > 0 {
				one += " guests"
			}
			s = append(s, one)
		}
		return strings.Join(s, ", ")
	}
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		name   string
		change func()
		want   string
	}{
		{"a clock that is not set", func() {}, "pc"},
		{"still not", func() { now = now.Add(time.Second) }, "pc"},
		{"noon", func() { now = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) }, "pc"},
		{"night", func() { now = now.Add(10 * time.Hour) }, "night, pc"},
		{"a lease", func() { write(leases, "1 02:00:00:00:00:0a 192.168.1.50 kids-pc *\n") }, "night, pc 02:00:00:00:00:0a"},
		{"it moves", func() { write(leases, "1 02:00:00:00:00:0b 192.168.1.51 kids-pc *\n\n") }, "night, pc 02:00:00:00:00:0b"},
		{"it ends", func() { write(leases, "") }, "night, pc"},
		{"no file", func() { os.Remove(leases) }, "night, pc"},
		{"a network", func() { write(devices, "lan br-lan\nguest br-guest\n") }, "night, pc guests"},
		{"another device", func() { write(devices, "lan br-lan\nguest eth9\n\n") }, "night, pc"},
		{"morning", func() { now = now.Add(8 * time.Hour) }, "pc"},
	} {
		x.change()
		if got := holding(); got != x.want {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
	if n := strings.Count(log.String(), "the clock is not set"); n != 1 {
		t.Errorf("said %d times:\n%s", n, &log)
	}
}

func TestSamePolicies(t *testing.T) {
	base := func() []state.Policy { return []state.Policy{{Name: "a", Protocols: 1, Mode: state.Mark}} }
	if !samePolicies(base(), base()) {
		t.Error("the same is not the same")
	}
	for i, change := range []func(*state.Policy){
		func(p *state.Policy) { p.Name = "b" }, func(p *state.Policy) { p.All = true },
		func(p *state.Policy) { p.Protocols = 2 }, func(p *state.Policy) { p.Mode = state.Block },
		func(p *state.Policy) { p.Devices = []uint32{1} },
		// A lease that has changed.
		func(p *state.Policy) { p.MACs = []nfq.MAC{{2, 0, 0, 0, 0, 10}} },
		func(p *state.Policy) { p.Addrs = []nfq.Addr{{15: 1}} },
		func(p *state.Policy) { p.Nets = []netip.Prefix{netip.MustParsePrefix("192.168.1.50/32")} },
	} {
		other := base()
		change(&other[0])
		if samePolicies(base(), other) {
			t.Errorf("change %d is not seen", i)
		}
	}
	if samePolicies(base(), nil) {
		t.Error("none is the same as one")
	}
}
