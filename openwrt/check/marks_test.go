// SPDX-License-Identifier: GPL-2.0-or-later

package check

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/bench/netns"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/firewall"
)

// TestNFTMarkUse has each rule in the form of nft 1.0.6, or in the form in which older
// versions translate rules of iptables.
func TestNFTMarkUse(t *testing.T) {
	for _, c := range []struct {
		rule string
		want uint32
	}{
		{"meta mark set ct mark & 0x00003f00", wholeMark},
		{"ct mark set meta mark", wholeMark},
		{"ct mark set meta mark & 0x000000ff", wholeMark},
		{"ct mark set meta mark & 0x000001ff | 0x00000100", wholeMark},
		{"ct mark & 0x000000ff == 0x00000005 accept", 0xff},
		{"ct mark and 0xff == 0x5 accept", 0xff},
		{"ct mark & 0x000000ff != 0x00000003 accept", 0xff},
		{"meta mark & 0x000000ff vmap { 0x00000001 : accept }", 0xff},
		{"meta mark & 0x000000ff == { 0x00000001, 0x00000002 } accept", 0xff},
		{"meta mark { 0x00000001, 0x00000002 } accept", 3},
		{"meta mark 0x00000005 accept", 5},
		{"meta mark != 0x00000005 accept", 5},
		{"meta mark vmap { 0x00000001 : accept }", 1},
		{"mark 0x00000005 accept", 5},
		{"ct mark != 0x00000000 accept", wholeMark},
		{"ct mark 0x00000001-0x00000005 accept", wholeMark},
		{"ct mark 0x00000020 meta priority set 1:20", wholeMark},
		{"meta mark set meta mark & 0xff01ffff | 0x00010000", 0x00ff0000},
		{"meta mark set mark and 0xffff00ff xor 0x200", 0xff00},
		{"meta mark set mark or 0x200", 0x200},
		{"meta mark set mark and 0x200", 0xfffffdff},
		{"meta mark set mark xor 0x200", 0x200},
		{"ct mark set ct mark | 0x00000080", 0x80},
		{"ct mark set ct mark ^ 0x00000080", 0x80},
		{"ct mark set ct mark & 0xffffff00", 0xff},
		{"ct mark set ct mark & 0xffffffe0 | 0x00000020", 0x3f},
		{"ct mark set ct mark & 0xffffff00 | meta mark & 0x000000ff", 0xff},
		{"ct mark set ct mark & 0xffffff00 | meta mark", wholeMark},
		{"ct mark set ct mark & 0xffffff00 | ip dscp", wholeMark},
		{"ct mark set mark", wholeMark},
		{"meta mark set 0x00000001 return", wholeMark},
		{"meta mark set ip saddr map @mm", wholeMark},
		{"meta mark set ct mark map { 0x00000001 : 0x00000002 }", wholeMark},
		{"meta mark set numgen inc mod 2 offset 256", wholeMark},
		{"ct mark & 0x00000080 == 0x00000000 ct mark set 0x00000080 comment \"ct mark set\"", wholeMark},
		{"ct mark & 0x00000080 == 0x00000000 ct mark set ct mark | 0x00000040", 0xc0},
		{"tcp dport 80 accept comment \"ct mark 5\"", 0},
		{"type ipv4_addr : mark", 0},
		{"type mark : verdict", 0},
		{"type mark", 0},
		{"ct mark", 0},
		{"meta mark set", wholeMark},
		{"ct mark set ct", wholeMark},
		{"ct mark set ct mark", 0},
		{"ct mark set ct mark &", wholeMark},
		{"ct mark &", wholeMark},
	} {
		var u markUses
		u.nft("table inet x {\n\tchain c {\n\t\t"+c.rule+"\n\t}\n}\n", func(_, _ string) bool { return false })
		if got := u.bits["table inet x"]; got != c.want {
			t.Errorf("%s: %#x, want %#x", c.rule, got, c.want)
		}
	}
}

