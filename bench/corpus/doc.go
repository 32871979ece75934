// SPDX-License-Identifier: GPL-2.0-or-later

// Command corpus measures what is recognised, and what is mistaken, in a
// collection of captures with known content.
//
//	go run ./bench/corpus [-dir DIR] [-v]
//
// DIR holds captures, manifest.tsv (file, packets, flows, class, ...) and
// flows.tsv (file, l4, a, b, label, ...). Every flow with payload is shown to the
// classifiers of every protocol; a flow counts as recognised when one of them is
// sure, by whichever packet. Every capture is replayed through the engine too.
//
// A hit in a capture of the classes neg and hardneg is a false positive: it is
// listed, and the exit code is 1. The table gives, by class and label, the flows
// with payload and how many of them were recognised. The label of a flow that
// flows.tsv does not know is, in captures of the lab, the name of the capture,
// and "-" elsewhere.
//
// The column "mse" counts flows whose two beginnings could be an encrypted
// BitTorrent handshake. That is no proof and no false positive: it counts only
// for a host of which more is known.
package main
