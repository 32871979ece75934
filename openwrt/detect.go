// SPDX-License-Identifier: GPL-2.0-or-later

package openwrt

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/p2pwall/p2pwall/nfq"
)

// Remedies that name what to install, on OpenWrt and on Debian.
const (
	remedyNFT       = "install nftables (OpenWrt: apk add or opkg install nftables kmod-nft-queue; Debian: apt install nftables)"
	remedyNFTQueue  = "install kmod-nft-queue (OpenWrt), or load the modules nft_queue and nfnetlink_queue (Debian: modprobe nft_queue)"
	remedyIPTables  = "install iptables with iptables-mod-nfqueue, iptables-mod-conntrack-extra and iptables-mod-ipopt (OpenWrt; Debian: apt install iptables)"
	remedyIP6Tables = "install ip6tables and kmod-ip6tables (OpenWrt; Debian: apt install iptables)"
	remedyIPSet     = "install ipset and kmod-ipt-ipset (OpenWrt; Debian: apt install ipset), or set sets to auto"
)

// SplitRemedy parts an error at the remedy that Detect and the Keeper put behind
// the last colon or semicolon.
func SplitRemedy(err error) (what, remedy string) {
	s := err.Error()
	for _, r := range []string{remedyNFT, remedyNFTQueue, remedyIPTables, remedyIP6Tables, remedyIPSet} {
		if i := strings.Index(s, r); i > 0 {
			return strings.TrimRight(s[:i], ":; "), s[i:]
		}
	}
	for _, sep := range []string{": run as ", "; install ", ": set sets"} {
		if i := strings.LastIndex(s, sep); i > 0 {
			return s[:i], s[i+2:]
		}
	}
	return s, "see the message"
}

// tryQueue is the smallest ruleset that needs nft's queue; it is checked only. A check
// takes the kernel tens of milliseconds, so there is no other in the way of the start.
const tryQueue = "table inet p2pwall-try {\n\tchain c {\n\t\tqueue num 0 bypass\n\t}\n}\n"

// trySets creates and destroys a set of the type that a kernel is most likely to lack,
// for ipset restore.
const trySets = "create p2pwall-try hash:net,net timeout 1\ndestroy p2pwall-try\n"

// trials are the programs that try what the kernel can do. What may be asked for is
// asked for at once: the start waits for it.
type trials struct{ queue, ipset, nftSets *tool }

func startTrials(c *Config) *trials {
	var t trials
	if c.Backend != BackendIPTables && have("nft") {
		t.queue = startTool(tryQueue, "nft", "-c", "-f", "-")
	}
	if c.Backend != BackendNFT && haveIPTables() && (c.Sets == SetsAuto || c.Sets == SetsIPSet) {
		t.ipset = startTool(trySets, "ipset", "-exist", "restore")
	}
	return &t
}

// Detect resolves what the configuration leaves to "auto", by what is installed
// and what the kernel can do. The notes say what was found wanting on the way. It
// changes nothing.
func Detect(c *Config) (Target, []string, error) {
	x := startTrials(c)
	if c.Backend != BackendNFT && haveIPTables() && (c.Sets == SetsAuto || c.Sets == SetsNFT) {
		x.nftSets = startNFTSets(c)
	}
	t, why, err := x.end(c)
	if err == nil && t.Sets == SetsOff && why != nil {
		return t, []string{noSets(why)}, nil
	}
	return t, nil, err
}

// end waits for what was tried, as far as it is of use. Sets of nft for iptables are
// taken to be had where that was not tried. It returns why there are no better sets.
func (x *trials) end(c *Config) (t Target, why []string, err error) {
	t.Backend, err = detectBackend(c.Backend, x.queue)
	if err == nil {
		t.Sets, why, err = x.sets(c, t.Backend)
	}
	for _, tool := range []*tool{x.queue, x.ipset, x.nftSets} {
		if tool != nil {
			tool.leave()
		}
	}
	t.CutsFlows = nfq.CheckConntrack() == nil
	return t, why, err
}

