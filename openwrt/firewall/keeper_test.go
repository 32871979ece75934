// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/bench/netns"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/program"
)

// keeperFor loads rules for the iptables backend.
func keeperFor(t *testing.T, conf string, devices ...string) (*Keeper, *config.Config) {
	t.Helper()
	c, err := config.Parse(strings.NewReader("config p2pwall main\noption backend iptables\n"+conf), "f")
	if err != nil {
		t.Fatal(err)
	}
	k := &Keeper{}
	if l, err := k.Load(&c, devices); err != nil {
		t.Fatalf("%v %v", err, l.Degraded)
	}
	t.Cleanup(func() { _ = k.Remove() })
	return k, &c
}

// exists reports whether a file exists.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// The jumps of the default configuration.
var (
	mangleJumps = []string{
		"-A FORWARD -j p2pwall", "-A INPUT -j p2pwall-input", "-A POSTROUTING -j p2pwall-post",
		"-A OUTPUT -j p2pwall-output",
	}
	rawJumps = []string{"-A OUTPUT -j p2pwall"}
)

// jumps counts the jumps to our chains, and reports one that is not in its place.
func jumps(t *testing.T, program string) int {
	t.Helper()
	n := 0
	for _, x := range []struct {
		table string
		want  []string
	}{{"mangle", mangleJumps}, {"raw", rawJumps}} {
		s := ParseSave(netns.Run(t, "", program+"-save", "-t", x.table), x.table)
		n += len(s.jumps)
		if chain, ok := s.jumpsRight(x.want); !ok {
			t.Errorf("%s %s: %s does not end with our jump: %q", program, x.table, chain, s.last[chain])
		}
	}
	return n
}

func wantOK(t *testing.T, k *Keeper) {
	t.Helper()
	if ok, what := k.Check(); !ok {
		t.Fatalf("Check: %s", what)
	}
}

// others are rules of other programs in the tables and chains that we use.
const others = `*mangle
:theirs - [0:0]
-A FORWARD -o wan -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
-A FORWARD -j theirs
-A theirs -j MARK --set-xmark 0x5/0xff
-A INPUT -i lo -j ACCEPT
COMMIT
*raw
-A OUTPUT -o lo -j ACCEPT
COMMIT
*filter
-A FORWARD -i p2pwall -j DROP
COMMIT
`

// TestKeeperIPTables loads the rules twice, checks and removes them. The rules of others must
// stay unchanged.
func TestKeeperIPTables(t *testing.T) {
	netns.EachIPTables(t, func(t *testing.T, flavour string) {
		for _, p := range []string{"iptables", "ip6tables"} {
			netns.Run(t, others, p+"-restore")
		}
		before := netns.Rules(t)
		k, c := keeperFor(t, "", "lan0")
		if k.Target().Backend != config.BackendIPTables || k.Target().Sets == config.SetsAuto {
			t.Errorf("target %+v", k.Target())
		}
		for range 3 {
			wantOK(t, k)
		}
		if n := jumps(t, "iptables"); n != len(mangleJumps)+len(rawJumps) {
			t.Errorf("%d jumps", n)
		}
		once := netns.Rules(t)

		// Load again, by the same Keeper and by the next instance after a kill.
		for _, again := range []*Keeper{k, {}} {
			l, err := again.Load(c, []string{"lan0"})
			if err != nil {
				t.Fatal(err)
			}
			if l.NewSets {
				t.Error("the sets are said to be new")
			}
			if twice := netns.Rules(t); twice != once {
				t.Errorf("loading twice changes the rules:\n%s\n%s", once, twice)
			}
			wantOK(t, again)
		}
		if err := k.Remove(); err != nil {
			t.Fatal(err)
		}
		if after := netns.Rules(t); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
		if err := k.Remove(); err != nil {
			t.Errorf("removing twice: %v", err)
		}
	})
}

