// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/bench/golden"
	"github.com/p2pwall/p2pwall/bench/netns"
	"github.com/p2pwall/p2pwall/openwrt/config"
)

// ruleCases are the combinations whose texts are stored in testdata/rules and loaded into the
// kernel.
var ruleCases = []struct {
	name   string
	conf   string // options of the p2pwall section, and further sections
	target Target
}{
	{"nft", alone, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"nft-no-conntrack", alone, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, false}},
	{"iptables-no-conntrack", alone, Target{config.BackendIPTables, config.SetsNFT, []string{"br-lan"}, false}},
	{"nft-several-devices", alone, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan", "br-guest", "wlan0-1"}, true}},
	{"nft-exempt", exemptConf + alone, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"nft-queues", "option queues 3\n" + alone, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan", "br-guest"}, true}},
	{"nft-fail-closed", "option fail_open 0\noption queues 2\n" + alone, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"nft-no-http", "config protocol fasttrack\noption http 0\n" + alone, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"nft-no-sets", "option offload leave\n" + alone, Target{config.BackendNFT, config.SetsOff, []string{"br-lan"}, true}},
	{"nft-monitor", "config protocol fasttrack\noption mode monitor\n" + alone, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"nft-reset", "option action reset\n" + alone, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"nft-no-pong", "config protocol fasttrack\noption pong off\n" + alone, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"off", "config protocol fasttrack\noption mode off\n" + alone, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"iptables-ipset", alone, Target{config.BackendIPTables, config.SetsIPSet, []string{"br-lan"}, true}},
	{"iptables-nftsets", alone, Target{config.BackendIPTables, config.SetsNFT, []string{"br-lan"}, true}},
	{"iptables-several-devices", exemptConf + "option timelock 8\n" + alone, Target{config.BackendIPTables, config.SetsNFT, []string{"br-lan", "eth1.7"}, true}},
	{"iptables-exempt", exemptConf + alone, Target{config.BackendIPTables, config.SetsIPSet, []string{"br-lan"}, true}},
	{"iptables-queues", "option queues 3\n" + alone, Target{config.BackendIPTables, config.SetsNFT, []string{"br-lan", "br-guest"}, true}},
	{"iptables-fail-closed", "option fail_open 0\n" + alone, Target{config.BackendIPTables, config.SetsIPSet, []string{"br-lan"}, true}},
	{"iptables-reject", "option action reject\nconfig protocol fasttrack\noption pong off\n" + alone, Target{config.BackendIPTables, config.SetsIPSet, []string{"br-lan"}, true}},
	{"iptables-no-http", "config protocol fasttrack\noption http 0\n" + alone, Target{config.BackendIPTables, config.SetsOff, []string{"br-lan"}, true}},

	// With BitTorrent, which is on by default.
	{"torrent-nft", "", Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"torrent-nft-queues", exemptConf + "option queues 3\n", Target{config.BackendNFT, config.SetsNFT, []string{"br-lan", "br-guest"}, true}},
	{"torrent-nft-monitor", "config protocol bittorrent\noption mode monitor\noption name off\n" + old, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"torrent-nft-no-udp", "config protocol bittorrent\noption block_udp 0\noption http 0\nconfig protocol fasttrack\noption mode off\n" + old, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"torrent-nft-no-sets", "", Target{config.BackendNFT, config.SetsOff, []string{"br-lan"}, true}},
	{"torrent-nft-fasttrack", "config protocol fasttrack\noption lock selective\noption probe 0\n" + alone, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"names-nft", "config protocol winmx\noption mode block\n" + alone, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"torrent-ipset", "", Target{config.BackendIPTables, config.SetsIPSet, []string{"br-lan"}, true}},
	{"torrent-ipset-no-udp", "config protocol bittorrent\noption block_udp 0\n", Target{config.BackendIPTables, config.SetsIPSet, []string{"br-lan"}, true}},
	{"torrent-nftsets", "", Target{config.BackendIPTables, config.SetsNFT, []string{"br-lan"}, true}},
	{"torrent-nftsets-queues", exemptConf + "option queues 3\n", Target{config.BackendIPTables, config.SetsNFT, []string{"br-lan", "br-guest"}, true}},
	{"torrent-iptables-monitor", "config protocol bittorrent\noption mode monitor\n", Target{config.BackendIPTables, config.SetsIPSet, []string{"br-lan"}, true}},
	{"torrent-iptables-no-sets", "", Target{config.BackendIPTables, config.SetsOff, []string{"br-lan"}, true}},

	// In mode mark: marked, not cut.
	{"mark-nft", allMarked, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"mark-nft-route", routed + "option queues 2\n" + someMarked, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan", "br-guest"}, true}},
	{"mark-nft-no-dscp", "option dscp off\n" + routed + "option offload leave\n" + someMarked, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}},
	{"mark-nft-no-sets", routed + allMarked, Target{config.BackendNFT, config.SetsOff, []string{"br-lan"}, true}},
	{"mark-nft-no-conntrack", allMarked, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, false}},
	{"mark-ipset", allMarked, Target{config.BackendIPTables, config.SetsIPSet, []string{"br-lan"}, true}},
	{"mark-ipset-route", routed + someMarked, Target{config.BackendIPTables, config.SetsIPSet, []string{"br-lan"}, true}},
	{"mark-nftsets-route", routed + someMarked, Target{config.BackendIPTables, config.SetsNFT, []string{"br-lan"}, true}},
	{"mark-iptables-no-sets", routed + allMarked, Target{config.BackendIPTables, config.SetsOff, []string{"br-lan"}, true}},
}

