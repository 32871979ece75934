// SPDX-License-Identifier: GPL-2.0-or-later

package check

import (
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/firewall"
)

func TestMarked(t *testing.T) {
	const (
		unused = "warning: nothing seems to use what mode mark sets (%): what is marked goes on as before"
		used   = "ok: what mode mark sets (%) is used by: "
		mark   = "config policy\noption mode mark\n"
		both   = "DSCP 1, ct mark 0x00010000/0x00ff0000"
	)
	for _, c := range []struct{ name, conf, rules, qdiscs, ctinfo, want string }{
		{"not used at all", "", "", "", "", ""},
		{"nothing", mark, "0:	from all lookup local\n", "qdisc noqueue 0: dev lo root refcnt 2\n", "", strings.Replace(unused, "%", "DSCP 1", 1)},
		{"cake", mark, "", "qdisc cake 8001: dev eth1 root refcnt 2 bandwidth 40Mbit diffserv4 triple-isolate nat\n", "", strings.Replace(used, "%", "DSCP 1", 1) + "cake (eth1)"},
		{"cake that does not tell", mark, "", "qdisc cake 8001: dev eth1 root refcnt 2 bandwidth 40Mbit besteffort\n", "", strings.Replace(unused, "%", "DSCP 1", 1)},
		{"cake without a DSCP", "option dscp off\noption ct_mark 0x10\n" + mark, "", "qdisc cake 8001: dev eth1 root diffserv4\n", "", strings.Replace(unused, "%", "ct mark 0x00000010/0x00000010", 1)},
		{"a rule", "option ct_mark 0x10000/0xff0000\n" + mark, "100:	from all fwmark 0x10000/0xff0000 lookup 102\n", "", "", strings.Replace(used, "%", both, 1) + "ip rule fwmark 0x10000/0xff0000"},
		{"another rule", "option ct_mark 0x10000/0xff0000\n" + mark, "100:	from all fwmark 0x20000/0xff0000 lookup 102\n", "", "", strings.Replace(unused, "%", both, 1)},
		{"ctinfo", "option ct_mark 0x10000/0xff0000\n" + mark, "", "", "action order 0: ctinfo zone 0 pipe dscp 0x003f0000 0x00000040", strings.Replace(used, "%", both, 1) + "tc ctinfo"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := config.Parse(strings.NewReader("config p2pwall\n"+c.conf), "f")
			if err != nil {
				t.Fatal(err)
			}
			m := &machine{c: &cfg, ipRules: c.rules, qdiscs: c.qdiscs, ctinfo: c.ctinfo}
			m.marked()
			if got := strings.Join(lines(t, m.found), "|"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestPolicies(t *testing.T) {
	cfg, err := config.Parse(strings.NewReader(`config p2pwall
list network lan
config policy a
option mode off
list network lan
list network guest
list device br-lan
list device wg0
list host kids-pc
list host tv
option start_time 9:00
`), "f")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{
		c: &cfg, root: fakeRoot(t, map[string]string{"/tmp/dhcp.leases": "1 02:00:00:00:00:0a 192.168.1.50 Kids-PC *\n"}),
		target: firewall.Target{Devices: []string{"br-lan"}},
	}
	m.policies()
	const want = "warning: the policy a names the network guest, which is not watched|" +
		"warning: the policy a names the device wg0, which is not watched|" +
		"warning: the policy a names the computer tv, and no DHCP lease has this name"
	if got := strings.Join(lines(t, m.found), "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