// TestKeeperLeavesNothing: if nobody else has rules, no tables remain.
func TestKeeperLeavesNothing(t *testing.T) {
	netns.EachIPTables(t, func(t *testing.T, flavour string) {
		k, _ := keeperFor(t, "", "lan0")
		wantOK(t, k)
		if err := k.Remove(); err != nil {
			t.Fatal(err)
		}
		if out := netns.Run(t, "", "nft", "list", "ruleset"); out != "" {
			t.Errorf("left behind:\n%s", out)
		}
		for _, p := range []string{"iptables-save", "ip6tables-save"} {
			if out := netns.Run(t, "", p); strings.Contains(out, "p2pwall") {
				t.Errorf("left behind:\n%s", out)
			}
		}
	})
}

// TestKeeperRepair damages the rules in the usual ways and in some unusual ones.
func TestKeeperRepair(t *testing.T) {
	for _, b := range []struct {
		name string
		do   string
		what string // what Check says
		sets bool   // the sets are lost
	}{
		{"mangle flushed", "iptables -t mangle -F", "iptables, table mangle: our rules were changed", false},
		{"mangle flushed and deleted", "iptables -t mangle -F; iptables -t mangle -X", "iptables, table mangle: our rules are gone", false},
		{"IPv6 flushed", "ip6tables -t mangle -F", "ip6tables, table mangle: our rules were changed", false},
		{"raw flushed", "iptables -t raw -F; iptables -t raw -X", "iptables, table raw: our rules are gone", false},
		{"jump deleted", "iptables -t mangle -D FORWARD -j p2pwall", "iptables, table mangle: FORWARD does not end with our rule", false},
		{"a rule behind ours", "iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu", "iptables, table mangle: FORWARD does not end with our rule", false},
		{"jump doubled", "iptables -t mangle -A FORWARD -j p2pwall", "iptables, table mangle: FORWARD does not end with our rule", false},
		{"a jump on another condition", "iptables -t mangle -F POSTROUTING; iptables -t mangle -A POSTROUTING -m mark --mark 0x1/0x1 -j p2pwall-post", "iptables, table mangle: the jumps to our rules were changed", false},
		{"one rule deleted", "iptables -t mangle -D p2pwall-syn -j NFQUEUE --queue-num 214 --queue-bypass", "iptables, table mangle: our rules were changed", false},
		{"a rule added", "iptables -t mangle -I p2pwall-out -j ACCEPT", "iptables, table mangle: our rules were changed", false},
		{"nft table deleted", "nft delete table inet p2pwall", "the nft table inet p2pwall is gone", true},
		{"nft table flushed", "nft flush table inet p2pwall", "the nft table inet p2pwall is gone", false},
		{"one nft rule deleted", "nft flush chain inet p2pwall inbound", "the nft table inet p2pwall was changed", false},
		{"the whole ruleset flushed", "nft flush ruleset", "the nft table inet p2pwall is gone", true},
	} {
		t.Run(b.name, func(t *testing.T) {
			netns.EachIPTables(t, func(t *testing.T, flavour string) {
				netns.Run(t, others, "iptables-restore")
				k, _ := keeperFor(t, "option sets nft\n", "lan0")
				netns.Run(t, "", "nft", "add", "element", "inet", "p2pwall", "lock4", "{ 192.0.2.1 timeout 1h }")
				wantOK(t, k)
				wantOK(t, k)
				before := jumps(t, "iptables")

				netns.Run(t, "", "sh", "-c", b.do)
				ok, what := k.Check()
				if ok || what != b.what {
					t.Fatalf("Check after %q: %v %q, want %q", b.do, ok, what, b.what)
				}
				l, err := k.Repair()
				if err != nil {
					t.Fatal(err)
				}
				if l.NewSets != b.sets {
					t.Errorf("NewSets is %v", l.NewSets)
				}
				if l.Degraded != nil {
					t.Errorf("degraded: %q", l.Degraded)
				}
				wantOK(t, k)
				if n := jumps(t, "iptables"); n != before {
					t.Errorf("%d jumps, before %d", n, before)
				}
				jumps(t, "ip6tables")
				set := netns.Run(t, "", "nft", "list", "set", "inet", "p2pwall", "lock4")
				if strings.Contains(set, "192.0.2.1") == b.sets {
					t.Errorf("set after the repair:\n%s", set)
				}
			})
		})
	}
}

