// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"errors"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/bench/netns"
	"github.com/p2pwall/p2pwall/openwrt/config"
)

// TestTrial checks that TryIPTables returns the errors of iptables.
func TestTrial(t *testing.T) {
	netns.EachIPTables(t, func(t *testing.T, flavour string) {
		c := config.Default()
		r, err := MakeRules(&c, Target{config.BackendIPTables, config.SetsNFT, []string{"br-lan"}, true})
		if err != nil {
			t.Fatal(err)
		}
		before := netns.Run(t, "", "iptables-save", "-t", "mangle")
		err = tryIPTables(newIPTables(false), strings.Replace(r.Mangle4, "-m length", "-m nosuchmatch", 1))
		if err == nil || !strings.Contains(err.Error(), "nosuchmatch") {
			t.Errorf("error %v", err)
		}
		if out := netns.Run(t, "", "iptables-save"); strings.Contains(out, tryChain) {
			t.Errorf("left behind:\n%s\nbefore:\n%s", out, before)
		}
	})
}

func TestExplain(t *testing.T) {
	text := "*mangle\n:p2pwall - [0:0]\n-A p2pwall -p udp -m length --length 0:188 -j NFQUEUE --queue-num 214\nCOMMIT\n"
	for _, c := range []struct{ said, want string }{
		{"iptables-restore: line 3 failed", "iptables-restore: line 3 failed: the kernel or iptables lacks length or NFQUEUE; install iptables-mod-ipopt, iptables-mod-nfqueue and kmod-nfnetlink-queue (OpenWrt), or load the kernel's modules"},
		{"iptables-restore v1.8.9 (legacy): Couldn't load match `length':No such file or directory; Error occurred at line: 3", "*the kernel or iptables lacks length or NFQUEUE*"},
		{"iptables-restore: line 4 failed", "iptables-restore: line 4 failed"},
		{"Fatal: can't open lock file /run/xtables.lock: Permission denied", "*run as root or with CAP_NET_ADMIN"},
	} {
		err := explain(errors.New(c.said), text)
		want := strings.Trim(c.want, "*")
		if got := err.Error(); got != c.want && (c.want == want || !strings.Contains(got, want)) {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}
