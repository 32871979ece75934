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

// HoldFile is the file that fw4 includes. It has the rules that keep undecided connections
// out of the flow table.
const HoldFile = "/var/run/p2pwall/hold.nft"

// Keeper loads the rules, checks whether they are still there, repairs them and removes them.
// Only one goroutine may use it at a time.
type Keeper struct {
	// HoldFile is the path of the offload rules. fw4 includes the file when it loads its own
	// rules, so that the offload rules are there at once after a reload of fw4. "" for none.
	HoldFile string

	// OnPlace, if set, is called with the target before its rules are put in place.
	OnPlace func(Target)

	target Target
	rules  Rules
	loaded bool
	noHold bool // the offload rules could not be loaded
	trials *trials

	nft      *nftConn
	gen      uint32           // generation of nf_tables when all rules were last found right
	table    uint64           // ruleHash of our own table
	iptables []*iptablesTable // the tables that have our rules
}

// Loaded is the result of Load and Repair.
type Loaded struct {
	// NewSets says that the kernel's sets were created anew and are empty.
	NewSets bool
	// Degraded has a line for everything that did not work, with a remedy.
	Degraded []string
}

func (l *Loaded) degraded(format string, args ...any) {
	l.Degraded = append(l.Degraded, fmt.Sprintf(format, args...))
}

// Target returns the target that the rules are loaded for.
func (k *Keeper) Target() Target { return k.target }

// Prepare starts the first part of Load and returns at once, so that the caller can do other
// work meanwhile. The next call must be Load.
func (k *Keeper) Prepare(c *config.Config) {
	if k.trials == nil {
		k.trials = startTrials(c)
	}
}

// Load resolves the values "auto" of the configuration, writes the rules for the LAN devices
// and puts them in place. They replace the rules of an earlier configuration or of an
// instance that was killed. The sets keep their elements. If an error comes before the first
// change, the old rules still hold.
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
			// The program ipset can be installed without the iptables match.
			l.degraded("ipset is not used: %v", err)
			t.Sets = config.SetsNFT
		default:
			return l, err
		}
	}
	k.dropOthers(&l)
	return l, nil
}

// Repair loads the same rules again.
func (k *Keeper) Repair() (Loaded, error) {
	var l Loaded
	if !k.loaded {
		return l, errors.New("no rules were loaded that could be repaired")
	}
	err := k.place(k.target, k.rules, &l)
	return l, err
}

// place loads rules over the present ones and notes how they look.
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

// placeSets loads the nft table and the ipsets. The ipsets must exist before the iptables
// rules that name them.
func (k *Keeper) placeSets(t Target, r Rules, l *Loaded) error {
	if r.NFT != "" {
		if there, err := k.hasTable(); err == nil && !there {
			l.NewSets = true
		}
		if _, err := program.Run(r.NFT, "nft", "-f", "-"); err != nil {
			// The present table may come from another version and not fit.
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

// placeIPTables loads the rules of both families and returns the tables that have them. It
// reads both families in parallel, because the start waits for it. It writes them one after
// the other, because two writers would block each other.
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

// dropOthers removes rules that are not part of the present ones. They come from another
// configuration, backend or version, and would still queue packets.
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

// Remove removes everything of ours. It does not matter whether this Keeper loaded it or an
// instance that was killed, or whether a part is missing. It goes on after a failure and
// reports all failures.
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

// Check reports whether the rules are in place, and if not, what is wrong. As long as nobody
// changes a rule, it takes a few system calls. It runs a program only to see what changed in
// iptables.
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

// unchanged reports whether nf_tables has the generation at which all rules were right. It
// returns the present generation.
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

// note stores how the rules look that were just loaded.
func (k *Keeper) note() {
	k.gen, k.table = 0, 0
	if k.usesNFT() && k.dial() == nil {
		// Read the generation first: a change after this is then seen by the next check.
		gen, _ := k.nft.generation()
		// If the table disappeared during the load, the next check must report it.
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

// dial connects to nf_tables unless there is a connection.
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

// hangUp closes a connection that failed. The next use opens a new one.
func (k *Keeper) hangUp() {
	if k.nft != nil {
		k.nft.close()
		k.nft = nil
	}
}
