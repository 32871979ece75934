// SPDX-License-Identifier: GPL-2.0-or-later

package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/netns"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/firewall"
)

// fakeRoot writes files below a directory that replaces /.
func fakeRoot(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const routeHead = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

// wellRouter is a router without any problem.
var wellRouter = map[string]string{
	"/proc/sys/net/ipv4/ip_forward":                   "1\n",
	"/proc/sys/net/ipv6/conf/all/forwarding":          "1\n",
	"/proc/sys/net/netfilter/nf_conntrack_acct":       "1\n",
	"/proc/sys/net/bridge/bridge-nf-call-iptables":    "0\n",
	"/proc/thread-self/status":                        "Name:\tx\nCapEff:\t0000000000003000\n",
	"/proc/thread-self/net/netfilter/nfnetlink_queue": "",
	"/sys/class/net/br-lan/ifindex":                   "3\n",
	"/proc/thread-self/net/route": routeHead + "wan\t00000000\t0100007F\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"br-lan\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
	"/proc/thread-self/net/ipv6_route": strings.Repeat("0", 32) + " 00 " + strings.Repeat("0", 32) + " 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 wan\n" +
		strings.Repeat("0", 32) + " 00 " + strings.Repeat("0", 32) + " 00 " + strings.Repeat("0", 32) + " ffffffff 00000001 00000000 00200200 lo\n",
}

// lines renders findings without their remedies. A warning or an error must have a remedy.
func lines(t *testing.T, found []Finding) []string {
	t.Helper()
	var out []string
	for _, f := range found {
		if (f.Remedy == "") != (f.Level == LevelOK) {
			t.Errorf("%s: %s has the remedy %q", f.Level, f.What, f.Remedy)
		}
		out = append(out, f.Level.String()+": "+f.What)
	}
	return out
}

// TestFindings changes one thing of wellRouter at a time.
func TestFindings(t *testing.T) {
	const fw4 = "fw4.nft"
	for _, c := range []struct {
		name    string
		conf    string
		change  map[string]string // files; "-" removes one
		ruleset string
		backend config.Backend
		// conntrack is the result of a try to read the connection table.
		conntrack error
		want      string // the additional findings, or
		not       string // a finding that disappears
	}{
		{name: "all is well"},
		{name: "switched off", conf: "option enabled 0", want: "warning: the wall is switched off in the configuration"},
		{name: "no device", conf: "list device br-lan\nlist network lan", want: "warning: the network lan has no device"},
		{name: "missing device", conf: "list device br-lan\nlist device wlan9", want: "warning: the LAN device wlan9 does not exist (yet)"},
		{name: "port of a bridge", change: map[string]string{"/sys/class/net/br-lan/master/ifindex": "9"}, want: "warning: the LAN device br-lan is a port of its bridge: packets seem to come from that"},
		{name: "no forwarding", change: map[string]string{"/proc/sys/net/ipv4/ip_forward": "0"}, want: "warning: this machine does not forward IPv4"},
		{name: "WAN in the LAN", conf: "list device br-lan\nlist device wan", change: map[string]string{"/sys/class/net/wan/ifindex": "4"}, want: "warning: the default route goes through wan, which is a LAN device: traffic within the LAN is never touched"},
		{name: "no NFQUEUE", change: map[string]string{"/proc/thread-self/net/netfilter/nfnetlink_queue": "-", "/proc/sys/kernel/osrelease": "6.6.1\n"}, want: "error: the kernel has no NFQUEUE (nfnetlink_queue)"},
		{name: "NFQUEUE as a module, OpenWrt", change: map[string]string{"/proc/thread-self/net/netfilter/nfnetlink_queue": "-", "/proc/sys/kernel/osrelease": "6.6.1\n", "/lib/modules/6.6.1/nfnetlink_queue.ko": ""}, want: "ok: the kernel has NFQUEUE as a module"},
		{name: "NFQUEUE as a module, Debian", change: map[string]string{"/proc/thread-self/net/netfilter/nfnetlink_queue": "-", "/proc/sys/kernel/osrelease": "6.6.1\n", "/lib/modules/6.6.1/kernel/net/netfilter/nfnetlink_queue.ko.xz": ""}, want: "ok: the kernel has NFQUEUE as a module"},
		{name: "no accounting", change: map[string]string{"/proc/sys/net/netfilter/nf_conntrack_acct": "0"}, want: "warning: packets of connections are not counted (nf_conntrack_acct=0): the rules turn it on, but more packets of connections that are open by then go through the queue"},
		{name: "no tracking", change: map[string]string{"/proc/sys/net/netfilter/nf_conntrack_acct": "-"}, want: "warning: connections are not tracked (yet): only connection attempts and small UDP can be looked at"},
		{name: "no IPv6 line", change: map[string]string{"/proc/thread-self/net/ipv6_route": ""}, want: "ok: the line has no IPv6: nothing comes in by it"},
		{name: "no line", change: map[string]string{"/proc/thread-self/net/route": routeHead}, want: "warning: cannot tell whether inbound IPv4 connections are blocked: there is no default route"},
		{name: "open", ruleset: "fw4-open.nft", want: "warning: inbound IPv4 connections from wan to br-lan are not blocked|warning: inbound IPv6 connections from wan to br-lan are not blocked"},
		{name: "no firewall", ruleset: "none", want: "warning: inbound IPv4 connections from wan to br-lan are not blocked|warning: inbound IPv6 connections from wan to br-lan are not blocked", not: "ok: flow offload: connections are held back until they are decided"},
		{name: "offload left alone", conf: "option offload leave", want: "warning: flow offload (table inet fw4) hides connections from the wall"},
		{name: "offload with iptables", backend: config.BackendIPTables, want: "warning: flow offload (table inet fw4) hides connections from the wall: it can be held back only for fw4 with the nft backend"},
		{name: "bridge", backend: config.BackendIPTables, change: map[string]string{"/proc/sys/net/bridge/bridge-nf-call-iptables": "1"}, want: "warning: flow offload (table inet fw4) hides connections from the wall: it can be held back only for fw4 with the nft backend|warning: packets within a bridge go through iptables too (bridge-nf-call-iptables=1): the wall leaves them alone, but it costs time"},
		{name: "no sets", conf: "option sets off", want: "warning: without sets in the kernel only what is recognised when it begins is cut: transfers that are going on already, and encrypted ones, pass"},
		{name: "no sets, and FastTrack alone", conf: "list device br-lan\noption sets off\n" + onlyFastTrack, want: "warning: without sets in the kernel only what is recognised when it begins is cut: transfers that are going on already, and encrypted ones, pass"},
		{name: "no sets, and nothing is cut", conf: "list device br-lan\noption sets off\n" + onlyFastTrack + "config protocol fasttrack\noption mode monitor\n"},
		{name: "no connection table", conf: "list device br-lan", conntrack: unix.EINVAL, want: "warning: connections cannot be changed (invalid argument): what began before a client is found may go on past the rules"},
		{name: "no connection table, and no need", conf: "list device br-lan\n" + onlyFastTrack + "config protocol fasttrack\noption mode monitor\n", conntrack: unix.EINVAL},
		{name: "no rights", change: map[string]string{"/proc/thread-self/status": "CapEff:\t0000000000002000\n"}, want: "error: without CAP_NET_ADMIN nothing can be said about rules, and no rule can be loaded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := fakeFindings(t, c.conf, c.change, c.ruleset, c.backend, c.conntrack, fw4)
			well := fakeFindings(t, "", nil, "", "", nil, fw4)
			var extra []string
			for _, g := range got {
				if !hasLine(well, g) && !strings.HasPrefix(g, "ok: LAN") {
					extra = append(extra, g)
				}
			}
			if s := strings.Join(extra, "|"); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
			if c.not != "" && (hasLine(got, c.not) || !hasLine(well, c.not)) {
				t.Errorf("not missing: %s", c.not)
			}
		})
	}
}