const (
	allMarked  = "config protocol bittorrent\noption mode mark\nconfig protocol fasttrack\noption mode mark\n" + old
	someMarked = "config policy\noption mode mark\nlist ip 192.168.1.50\n"
	routed     = "option ct_mark 0x00010000/0x00ff0000\n"
)

// old switches the networks off that came after BitTorrent. With alone only FastTrack
// remains.
const (
	old = "config protocol edonkey\noption mode off\nconfig protocol soulseek\noption mode off\n" +
		"config protocol directconnect\noption mode off\nconfig protocol gnutella\noption mode off\n" +
		"config protocol ipfs\noption mode off\nconfig protocol xunlei\noption mode off\nconfig protocol ares\noption mode off\n" +
		"config protocol applejuice\noption mode off\nconfig protocol mute\noption mode off\n"
	alone = "config protocol bittorrent\noption mode off\n" + old
)

const exemptConf = `list exempt 192.168.1.20
list exempt 192.168.2.0/24
list exempt 192.168.2.9
list exempt 2001:db8:1::/64
list exempt 00:11:22:33:44:aa
`

// caseRules makes the rules of one case.
func caseRules(t *testing.T, conf string, target Target) Rules {
	t.Helper()
	c, err := config.Parse(strings.NewReader("config p2pwall main\n"+conf), "f")
	if err != nil {
		t.Fatal(err)
	}
	r, err := MakeRules(&c, target)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRulesGolden(t *testing.T) {
	for _, c := range ruleCases {
		t.Run(c.name, func(t *testing.T) {
			got := caseRules(t, c.conf, c.target).String()
			golden.Compare(t, filepath.Join("testdata", "rules", c.name+".rules"), got)
		})
	}
}

// TestQueueStatement checks that nft reads the two forms of the statement. A kernel without
// the queue refuses them with an error other than the one for bad syntax.
func TestQueueStatement(t *testing.T) {
	netns.Need(t, "nft")
	netns.Enter(t)
	for _, q := range []string{nftQueue(214, true), nftQueue(0, false)} {
		out, err := netns.Try("table inet try {\nchain c {\n"+q+"\n}\n}\n", "nft", "-c", "-f", "-")
		if err != nil && (strings.Contains(out, "syntax") || !strings.Contains(out, "No such file")) {
			t.Errorf("%s: %s", q, out)
		}
	}
}

// TestRulesLoad loads every text into the kernel, twice, with both flavours of iptables.
func TestRulesLoad(t *testing.T) {
	netns.Need(t, "nft")
	for _, c := range ruleCases {
		for _, flavour := range []string{"nft", "legacy"} {
			if c.target.Backend == config.BackendNFT && flavour == "legacy" {
				continue
			}
			t.Run(c.name+"/"+flavour, func(t *testing.T) {
				netns.Enter(t)
				r := caseRules(t, c.conf, c.target)
				for range 2 {
					if r.NFT != "" {
						netns.Run(t, netns.Loadable(r.NFT), "nft", "-f", "-")
					}
					if r.Mangle4 == "" || c.target.Sets == config.SetsIPSet {
						// ipset: see TestIPSetText.
						continue
					}
					for _, x := range [][2]string{
						{"iptables-", r.Mangle4},
						{"iptables-", r.Raw},
						{"ip6tables-", r.Mangle6},
						{"ip6tables-", r.Raw},
					} {
						netns.Need(t, x[0]+flavour+"-restore")
						netns.Run(t, x[1], x[0]+flavour+"-restore", "--noflush")
					}
				}
				if r.NFT != "" {
					netns.Run(t, RecreateNFT(netns.Loadable(r.NFT)), "nft", "-f", "-")
				}
				netns.Run(t, RemoveNFT, "nft", "-f", "-")
				netns.Run(t, RemoveNFT, "nft", "-f", "-")
			})
		}
	}
}

// TestIPSetText loads the rules for ipset. It replaces types of sets that this kernel may
// lack.
func TestIPSetText(t *testing.T) {
	netns.Need(t, "ipset")
	for _, c := range ruleCases {
		if c.target.Sets != config.SetsIPSet {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			netns.Enter(t)
			r := caseRules(t, c.conf, c.target)
			netns.Run(t, standIn.Replace(r.IPSet), "ipset", "-exist", "restore")
			netns.Run(t, standIn.Replace(r.IPSet), "ipset", "-exist", "restore")
			for _, flavour := range []string{"nft", "legacy"} {
				netns.Need(t, "iptables-"+flavour+"-restore")
				netns.Run(t, standInMatch.Replace(r.Mangle4), "iptables-"+flavour+"-restore", "--noflush")
				netns.Run(t, standInMatch.Replace(r.Mangle6), "ip6tables-"+flavour+"-restore", "--noflush")
			}
		})
	}
}

