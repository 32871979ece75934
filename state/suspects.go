// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// SuspectInfo is a copy of what is known of a host that was looked at, and of which
// nothing was proved.
type SuspectInfo struct {
	Addr nfq.Addr
	MAC  nfq.MAC // zero where none is known
	// Protocol is what something of was recognised, or what it is suspected of;
	// nil for none in particular.
	Protocol *detect.Protocol
	// Recognised says that the host itself said something of the protocol.
	Recognised          bool
	Reason              detect.Reason // why it was looked at
	FirstSeen, LastSeen Time
	Asked               uint32 // questions that were sent
	LastAsked           Time   // 0: never
	Dropped             uint32 // packets of what was recognised
}

// Suspects returns the hosts that were looked at and of which nothing was proved, in
// the order in which they were suspected first.
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
		// By hand: a function of slices for this type has 12 KB.
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
