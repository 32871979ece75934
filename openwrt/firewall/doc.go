// SPDX-License-Identifier: GPL-2.0-or-later

// Package firewall has the texts of the rules for nftables and for iptables, loads
// them and keeps them in place (Keeper), and finds out which of them this machine can
// have (Detect).
//
// The texts are pure functions of the configuration, so that "p2pwall rules" prints
// exactly what "p2pwall run" loads and tests compare whole files. Rules are changed by
// the system's own programs (nft, iptables-restore, ipset), because their bytes in the
// kernel are those programs' business; whether they are still there is asked of the
// kernel directly, because that happens every second.
package firewall