// TestHoldText loads the offload rules into a chain like fw4's.
func TestHoldText(t *testing.T) {
	netns.Need(t, "nft")
	netns.Enter(t)
	netns.Run(t, fw4Like, "nft", "-f", "-")
	for _, c := range ruleCases {
		r := caseRules(t, c.conf, c.target)
		if (r.Hold != "") != (c.target.Backend == config.BackendNFT && c.name != "nft-no-sets" && c.name != "off" && !strings.Contains(c.conf, "offload leave")) {
			t.Errorf("%s: hold is %q", c.name, r.Hold)
		}
		if r.Hold != "" {
			netns.Run(t, r.Hold, "nft", "-f", "-")
		}
	}
}

const fw4Like = `table inet fw4 {
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept comment "!fw4: Allow forwarded established and related flows"
		iifname "br-lan" accept
	}
}
`

func TestMakeRulesErrors(t *testing.T) {
	c := config.Default()
	for _, x := range []struct {
		target Target
		want   string
	}{
		{Target{config.BackendNFT, config.SetsNFT, nil, true}, "no LAN device"},
		{Target{config.BackendNFT, config.SetsNFT, []string{"a b"}, true}, `bad device name "a b"`},
		{Target{config.BackendNFT, config.SetsNFT, []string{`a"`}, true}, `bad device name "a\""`},
		{Target{config.BackendIPTables, config.SetsNFT, []string{"lan+"}, true}, `bad device name "lan+"`},
		{Target{config.BackendNFT, config.SetsNFT, []string{"lan*"}, true}, `bad device name "lan*"`},
		{Target{config.BackendAuto, config.SetsNFT, []string{"lan"}, true}, "no rules for"},
		{Target{config.BackendIPTables, config.SetsAuto, []string{"lan"}, true}, "no rules for"},
		{Target{config.BackendNFT, config.SetsIPSet, []string{"lan"}, true}, "no rules for"},
	} {
		if _, err := MakeRules(&c, x.target); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%+v: %v", x.target, err)
		}
	}
}
