// SPDX-License-Identifier: GPL-2.0-or-later

// Package cases has conversations that the engine once judged wrongly, each with the
// right result. The tests make the packets, replay them through the engine with the
// clock of the conversation, and compare.
//
// Each case has the number of its kind (K1, K2, ...). The numbers are those of the
// list of reports that the cases come from:
//
//	K1   a port mapping and random first data were taken for BitTorrent
//	K2   packets from a stranger locked a LAN host
//	K3   a lock did not end, or a server was kept as a peer
//	K4   HTTP uploads of a locked host stopped
//	K5   several computers behind one hardware address
//	K6   HTTP methods that a locked host could not use
//	K7   calls
//	K8   names in TLS
//	K9   VPNs
//	K10  protocols in which the server speaks first
//	K11  FTP
//	K12  versions of QUIC
//	K13  time and names
//	K14  messengers and live video
//	K15  a word in a request that others use too
//	K18  a process for each stranger
package cases