func TestIPTablesMarkUse(t *testing.T) {
	for _, c := range []struct {
		rule string
		want uint32
	}{
		{"-A PREROUTING -j CONNMARK --restore-mark --nfmask 0x3f00 --ctmask 0x3f00", 0x3f00},
		{"-A POSTROUTING -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff00", 0xffff},
		{"-A POSTROUTING -m connmark ! --mark 0x1 -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff", wholeMark},
		{"-A POSTROUTING -j CONNMARK --save-mark", wholeMark},
		{"-A POSTROUTING -j CONNMARK --save-mark --mask 0xff", 0xff},
		{"-A PREROUTING -m mark --mark 0x100/0x3f00 -j MARK --set-xmark 0x200/0xff00", 0xff00},
		{"-A PREROUTING -j MARK --set-xmark 0x200/0x200", 0x200},
		{"-A PREROUTING -j MARK --set-xmark 0x0/0xfffffdff", 0xfffffdff},
		{"-A PREROUTING -j MARK --set-xmark 0x200/0x0", 0x200},
		{"-A PREROUTING -j MARK --set-xmark 0x1/0xffffffff", wholeMark},
		{"-A PREROUTING -j MARK --set-mark 0x1", wholeMark},
		{"-A PREROUTING -j MARK --or-mark 0x10", 0x10},
		{"-A PREROUTING -j MARK --and-mark 0xfffffff0", 0xf},
		{"-A FORWARD -m mark --mark 0x1 -j ACCEPT", 1},
		{"-A FORWARD -m mark ! --mark 0x0 -j ACCEPT", 0},
		{"-A FORWARD -m connmark --mark 0x1 -j ACCEPT", wholeMark},
		{"-A FORWARD -m connmark --mark 0x1/0xf -j ACCEPT", 0xf},
		{"-A FORWARD -m comment --comment \"--set-mark 0x1\" -j ACCEPT", 0},
		{"-A p2pwall-decided -j CONNMARK --set-xmark 0x2004000/0x200c000", 0},
		{"-A POSTROUTING -m mark --mark 0x2004000/0x2004000 -j p2pwall-post", 0},
	} {
		var u markUses
		u.iptables("iptables", "*mangle\n:PREROUTING ACCEPT [0:0]\n"+c.rule+"\nCOMMIT\n")
		if got := u.bits["iptables, table mangle"]; got != c.want {
			t.Errorf("%s: %#x, want %#x", c.rule, got, c.want)
		}
	}
}

// The rules of programs that use marks, in the form of the system's programs.
const (
	// pbr selects an uplink by the byte 0x00ff0000.
	pbrNFT = `table inet fw4 {
	chain pbr_prerouting {
		meta mark & 0x00ff0000 != 0x00000000 return
		ip saddr 192.168.1.9 goto pbr_mark_0x020000 comment "console"
	}

	chain pbr_mark_0x020000 {
		meta mark set meta mark & 0xff02ffff | 0x00020000
		return
	}
}
`
	pbrRules = "0:\tfrom all lookup local\n30000:\tfrom all fwmark 0x10000/0xff0000 lookup 256\n30001:\tfrom all fwmark 0x20000/0xff0000 lookup 257\n32766:\tfrom all lookup main\n"
	// mwan3 stores the uplink of a connection in 0x3f00.
	mwan3Save = `*mangle
:PREROUTING ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:mwan3_hook - [0:0]
-A PREROUTING -j mwan3_hook
-A mwan3_hook -j CONNMARK --restore-mark --nfmask 0x3f00 --ctmask 0x3f00
-A mwan3_hook -m mark --mark 0x0/0x3f00 -j MARK --set-xmark 0x100/0x3f00
-A mwan3_hook -j CONNMARK --save-mark --nfmask 0x3f00 --ctmask 0x3f00
COMMIT
`
	mwan3Rules = "2001:\tfrom all fwmark 0x100/0x3f00 lookup 1\n2061:\tfrom all fwmark 0x3d00/0x3f00 blackhole\n"
	tailscale  = "5210:\tfrom all fwmark 0x80000/0xff0000 lookup main\n5270:\tfrom all lookup 52\n"
	// The example of tc-ctinfo(8): DSCP in the highest six bits, and a bit that says that it
	// is set.
	ctinfoHigh = "total acts 1\n\n\taction order 0: ctinfo zone 0 pipe\n\t index 1 ref 1 bind 1 dscp 0xfc000000/0x1000000\n"
	ctinfoNew  = "\taction order 0: ctinfo zone 0 pipe\n\t index 1 ref 1 bind 1 dscp 0x0000003f 0x00000080 installed 72 sec used 0 sec DSCP set 1333 error 0 CPMARK set 0\n"
	dscpHigh   = `table inet dscp {
	chain store {
		type filter hook postrouting priority mangle; policy accept;
		oifname "wan" ct mark set ct mark & 0x03ffffff | 0x28000000
		oifname "wan" ct mark set ct mark | 0x01000000
	}
}
`
	dscpLow = `table inet dscpclassify {
	chain postrouting {
		type filter hook postrouting priority mangle + 2; policy accept;
		ct mark & 0x000000ff == 0x00000000 ct direction original jump static_classify
		ct mark & 0x00000080 == 0x00000080 jump dynamic_classify
	}

	chain static_classify {
		ct mark set ct mark & 0xffffff80 | 0x00000080
	}
}
`
	// A set of rules that uses the whole mark.
	greedy = `table ip qos {
	chain post {
		type filter hook postrouting priority mangle; policy accept;
		ct mark 0x00000000 meta mark set 0x00000005
		ct mark set meta mark
	}
}
`
	// Rules of iptables in the output of nft. The output of iptables-save is more exact.
	iptablesNFT = `table ip mangle {
	chain PREROUTING {
		type filter hook prerouting priority mangle; policy accept;
		counter packets 0 bytes 0 meta mark set ct mark and 0x3f00
	}
}
`
)

