// SPDX-License-Identifier: GPL-2.0-or-later

// Package webrtc has two programs that make WebRTC sessions like those of WebRTC file
// sharing. One uses libdatachannel in node (peer.cjs), the other pion (a module of its own,
// in pion). Two of them, in two namespaces, connect with the help of a signalling server,
// and send each other data as fast as possible.
package webrtc
