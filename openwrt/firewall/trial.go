// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"strings"

	"github.com/p2pwall/p2pwall/openwrt/program"
)

// tryChain replaces the name of our chains in a trial. The Keeper of a running instance does
// not mistake it for its own.
const tryChain = "p2ptry"

// TryIPTables loads the rules for iptables into chains that no rule jumps to. It returns the
// errors of iptables.
func TryIPTables(r Rules) (errs []error) {
	for _, x := range []struct {
		six  bool
		text string
	}{{false, r.Mangle4}, {true, r.Mangle6}} {
		if x.text == "" || x.six && (!haveIPv6() || !program.Have("ip6tables-restore")) {
			continue
		}
		if err := tryIPTables(newIPTables(x.six), x.text); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// tryIPTables loads rules into chains that no rule jumps to, and deletes them.
func tryIPTables(p iptables, text string) error {
	var load, clear []string
	for _, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		switch {
		case strings.Contains(l, "-set p2pwall-"):
			// The sets do not exist yet: they are created together with the rules.
			continue
		case strings.HasPrefix(l, ":"):
			l = strings.Replace(l, chainName, tryChain, 1)
			name, _, _ := strings.Cut(l[1:], " ")
			clear = append(clear, "-X "+name)
		case strings.HasPrefix(l, "-A "+chainName):
			l = strings.ReplaceAll(l, chainName, tryChain)
		case strings.HasPrefix(l, "-A "):
			continue
		}
		load = append(load, l)
	}
	var empty []string
	for _, l := range load {
		if l[0] == ':' || l[0] == '*' {
			empty = append(empty, l)
		}
	}
	empty = append(append(empty, clear...), "COMMIT")
	err := p.restore(strings.Join(load, "\n") + "\n")
	if err != nil {
		return err
	}
	if err := p.restore(strings.Join(empty, "\n") + "\n"); err != nil {
		return err
	}
	if p.flavour == flavourNFT && program.Have("nft") {
		s, err := p.save("mangle")
		if err != nil {
			return err
		}
		return nftRun(p.emptied("mangle", &s, nil))
	}
	return nil
}
