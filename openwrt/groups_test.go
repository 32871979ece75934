// SPDX-License-Identifier: GPL-2.0-or-later

package openwrt

import (
	"fmt"
	"strings"
	"testing"
)

// members reports on which of two devices the router is in the groups, of IPv4 and
// IPv6.
func members(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, dev := range []string{"lan0", "lan1"} {
		list, _ := try("", "ip", "maddress", "show", "dev", dev)
		fmt.Fprintf(&b, " %v%v", strings.Contains(list, " "+searchGroup4+"\n"), strings.Contains(list, " "+searchGroup6+"\n"))
	}
	return b.String()[1:]
}

func TestGroups(t *testing.T) {
	need(t, "ip")
	inNetns(t)
	add := func(dev string) {
		run(t, "", "ip", "link", "add", dev, "up", "type", "veth", "peer", "name", "to-"+dev)
	}
	add("lan0")
	var g groups
	t.Cleanup(g.leave)
	for _, step := range []struct {
		what    string
		f       func()
		devices []string
		want    string
	}{
		{"one of two is there", func() {}, []string{"lan0", "lan1"}, "truetrue falsefalse"},
		{"the other comes", func() { add("lan1") }, []string{"lan0", "lan1"}, "truetrue truetrue"},
		{"nothing changed", func() {}, []string{"lan0", "lan1"}, "truetrue truetrue"},
		{"one is made again", func() { run(t, "", "ip", "link", "delete", "lan0"); add("lan0") }, []string{"lan0", "lan1"}, "truetrue truetrue"},
		{"many times", func() {
			for range 30 { // the kernel allows a socket 20 groups
				run(t, "", "ip", "link", "delete", "lan0")
				add("lan0")
				if err := g.join([]string{"lan0", "lan1"}); err != nil {
					t.Fatal(err)
				}
			}
		}, []string{"lan0", "lan1"}, "truetrue truetrue"},
		{"one is the LAN no more", func() {}, []string{"lan1"}, "falsefalse truetrue"},
		{"nothing is searched for", func() {}, nil, "falsefalse falsefalse"},
		{"again", func() {}, []string{"lan0"}, "truetrue falsefalse"},
	} {
		step.f()
		if err := g.join(step.devices); err != nil {
			t.Errorf("%s: %v", step.what, err)
		}
		if got := members(t); got != step.want {
			t.Errorf("%s: %s, want %s", step.what, got, step.want)
		}
	}
	g.leave()
	if got, want := members(t), "falsefalse falsefalse"; got != want {
		t.Errorf("at the end: %s, want %s", got, want)
	}
}

// TestKeeperJoins: the Keeper joins with its rules, again when the device is made
// again, and not where BitTorrent is not looked for.
func TestKeeperJoins(t *testing.T) {
	need(t, "ip")
	need(t, "iptables")
	inNetns(t)
	add := func() { run(t, "", "ip", "link", "add", "lan0", "up", "type", "veth", "peer", "name", "to-lan0") }
	add()
	c := Default()
	c.Backend = BackendIPTables
	k := &Keeper{}
	want := func(what, want string) {
		t.Helper()
		if got := members(t); got != want+" falsefalse" {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	load := func() {
		t.Helper()
		l, err := k.Load(&c, []string{"lan0"})
		if err != nil || len(l.Degraded) != 0 {
			t.Fatalf("%v, degraded %q", err, l.Degraded)
		}
	}
	load()
	want("loaded", "truetrue")
	run(t, "", "ip", "link", "delete", "lan0")
	add()
	if ok, what := k.Check(); !ok {
		t.Error(what)
	}
	want("made again", "truetrue")
	all := c.Protocols
	c.Protocols = map[string]Protocol{"fasttrack": all["fasttrack"]}
	load()
	want("not looked for", "falsefalse")
	c.Protocols = all
	load()
	want("looked for again", "truetrue")
	if err := k.Remove(); err != nil {
		t.Error(err)
	}
	want("removed", "falsefalse")
}