// TestKeeperFirstCheck: Check also notices a change made before its first call.
func TestKeeperFirstCheck(t *testing.T) {
	netns.EachIPTables(t, func(t *testing.T, flavour string) {
		k, _ := keeperFor(t, "", "lan0")
		netns.Run(t, "", "iptables", "-t", "mangle", "-D", "p2pwall-syn", "1")
		if ok, _ := k.Check(); ok {
			t.Error("not seen")
		}
	})
}

// TestKeeperForeignChange: changes of other programs are no reason for a repair. Nor are our
// own changes to the sets.
func TestKeeperForeignChange(t *testing.T) {
	netns.EachIPTables(t, func(t *testing.T, flavour string) {
		k, _ := keeperFor(t, "option sets nft\n", "lan0")
		wantOK(t, k)
		for _, do := range []string{
			"nft add element inet p2pwall lock4 '{ 192.0.2.1 timeout 1h }'",
			"nft add element inet p2pwall cut4 '{ 192.0.2.1 . 198.51.100.1 timeout 1h }'",
			"iptables -t mangle -I FORWARD -j ACCEPT",
			"iptables -A FORWARD -j DROP",
			"iptables -t mangle -N theirs",
			"nft add table inet theirs",
		} {
			netns.Run(t, "", "sh", "-c", do)
			wantOK(t, k)
		}
	})
}

// TestKeeperLeftovers: Load replaces rules of an instance that was killed, of another version
// or another configuration. It does not add to them.
func TestKeeperLeftovers(t *testing.T) {
	netns.EachIPTables(t, func(t *testing.T, flavour string) {
		first, _ := keeperFor(t, "option queues 3\noption sets nft\n", "lan0", "lan1")
		netns.Run(t, "", "iptables", "-t", "mangle", "-N", "p2pwall-old")
		netns.Run(t, "", "iptables", "-t", "mangle", "-A", "FORWARD", "-j", "p2pwall-old")
		netns.Run(t, "", "iptables", "-t", "mangle", "-A", "p2pwall", "-j", "p2pwall-old")
		_ = first
		k, c := keeperFor(t, "option sets off\n", "lan0")
		if n := jumps(t, "iptables"); n != len(mangleJumps)+len(rawJumps) {
			t.Errorf("%d jumps", n)
		}
		out := netns.Run(t, "", "iptables-save", "-t", "mangle")
		for _, gone := range []string{"p2pwall-old", "p2pwall-queue", "lan1"} {
			if strings.Contains(out, gone) {
				t.Errorf("%s is still there:\n%s", gone, out)
			}
		}
		if out := netns.Run(t, "", "nft", "list", "tables"); strings.Contains(out, "inet p2pwall") {
			t.Errorf("the unused table is still there: %s", out)
		}
		wantOK(t, k)

		// Fewer protocols need fewer chains.
		for name := range c.Protocols {
			if name != "fasttrack" {
				delete(c.Protocols, name)
			}
		}
		if _, err := k.Load(c, []string{"lan0"}); err != nil {
			t.Fatal(err)
		}
		wantOK(t, k)
		if out := netns.Run(t, "", "iptables-save", "-t", "mangle"); strings.Contains(out, "p2pwall-pre") || strings.Contains(out, "p2pwall-output") {
			t.Errorf("still there:\n%s", out)
		}

		// If every protocol is off, no rules are needed.
		c.Protocols = nil
		if _, err := k.Load(c, []string{"lan0"}); err != nil {
			t.Fatal(err)
		}
		wantOK(t, k)
		if out := netns.Run(t, "", "iptables-save"); strings.Contains(out, "p2pwall") {
			t.Errorf("still there:\n%s", out)
		}
	})
}

