// SPDX-License-Identifier: GPL-2.0-or-later

// Package libp2p runs nodes with go-libp2p, on which Kubo is built, behind the wall. The
// nodes connect by TCP or QUIC and load pieces from each other. The program is a module of its own,
// in node.
//
//	go test ./bench/libp2p
//
// Kubo itself runs if -kubo names it. Version 0.43.1 builds with go-libp2p 0.52.0, of 800 MB of
// modules:
//
//	go test -v -run TestKubo ./bench/libp2p -kubo FILE
package libp2p
