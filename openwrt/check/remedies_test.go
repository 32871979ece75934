// SPDX-License-Identifier: GPL-2.0-or-later

package check

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/firewall"
)

// TestRemedies: for each finding about the machine itself, what is wrong and what to do, with
// the codes by which a translation finds both. "%" stands before each argument of a code.
func TestRemedies(t *testing.T) {
	const (
		offloadOff = "uci set firewall.@defaults[0].flow_offloading=0; uci commit firewall; service firewall restart"
		flowtable  = "table inet fw4 {\n\tflowtable ft {\n\t\thook ingress priority filter\n\t\tdevices = { eth0, eth1 }\n\t}\n}\n"
		otherTable = "table inet other {\n\tflowtable ft {\n\t}\n}\n"
		hardware   = "table inet fw4 {\n\tflowtable ft {\n\t\tflags offload;\n\t}\n}\n"
		toIptables = "*filter\n-A FORWARD -j FLOWOFFLOAD\nCOMMIT\n"
	)
	for _, c := range []struct {
		name, conf string
		change     map[string]string // files of wellRouter; "-" removes one
		set        func(m *machine)
		run        func(m *machine)
		want       string
	}{
		{
			"switched off", "option enabled 0", nil, nil, (*machine).settings,
			"warning: the wall is switched off in the configuration [off]: uci set p2pwall.main.enabled=1 []",
		},
		{
			"nothing to look for", allOff, nil, nil, (*machine).settings,
			`warning: every protocol is off: nothing is looked for [no-protocol]: set "mode" of a protocol section to block [set-mode]`,
		},
		{"all is well", "", nil, nil, (*machine).settings, ""},
		{
			"no rights", "",
			map[string]string{"/proc/thread-self/status": "CapEff:\t0000000000000fff\n"},
			nil, func(m *machine) { m.admin() },
			"error: without CAP_NET_ADMIN nothing can be said about rules, and no rule can be loaded [no-privilege]: run as root [root]",
		},
		{
			"rights that nobody can read", "",
			map[string]string{"/proc/thread-self/status": "CapEff:\txyz\n"},
			nil, func(m *machine) { m.admin() },
			"error: without CAP_NET_ADMIN nothing can be said about rules, and no rule can be loaded [no-privilege]: run as root [root]",
		},
		{"just the right", "", map[string]string{"/proc/thread-self/status": "CapEff:\t0000000000001000\n"}, nil, func(m *machine) { m.admin() }, ""},
		{
			"no device at all", "option devices_file '/nonexistent/devices'\nlist network lan", nil, nil, (*machine).lan,
			`error: no LAN device is known [no-device]: name one with "list device", or a network of /etc/config/network with "list network" [name-device]`,
		},
		{
			"a network without a device", "option devices_file '/nonexistent/devices'\nlist network guest\nlist device br-lan", nil, nil, (*machine).lan,
			"warning: the network guest has no device [network-without-device %guest]: check its name, or bring it up; " +
				`without the service /nonexistent/devices is not written: use "list device" [bring-up %/nonexistent/devices]` + "\n" +
				"ok: LAN: br-lan [lan %br-lan]: []",
		},
		{
			"a device that is missing", "list device br-lan\nlist device wg7", nil, nil, (*machine).lan,
			`warning: the LAN device wg7 does not exist (yet) [device-missing %wg7]: check its name with "ip link" [device-name]` + "\n" +
				"ok: LAN: br-lan [lan %br-lan]: []",
		},
		{
			"a port of a bridge whose name is known", "list device lan1",
			map[string]string{
				"/sys/class/net/lan1/ifindex": "7", "/sys/devices/virtual/net/br-lan/ifindex": "3",
			},
			func(m *machine) {
				if err := os.Symlink("../../../devices/virtual/net/br-lan", filepath.Join(m.root, "/sys/class/net/lan1/master")); err != nil {
					t.Error(err)
				}
			}, (*machine).lan,
			"warning: the LAN device lan1 is a port of br-lan: packets seem to come from that [bridge-port %lan1 %br-lan]: name br-lan instead [name-bridge %br-lan]",
		},
		{
			"no forwarding", "",
			map[string]string{"/proc/sys/net/ipv4/ip_forward": "0\n"},
			nil, (*machine).routing,
			"warning: this machine does not forward IPv4 [no-forward]: sysctl -w net.ipv4.ip_forward=1, and in /etc/sysctl.conf []",
		},
		{
			"the line is in the LAN", "", nil, func(m *machine) { m.target.Devices = []string{"br-lan", "wan"} }, (*machine).routing,
			"warning: the default route goes through wan, which is a LAN device: traffic within the LAN is never touched [route-by-lan %wan]: " +
				"name only devices of the LAN; a bridge that holds LAN and WAN ports cannot be watched [only-lan]",
		},
		{
			"no NFQUEUE", "",
			map[string]string{"/proc/thread-self/net/netfilter/nfnetlink_queue": "-"},
			nil, (*machine).queue,
			"error: the kernel has no NFQUEUE (nfnetlink_queue) [no-queue]: install kmod-nfnetlink-queue (OpenWrt), or: modprobe nfnetlink_queue [install-queue]",
		},
		{
			"NFQUEUE as a module of another kernel", "",
			map[string]string{
				"/proc/thread-self/net/netfilter/nfnetlink_queue": "-", "/proc/sys/kernel/osrelease": "6.6.1\n", "/lib/modules/6.6.0/nfnetlink_queue.ko": "",
			},
			nil, (*machine).queue,
			"error: the kernel has no NFQUEUE (nfnetlink_queue) [no-queue]: install kmod-nfnetlink-queue (OpenWrt), or: modprobe nfnetlink_queue [install-queue]",
		},
		{
			"no tracking", "",
			map[string]string{"/proc/sys/net/netfilter/nf_conntrack_acct": "-"},
			nil, (*machine).accounting,
			"warning: connections are not tracked (yet): only connection attempts and small UDP can be looked at [no-conntrack]: " +
				"install kmod-nf-conntrack (OpenWrt), or: modprobe nf_conntrack [install-conntrack]",
		},
		{
			"connections cannot be cut", "", nil, func(m *machine) {
				m.target.Sets = config.SetsOff
				m.conntrack = func() error { return errors.New("no such thing") }
			}, (*machine).cutting,
			"warning: without sets in the kernel only what is recognised when it begins is cut: transfers that are going on already, and encrypted ones, pass [no-sets]: " +
				"set sets to auto [set-sets]\n" +
				"warning: connections cannot be changed (no such thing): what began before a client is found may go on past the rules [no-conntrack-netlink %no such thing]: " +
				"install kmod-nf-conntrack-netlink (OpenWrt), or: modprobe nf_conntrack_netlink [install-conntrack-netlink]",
		},
		{
			"offload is held", "", nil, func(m *machine) { m.ruleset = flowtable }, (*machine).offload,
			"ok: flow offload: connections are held back until they are decided [offload-held]: []",
		},
		{
			"offload in hardware", "", nil, func(m *machine) { m.ruleset = hardware }, (*machine).offload,
			"warning: flow offload is done in hardware: connections are held back until they are decided, which was not tried on every device [offload-hardware]: " +
				"when clients are missed: uci set firewall.@defaults[0].flow_offloading_hw=0; uci commit firewall; service firewall restart " +
				"[when-missed %uci set firewall.@defaults[0].flow_offloading_hw=0; uci commit firewall; service firewall restart]",
		},
		{
			"offload of another's table, twice", "", nil, func(m *machine) { m.ruleset = otherTable + otherTable }, (*machine).offload,
			"warning: flow offload (table inet other) hides connections from the wall: it can be held back only for fw4 with the nft backend [offload-not-fw4 %inet other]: " + offloadOff + " []",
		},
		{
			"offload that is to be left", "option offload leave", nil, func(m *machine) { m.ruleset = flowtable }, (*machine).offload,
			"warning: flow offload (table inet fw4) hides connections from the wall [offload %inet fw4]: set offload to hold, or: " + offloadOff + " [hold %" + offloadOff + "]",
		},
		{
			"offload of iptables, both versions", "", nil, func(m *machine) { m.filter = [2]string{toIptables, toIptables} }, (*machine).offload,
			"warning: flow offload (iptables) hides connections from the wall [offload-iptables]: " + offloadOff + " []",
		},
		{
			"packets within a bridge", "",
			map[string]string{"/proc/sys/net/bridge/bridge-nf-call-iptables": "1\n"},
			func(m *machine) { m.target.Backend = config.BackendIPTables }, (*machine).bridge,
			"warning: packets within a bridge go through iptables too (bridge-nf-call-iptables=1): the wall leaves them alone, but it costs time [bridge]: " +
				"sysctl -w net.bridge.bridge-nf-call-iptables=0, unless something else needs it []",
		},
		{"packets within a bridge do not matter to nft", "", map[string]string{"/proc/sys/net/bridge/bridge-nf-call-iptables": "1\n"}, nil, (*machine).bridge, ""},
		{
			"no route", "",
			map[string]string{"/proc/thread-self/net/route": routeHead},
			nil, func(m *machine) { m.inboundOf(false) },
			"warning: cannot tell whether inbound IPv4 connections are blocked: there is no default route [no-default-route %IPv4]: run the check again when the line is up [again]",
		},
		{
			"open", "", nil, func(m *machine) { m.present = []string{"br-lan", "wan"} }, func(m *machine) { m.inboundOf(true) },
			"warning: inbound IPv6 connections from wan to br-lan are not blocked [inbound-open %IPv6 %wan %br-lan]: " +
				"let the firewall reject what comes from the WAN and answers nothing (OpenWrt: option forward REJECT in the defaults and the wan zone of /etc/config/firewall) [reject-wan]",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := config.Parse(strings.NewReader("config p2pwall\n"+c.conf+"\n"), "f")
			if err != nil {
				t.Fatal(err)
			}
			files := maps.Clone(wellRouter)
			for path, text := range c.change {
				if files[path] = text; text == "-" {
					delete(files, path)
				}
			}
			m := &machine{
				c: &cfg, root: fakeRoot(t, files), conntrack: func() error { return nil },
				target: firewall.Target{Backend: config.BackendNFT, Sets: config.SetsNFT, Devices: []string{"br-lan"}}, present: []string{"br-lan"},
			}
			if c.set != nil {
				c.set(m)
			}
			c.run(m)
			var got []string
			for _, f := range m.found {
				got = append(got, f.Level.String()+": "+f.What+coded(f.Code, f.Args)+": "+strings.TrimSpace(f.Remedy+coded(f.Fix, f.FixArgs)))
			}
			if said := strings.Join(got, "\n"); said != c.want {
				t.Errorf("got\n%s\nwant\n%s", said, c.want)
			}
		})
	}
}

