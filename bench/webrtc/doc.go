// SPDX-License-Identifier: GPL-2.0-or-later

// Package webrtc has programs with sessions of WebRTC, as those have that exchange pieces by
// it: one with libdatachannel, in node (peer.cjs), and one with pion (a module of its own,
// in pion). Two of them, in two namespaces, connect with the help of a server that hands on
// what they tell each other, and send each other data as fast as it goes.
package webrtc