// TestKeeperOldSets starts with what an earlier version left in the kernel when it was
// killed: sets of MACs, and rules that name them.
func TestKeeperOldSets(t *testing.T) {
	netns.Need(t, "ipset")
	netns.EachIPTables(t, func(t *testing.T, _ string) {
		// This kernel may lack hash:net,net and hash:mac.
		conf, target := config.Default(), Target{config.BackendIPTables, config.SetsIPSet, []string{"lan0"}, true}
		r, err := MakeRules(&conf, target)
		if err != nil {
			t.Fatal(err)
		}
		r.IPSet, r.Mangle4, r.Mangle6 = standIn.Replace(r.IPSet), standInMatch.Replace(r.Mangle4), standInMatch.Replace(r.Mangle6)
		const stale = "create p2pwall-lockmac hash:ip timeout 0\ncreate p2pwall-sift4 hash:ip timeout 0\ncreate p2pwall-sift6 hash:ip family inet6 timeout 0\n"
		var noLock6 strings.Builder
		for l := range strings.Lines(r.IPSet) {
			if !strings.Contains(l, "-lock6 ") {
				noLock6.WriteString(l)
			}
		}
		netns.Run(t, stale+noLock6.String()+"add p2pwall-lock4 192.0.2.3 timeout 3600\n", "ipset", "restore")
		netns.Run(t, "*mangle\n:p2pwall-syn - [0:0]\n:p2pwall-out - [0:0]\n:p2pwall-sift - [0:0]\n-A p2pwall-syn -m set --match-set p2pwall-lockmac src -j DROP\n"+
			"-A p2pwall-out -m set --match-set p2pwall-sift4 src -g p2pwall-sift\n-A p2pwall-sift -j DROP\nCOMMIT\n", "iptables-restore", "--noflush")

		load := func(newSets bool) *Keeper {
			t.Helper()
			var k Keeper
			var l Loaded
			if err := k.place(target, r, &l); err != nil {
				t.Fatal(err)
			}
			k.dropOthers(&l)
			if l.NewSets != newSets || l.Degraded != nil {
				t.Errorf("%+v, want NewSets %v", l, newSets)
			}
			if names := ipsets(); len(names) != strings.Count(r.IPSet, "create ") || strings.Contains(strings.Join(names, " "), "mac") || strings.Contains(strings.Join(names, " "), "sift") {
				t.Errorf("the sets are %q", names)
			}
			if out := netns.Run(t, "", "iptables-save", "-t", "mangle"); strings.Contains(out, "sift") {
				t.Errorf("an old chain is left:\n%s", out)
			}
			wantOK(t, &k)
			return &k
		}
		load(true) // lock6
		netns.Run(t, stale, "ipset", "restore")
		k := load(false)
		if out := netns.Run(t, "", "ipset", "list", "p2pwall-lock4"); !strings.Contains(out, "\n192.0.2.3 timeout ") {
			t.Errorf("the element is gone:\n%s", out)
		}
		netns.Run(t, stale, "ipset", "restore")
		if err := k.Remove(); err != nil {
			t.Error(err)
		}
		if names := ipsets(); names != nil {
			t.Errorf("left behind: %q", names)
		}

		// Now with sets of nft.
		c, err := config.Parse(strings.NewReader("config p2pwall\noption backend iptables\noption sets nft\n"), "f")
		if err != nil {
			t.Fatal(err)
		}
		if r, err = MakeRules(&c, Target{config.BackendIPTables, config.SetsNFT, []string{"lan0"}, true}); err != nil {
			t.Fatal(err)
		}
		netns.Run(t, r.NFT+`table inet p2pwall {
	set lockmac { type ether_addr; flags timeout; elements = { 02:00:00:00:00:01 timeout 1h }; }
	set sift4 { type ipv4_addr; flags timeout; elements = { 192.0.2.4 timeout 1h }; }
	chain tcp_open { ether saddr @lockmac drop; }
	chain sift { ip saddr @sift4 drop; }
}
add element inet p2pwall lock4 { 192.0.2.3 timeout 1h }
`, "nft", "-f", "-")
		k = &Keeper{}
		l, err := k.Load(&c, []string{"lan0"})
		if err != nil || l.NewSets || l.Degraded != nil {
			t.Fatalf("%+v, %v", l, err)
		}
		wantOK(t, k)
		out := netns.Run(t, "", "nft", "list", "table", "inet", "p2pwall")
		if strings.Contains(out, "@lockmac") || strings.Contains(out, "@sift4") || !strings.Contains(out, "192.0.2.3 timeout 1h") {
			t.Errorf("a rule names an old set, or the element is gone:\n%s", out)
		}
		if err := k.Remove(); err != nil {
			t.Error(err)
		}
		if out := netns.Run(t, "", "nft", "list", "tables"); strings.Contains(out, "p2pwall") {
			t.Errorf("left behind: %s", out)
		}
	})
}