// coded writes a code with its arguments.
func coded(code string, args []string) string {
	for _, a := range args {
		code += " %" + a
	}
	return " [" + code + "]"
}

// allOff is a configuration that looks for nothing.
var allOff = func() string {
	var b strings.Builder
	for name := range config.Default().Protocols {
		b.WriteString("config protocol " + name + "\noption mode off\n")
	}
	return b.String()
}()

// TestLANFaults: what is wrong in the file of devices is said with its line. The devices that
// can be read are watched.
func TestLANFaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "devices")
	if err := os.WriteFile(file, []byte("lan br-lan\nguest\nlan 'x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.DevicesFile = file
	m := &machine{c: &c, root: fakeRoot(t, wellRouter)}
	m.lan()
	var got []string
	for _, f := range m.found {
		got = append(got, f.Level.String()+": "+f.What+": "+f.Remedy)
	}
	want := "warning: " + file + ":2: not a network and its device: write: lan br-lan\n" +
		"warning: " + file + `:3: bad device "'x": use the name of a device as in "ip link": 1 to 15 letters, digits or . _ - @ % = , ~` + "\n" +
		"ok: LAN: br-lan: "
	if said := strings.Join(got, "\n"); said != want {
		t.Errorf("got\n%s\nwant\n%s", said, want)
	}
}