func detectBackend(want Backend, queue *tool) (Backend, error) {
	if want != BackendIPTables {
		nftErr := fmt.Errorf("the program nft is missing: %s", remedyNFT)
		if have("nft") {
			_, err := queue.end()
			if err == nil {
				return BackendNFT, nil
			}
			nftErr = nftFailure(err)
		}
		if want == BackendNFT {
			return "", nftErr
		}
		if !haveIPTables() {
			return "", fmt.Errorf("%w; and there is no iptables either", nftErr)
		}
		return BackendIPTables, nil
	}
	if !haveIPTables() {
		return "", fmt.Errorf("the programs iptables-restore and iptables-save are missing: %s", remedyIPTables)
	}
	return BackendIPTables, nil
}

// nftFailure explains why nft does not take a queue rule.
func nftFailure(err error) error {
	if strings.Contains(err.Error(), "not permitted") {
		return fmt.Errorf("nft may not change rules (%w): run as root or with CAP_NET_ADMIN", err)
	}
	return fmt.Errorf("nft cannot queue packets (%w): %s", err, remedyNFTQueue)
}

func haveIPTables() bool { return have("iptables-restore") && have("iptables-save") }

func (x *trials) sets(c *Config, b Backend) (kind SetsKind, why []string, err error) {
	switch {
	case c.Sets == SetsOff:
		return SetsOff, nil, nil
	case b == BackendNFT:
		if c.Sets == SetsIPSet {
			return "", nil, fmt.Errorf("the nft backend cannot use ipset: set sets to nft or auto")
		}
		return SetsNFT, nil, nil
	}
	if c.Sets != SetsNFT {
		_, err := x.ipset.end()
		if err == nil {
			return SetsIPSet, nil, nil
		}
		if c.Sets == SetsIPSet {
			return "", nil, fmt.Errorf("ipset cannot be used (%w): %s", err, remedyIPSet)
		}
		why = append(why, err.Error())
	}
	if x.nftSets != nil {
		if _, err := x.nftSets.end(); err != nil {
			if c.Sets == SetsNFT {
				return "", nil, &nftSetsError{err}
			}
			return SetsOff, append(why, err.Error()), nil
		}
	}
	return SetsNFT, why, nil
}

// nftSetsError says that nft takes no sets for iptables.
type nftSetsError struct{ err error }

func (e *nftSetsError) Error() string {
	return fmt.Sprintf("nft sets cannot be used (%v): %s, or set sets to auto", e.err, remedyNFT)
}

// noSets says what it costs that there are none.
func noSets(why []string) string {
	return "no sets in the kernel (" + strings.Join(why, "; ") + "): every blocked packet goes through the queue; " + remedyIPSet
}

// startNFTSets has nft check the table of sets that goes with iptables.
func startNFTSets(c *Config) *tool {
	x := *c
	x.Protocols = Default().Protocols
	r, err := MakeRules(&x, Target{BackendIPTables, SetsNFT, []string{"lo"}, true})
	if err != nil {
		return failedTool(err)
	}
	return startTool(r.NFT, "nft", "-c", "-f", "-")
}

// haveIPv6 reports whether the kernel does IPv6 at all.
func haveIPv6() bool {
	_, err := os.Stat("/proc/thread-self/net/if_inet6")
	return err == nil
}

// packages says which OpenWrt packages bring an iptables match or target.
var packages = map[string]string{
	"NFQUEUE":   "iptables-mod-nfqueue and kmod-nfnetlink-queue",
	"connbytes": "iptables-mod-conntrack-extra",
	"connmark":  "iptables-mod-conntrack-extra",
	"CONNMARK":  "iptables-mod-conntrack-extra",
	"length":    "iptables-mod-ipopt",
	"conntrack": "kmod-ipt-conntrack",
	"CT":        "kmod-ipt-raw",
	"set":       "kmod-ipt-ipset",
	"SET":       "kmod-ipt-ipset",
	"mac":       "kmod-ipt-core",
	"mark":      "kmod-ipt-core",
	"MARK":      "kmod-ipt-core",
}

// explain adds to an error of iptables-restore what would help: the packages of
// the extensions in the line it complains about.
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
		if p := packages[n]; p != "" && !slices.Contains(need, p) {
			need = append(need, p)
		}
	}
	if need == nil {
		return err
	}
	return fmt.Errorf("%w: the kernel or iptables lacks %s; install %s (OpenWrt), or load the kernel's modules",
		err, strings.Join(names, " or "), strings.Join(need, ", "))
}
