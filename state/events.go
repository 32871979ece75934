// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// Class sorts events for logs and filters.
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
	EventLocked                // a client's TCP was locked
	EventReleased              // the lock ran out, or was lifted: the client is gone
	EventForgotten             // the client and its peers were forgotten
	EventSent                  // a probe was sent
	EventAnswered              // a probe was answered
	EventTableFull             // no place for a new client
	EventForged                // two hosts use one address
	EventCut                   // a connection was cut
	EventDropped               // a packet was dropped
	EventAccepted              // a packet was accepted
	EventUnlocked              // the administrator lifted a lock
	EventExempted              // the administrator exempted a host
	EventRules                 // the firewall's rules were put back
)

var whatNames = [...]string{
	"found", "locked", "released", "forgotten", "sent", "answered", "full",
	"forged", "cut", "dropped", "accepted", "unlocked", "exempted", "rules",
}

func (w What) String() string { return whatNames[w] }

// Event is something worth telling. It holds no pointer, so that it can be kept
// and handed on by value.
type Event struct {
	Seq      uint64 // counts from 1
	Time     Time
	Class    Class
	What     What
	Protocol uint8 // index in detect.All
	Reason   detect.Reason
	TCP      bool // a packet event is of TCP
	Client   nfq.Addr
	MAC      nfq.MAC
	Peer     nfq.Addr
	Port     uint16 // of the peer, or of the client for probes
}

// eventsKept is how many events can be asked for afterwards.
const eventsKept = 512

func (e *Engine) emit(ev Event) {
	e.lastSeq++
	ev.Seq, ev.Time = e.lastSeq, e.now
	e.events[ev.Seq%eventsKept] = ev
	if e.OnEvent != nil {
		e.OnEvent(&e.events[ev.Seq%eventsKept])
	}
}

// Tell records an event of the surroundings, such as rules that were put back.
func (e *Engine) Tell(class Class, what What) { e.emit(Event{Class: class, What: what}) }

// EventsSince appends to dst the kept events with a number above seq, oldest
// first.
func (e *Engine) EventsSince(dst []Event, seq uint64) []Event {
	first := uint64(1)
	if e.lastSeq > eventsKept {
		first = e.lastSeq - eventsKept + 1
	}
	for s := max(first, seq+1); s <= e.lastSeq; s++ {
		dst = append(dst, e.events[s%eventsKept])
	}
	return dst
}
