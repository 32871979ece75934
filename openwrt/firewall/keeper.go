// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/program"
)

// HoldFile is where fw4 picks up the rules that keep undecided connections out of the
// flow table.
const HoldFile = "/var/run/p2pwall/hold.nft"

// Keeper loads the rules, says whether they are still there, repairs them and
// takes them away. It is not for use by several goroutines at once.
type Keeper struct {
	// HoldFile is where the offload rules are written for fw4 to include when
	// it loads its own: after a reload of fw4 there is then no moment without
	// them. "" for none.
	HoldFile string

	// OnPlace, when set, is called with a target before the rules for it are put
	// in place.
	OnPlace func(Target)

	target Target
	rules  Rules
	loaded bool
	noHold bool // the offload rules could not be loaded
	trials *trials

	nft      *nftConn
	gen      uint32           // of nf_tables, when all was last found right
	table    uint64           // ruleHash of our own table
	iptables []*iptablesTable // those that have our rules
}

// Loaded is what Load and Repair have to say.
type Loaded struct {
	// NewSets says that the kernel's sets were made anew and are empty.
	NewSets bool
	// Degraded has a line for everything that could not be had, with what to do.
	Degraded []string
}

func (l *Loaded) degraded(format string, args ...any) {
	l.Degraded = append(l.Degraded, fmt.Sprintf(format, args...))
}

// Target returns what the rules are loaded for.
func (k *Keeper) Target() Target { return k.target }

// Rules returns the texts that are loaded.
func (k *Keeper) Rules() Rules { return k.rules }

// Prepare begins what Load does first, and does not wait for it: so the caller can do
// something else meanwhile. Nothing but Load may follow.
func (k *Keeper) Prepare(c *config.Config) {
	if k.trials == nil {
		k.trials = startTrials(c)
	}
}

// Load resolves what the configuration leaves open, writes the rules for the LAN
// devices and puts them in place of what is there of ours: nothing, the rules of
// an earlier configuration, or those of an instance that was killed. The sets
// keep their elements. After an error that came before anything was changed, the
// rules of before still hold.
func (k *Keeper) Load(c *config.Config, devices []string) (Loaded, error) {
	k.Prepare(c)
	t, why, err := k.trials.end(c)
	k.trials = nil
	if err != nil {
		return Loaded{}, err
	}
	t.Devices = devices
	var l Loaded
	for {
		r, err := MakeRules(c, t)
		if err != nil {
			return l, err
		}
		err = k.place(t, r, &l)
		if err == nil {
			break
		}
		none, isNFT := err.(*nftSetsError)
		switch {
		case c.Sets != config.SetsAuto:
			return l, err
		case isNFT:
			l.degraded("%s", noSets(append(why, none.err.Error())))
			t.Sets = config.SetsOff
		case t.Sets == config.SetsIPSet:
			// The program ipset can be there without the match for iptables.
			l.degraded("ipset is not used: %v", err)
			t.Sets = config.SetsNFT
		default:
			return l, err
		}
	}
	k.dropOthers(&l)
	return l, nil
}

// Repair puts the same rules in place again.
func (k *Keeper) Repair() (Loaded, error) {
	var l Loaded
	if !k.loaded {
		return l, errors.New("no rules were loaded that could be repaired")
	}
	err := k.place(k.target, k.rules, &l)
	return l, err
}

// place loads rules over what is there and notes how they look.
func (k *Keeper) place(t Target, r Rules, l *Loaded) error {
	if k.OnPlace != nil {
		k.OnPlace(t)
	}
	if err := k.placeSets(t, r, l); err != nil {
		return err
	}
	var tables []*iptablesTable
	if r.Mangle4 != "" {
		var err error
		if tables, err = placeIPTables(r, l); err != nil {
			return err
		}
	}
	k.target, k.rules, k.iptables, k.loaded = t, r, tables, true
	k.placeHold(l)
	k.note()
	return nil
}

// placeSets loads the nft table and the ipsets; the iptables rules name the
// latter.
func (k *Keeper) placeSets(t Target, r Rules, l *Loaded) error {
	if r.NFT != "" {
		if there, err := k.hasTable(); err == nil && !there {
			l.NewSets = true
		}
		if _, err := program.Run(r.NFT, "nft", "-f", "-"); err != nil {
			// What is there may be another version's and not fit.
			if _, again := program.Run(RecreateNFT(r.NFT), "nft", "-f", "-"); again != nil {
				if t.Backend == config.BackendIPTables {
					return &nftSetsError{err}
				}
				return nftFailure(err)
			}
			l.NewSets = true
		}
	}
	if r.IPSet != "" {
		missing := strings.Count(r.IPSet, "create ")
		for _, n := range ipsets() {
			if creates(r.IPSet, n) {
				missing--
			}
		}
		if missing > 0 {
			l.NewSets = true
		}
		if _, err := program.Run(r.IPSet, "ipset", "-exist", "restore"); err != nil {
			return fmt.Errorf("ipset cannot be used (%w): %s", err, remedyIPSet)
		}
	}
	return nil
}

