// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/firewall"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/state"
)

// rules keeps the firewall's rules and the kernel's sets as the configuration asks.
type rules struct {
	*complaints
	keeper  firewall.Keeper
	status  *status
	journal *events.Journal
	workers workers
	groups  nfq.Groups
	loaded  bool // also after a load that failed half way
	// ours says that the sets' content is of this run, or of an earlier run whose state
	// was restored.
	ours   bool
	rounds int // how often check ran
}

func (r *rules) begin(c *config.Config) error {
	var suspects []nfq.AddrPort
	if !r.ours { // before load, which sets ours
		suspects = r.lookAgain(c)
	}
	if err := r.load(c); err != nil {
		return err
	}
	r.workers.suspect(suspects)
	return nil
}

// change loads the rules of a new configuration. more says that more hosts are watched, or
// a host for more protocols.
func (r *rules) change(old, c *config.Config, more bool) {
	if err := r.load(c); err != nil {
		r.log.Errorf("rules: %v", err)
	}
	// Flows passed as decided that the new configuration has to see.
	if c.Sifts() && !old.Sifts() || more {
		r.workers.suspect(r.lookAgain(c))
	}
}

// lookAgain has the kernel count the packets of the LAN's UDP flows from zero, so that the
// rules see the first packets of each flow again. It returns hosts that may run a client; the
// caller probes them when the rules are in place.
func (r *rules) lookAgain(c *config.Config) (suspects []nfq.AddrPort) {
	suspects, err := nfq.LookAgain(r.status.marks(), r.status.lan(), skipped)
	if err != nil {
		r.log.Warnf("%v: a client that runs already is found when it asks somebody new", err)
	}
	if !c.Sifts() {
		return nil
	}
	return suspects
}

func (r *rules) load(c *config.Config) error {
	r.loaded = true
	l, err := r.keeper.Load(c, r.status.names)
	r.workers.setRepeat(r.keeper.Target().Repeats()) // if Load failed, the old rules are still in force
	for _, line := range l.Degraded {
		r.log.Warnf("%s", line)
	}
	if err != nil {
		r.status.setRules(r.status.backend, r.status.sets, false)
		return err
	}
	t := r.keeper.Target()
	changed := r.status.sets != string(t.Sets)
	r.status.setRules(string(t.Backend), string(t.Sets), true)
	if changed {
		if err := r.openSets(t.Sets); err != nil {
			r.log.Warnf("%v: every blocked packet goes through the queue", err)
		}
	}
	r.workers.tellSets()
	r.joinGroups(c)
	return nil
}

// openSets opens the sets for each worker. It clears what an earlier run left in them,
// unless the state of that run was restored.
func (r *rules) openSets(kind config.SetsKind) error {
	open := nfq.OpenNFTSets
	if kind == config.SetsIPSet {
		open = nfq.OpenIPSets
	}
	for _, w := range r.workers {
		w.useSets(nil)
		if kind == config.SetsOff {
			continue
		}
		k, err := open()
		if err != nil {
			return err
		}
		if !r.ours {
			if err := k.Clear(); err != nil {
				_ = k.Close()
				return err
			}
			r.ours = true
		}
		w.useSets(k)
	}
	r.ours = true
	return nil
}

// joinGroups joins the multicast groups in which clients look for peers in the LAN, so
// that the rules see those packets.
func (r *rules) joinGroups(c *config.Config) {
	var on []uint32
	for i := range r.status.devices {
		on = append(on, r.status.devices[i].Index)
	}
	var groups []nfq.Addr
	for _, g := range c.Groups() {
		if a, err := netip.ParseAddr(g.Addr); err == nil {
			groups = append(groups, nfq.AddrFrom(a))
		}
	}
	if err := r.groups.Join(groups, on); err != nil {
		r.log.Warnf("searches for peers in the LAN are not seen: %v", err)
	}
}

// goneEvery: every third round of check reads the kernel's counters.
const goneEvery = 3

// check tests whether the rules are in place, and puts them back if not.
func (r *rules) check() {
	if !r.loaded {
		return
	}
	if r.rounds++; r.rounds%goneEvery == 0 {
		r.countGone()
	}
	ok, what := r.keeper.Check()
	var l firewall.Loaded
	var err error
	if !ok {
		l, err = r.keeper.Repair()
	}
	r.status.setRules(r.status.backend, r.status.sets, err == nil)
	switch {
	case ok:
		r.say("rules", "")
		return
	case err != nil:
		r.say("rules", fmt.Sprintf("rules: %s, and they cannot be put back: %v", what, err))
		return
	}
	r.log.Warnf("rules: %s: put back", what)
	r.say("repair", strings.Join(l.Degraded, "; "))
	if l.NewSets {
		r.workers.tellSets()
	}
	r.journal.Record(&state.Event{Class: state.ClassSystem, What: state.EventRules})
}

// countGone adds the packets that the kernel's sets dropped to the counters of the first
// engine.
func (r *rules) countGone() {
	if tcp, udp := r.keeper.Gone(); tcp+udp > 0 {
		r.workers[0].loop.Do(func(e *state.Engine, now state.Time) { e.DroppedByKernel(tcp, udp, now) })
	}
}

func (r *rules) remove() {
	if !r.loaded {
		return
	}
	for _, w := range r.workers {
		w.useSets(nil) // or the engines would write into sets that are gone
	}
	if err := r.keeper.Remove(); err != nil {
		r.log.Errorf("rules: %v", err)
	}
}

const acctFile = "/proc/sys/net/netfilter/nf_conntrack_acct"

// countPackets makes the kernel count the packets of connections. The rules need these
// counts. OpenWrt counts by default, Debian does not.
func countPackets() error {
	b, err := os.ReadFile(acctFile)
	if err != nil || strings.TrimSpace(string(b)) != "0" {
		return nil // no connection tracking to set up yet, or already on
	}
	if err := os.WriteFile(acctFile, []byte("1"), 0); err != nil {
		return fmt.Errorf("the kernel does not count packets of connections, connections will be read longer than needed: "+
			"set net.netfilter.nf_conntrack_acct=1 with sysctl (%w)", err)
	}
	return nil
}
