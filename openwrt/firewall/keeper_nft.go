// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/program"
)

// hasTable reports whether our table exists.
func (k *Keeper) hasTable() (bool, error) {
	if err := k.dial(); err != nil {
		return false, err
	}
	return k.nft.hasTable(unix.NFPROTO_INET, TableName)
}

// checkTable says what is wrong with our table.
func (k *Keeper) checkTable() string {
	if k.rules.NFT == "" {
		return ""
	}
	if err := k.dial(); err != nil {
		return ""
	}
	rules, err := k.nft.rules(unix.NFPROTO_INET, TableName)
	switch {
	case err != nil:
		// If the table cannot be read, the rules may still be right.
		k.hangUp()
		return ""
	case len(rules) == 0:
		return "the nft table inet " + TableName + " is gone"
	case ruleHash(rules) != k.table:
		return "the nft table inet " + TableName + " was changed"
	}
	return ""
}

// Gone returns how many packets the kernel's sets dropped since the last call: TCP packets,
// and all others. A read sets the kernel's counters to zero, and a reload of the rules keeps
// them. So a reload or the next instance loses nothing and counts nothing twice. Drops by
// ipset are not counted.
func (k *Keeper) Gone() (tcp, udp uint64) {
	if !k.loaded || k.rules.NFT == "" || k.target.Sets != config.SetsNFT || k.dial() != nil {
		return 0, 0
	}
	err := k.nft.takeCounters(unix.NFPROTO_INET, TableName, func(name string, packets uint64) {
		switch name {
		case "gone_tcp":
			tcp = packets
		case "gone_udp":
			udp = packets
		}
	})
	if err != nil {
		k.hangUp()
	}
	return tcp, udp
}

// removeTable removes our table, if it exists.
func (k *Keeper) removeTable() error {
	if !program.Have("nft") {
		return nil
	}
	there, err := k.hasTable()
	if err != nil || !there {
		return err
	}
	_, err = program.Run(RemoveNFT, "nft", "-f", "-")
	return err
}

// holdState is the state of flow offload in fw4's forward chain.
type holdState struct {
	offloads bool     // the chain offloads flows
	ours     []uint64 // handles of our rules in the chain
	before   bool     // all of them are before the rule that offloads
}

func (k *Keeper) holdState() (s holdState, err error) {
	if err := k.dial(); err != nil {
		return s, err
	}
	rules, err := k.nft.rules(unix.NFPROTO_INET, "fw4")
	if err != nil {
		k.hangUp()
		return s, err
	}
	s.before = true
	for _, r := range rules {
		switch {
		case r.hold:
			s.ours = append(s.ours, r.handle)
			if s.offloads {
				s.before = false
			}
		case r.offloads && r.chain == "forward":
			s.offloads = true
		}
	}
	return s, nil
}

// holdRight reports whether the offload rules are as they should be.
func (k *Keeper) holdRight(s holdState) bool {
	if !s.offloads {
		return len(s.ours) == 0
	}
	return s.before && len(s.ours) == strings.Count(k.rules.Hold, "\n")
}

// checkHold says what is wrong with the offload rules in fw4's chain.
func (k *Keeper) checkHold() string {
	if k.noHold || k.rules.Hold == "" {
		return ""
	}
	s, err := k.holdState()
	switch {
	case err != nil || k.holdRight(s):
		return ""
	case s.offloads:
		return "fw4 offloads flows and our rules before that are missing"
	}
	return "our offload rules are in fw4's chain although it does not offload"
}

// placeHold puts the offload rules into fw4's chain if fw4 offloads, and removes them if not.
// It updates the file that fw4 includes.
func (k *Keeper) placeHold(l *Loaded) {
	k.noHold = false
	if k.rules.Hold == "" {
		return
	}
	s, err := k.holdState()
	if err != nil {
		return
	}
	text := ""
	if s.offloads {
		text = k.rules.Hold
	}
	if !k.holdRight(s) {
		if _, err := program.Run(deleteHold(s)+text, "nft", "-f", "-"); err != nil {
			k.noHold = true
			l.degraded("offloaded flows are not seen (%v): turn flow offloading off in /etc/config/firewall", err)
		}
	}
	if err := k.writeHoldFile(text); err != nil {
		l.degraded("a reload of fw4 offloads undecided flows for a moment: %v", err)
	}
}

// removeHold removes the offload rules from fw4's chain.
func (k *Keeper) removeHold() error {
	fileErr := k.writeHoldFile("")
	if !program.Have("nft") {
		return fileErr
	}
	s, err := k.holdState()
	if err == nil && len(s.ours) > 0 {
		_, err = program.Run(deleteHold(s), "nft", "-f", "-")
	}
	if err == nil {
		err = fileErr
	}
	return err
}

// deleteHold returns the nft script that deletes our rules from fw4's chain.
func deleteHold(s holdState) string {
	var b strings.Builder
	for _, h := range s.ours {
		fmt.Fprintf(&b, "delete rule inet fw4 forward handle %d\n", h)
	}
	return b.String()
}

// writeHoldFile replaces the file that fw4 includes, or removes it.
func (k *Keeper) writeHoldFile(text string) error {
	if k.HoldFile == "" {
		return nil
	}
	if text == "" {
		if err := os.Remove(k.HoldFile); err != nil && !os.IsNotExist(err) {
			return err
		}
		return nil
	}
	if old, err := os.ReadFile(k.HoldFile); err == nil && string(old) == text {
		return nil
	}
	tmp := filepath.Join(filepath.Dir(k.HoldFile), "."+filepath.Base(k.HoldFile)+".new")
	if err := os.WriteFile(tmp, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, k.HoldFile)
}
