// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"net/netip"
	"strconv"

	"github.com/p2pwall/p2pwall/state"
)

// Text is the event as a sentence for a log.
func (e *Entry) Text() string {
	who := e.Client.String()
	if m := e.MAC.String(); m != "" {
		who += " (" + m + ")"
	}
	peer := e.Peer.String()
	if !e.Peer.IsZero() && e.Port != 0 {
		peer = netip.AddrPortFrom(e.Peer.Netip(), e.Port).String()
	}
	switch e.Class {
	case state.ClassClient:
		switch e.What {
		case state.EventFound:
			return "client " + who + ": " + e.Title() + " found, " + e.Reason.String() + " to " + peer
		case state.EventLocked:
			return "client " + who + ": TCP locked (" + e.Reason.String() + ")"
		case state.EventReleased:
			return "client " + who + ": gone, TCP released"
		case state.EventForgotten:
			return "client " + who + ": forgotten"
		case state.EventUnlocked:
			return "client " + who + ": unlocked by the administrator"
		case state.EventExempted:
			return "client " + who + ": exempted by the administrator"
		}
	case state.ClassPeer:
		if e.What == state.EventCut {
			return "client " + who + ": connection with " + peer + " cut (" + e.Reason.String() + ")"
		}
		return "client " + who + ": peer " + peer
	case state.ClassProbe:
		if e.What == state.EventSent {
			return "client " + who + ": probed at port " + strconv.Itoa(int(e.Port))
		}
		return "client " + who + ": answered the probe, lock held"
	case state.ClassTable:
		if e.What == state.EventForged {
			return "address " + e.Client.String() + " is used by two hosts, one of them " + e.MAC.String() +
				": one may forge it; it is blocked by MAC only"
		}
		return "client table full of locked clients, no place for " + who + ": raise max_clients"
	case state.ClassPacket:
		kind := "UDP "
		if e.TCP {
			kind = "TCP "
		}
		return kind + who + " to " + peer + " " + e.What.String()
	}
	if e.What == state.EventRules {
		return "firewall rules were gone or changed: put back"
	}
	return e.Class.String() + " " + e.What.String()
}
