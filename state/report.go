// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// ClientInfo is a copy of what is known about a client.
type ClientInfo struct {
	Addr                nfq.Addr
	Addrs               []nfq.Addr
	MAC                 nfq.MAC
	Protocol            *detect.Protocol
	Reason              detect.Reason
	Proof               Proof  // never ProofNone
	Program             string // name of the program, if known
	Strict              bool   // its lock stops all new TCP connections
	FirstSeen, LastSeen Time
	Mode                Mode   // what is done about its protocol
	Policy              string // the policy that decides this, "" for none
	Locked              bool
	LockRemaining       time.Duration
	Peers               int
	Locks               uint32
	Dropped             uint32
	DroppedTCP          uint32
	DroppedUDP          uint32
	LastProbe           Time // 0: never
	LastAnswer          Time // 0: never
}

// PeerInfo is a copy of what is known about a peer.
type PeerInfo struct {
	_                   [0]func() // not comparable: code to compare it costs flash
	Client              nfq.Addr
	Addr                nfq.Addr
	Port                uint16
	Protocol            *detect.Protocol
	FirstSeen, LastSeen Time
	Dropped             uint32
}

// Clients returns all proved clients in the order in which they were found.
func (e *Engine) Clients(now Time) []ClientInfo {
	var out []ClientInfo
	for i := range e.clients {
		c := &e.clients[i]
		if !c.used || c.proof == ProofNone {
			continue
		}
		info := ClientInfo{
			Proof:   c.proof,
			Program: c.program.String(), Strict: c.strict,
			Addr: c.addr, MAC: c.mac, Protocol: detect.All[c.protocol], Reason: c.reason,
			FirstSeen: c.firstSeen, LastSeen: c.lastSeen,
			Mode: e.hosts[c.host].modes.mode(int(c.protocol)), Policy: e.policyOf(&e.hosts[c.host], int(c.protocol)),
			Locked: c.locked, Locks: c.locks,
			Dropped: c.dropped, DroppedTCP: c.droppedTCP, DroppedUDP: c.droppedUDP,
			LastProbe: c.lastProbe, LastAnswer: c.lastAnswer,
		}
		if c.locked {
			info.LockRemaining = max(c.lockUntil.Since(now), 0)
		}
		for j := range c.peers.peers[:c.peers.n] {
			if !c.peers.peers[j].suspect {
				info.Peers++
			}
		}
		for _, s := range e.hosts[c.host].addrs {
			if s != none {
				info.Addrs = append(info.Addrs, e.addrs[s].addr)
			}
		}
		at := len(out)
		for at > 0 && out[at-1].FirstSeen > info.FirstSeen {
			at--
		}
		out = append(out, ClientInfo{})
		copy(out[at+1:], out[at:])
		out[at] = info
	}
	return out
}

// Peers returns the peers of the client at the address, or of all clients if the address is
// zero. For each client, those seen last come first.
func (e *Engine) Peers(a nfq.Addr) []PeerInfo {
	var out []PeerInfo
	only := int32(none)
	if !a.IsZero() {
		if only = e.clientAt(&a); only == none {
			return nil
		}
	}
	for i := range e.clients {
		c := &e.clients[i]
		if !c.used || c.proof == ProofNone || only != none && int32(i) != only {
			continue
		}
		for s := c.peers.newest; s != 0; s = c.peers.peers[s-1].older {
			p := &c.peers.peers[s-1]
			if p.suspect {
				continue
			}
			out = append(out, PeerInfo{
				Client: c.addr, Addr: p.addr, Port: p.port, Protocol: detect.All[p.protocol],
				FirstSeen: p.first.time(), LastSeen: p.last.time(), Dropped: p.dropped,
			})
		}
	}
	return out
}
