// SPDX-License-Identifier: GPL-2.0-or-later

// Router boots emulated routers and shows that p2pwall works on them: MIPS of
// both byte orders, 32- and 64-bit ARM, and x86. Each machine runs a real kernel
// under QEMU with the native nft `queue`, gets the package that `make packages`
// built, starts the service through its init script, and goes through the same
// scenarios as the namespace tests on the workstation.
//
//	go run ./bench/router -arch mips          one machine
//	go run ./bench/router -arch all           all of them, as many at once as there are processors
//	go run ./bench/router -arch mips -off     the wall switched off: every
//	                                          scenario must fail
//	go run ./bench/router -arch mips -prepare downloads and builds, no boot
//
// It needs root and a Debian host. It keeps downloads and builds in
// $XDG_CACHE_HOME/p2pwall/router (usually ~/.cache/p2pwall/router). Their names contain
// a digest of their inputs; a missing piece is made again. The result is a table, printed
// and written as router.md and router.json, and one console log per machine.
//
// Kernels and tools come from Debian, for the machine's own architecture. The host's
// package database is not touched. Big-endian MIPS is the exception: its
// kernel (kernel/mips-malta-be.config), busybox, iptables and ip are built from
// Debian's sources, and nft and ipset run outside the machine, see tunnel/.
package main
