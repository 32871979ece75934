// SPDX-License-Identifier: GPL-2.0-or-later

// Router boots emulated routers and shows that p2pwall works on them: MIPS of
// both byte orders, 32- and 64-bit ARM, and x86. Each machine runs a real kernel
// under QEMU with the native nft `queue`, gets the package that `make packages`
// built, starts the service through its init script, and goes through the same
// scenarios as the namespace tests on the workstation.
//
//	go run ./bench/router -arch mips          one machine
//	go run ./bench/router -arch all           all of them, one after another
//	go run ./bench/router -arch mips -off     the wall switched off: every
//	                                          scenario must fail
//	go run ./bench/router -arch mips -prepare downloads and builds, no boot
//
// It needs root and a Debian host. What it downloads and builds is kept in
// $XDG_CACHE_HOME/p2pwall/router (usually ~/.cache/p2pwall/router), under names
// that contain a digest of what went in; a missing piece is made again. The
// result is a table, printed and written as router.md and router.json, and one
// console log per machine.
//
// Kernels and tools come from Debian, of the machine's own architecture, without
// touching the host's package database. Big-endian MIPS is the exception: its
// kernel (kernel/mips-malta-be.config), busybox, iptables and ip are built from
// Debian's sources, and nft and ipset run outside the machine, see tunnel/.
package main
