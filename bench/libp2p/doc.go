// SPDX-License-Identifier: GPL-2.0-or-later

// Package libp2p runs nodes with go-libp2p, on which Kubo is built, behind the wall. The
// nodes connect by TCP and load pieces from each other. The program is a module of its own,
// in node.
//
//	go test ./bench/libp2p
package libp2p