// markMachine is a router that has the rules of others.
func markMachine(t *testing.T, mask string) *machine {
	c, err := config.Parse(strings.NewReader("config p2pwall\noption mark '"+mask+"'\n"), "f")
	if err != nil {
		t.Fatal(err)
	}
	return &machine{c: &c}
}

func TestFindingsMarks(t *testing.T) {
	const def = "0x0200c000"
	free := "ok: nothing else uses the bits of the mark that the wall uses (0x0200c000)"
	for _, c := range []struct {
		name   string
		mask   string
		set    func(*machine)
		want   string
		remedy string // of the last finding
	}{
		{"nothing", def, func(*machine) {}, free, ""},
		{"pbr", def, func(m *machine) { m.ruleset, m.ipRules = pbrNFT, pbrRules }, free, ""},
		{"mwan3", def, func(m *machine) { m.saves[0], m.saves[1], m.ipRules = mwan3Save, mwan3Save, mwan3Rules }, free, ""},
		{"Tailscale", def, func(m *machine) { m.ipRules = tailscale }, free, ""},
		{"ctinfo", def, func(m *machine) { m.ruleset, m.ctinfo = dscpHigh, ctinfoHigh }, free, ""},
		{"dscpclassify", def, func(m *machine) { m.ruleset, m.ctinfo = dscpLow, ctinfoNew }, free, ""},
		{"all of them", def, func(m *machine) {
			m.ruleset, m.saves[0], m.ipRules, m.ctinfo = pbrNFT+dscpHigh+dscpLow, mwan3Save, pbrRules+mwan3Rules+tailscale, ctinfoHigh+ctinfoNew
		}, free, ""},
		{
			"pbr has our bits", "0x00070000", func(m *machine) { m.ruleset, m.ipRules = pbrNFT, pbrRules },
			"warning: table inet fw4 uses bits of the mark that the wall uses, too: 0x00070000|warning: ip rule uses bits of the mark that the wall uses, too: 0x00070000",
			"choose other bits: uci set p2pwall.main.mark=0x0200c000; uci commit p2pwall; service p2pwall restart",
		},
		{
			"mwan3 has two", "0x00013000", func(m *machine) { m.saves[0] = mwan3Save },
			"warning: iptables, table mangle uses bits of the mark that the wall uses, too: 0x00003000",
			"choose other bits: uci set p2pwall.main.mark=0x0200c000; uci commit p2pwall; service p2pwall restart",
		},
		{
			"mwan3, IPv6", "0x00013000", func(m *machine) { m.saves[1] = mwan3Save },
			"warning: ip6tables, table mangle uses bits of the mark that the wall uses, too: 0x00003000", "-",
		},
		{
			"ctinfo has one", "0x07000000", func(m *machine) { m.ctinfo = ctinfoHigh },
			"warning: tc ctinfo uses bits of the mark that the wall uses, too: 0x05000000", "-",
		},
		{
			"rules for ctinfo", "0x07000000", func(m *machine) { m.ruleset = dscpHigh },
			"warning: table inet dscp uses bits of the mark that the wall uses, too: 0x05000000", "-",
		},
		{
			"the default is taken", def, func(m *machine) { m.ipRules = "1:\tfrom all fwmark 0x8000/0xc000 lookup 7\n"; m.ctinfo = ctinfoHigh },
			"warning: ip rule uses bits of the mark that the wall uses, too: 0x0000c000",
			"choose other bits: uci set p2pwall.main.mark=0x02c00000; uci commit p2pwall; service p2pwall restart",
		},
		{
			"no bit is left", def, func(m *machine) { m.ipRules = "1:\tfrom all fwmark 0x1/0xfffffffc lookup 7\n" },
			"warning: ip rule uses bits of the mark that the wall uses, too: 0x0200c000", "let it use fewer bits",
		},
		{
			"the whole mark", def, func(m *machine) { m.ruleset = greedy },
			"warning: table ip qos uses the whole mark, also the bits that the wall uses (0x0200c000)", "let it use bits of its own only, with a mask",
		},
		{"iptables in nft's list", def, func(m *machine) { m.ruleset, m.saves[0] = iptablesNFT, mwan3Save }, free, ""},
		{
			"nft beside legacy iptables", def, func(m *machine) { m.ruleset, m.saves[0], m.filter[0] = iptablesNFT, mwan3Save, mwan3Save },
			"warning: table ip mangle uses the whole mark, also the bits that the wall uses (0x0200c000)", "-",
		},
		{
			"iptables in nft's list, not readable", def, func(m *machine) { m.ruleset = iptablesNFT },
			"warning: table ip mangle uses the whole mark, also the bits that the wall uses (0x0200c000)", "-",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := markMachine(t, c.mask)
			c.set(m)
			m.marks()
			if got := strings.Join(lines(t, m.found), "|"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := m.found[len(m.found)-1].Remedy; got != c.remedy && c.remedy != "-" {
				t.Errorf("remedy %s", got)
			}
		})
	}
}

