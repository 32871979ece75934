// SPDX-License-Identifier: GPL-2.0-or-later

// Command corpus counts correct and false recognitions in a collection of captures
// with known content.
//
//	go run ./bench/corpus [-dir DIR] [-v]
//
// DIR holds captures, manifest.tsv (file, packets, flows, class, ...) and
// flows.tsv (file, l4, a, b, label, ...). The command shows every flow with payload to
// the classifiers of every protocol, in both roles. A flow counts as recognised when
// one classifier is sure, by one packet or by several of one direction (Flow). The
// command also replays every capture through the engine.
//
// A hit in a capture of the classes neg and hardneg is a false positive: it is
// listed, and the exit code is 1. The table gives, by class and label, the flows
// with payload and how many of them were recognised. A flow that flows.tsv does not
// list has the capture's name as its label in captures of the lab, and "-" elsewhere.
//
// The column "cut if locked" is a second reading, of the negatives only. It counts the
// flows that are cut when each host is locked for BitTorrent. The host that opened a flow
// is taken for the LAN host; only its packets are judged. Some flows are cut because they
// look random. These are listed with the reason and are no errors: on a router the engine
// answers such a connection with a handshake in the peer's name. If the host is no client,
// its next connection passes. A flow that is cut for another reason is an error like a
// false positive.
//
// The column "mse" counts flows whose two beginnings could be an encrypted BitTorrent
// handshake. That is no proof and no false positive: the engine uses this sign only for
// a host that has shown other signs.
//
// The flows are those of TCP and UDP as a router sees them. Tunnels (GTP, VXLAN, GRE,
// 6in6) are not unpacked. Other protocols, later fragments and damaged packets are left
// out. The last line but one compares the counts with flows.tsv; -v lists the flows that
// only one of the two has.
//
// The folder captures has a few captures of the lab, so that a clone alone has something to
// read. The figures in bench/README.md are those of a larger collection beside the clone
// (../shared/corpus). Its flows.tsv has 3,687 negative flows of TCP and UDP. Of these, 3,533
// are counted, 132 have no payload, 14 are inside tunnels and 8 are in damaged captures
// (7 have datagrams that claim to be longer than their packets, 1 is in a file that
// cannot be read). Another 20 are counted: the 18 tunnels themselves and 2 flows in
// damaged captures. That makes 3,553. The labels give 3,555, as do nDPI's own results
// for flows with payload. The README.md there says 3,570: neither the labels nor the
// captures have the other 15.
package main