// TestKeeperPartlyRemoved: Remove also works if half of the rules are gone.
func TestKeeperPartlyRemoved(t *testing.T) {
	for _, do := range []string{
		"iptables -t mangle -F; iptables -t mangle -X",
		"iptables -t mangle -F FORWARD",
		"iptables -t mangle -F p2pwall-out; nft delete table inet p2pwall",
		"ip6tables -t mangle -D POSTROUTING 1; iptables -t raw -F",
	} {
		t.Run(do, func(t *testing.T) {
			netns.EachIPTables(t, func(t *testing.T, flavour string) {
				netns.Run(t, others, "iptables-restore")
				before := netns.Rules(t)
				netns.Run(t, "", "iptables-restore", "--version")
				_, _ = keeperFor(t, "option sets nft\n", "lan0")
				netns.Run(t, "", "sh", "-c", do)
				netns.Run(t, others, "iptables-restore", "--noflush")
				var k Keeper
				if err := k.Remove(); err != nil {
					t.Fatal(err)
				}
				if out := netns.Rules(t); strings.Contains(out, "-j p2pwall") || strings.Contains(out, ":p2pwall") || strings.Contains(out, "inet p2pwall") {
					t.Errorf("left behind:\n%s\nbefore:\n%s", out, before)
				}
			})
		})
	}
}

// TestKeeperHold uses a table like fw4's. A log prefix replaces the statement that offloads,
// which this kernel may lack.
func TestKeeperHold(t *testing.T) {
	netns.Need(t, "nft")
	netns.Enter(t)
	offload := strings.Replace(fw4Like, "policy drop;\n", "policy drop;\nlog prefix \"flow_offload\"\n", 1)
	c := config.Default()
	r, err := MakeRules(&c, Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true})
	if err != nil {
		t.Fatal(err)
	}
	r.NFT = netns.Loadable(r.NFT)
	file := filepath.Join(t.TempDir(), "offload.nft")
	k := &Keeper{HoldFile: file}
	defer func() { _ = k.Remove() }()
	place := func() {
		t.Helper()
		var l Loaded
		if err := k.place(Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}, r, &l); err != nil || l.Degraded != nil {
			t.Fatal(err, l.Degraded)
		}
		wantOK(t, k)
	}
	holds := func(want int) {
		t.Helper()
		out, _ := netns.Try("", "nft", "list", "table", "inet", "fw4")
		if n := strings.Count(out, HoldComment); n != want {
			t.Errorf("%d offload rules, want %d:\n%s", n, want, out)
		}
		if exists(file) != (want > 0) {
			t.Errorf("the file for fw4 is there: %v", exists(file))
		}
	}
	reload := func(text string) {
		t.Helper()
		netns.Run(t, "table inet fw4\ndelete table inet fw4\n"+text, "nft", "-f", "-")
	}

	place()
	holds(0) // no fw4
	reload(fw4Like)
	wantOK(t, k)
	holds(0) // fw4 does not offload
	reload(offload)
	if ok, what := k.Check(); ok || what != "fw4 offloads flows and our rules before that are missing" {
		t.Fatal(ok, what)
	}
	place()
	holds(2)
	list := netns.Run(t, "", "nft", "list", "chain", "inet", "fw4", "forward")
	if strings.Index(list, "flow_offload") < strings.LastIndex(list, HoldComment) {
		t.Errorf("the rules are not before the one that offloads:\n%s", list)
	}
	place()
	holds(2)
	// A reload that includes the file needs no repair.
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	reload(offload + string(text))
	wantOK(t, k)
	holds(2)
	netns.Run(t, string(text), "nft", "-f", "-")
	if ok, _ := k.Check(); ok {
		t.Error("doubled rules are not seen")
	}
	place()
	holds(2)
	// Offload is switched off.
	reload(fw4Like + string(text))
	if ok, what := k.Check(); ok || what != "our offload rules are in fw4's chain although it does not offload" {
		t.Fatal(ok, what)
	}
	place()
	holds(0)
	reload(offload)
	place()
	holds(2)
	if err := k.Remove(); err != nil {
		t.Fatal(err)
	}
	holds(0)
	if out := netns.Run(t, "", "nft", "list", "ruleset"); strings.Contains(out, "p2pwall") {
		t.Errorf("left behind:\n%s", out)
	}
}

