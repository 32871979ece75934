// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"sync"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/procd/outbox"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

// listener handles every event as the configuration asks: a line in the log, a command, a
// message.
type listener struct {
	log    *syslog.Logger
	outbox *outbox.Outbox

	mu       sync.Mutex
	classes  config.LogClasses
	commands *events.Commands
}

// configure takes a new configuration. It starts a new command runner only if the
// command's path changed.
func (l *listener) configure(c *config.Config) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.classes = c.Log
	if l.commands != nil && l.commands.Path() != c.EventCommand {
		l.commands.Close()
		l.commands = nil
	}
	if l.commands == nil && c.EventCommand != "" {
		l.commands = events.NewCommands(c.EventCommand, l.log)
	}
}

// close ends the command runner.
func (l *listener) close() {
	if l.commands != nil {
		l.commands.Close()
	}
}

// each returns the function that the journal calls with every event.
func (l *listener) each() func(*events.Entry) {
	var commands *events.Commands
	var classes config.LogClasses
	log := events.Log{Log: l.log, Wanted: func(e *events.Entry) bool { return wanted(classes, e) }}
	return func(e *events.Entry) {
		l.mu.Lock()
		commands, classes = l.commands, l.classes
		l.mu.Unlock()
		log.Event(e)
		l.outbox.Event(e)
		if commands != nil {
			commands.Event(e)
		}
	}
}

// wanted reports whether the configuration's log classes include an event.
func wanted(classes config.LogClasses, e *events.Entry) bool {
	switch e.Class {
	case state.ClassClient, state.ClassTable:
		return classes&config.LogClients != 0
	case state.ClassPeer:
		if e.What == state.EventCut {
			return classes&config.LogClients != 0
		}
		return classes&config.LogPeers != 0
	case state.ClassProbe:
		return classes&config.LogPeers != 0
	case state.ClassPacket:
		return true // the engine emits only those that the configuration asks for
	}
	return false // the code that emits such an event logs it itself
}
