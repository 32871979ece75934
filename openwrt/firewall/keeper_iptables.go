// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/openwrt/program"
)

// flavour is how an iptables talks to the kernel.
type flavour uint8

const (
	flavourLegacy flavour = iota // by its own tables
	flavourNFT                   // by nf_tables
)

// iptables is iptables or ip6tables.
type iptables struct {
	program string
	six     bool
	flavour flavour
}

func newIPTables(six bool) iptables {
	p := iptables{program: "iptables", six: six}
	if six {
		p.program = "ip6tables"
	}
	p.flavour = flavourOf(p.program + "-restore")
	return p
}

// flavourOf tells by the file that a program's name stands for, which spares a
// run: all programs of a flavour are one. Else it asks the program.
func flavourOf(name string) flavour {
	if path, err := program.Find(name); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			switch filepath.Base(path) {
			case "xtables-nft-multi":
				return flavourNFT
			case "xtables-legacy-multi":
				return flavourLegacy
			}
		}
	}
	if v, err := program.Run("", name, "--version"); err == nil && strings.Contains(v, "nf_tables") {
		return flavourNFT
	}
	return flavourLegacy
}

// IsLegacy reports whether iptables or ip6tables has tables of its own in the kernel,
// which nft does not show.
func IsLegacy(name string) bool { return flavourOf(name+"-restore") == flavourLegacy }

// save reads one table.
func (p iptables) save(table string) (Saved, error) {
	out, err := program.Run("", p.program+"-save", "-t", table)
	if err != nil {
		return Saved{}, explain(err, "")
	}
	return ParseSave(out, table), nil
}

// restore loads a text beside what is there, waiting for others that do the same.
func (p iptables) restore(text string) error {
	if _, err := program.Run(text, p.program+"-restore", "-w", "5", "--noflush"); err != nil {
		return explain(err, text)
	}
	return nil
}

// placing replaces our part of one family's tables, in steps between which
// programs run.
type placing struct {
	iptables
	mangle, raw string // texts of Rules

	tool   *program.Program
	m, w   Saved // what is there
	err    error // of mangle
	rawErr error
}

// startSave begins to read what is there: in one run where that brings no table
// into being.
func (p *placing) startSave() {
	if p.flavour == flavourNFT {
		p.tool = program.Start("", p.program+"-save")
	}
}

func (p *placing) endSave() {
	if p.tool != nil {
		out, err := p.tool.Wait()
		if err == nil {
			p.m, p.w = ParseSave(out, "mangle"), ParseSave(out, "raw")
			return
		}
	}
	p.m, p.err = p.save("mangle")
	p.w, p.rawErr = p.save("raw")
}

// write loads both tables in one go.
func (p *placing) write(l *Loaded) ([]*iptablesTable, error) {
	if p.err != nil {
		return nil, p.err
	}
	tables := []*iptablesTable{{iptables: p.iptables, name: "mangle", jumps: ParseSave(p.mangle, "mangle").jumps}}
	if p.rawErr == nil {
		if p.rawErr = p.restore(p.m.takeOver(p.mangle) + p.w.takeOver(p.raw)); p.rawErr == nil {
			return append(tables, &iptablesTable{iptables: p.iptables, name: "raw", jumps: ParseSave(p.raw, "raw").jumps}), nil
		}
	}
	// Without raw all works; only our own packets are tracked. What failed may
	// have put mangle in place already.
	m, err := p.save("mangle")
	if err != nil {
		return nil, err
	}
	if err := p.restore(m.takeOver(p.mangle)); err != nil {
		return nil, err
	}
	l.degraded("packets of our own are tracked: %v", p.rawErr)
	return tables, nil
}

