// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// Class sorts events, for logs and filters.
type Class uint8

// The classes of events.
const (
	ClassClient Class = iota
	ClassPeer
	ClassProbe
	ClassTable
	ClassPacket
	ClassSystem
)

var classNames = [...]string{"client", "peer", "probe", "table", "packet", "system"}

func (c Class) String() string { return classNames[c] }

// What says what happened.
type What uint8

// The kinds of events.
const (
	EventFound     What = iota // a client or a peer was found
	EventLocked                // a client was locked
	EventReleased              // the lock ended or was lifted: the client is gone
	EventForgotten             // the client and its peers were forgotten
	EventSent                  // a probe was sent
	EventAnswered              // a probe was answered
	EventTableFull             // no room for a new client
	EventForged                // two hosts use one address
	EventCut                   // a connection was cut
	EventDropped               // a packet was dropped
	EventAccepted              // a packet was accepted
	EventUnlocked              // the administrator lifted a lock
	EventExempted              // the administrator exempted a host
	EventWatched               // the administrator ended an exemption
	EventRules                 // the firewall's rules were put back
)

var whatNames = [...]string{
	"found", "locked", "released", "forgotten", "sent", "answered", "full",
	"forged", "cut", "dropped", "accepted", "unlocked", "exempted", "watched",
	"rules",
}

func (w What) String() string { return whatNames[w] }

// Event is something worth reporting. It holds no pointer, so that it can be kept and
// passed on by value.
type Event struct {
	Time     Time
	Class    Class
	What     What
	Protocol uint8 // index in detect.All
	Reason   detect.Reason
	TCP      bool // for packet events: the packet was TCP
	Client   nfq.Addr
	MAC      nfq.MAC
	Peer     nfq.Addr
	Port     uint16 // of the peer; for probes, of the client
}

//go:noinline
func (e *Engine) emit(ev Event) {
	if e.OnEvent == nil {
		return
	}
	ev.Time = e.now
	// Keep the event in the engine: a pointer to a local one would allocate.
	e.event = ev
	e.OnEvent(&e.event)
}
