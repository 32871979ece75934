// SPDX-License-Identifier: GPL-2.0-or-later

// Package firewall writes the rules for nftables and for iptables. Keeper loads the rules and
// keeps them in place. Detect finds out which rules this machine can have.
//
// The rules are pure functions of the configuration. So "p2pwall rules" prints exactly the
// rules that "p2pwall run" loads, and tests compare whole files. The system's own programs
// (nft, iptables-restore, ipset) change the rules, because only they know the format of rules
// in the kernel. The Keeper asks the kernel directly whether the rules are still there,
// because it does so every second.
package firewall