func hasLine(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// fakeFindings runs the checks that need no real tools.
func fakeFindings(t *testing.T, conf string, change map[string]string, ruleset string, b config.Backend, conntrack error, fallback string) []string {
	t.Helper()
	if conf == "" || strings.HasPrefix(conf, "option") {
		conf += "\nlist device br-lan"
	}
	c, err := config.Parse(strings.NewReader("config p2pwall\n"+conf+"\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for k, v := range wellRouter {
		files[k] = v
	}
	for k, v := range change {
		files[k] = v
		if v == "-" {
			delete(files, k)
		}
	}
	if ruleset == "" {
		ruleset = fallback
	}
	if b == "" {
		b = config.BackendNFT
	}
	text := ""
	if ruleset != "none" {
		text = readFile(t, "testdata/inbound/"+ruleset)
	}
	m := &machine{
		c: &c, root: fakeRoot(t, files), ruleset: text, target: firewall.Target{Backend: b, Sets: c.Sets},
		conntrack: func() error { return conntrack },
	}
	m.settings()
	m.lan()
	m.routing()
	if m.admin() {
		m.queue()
		m.cutting()
		m.accounting()
		m.inbound()
		m.offload()
		m.marks()
		m.bridge()
	}
	return lines(t, m.found)
}

func TestFindingsFlowOffloadKinds(t *testing.T) {
	c := config.Default()
	hw := strings.Replace(readFile(t, "testdata/inbound/fw4.nft"), "counter\n\t}", "counter\n\t\tflags offload\n\t}", 1)
	for _, x := range []struct {
		ruleset, filter string
		want            string
	}{
		{hw, "", "warning: flow offload is done in hardware: connections are held back until they are decided, which was not tried on every device"},
		{"table inet mine {\n\tflowtable f {\n\t}\n}\n", "", "warning: flow offload (table inet mine) hides connections from the wall: it can be held back only for fw4 with the nft backend"},
		{"", readFile(t, "testdata/inbound/fw3.save"), "warning: flow offload (iptables) hides connections from the wall"},
	} {
		m := &machine{c: &c, ruleset: x.ruleset, filter: [2]string{x.filter}, target: firewall.Target{Backend: config.BackendNFT}}
		m.offload()
		if got := strings.Join(lines(t, m.found), "|"); got != x.want {
			t.Errorf("got  %s\nwant %s", got, x.want)
		}
	}
}

// onlyFastTrack switches off the protocols whose lock is selective.
const onlyFastTrack = "config protocol bittorrent\noption mode off\nconfig protocol edonkey\noption mode off\n" +
	"config protocol soulseek\noption mode off\nconfig protocol directconnect\noption mode off\n" +
	"config protocol gnutella\noption mode off\n"

// TestFindingsReal runs all checks in a namespace with the devices of a small router. The
// trial must leave nothing behind and must not disturb a running Keeper.
func TestFindingsReal(t *testing.T) {
	netns.EachIPTables(t, func(t *testing.T, flavour string) {
		netns.Run(t, "", "ip", "link", "add", "br-lan", "type", "bridge")
		netns.Run(t, "", "ip", "link", "add", "wan0", "type", "veth", "peer", "name", "wan1")
		netns.Run(t, "", "ip", "link", "set", "wan1", "up")
		netns.Run(t, "", "ip", "address", "add", "192.0.2.1/24", "dev", "wan0")
		netns.Run(t, "", "ip", "link", "set", "wan0", "up")
		netns.Run(t, "", "ip", "route", "add", "default", "via", "192.0.2.254")
		netns.Run(t, "", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
		c := config.Default()
		c.Networks, c.Devices = nil, []string{"br-lan"}
		c.Backend = config.BackendIPTables

		netns.Run(t, "", "iptables", "-P", "FORWARD", "DROP")
		for _, p := range []string{"iptables", "ip6tables"} {
			// Create the tables first, so that they exist before and after.
			netns.Run(t, "", p, "-t", "mangle", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT")
			netns.Run(t, "", p, "-t", "raw", "-A", "OUTPUT", "-o", "lo", "-j", "ACCEPT")
		}
		before := netns.Rules(t)
		got := lines(t, Findings(&c))
		if after := netns.Rules(t); after != before {
			t.Errorf("the check leaves something:\n%s\nbefore:\n%s", after, before)
		}
		for _, want := range []string{
			"ok: LAN: br-lan", "ok: the kernel has NFQUEUE", "ok: inbound IPv4 connections from wan0 to br-lan are blocked",
		} {
			if !hasLine(got, want) {
				t.Errorf("%s is missing in:\n%s", want, strings.Join(got, "\n"))
			}
		}
		if code := ExitCode(Findings(&c)); code > 1 {
			t.Errorf("exit code %d:\n%s", code, strings.Join(got, "\n"))
		}

		netns.Run(t, "", "iptables", "-P", "FORWARD", "ACCEPT")
		if want := "warning: inbound IPv4 connections from wan0 to br-lan are not blocked"; !hasLine(lines(t, Findings(&c)), want) {
			t.Errorf("%s is missing", want)
		}

		k := &firewall.Keeper{}
		if _, err := k.Load(&c, c.Devices); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if ok, what := k.Check(); !ok {
				t.Fatalf("the rules in place: %s", what)
			}
			Findings(&c)
		}
		if err := k.Remove(); err != nil {
			t.Error(err)
		}
	})
}

func TestExitCode(t *testing.T) {
	for _, c := range []struct {
		found []Finding
		want  int
	}{
		{nil, 0},
		{[]Finding{{Level: LevelOK}}, 0},
		{[]Finding{{Level: LevelWarning}, {Level: LevelOK}}, 1},
		{[]Finding{{Level: LevelError}, {Level: LevelWarning}}, 2},
	} {
		if got := ExitCode(c.found); got != c.want {
			t.Errorf("%v: %d", c.found, got)
		}
	}
}
