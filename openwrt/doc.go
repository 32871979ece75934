// SPDX-License-Identifier: GPL-2.0-or-later

// Package openwrt is the program's side of the system it runs on: the UCI
// configuration, the texts of the firewall rules for nftables and for iptables,
// loading those rules and keeping them in place, and the findings of
// "p2pwall check".
//
// The rule texts are pure functions of the configuration, so that "p2pwall
// rules" prints exactly what "p2pwall run" loads and tests compare whole files.
// Rules are changed by the system's own programs (nft, iptables-restore, ipset),
// because their bytes in the kernel are those programs' business; whether they
// are still there is asked of the kernel directly, because that happens every
// second.
//
// The package links no os/exec, encoding/json or regexp: flash is short on
// routers.
package openwrt
