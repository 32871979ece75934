// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// iptablesPackages says which OpenWrt package has a match or target of the rules. The matches
// and targets that every iptables has, and their kernel modules, are in "iptables".
var iptablesPackages = map[string]string{
	"-m tcp": "iptables", "-m udp": "iptables", "-m mac": "iptables", "-m mark": "iptables", "-m conntrack": "iptables",
	"-m comment": "iptables", "-m limit": "iptables",
	"-j MARK": "iptables", "-j DROP": "iptables", "-j RETURN": "iptables", "-j ACCEPT": "iptables", "-j REJECT": "iptables",
	"-m connmark": "iptables-mod-conntrack-extra", "-m connbytes": "iptables-mod-conntrack-extra",
	"-j CONNMARK": "iptables-mod-conntrack-extra",
	"-m length":   "iptables-mod-ipopt", "-m statistic": "iptables-mod-ipopt",
	"-j NFQUEUE": "iptables-mod-nfqueue",
	"-m set":     "kmod-ipt-ipset", "-j SET": "kmod-ipt-ipset",
	"-j CT": "kmod-ipt-raw",
}

// Every package that the rules need is a dependency, and every dependency is needed.
func TestIptablesDependencies(t *testing.T) {
	files, err := filepath.Glob("../firewall/testdata/rules/iptables*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rules in ../firewall/testdata/rules: %v", err)
	}
	depends := flavours[1].depends
	if flavours[1].name != "p2pwall-iptables" {
		t.Fatal("the second flavour is another one")
	}
	// ipset creates the sets. The last package is needed to cut connections.
	needed := map[string]bool{"iptables": true, "ipset": true, "kmod-nf-conntrack-netlink": true}
	use := regexp.MustCompile(`-(m|j) [a-zA-Z]+`)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range use.FindAllString(string(text), -1) {
			if chain := regexp.MustCompile(`-j [a-z]`); chain.MatchString(what) {
				continue // a jump to one of our chains
			}
			p, ok := iptablesPackages[what]
			if !ok {
				t.Fatalf("%s: %q, of which this test does not know the package", name, what)
			}
			needed[p] = true
		}
	}
	want := slices.Sorted(maps.Keys(needed))
	if got := slices.Sorted(slices.Values(depends)); !slices.Equal(got, want) {
		t.Errorf("p2pwall-iptables depends on %q, the rules need %q", got, want)
	}
}
