// SPDX-License-Identifier: GPL-2.0-or-later

// Command corpus measures what is recognised, and what is mistaken, in a
// collection of captures with known content.
//
//	go run ./bench/corpus [-dir DIR] [-v]
//
// DIR holds captures, manifest.tsv (file, packets, flows, class, ...) and
// flows.tsv (file, l4, a, b, label, ...). Every flow with payload is shown to the
// classifiers of every protocol, in both roles; a flow counts as recognised when
// one of them is sure, by whichever packet, or by several of them (Flow), of both
// directions or of one. Every capture is replayed through the engine too.
//
// A hit in a capture of the classes neg and hardneg is a false positive: it is
// listed, and the exit code is 1. The table gives, by class and label, the flows
// with payload and how many of them were recognised. The label of a flow that
// flows.tsv does not know is, in captures of the lab, the name of the capture,
// and "-" elsewhere.
//
// The column "shown harmless" counts the flows that show to be something known
// before anything is recognised, taking who opened a flow for the LAN host: a
// selective lock lets them pass. It is for information: many a capture begins
// within a flow, or stays in a LAN. A flow of BitTorrent among them is an error
// like a false positive.
//
// The column "mse" counts flows whose two beginnings could be an encrypted
// BitTorrent handshake. That is no proof and no false positive: it counts only
// for a host of which more is known.
//
// Flows are those of TCP and UDP as a router sees them: what is inside a tunnel
// (GTP, VXLAN, GRE, 6in6) is not unpacked, other protocols and later fragments are
// left out, and so is what cannot be read. The line before the last says how that
// agrees with flows.tsv, and -v lists the flows that only one of the two has.
//
// Of the 3,687 negative flows of TCP and UDP in ../shared/corpus/flows.tsv, 3,533
// are counted, 132 have no payload, 14 are inside tunnels and 8 in damaged captures
// (7 of datagrams that claim to be longer than their packets, 1 in a file that
// cannot be read). Counted beside them are 20: the 18 flows that are the tunnels,
// and 2 in damaged captures. That makes 3,553, and 3,555 by the labels, which is
// also how many of them have payload in nDPI's own results. The 3,570 of the
// README.md there are 15 more: neither the labels nor the captures have those.
package main
