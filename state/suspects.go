// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// SuspectInfo is a copy of what is known about a suspect.
type SuspectInfo struct {
	Addr nfq.Addr
	MAC  nfq.MAC // zero if unknown
	// Protocol is the protocol of which something was recognised, or which is suspected;
	// nil if no particular one.
	Protocol *detect.Protocol
	// Recognised says that the host itself sent something of the protocol.
	Recognised          bool
	Reason              detect.Reason // why it is a suspect
	FirstSeen, LastSeen Time
	Asked               uint32 // number of questions sent
	LastAsked           Time   // 0: never
	Dropped             uint32 // number of recognised packets that were dropped
}

// Suspects returns all suspects, in the order in which they became suspects.
func (e *Engine) Suspects(now Time) []SuspectInfo {
	var out []SuspectInfo
	for i := range e.hosts {
		h := &e.hosts[i]
		s := &h.suspicion
		if !h.used {
			continue
		}
		info := SuspectInfo{
			Addr: s.addr, MAC: h.key.mac, Reason: s.reason, FirstSeen: s.first, LastSeen: s.last,
			Asked: s.sent, LastAsked: s.asked,
		}
		if s.protocol != none {
			info.Protocol = detect.All[s.protocol]
		}
		if h.client != none {
			c := &e.clients[h.client]
			if c.proof != ProofNone || c.foreign {
				continue
			}
			info.Addr, info.Protocol, info.Reason, info.Recognised = c.addr, detect.All[c.protocol], c.reason, true
			info.FirstSeen, info.LastSeen, info.Dropped = c.firstSeen, c.lastSeen, c.dropped
		} else if s.first == 0 || now.Since(s.last) > e.cfg.Forget {
			continue
		}
		// Sorted by hand: a function of package slices for this type takes 12 KB.
		at := len(out)
		for at > 0 && out[at-1].FirstSeen > info.FirstSeen {
			at--
		}
		out = append(out, SuspectInfo{})
		copy(out[at+1:], out[at:])
		out[at] = info
	}
	return out
}
