// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// Proof says by what a host has shown that such a program runs on it.
type Proof uint8

// The kinds of proof.
const (
	ProofNone    Proof = iota // nothing is proved
	ProofAnswer               // it answered a question of ours, with our token
	ProofConduct              // it sent, to several addresses, what only such a program sends
)

var proofNames = [...]string{"", "answer", "conduct"}

// String returns the short name that the control socket uses.
func (p Proof) String() string { return proofNames[p] }

// SuspectInfo is a copy of what is known of a host that was looked at, and of
// which nothing was proved.
type SuspectInfo struct {
	Addr                nfq.Addr
	MAC                 nfq.MAC
	Protocol            *detect.Protocol // nil: none in particular
	Reason              detect.Reason    // why it was looked at
	FirstSeen, LastSeen Time
	Asked               uint32 // questions that were sent to it
	LastAsked           Time   // 0: never
	Dropped             uint32 // packets of it that were recognised and cut
}

// Suspects returns the hosts that were looked at and of which nothing was
// proved, in the order in which they were first seen.
func (e *Engine) Suspects(now Time) []SuspectInfo {
	return nil
}