// TestKeeperNFT loads, checks and removes the rules of the nft backend, without queue
// statements.
func TestKeeperNFT(t *testing.T) {
	netns.Need(t, "nft")
	netns.Enter(t)
	c := config.Default()
	target := Target{config.BackendNFT, config.SetsNFT, []string{"br-lan"}, true}
	r, err := MakeRules(&c, target)
	if err != nil {
		t.Fatal(err)
	}
	r.NFT = netns.Loadable(r.NFT)
	k := &Keeper{}
	for i, x := range []struct {
		do   string
		sets bool
	}{
		{"true", true},
		{"nft flush chain inet p2pwall forward", false},
		{"nft flush ruleset", true},
		{"nft delete table inet p2pwall", true},
		// A chain of another version. The kernel does not let us take it over.
		{"nft delete table inet p2pwall; nft add table inet p2pwall; nft add chain inet p2pwall forward '{ type filter hook forward priority 5; }'; nft add rule inet p2pwall forward accept", true},
	} {
		netns.Run(t, "", "sh", "-c", x.do)
		if i > 0 {
			if ok, _ := k.Check(); ok {
				t.Errorf("%s: not seen", x.do)
			}
		}
		var l Loaded
		if err := k.place(target, r, &l); err != nil {
			t.Fatal(err)
		}
		if l.NewSets != x.sets {
			t.Errorf("%s: NewSets is %v", x.do, l.NewSets)
		}
		wantOK(t, k)
		wantOK(t, k)
	}
	if err := k.Remove(); err != nil {
		t.Fatal(err)
	}
	if out := netns.Run(t, "", "nft", "list", "ruleset"); out != "" {
		t.Errorf("left behind:\n%s", out)
	}
}

// onlyPrograms makes the test find only these programs, in a directory of their own.
func onlyPrograms(t *testing.T, programs ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, p := range programs {
		path, err := exec.LookPath(p)
		if err != nil {
			t.Skipf("needs %s", p)
		}
		if err := os.Symlink(path, filepath.Join(dir, p)); err != nil {
			t.Fatal(err)
		}
	}
	old := program.Dirs
	t.Cleanup(func() { program.Dirs = old })
	program.Dirs = nil
	t.Setenv("PATH", dir)
	return dir
}

// TestKeeperNoIPv6 runs without ip6tables.
func TestKeeperNoIPv6(t *testing.T) {
	netns.Need(t, "nft")
	netns.Enter(t)
	onlyPrograms(t, "nft", "ipset", "iptables", "iptables-save", "iptables-restore")
	c := config.Default()
	c.Backend = config.BackendIPTables
	k := &Keeper{}
	l, err := k.Load(&c, []string{"lan0"})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Degraded) != 1 || !strings.HasPrefix(l.Degraded[0], "IPv6 is not watched: ip6tables-") {
		t.Errorf("degraded: %q", l.Degraded)
	}
	wantOK(t, k)
	if err := k.Remove(); err != nil {
		t.Error(err)
	}
}

