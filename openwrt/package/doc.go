// SPDX-License-Identifier: GPL-2.0-or-later

// Command package builds P2Pwall's packages without OpenWrt's SDK: ipk for opkg (up to
// OpenWrt 24.10), apk for apk-tools 3 (OpenWrt 25.12 and later), and Debian packages. It is a
// separate module, so that its dependencies never get into the router's binary.
//
// The same tree, version and commit time give the same bytes.
package main