// TestFindingsMarksOfOurs: our own rules do not count as those of others, in any form.
func TestFindingsMarksOfOurs(t *testing.T) {
	netns.Need(t, "nft")
	c := config.Default()
	c.Queues, c.Action = 2, config.ActionReset // the configuration with all rules
	for _, target := range []firewall.Target{
		{Backend: config.BackendNFT, Sets: config.SetsNFT, Devices: []string{"br-lan"}, CutsFlows: true},
		{Backend: config.BackendNFT, Sets: config.SetsNFT, Devices: []string{"br-lan", "br-guest"}, CutsFlows: false},
		{Backend: config.BackendNFT, Sets: config.SetsOff, Devices: []string{"br-lan"}, CutsFlows: true},
		{Backend: config.BackendIPTables, Sets: config.SetsNFT, Devices: []string{"br-lan"}, CutsFlows: true},
		{Backend: config.BackendIPTables, Sets: config.SetsIPSet, Devices: []string{"br-lan"}, CutsFlows: false},
		{Backend: config.BackendIPTables, Sets: config.SetsOff, Devices: []string{"br-lan"}, CutsFlows: true},
	} {
		t.Run(fmt.Sprintf("%s %s %v", target.Backend, target.Sets, target.CutsFlows), func(t *testing.T) {
			netns.Enter(t)
			r, err := firewall.MakeRules(&c, target)
			if err != nil {
				t.Fatal(err)
			}
			if r.NFT != "" {
				netns.Run(t, netns.Loadable(r.NFT), "nft", "-f", "-")
			}
			if r.Hold != "" {
				netns.Run(t, "table inet fw4 {\n\tchain forward {\n\t\ttype filter hook forward priority filter;\n\t}\n}\n", "nft", "-f", "-")
				netns.Run(t, r.Hold, "nft", "-f", "-")
			}
			m := markMachine(t, nfq.FormatMark(nfq.DefaultMarkMask))
			m.ruleset = netns.Run(t, "", "nft", "list", "ruleset")
			m.saves = [2]string{r.Mangle4 + r.Raw, r.Mangle6 + r.Raw}
			m.marks()
			if got := lines(t, m.found); len(got) != 1 || !strings.HasPrefix(got[0], "ok: ") {
				t.Errorf("got %s", strings.Join(got, "\n"))
			}
		})
	}
}

func TestFreeMarks(t *testing.T) {
	for _, c := range []struct{ used, want uint32 }{
		{0, nfq.DefaultMarkMask},
		{0x4000, 0x8200_8000},
		{0x0200c000, 0xe0000000},
		{0xffffff00, 0xe0},
		{0xfffffff8, 7},
		{0xfffffffc, 0},
	} {
		u := markUses{each: c.used}
		if got := u.free(nfq.MarkBits); got != c.want {
			t.Errorf("%#x: %#x, want %#x", c.used, got, c.want)
		} else if got != 0 && (bits.OnesCount32(got) != nfq.MarkBits || got&c.used != 0) {
			t.Errorf("%#x: %#x", c.used, got)
		}
	}
}

// FuzzMarkUses: no text makes the parsers fail.
func FuzzMarkUses(f *testing.F) {
	for _, s := range []string{pbrNFT, dscpHigh, greedy, mwan3Save, pbrRules, ctinfoHigh, ctinfoNew} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		var u markUses
		u.nft(text, func(_, _ string) bool { return false })
		u.iptables("iptables", text)
		u.rules(text)
		u.ctinfo(text)
		u.free(nfq.MarkBits)
	})
}