// TestKeeperNoSets has no program that creates sets, or one that the kernel refuses. The
// rules are loaded without sets, unless the configuration asks for them.
func TestKeeperNoSets(t *testing.T) {
	const refuse = "#!/bin/sh\necho 'Operation not supported' >&2\nexit 1\n"
	for _, tt := range []struct {
		name     string
		sets     config.SetsKind
		nft      string // a program in place of nft
		degraded string
		err      string
	}{
		{"no programs", config.SetsAuto, "", "no sets in the kernel (ipset: not found; nft: not found): every blocked packet goes through the queue; install ipset", ""},
		{"nft refuses", config.SetsAuto, refuse, "no sets in the kernel (ipset: not found; nft: Operation not supported): every blocked packet", ""},
		{"nft wanted", config.SetsNFT, refuse, "", "nft sets cannot be used (nft: Operation not supported): install nftables"},
		{"ipset wanted", config.SetsIPSet, refuse, "", "ipset cannot be used (ipset: not found): install ipset"},
		{"off", config.SetsOff, "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			netns.Need(t, "ip6tables")
			netns.Enter(t)
			dir := onlyPrograms(t, "iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
			if tt.nft != "" {
				if err := os.WriteFile(filepath.Join(dir, "nft"), []byte(tt.nft), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			c := config.Default()
			c.Backend, c.Sets = config.BackendIPTables, tt.sets
			k := &Keeper{}
			l, err := k.Load(&c, []string{"lan0"})
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Errorf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(l.Degraded, "\n"); !strings.HasPrefix(got, tt.degraded) || got != "" && tt.degraded == "" {
				t.Errorf("degraded: %q, want %s", got, tt.degraded)
			}
			if k.Target().Sets != config.SetsOff {
				t.Errorf("sets %s", k.Target().Sets)
			}
			wantOK(t, k)
			if err := k.Remove(); err != nil && tt.nft == "" {
				t.Error(err)
			}
		})
	}
}

// TestKeeperNoRaw: without the raw table or iptables' CT target, only the rule for our own
// packets is missing.
func TestKeeperNoRaw(t *testing.T) {
	netns.EachIPTables(t, func(t *testing.T, flavour string) {
		c := config.Default()
		r, err := MakeRules(&c, Target{config.BackendIPTables, config.SetsOff, []string{"lan0"}, true})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			var l Loaded
			p := placing{iptables: newIPTables(false), mangle: r.Mangle4, raw: strings.Replace(r.Raw, "-j CT", "-j NOSUCH", 1)}
			p.startSave()
			p.endSave()
			tables, err := p.write(&l)
			if err != nil || len(tables) != 1 || tables[0].name != "mangle" {
				t.Fatal(tables, err)
			}
			if len(l.Degraded) != 1 || !strings.HasPrefix(l.Degraded[0], "packets of our own are tracked: iptables-restore") {
				t.Errorf("degraded: %q", l.Degraded)
			}
			s := ParseSave(netns.Run(t, "", "iptables-save", "-t", "mangle"), "mangle")
			if chain, ok := s.jumpsRight(mangleJumps); !ok {
				t.Errorf("%s does not end with our rule", chain)
			}
		}
	})
}

// TestCheckRunsNothing: as long as nobody changes a rule, Check runs no program. The daemon
// changes the sets all the time, and Check ignores that.
func TestCheckRunsNothing(t *testing.T) {
	netns.EachIPTables(t, func(t *testing.T, flavour string) {
		k, _ := keeperFor(t, "option sets nft\n", "lan0")
		wantOK(t, k)
		netns.Run(t, "", "nft", "add", "element", "inet", "p2pwall", "lock4", "{ 192.0.2.1 timeout 1h }")

		dir := t.TempDir()
		for _, p := range []string{"nft", "ipset", "iptables-save", "ip6tables-save", "iptables-restore", "ip6tables-restore"} {
			script := "#!/bin/sh\necho $0 >> " + dir + "/ran\nexit 1\n"
			if err := os.WriteFile(filepath.Join(dir, p), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		path := os.Getenv("PATH")
		t.Setenv("PATH", dir)
		for range 10 {
			wantOK(t, k)
		}
		if exists(dir + "/ran") {
			t.Error("a program was run")
		}
		// The trap works: after a change by others, Check runs a program.
		t.Setenv("PATH", path)
		netns.Run(t, "", "iptables", "-t", "mangle", "-I", "PREROUTING", "-j", "ACCEPT")
		t.Setenv("PATH", dir)
		wantOK(t, k)
		if !exists(dir + "/ran") {
			t.Error("no program was run after a change")
		}
		t.Setenv("PATH", path)
	})
}
