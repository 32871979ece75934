// SPDX-License-Identifier: GPL-2.0-or-later

// Command package builds P2Pwall's packages without OpenWrt's SDK: ipk for opkg
// (OpenWrt to 24.10), apk for apk-tools 3 (25.12 and later), and a Debian
// package. It is a module of its own, so that what it needs for that never
// comes near the router's binary.
//
// The same tree, version and commit time give the same bytes.
package main
