// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/openwrt/program"
)

// flavour is the kernel interface that an iptables uses.
type flavour uint8

const (
	flavourLegacy flavour = iota // its own tables
	flavourNFT                   // nf_tables
)

// iptables is iptables or ip6tables.
type iptables struct {
	_       [0]func() // not comparable: code to compare it costs flash
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

// flavourOf compares a program with the file of each flavour, which is the same for all
// programs of that flavour. That saves a run. If none is the same, it runs the program.
func flavourOf(name string) flavour {
	for f, all := range [...]string{flavourLegacy: "xtables-legacy-multi", flavourNFT: "xtables-nft-multi"} {
		if program.Same(name, all) {
			return flavour(f)
		}
	}
	if v, err := program.Run("", name, "--version"); err == nil && strings.Contains(v, "nf_tables") {
		return flavourNFT
	}
	return flavourLegacy
}

// IsLegacy reports whether iptables or ip6tables has its own tables in the kernel. nft does
// not show those.
func IsLegacy(name string) bool { return flavourOf(name+"-restore") == flavourLegacy }

// save reads one table.
func (p iptables) save(table string) (Saved, error) {
	out, err := program.Run("", p.program+"-save", "-t", table)
	if err != nil {
		return Saved{}, explain(err, "")
	}
	return ParseSave(out, table), nil
}

// restore adds a text to the present rules. It waits for other programs that change rules.
func (p iptables) restore(text string) error {
	if _, err := program.Run(text, p.program+"-restore", "-w", "5", "--noflush"); err != nil {
		return explain(err, text)
	}
	return nil
}

// placing replaces our part of one family's tables. It works in steps, and programs run
// between them.
type placing struct {
	iptables
	mangle, raw string // texts of Rules

	tool   *program.Program
	m, w   Saved // the present rules
	err    error // of mangle
	rawErr error
}

// startSave starts to read the present rules. With nf_tables, one run reads both tables.
// Legacy iptables would create tables by that.
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

// write loads both tables in one run.
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
	// Without the raw table all works, except that the kernel tracks our own packets. The
	// failed run may already have changed mangle.
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

// hasTable reports whether a table is in use. It does not run iptables, because that would
// create the table.
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
	jumps []string // the rules in other chains that jump to ours
	hash  uint64   // result of look when the table was last found right
	known string   // our chains' rules as iptables-save prints them

	knownJumps string // the jumps to our chains as iptables-save prints them
}

// look returns a number that changes with the table's rules. It runs no program.
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

// check says what is wrong with our part of the table. The first call learns how
// iptables-save prints our rules.
func (t *iptablesTable) check(n *nftConn) string {
	hash, err := t.look(n)
	if err == nil && hash == t.hash && t.known != "" {
		return ""
	}
	s, err := t.save(t.name)
	if err != nil {
		// If the table cannot be read, the rules may still be right.
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

// removeIPTables removes our part from the tables of both families.
func removeIPTables() error {
	var errs []error
	for _, six := range []bool{false, true} {
		p := newIPTables(six)
		if !program.Have(p.program+"-save") || six && !haveIPv6() {
			continue
		}
		errs = append(errs, p.remove())
	}
	return errors.Join(errs...)
}

// ourTables are the tables that have rules of ours.
var ourTables = [...]string{"mangle", "raw"}

// saveAll reads our tables; one that cannot be read is empty. With nf_tables that is one run:
// on a busy machine each run takes a while.
func (p iptables) saveAll() (all [len(ourTables)]Saved, err error) {
	if p.flavour == flavourNFT {
		if out, err := program.Run("", p.program+"-save"); err == nil {
			for i, table := range ourTables {
				all[i] = ParseSave(out, table)
			}
			return all, nil
		}
	}
	for i, table := range ourTables {
		if p.hasTable(table) {
			var failed error
			all[i], failed = p.save(table)
			err = errors.Join(err, failed)
		}
	}
	return all, err
}

// remove removes our part from one family's tables.
func (p iptables) remove() error {
	before, err := p.saveAll()
	text := ""
	for i, table := range ourTables {
		text += before[i].removal(table)
	}
	if text == "" {
		return err
	}
	if err := errors.Join(err, p.restore(text)); err != nil {
		return err
	}
	if p.flavour != flavourNFT || !program.Have("nft") {
		return nil
	}
	after, err := p.saveAll()
	if err != nil {
		return err
	}
	text = ""
	for i, table := range ourTables {
		if !before[i].empty() {
			text += p.emptied(table, &after[i], before[i].count)
		}
	}
	return nftRun(text)
}

// emptied returns the commands for nft that remove a table, or built-in chains, that
// nf_tables created for us and nobody needs now.
func (p iptables) emptied(table string, s *Saved, jumped map[string]int) (text string) {
	family := "ip "
	if p.six {
		family = "ip6 "
	}
	if s.unused() {
		return "delete table " + family + table + "\n"
	}
	for chain := range jumped {
		if s.Policy[chain] == "ACCEPT" && len(s.All[chain]) == 0 {
			text += "delete chain " + family + table + " " + chain + "\n"
		}
	}
	return text
}

func nftRun(text string) error {
	if text == "" {
		return nil
	}
	_, err := program.Run(text, "nft", "-f", "-")
	return err
}

// ipsets returns the names of our ipsets in the kernel.
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

// creates reports whether a text for ipset creates the set.
func creates(text, set string) bool { return strings.Contains(text, "create "+set+" ") }

// removeIPSets destroys our ipsets except those that the text creates. No rule may name them
// any more. They may come from another version, so it asks ipset for their names.
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
