// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/state"
)

// EngineConfig returns the part of a configuration that the engine needs. The engine does not
// look for a protocol that has no section and no preset. Enabled is ignored: a program that
// runs an engine wants it to work.
func EngineConfig(c Config) state.Config {
	e := state.Config{
		MaxClients: c.MaxClients,
		LockTime:   c.TimeLock,
		LookBack:   c.LookBack,
		Forget:     c.Forget,
		Action:     c.Action.engine(),
		ExemptNets: c.Exempt.Prefixes,
		ExemptMACs: c.Exempt.MACs,
		LogPackets: packetLog(c.Log),
		Marks:      c.Marks(),
	}
	for i, p := range detect.All {
		if x, ok := c.Protocols[p.Name]; ok {
			e.Protocols[i] = x.engine()
		}
	}
	return e
}

func (a Action) engine() state.Action {
	switch a {
	case ActionReset:
		return state.Reset
	case ActionReject:
		return state.Reject
	}
	return state.Drop
}

func (m Mode) engine() state.Mode {
	switch m {
	case ModeMonitor:
		return state.Monitor
	case ModeMark:
		return state.Mark
	case ModeBlock:
		return state.Block
	}
	return state.Off
}

func (l Lock) engine() state.Lock {
	if l == LockSelective {
		return state.Selective
	}
	return state.Strict
}

func (p Protocol) engine() state.ProtocolConfig {
	var names detect.Names
	if p.Names != nil {
		names, _ = detect.NewNames(p.Names) // the names were checked when they were read
	}
	return state.ProtocolConfig{
		Mode: p.Mode.engine(), Lock: p.Lock.engine(), BlockUDP: p.BlockUDP, Answer: p.Answer,
		Probe: p.Probe, TCPProbe: p.TCPProbe, HTTP: p.HTTP, ResetEncrypted: p.ResetEncrypted, Names: names,
	}
}

func packetLog(l LogClasses) state.PacketLog {
	var out state.PacketLog
	for _, x := range [...]struct {
		class LogClasses
		log   state.PacketLog
	}{
		{LogUDPDropped, state.LogDroppedUDP},
		{LogUDPAccepted, state.LogAcceptedUDP},
		{LogTCPDropped, state.LogDroppedTCP},
		{LogTCPAccepted, state.LogAcceptedTCP},
	} {
		if l.Has(x.class) {
			out |= x.log
		}
	}
	return out
}