// hasTable reports whether a table is in use; asking for one that is not would
// bring it into being.
func (p iptables) hasTable(table string) bool {
	if p.flavour == flavourNFT {
		return true
	}
	name := "/proc/thread-self/net/ip_tables_names"
	if p.six {
		name = "/proc/thread-self/net/ip6_tables_names"
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	return slices.Contains(strings.Fields(string(text)), table)
}

// iptablesTable is a table that has our rules.
type iptablesTable struct {
	iptables
	name  string
	jumps []string // the rules of others' chains that go to ours
	hash  uint64   // look when it was last found right
	known string   // our chains' rules as iptables-save prints them

	knownJumps string // and the jumps to them
}

// look returns a number that changes with the table's rules, without running a
// program.
func (t *iptablesTable) look(n *nftConn) (uint64, error) {
	if t.flavour == flavourLegacy {
		if t.six {
			return legacy6.fingerprint(t.name)
		}
		return legacy4.fingerprint(t.name)
	}
	if n == nil {
		return 0, errors.New("no connection to nf_tables")
	}
	family := unix.NFPROTO_IPV4
	if t.six {
		family = unix.NFPROTO_IPV6
	}
	rules, err := n.rules(family, t.name)
	return ruleHash(rules), err
}

// check says what is wrong with our part of the table. The first time it learns
// how iptables-save prints our rules.
func (t *iptablesTable) check(n *nftConn) string {
	hash, err := t.look(n)
	if err == nil && hash == t.hash && t.known != "" {
		return ""
	}
	s, err := t.save(t.name)
	if err != nil {
		// Not being able to look says nothing about the rules.
		return ""
	}
	now := strings.Join(s.chains, " ") + "\n" + strings.Join(s.rules, "\n")
	jumps := strings.Join(s.jumps, "\n")
	where := fmt.Sprintf("%s, table %s", t.program, t.name)
	if s.empty() {
		return where + ": our rules are gone"
	}
	if t.known == "" && hash != t.hash || t.known != "" && now != t.known {
		return where + ": our rules were changed"
	}
	if chain, ok := s.jumpsRight(t.jumps); !ok {
		return where + ": " + chain + " does not end with our rule"
	}
	if t.known != "" && jumps != t.knownJumps {
		return where + ": the jumps to our rules were changed"
	}
	t.known, t.knownJumps, t.hash = now, jumps, hash
	return ""
}

// removeIPTables takes our part out of the tables of both families.
func removeIPTables() error {
	var errs []error
	for _, six := range []bool{false, true} {
		p := newIPTables(six)
		if !program.Have(p.program+"-save") || six && !haveIPv6() {
			continue
		}
		for _, table := range []string{"mangle", "raw"} {
			if p.hasTable(table) {
				errs = append(errs, p.remove(table))
			}
		}
	}
	return errors.Join(errs...)
}

// remove takes our part out of one table.
func (p iptables) remove(table string) error {
	s, err := p.save(table)
	if err != nil {
		return err
	}
	text := s.removal(table)
	if text == "" {
		return nil
	}
	if err := p.restore(text); err != nil {
		return err
	}
	if p.flavour != flavourNFT || !program.Have("nft") {
		return nil
	}
	return p.removeEmpty(table, s.count)
}

// removeEmpty removes what came into being for us and is of no use to anybody
// now: nf_tables has tables and built-in chains only when they are needed.
func (p iptables) removeEmpty(table string, jumped map[string]int) error {
	s, err := p.save(table)
	if err != nil {
		return err
	}
	family := "ip"
	if p.six {
		family = "ip6"
	}
	if s.unused() {
		_, err = program.Run("", "nft", "delete", "table", family, table)
		return err
	}
	var b strings.Builder
	for chain := range jumped {
		if s.Policy[chain] == "ACCEPT" && len(s.All[chain]) == 0 {
			fmt.Fprintf(&b, "delete chain %s %s %s\n", family, table, chain)
		}
	}
	if b.Len() > 0 {
		_, err = program.Run(b.String(), "nft", "-f", "-")
	}
	return err
}

// ipsets returns the names of our ipsets that are there.
func ipsets() []string {
	out, err := program.Run("", "ipset", "list", "-n")
	if err != nil {
		return nil
	}
	var names []string
	for _, n := range strings.Fields(out) {
		if strings.HasPrefix(n, "p2pwall-") {
			names = append(names, n)
		}
	}
	return names
}

// creates reports whether a text for ipset has the set.
func creates(text, set string) bool { return strings.Contains(text, "create "+set+" ") }

// removeIPSets destroys our ipsets but those that the text creates; no rule may name
// them any more. They may be of another version: so it goes by what is there.
func removeIPSets(but string) error {
	if !program.Have("ipset") {
		return nil
	}
	var b strings.Builder
	for _, n := range ipsets() {
		if !creates(but, n) {
			b.WriteString("destroy " + n + "\n")
		}
	}
	if b.Len() == 0 {
		return nil
	}
	_, err := program.Run(b.String(), "ipset", "restore")
	return err
}
