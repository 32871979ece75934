// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/program"
)

// Remedies that name the packages to install on OpenWrt and on Debian.
const (
	remedyNFT       = "install nftables (OpenWrt: apk add or opkg install nftables kmod-nft-queue; Debian: apt install nftables)"
	remedyNFTQueue  = "install kmod-nft-queue (OpenWrt), or load the modules nft_queue and nfnetlink_queue (Debian: modprobe nft_queue)"
	remedyIPTables  = "install iptables with iptables-mod-nfqueue, iptables-mod-conntrack-extra and iptables-mod-ipopt (OpenWrt; Debian: apt install iptables)"
	remedyIP6Tables = "install ip6tables and kmod-ip6tables (OpenWrt; Debian: apt install iptables)"
	remedyIPSet     = "install ipset and kmod-ipt-ipset (OpenWrt; Debian: apt install ipset), or set sets to auto"
)

// RemedyIP6Tables is the index in Remedies for missing ip6tables.
const RemedyIP6Tables = 3

// Remedies are the last parts of this package's errors. Other packages know each by its code.
var Remedies = [...]struct{ Code, Text string }{
	{"install-nft", remedyNFT},
	{"install-nft-queue", remedyNFTQueue},
	{"install-iptables", remedyIPTables},
	RemedyIP6Tables: {"install-ip6tables", remedyIP6Tables},
	{"install-ipset", remedyIPSet},
	{"see-message", "see the message"},
}

// SplitRemedy splits an error before the remedy that Detect and the Keeper put at its end. If
// the remedy is not one of Remedies, the code is "".
func SplitRemedy(err error) (what, code, remedy string) {
	s := err.Error()
	for i := range Remedies {
		r := &Remedies[i]
		if i := strings.Index(s, r.Text); i > 0 {
			return strings.TrimRight(s[:i], ":; "), r.Code, s[i:]
		}
	}
	for _, sep := range []string{": run as ", "; install ", ": set sets"} {
		if i := strings.LastIndex(s, sep); i > 0 {
			return s[:i], "", s[i+2:]
		}
	}
	r := &Remedies[len(Remedies)-1]
	return s, r.Code, r.Text
}

// tryQueue is the smallest ruleset that needs nft's queue. nft only checks it. A check takes
// the kernel tens of milliseconds, so the start makes no other.
const tryQueue = "table inet p2pwall-try {\n\tchain c {\n\t\tqueue num 0 bypass\n\t}\n}\n"

// trySets creates and destroys a set of the type that a kernel lacks most often. The text is
// for ipset restore.
const trySets = "create p2pwall-try hash:net,net timeout 1\ndestroy p2pwall-try\n"

// trials are the programs that try what the kernel can do. All that may be needed start at
// once, because the start of the daemon waits for them.
type trials struct{ queue, ipset, nftSets *program.Program }

func startTrials(c *config.Config) *trials {
	var t trials
	if c.Backend != config.BackendIPTables && program.Have("nft") {
		t.queue = program.Start(tryQueue, "nft", "-c", "-f", "-")
	}
	if c.Backend != config.BackendNFT && haveIPTables() && (c.Sets == config.SetsAuto || c.Sets == config.SetsIPSet) {
		t.ipset = program.Start(trySets, "ipset", "-exist", "restore")
	}
	return &t
}

// Detect resolves the values "auto" in the configuration. It looks at the programs installed
// and tries what the kernel can do. The notes say what is missing. It changes nothing.
func Detect(c *config.Config) (Target, []string, error) {
	x := startTrials(c)
	if c.Backend != config.BackendNFT && haveIPTables() && (c.Sets == config.SetsAuto || c.Sets == config.SetsNFT) {
		x.nftSets = startNFTSets(c)
	}
	t, why, err := x.end(c)
	if err == nil && t.Sets == config.SetsOff && why != nil {
		return t, []string{noSets(why)}, nil
	}
	return t, nil, err
}

// Choose is Detect for the backend want. If want is "", it takes the backend of the
// configuration. It returns nft also where this kernel has no queue for nft, because the
// rules can still be read.
func Choose(c *config.Config, want config.Backend) (Target, error) {
	switch want {
	case "", config.BackendAuto:
	case config.BackendIPTables:
		x := *c
		x.Backend = want
		c = &x
	case config.BackendNFT:
		t := Target{Backend: want, Sets: config.SetsNFT, CutsFlows: nfq.CheckConntrack() == nil}
		if c.Sets == config.SetsOff {
			t.Sets = c.Sets
		}
		return t, nil
	default:
		return Target{}, fmt.Errorf("unknown backend %q: use nft or iptables", want)
	}
	t, _, err := Detect(c)
	return t, err
}

// end waits for the trials whose result is needed. If nft sets for iptables were not tried,
// it assumes that they work. It returns why there are no better sets.
func (x *trials) end(c *config.Config) (t Target, why []string, err error) {
	t.Backend, err = detectBackend(c.Backend, x.queue)
	if err == nil {
		t.Sets, why, err = x.sets(c, t.Backend)
	}
	for _, tool := range []*program.Program{x.queue, x.ipset, x.nftSets} {
		if tool != nil {
			tool.Leave()
		}
	}
	t.CutsFlows = nfq.CheckConntrack() == nil
	return t, why, err
}