// placeIPTables loads the rules of both families and returns the tables that have
// them. Both are read side by side, because the start waits for it; written side by
// side they would get into each other's way.
func placeIPTables(r Rules, l *Loaded) ([]*iptablesTable, error) {
	families := []*placing{{iptables: newIPTables(false), mangle: r.Mangle4, raw: r.Raw}}
	if haveIPv6() {
		families = append(families, &placing{iptables: newIPTables(true), mangle: r.Mangle6, raw: r.Raw})
	}
	for _, p := range families {
		p.startSave()
	}
	for _, p := range families {
		p.endSave()
	}
	var all []*iptablesTable
	for _, p := range families {
		tables, err := p.write(l)
		switch {
		case err == nil:
			all = append(all, tables...)
		case !p.six:
			return all, err
		default:
			if errors.Is(err, program.ErrMissing) {
				err = fmt.Errorf("%w: %s", err, remedyIP6Tables)
			}
			l.degraded("IPv6 is not watched: %v", err)
		}
	}
	return all, nil
}

// dropOthers removes what the rules in place do not need: it is left over from
// another configuration, another backend or another version, and would queue on.
func (k *Keeper) dropOthers(l *Loaded) {
	if k.rules.Hold == "" {
		if err := k.removeHold(); err != nil {
			l.degraded("old rules stay in fw4's chain: %v", err)
		}
	}
	if k.rules.Mangle4 == "" {
		if err := removeIPTables(); err != nil {
			l.degraded("old iptables rules stay: %v", err)
		}
	}
	if k.rules.NFT == "" {
		if err := k.removeTable(); err != nil {
			l.degraded("an old nft table stays: %v", err)
		}
	}
	if err := removeIPSets(k.rules.IPSet); err != nil {
		l.degraded("old sets stay: %v", err)
	}
	k.note()
}

// Remove takes everything away that is ours, whether this Keeper loaded it, an
// instance that was killed, or somebody removed a part of it. It goes on after a
// failure and reports all of them.
func (k *Keeper) Remove() error {
	k.loaded = false
	k.iptables = nil
	errs := []error{k.removeHold(), removeIPTables(), k.removeTable(), removeIPSets("")}
	if k.nft != nil {
		k.nft.close()
		k.nft = nil
	}
	return errors.Join(errs...)
}

// Check reports whether the rules are in place, and if not, what is wrong. As
// long as nobody changes any rule it is a handful of system calls; a program is
// run only to see what a change to iptables was.
func (k *Keeper) Check() (ok bool, what string) {
	if !k.loaded || k.rules == (Rules{}) {
		return true, ""
	}
	gen, same := k.unchanged()
	if !same {
		if what := k.checkTable(); what != "" {
			return false, what
		}
		if what := k.checkHold(); what != "" {
			return false, what
		}
	}
	for _, t := range k.iptables {
		if t.flavour == flavourNFT && same && t.known != "" {
			continue
		}
		if what := t.check(k.nft); what != "" {
			return false, what
		}
	}
	k.gen = gen
	return true, ""
}

// unchanged reports whether nf_tables is what it was when all was right, and the
// generation by which to tell next time.
func (k *Keeper) unchanged() (gen uint32, same bool) {
	if !k.usesNFT() || k.dial() != nil {
		return 0, false
	}
	gen, err := k.nft.generation()
	if err != nil {
		k.hangUp()
		return 0, false
	}
	return gen, gen == k.gen
}

// usesNFT reports whether any of our rules are in nf_tables.
func (k *Keeper) usesNFT() bool {
	if k.rules.NFT != "" || k.rules.Hold != "" {
		return true
	}
	for _, t := range k.iptables {
		if t.flavour == flavourNFT {
			return true
		}
	}
	return false
}

// note remembers how the rules look that were loaded just now.
func (k *Keeper) note() {
	k.gen, k.table = 0, 0
	if k.usesNFT() && k.dial() == nil {
		// The generation first: a change in between is then seen later.
		gen, _ := k.nft.generation()
		// A table that went while the rest was loaded must be missed.
		if rules, err := k.nft.rules(unix.NFPROTO_INET, TableName); err == nil && (k.rules.NFT == "" || len(rules) > 0) {
			k.table = ruleHash(rules)
			k.gen = gen
		}
	}
	for _, t := range k.iptables {
		t.hash, _ = t.look(k.nft)
		t.known = ""
	}
}

// dial connects to nf_tables, if that is not done yet.
func (k *Keeper) dial() error {
	if k.nft != nil {
		return nil
	}
	n, err := dialNFT()
	if err == nil {
		k.nft = n
	}
	return err
}

// hangUp ends a connection that failed; the next use makes a new one.
func (k *Keeper) hangUp() {
	if k.nft != nil {
		k.nft.close()
		k.nft = nil
	}
}