func detectBackend(want config.Backend, queue *program.Program) (config.Backend, error) {
	if want != config.BackendIPTables {
		nftErr := fmt.Errorf("the program nft is missing: %s", remedyNFT)
		if program.Have("nft") {
			_, err := queue.Wait()
			if err == nil {
				return config.BackendNFT, nil
			}
			nftErr = nftFailure(err)
		}
		if want == config.BackendNFT {
			return "", nftErr
		}
		if !haveIPTables() {
			return "", fmt.Errorf("%w; and there is no iptables either", nftErr)
		}
		return config.BackendIPTables, nil
	}
	if !haveIPTables() {
		return "", fmt.Errorf("the programs iptables-restore and iptables-save are missing: %s", remedyIPTables)
	}
	return config.BackendIPTables, nil
}

// nftFailure explains why nft does not take a queue rule.
func nftFailure(err error) error {
	if strings.Contains(err.Error(), "not permitted") {
		return fmt.Errorf("nft may not change rules (%w): run as root or with CAP_NET_ADMIN", err)
	}
	return fmt.Errorf("nft cannot queue packets (%w): %s", err, remedyNFTQueue)
}

func haveIPTables() bool { return program.Have("iptables-restore") && program.Have("iptables-save") }

func (x *trials) sets(c *config.Config, b config.Backend) (kind config.SetsKind, why []string, err error) {
	switch {
	case c.Sets == config.SetsOff:
		return config.SetsOff, nil, nil
	case b == config.BackendNFT:
		if c.Sets == config.SetsIPSet {
			return "", nil, fmt.Errorf("the nft backend cannot use ipset: set sets to nft or auto")
		}
		return config.SetsNFT, nil, nil
	}
	if c.Sets != config.SetsNFT {
		_, err := x.ipset.Wait()
		if err == nil {
			return config.SetsIPSet, nil, nil
		}
		if c.Sets == config.SetsIPSet {
			return "", nil, fmt.Errorf("ipset cannot be used (%w): %s", err, remedyIPSet)
		}
		why = append(why, err.Error())
	}
	if x.nftSets != nil {
		if _, err := x.nftSets.Wait(); err != nil {
			if c.Sets == config.SetsNFT {
				return "", nil, &nftSetsError{err}
			}
			return config.SetsOff, append(why, err.Error()), nil
		}
	}
	return config.SetsNFT, why, nil
}

// nftSetsError says that nft takes no sets for the iptables backend.
type nftSetsError struct{ err error }

func (e *nftSetsError) Error() string {
	return fmt.Sprintf("nft sets cannot be used (%v): %s, or set sets to auto", e.err, remedyNFT)
}

// noSets says why there are no sets, and what that costs.
func noSets(why []string) string {
	return "no sets in the kernel (" + strings.Join(why, "; ") + "): every blocked packet goes through the queue; " + remedyIPSet
}

// startNFTSets starts nft to check the table of sets that the iptables backend uses.
func startNFTSets(c *config.Config) *program.Program {
	x := *c
	x.Protocols = config.Default().Protocols
	r, err := MakeRules(&x, Target{config.BackendIPTables, config.SetsNFT, []string{"lo"}, true})
	if err != nil {
		return program.Failed(err)
	}
	return program.Start(r.NFT, "nft", "-c", "-f", "-")
}

// haveIPv6 reports whether the kernel has IPv6.
func haveIPv6() bool {
	_, err := os.Stat("/proc/thread-self/net/if_inet6")
	return err == nil
}

// packages says which OpenWrt packages have an iptables match or target.
var packages = [...]struct{ name, brings string }{
	{"NFQUEUE", "iptables-mod-nfqueue and kmod-nfnetlink-queue"},
	{"connbytes", "iptables-mod-conntrack-extra"},
	{"connmark", "iptables-mod-conntrack-extra"},
	{"CONNMARK", "iptables-mod-conntrack-extra"},
	{"length", "iptables-mod-ipopt"},
	{"conntrack", "kmod-ipt-conntrack"},
	{"CT", "kmod-ipt-raw"},
	{"set", "kmod-ipt-ipset"},
	{"SET", "kmod-ipt-ipset"},
	{"mac", "kmod-ipt-core"},
	{"mark", "kmod-ipt-core"},
	{"MARK", "kmod-ipt-core"},
}

// explain adds a remedy to an error of iptables-restore. It names the packages of the
// extensions in the line that iptables-restore complains about.
func explain(err error, text string) error {
	said := err.Error()
	if strings.Contains(said, "Permission denied") || strings.Contains(said, "not permitted") {
		return fmt.Errorf("%w: run as root or with CAP_NET_ADMIN", err)
	}
	words := strings.FieldsFunc(said, func(c rune) bool { return strings.ContainsRune(" :.,'`\n", c) })
	var names []string
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if !slices.Contains(words, strconv.Itoa(i+1)) {
			continue
		}
		f := strings.Fields(l)
		for j := 0; j+1 < len(f); j++ {
			if (f[j] == "-m" || f[j] == "-j") && !slices.Contains(names, f[j+1]) {
				names = append(names, f[j+1])
			}
		}
	}
	var need []string
	for _, n := range names {
		for i := range packages {
			if p := &packages[i]; p.name == n && !slices.Contains(need, p.brings) {
				need = append(need, p.brings)
			}
		}
	}
	if need == nil {
		return err
	}
	return fmt.Errorf("%w: the kernel or iptables lacks %s; install %s (OpenWrt), or load the kernel's modules",
		err, strings.Join(names, " or "), strings.Join(need, ", "))
}
