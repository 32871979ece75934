// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"net/netip"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// Mode is what the engine does about a protocol.
type Mode uint8

// The modes of a protocol.
const (
	Off     Mode = iota // the engine does not look for it
	Monitor             // found and logged, nothing blocked
	Mark                // found, and marked: other rules route it or slow it down
	Block               // found and blocked
)

var modeNames = [...]string{"off", "monitor", "mark", "block"}

// String returns the mode's name in the configuration.
func (m Mode) String() string { return modeNames[m] }

// Action is what happens to a blocked TCP packet.
type Action uint8

// The actions. Drop is the default: giFT reacts to resets with thousands of new connections
// a second.
const (
	Drop   Action = iota
	Reset         // drop, and send a TCP reset to the LAN host
	Reject        // drop, and send ICMP "administratively prohibited" to the LAN host
)

// Lock says what a lock stops.
type Lock uint8

// The locks. Each of them also blocks every packet that is recognised.
const (
	// Strict lets the host open no TCP connection at all. It also cuts what Selective cuts,
	// with one exception: where a protocol's peers are cut by address, UDP stays open, so
	// that the engine can answer it.
	Strict Lock = iota
	// Selective cuts a connection unless it has shown to be something known that is not
	// file sharing.
	Selective
)

// ProtocolConfig is the policy for one protocol.
type ProtocolConfig struct {
	Mode     Mode
	Lock     Lock
	BlockUDP bool
	Answer   detect.Answer
	Probe    bool // probe by UDP
	TCPProbe bool // probe by TCP
	HTTP     bool // look at the first data of TCP connections
	// ResetEncrypted resets the encrypted connections of a locked client, so that it tries
	// again in clear.
	ResetEncrypted bool
	// Names are DNS names. A host that asks for one becomes a suspect.
	Names detect.Names
}

// Config is the engine's configuration, at its start and after each reload.
type Config struct {
	// MaxClients is the size of the client table. Only New reads it.
	MaxClients int
	// LockTime is how long a lock lasts after the client's last sign of life; 0 turns locks
	// off.
	LockTime time.Duration
	// LookBack is how old a new client's connections may be to be cut.
	LookBack time.Duration
	// Forget is how long an unlocked client and its peers are remembered.
	Forget time.Duration
	Action Action
	// Exempt hosts are never looked at.
	ExemptNets []netip.Prefix
	ExemptMACs []nfq.MAC
	// Protocols[i] is the policy for detect.All[i]. Entries past its end are off.
	Protocols [detect.MaxProtocols]ProtocolConfig
	// Policies are those in force now, see SetPolicies.
	Policies []Policy
	// LogPackets selects the packet events that are emitted.
	LogPackets PacketLog
	// Marks are the packet marks that the rules and the engine share.
	Marks nfq.Marks
}

// PacketLog is a set of packet events to emit. There is one event for each packet, so they
// are off by default.
type PacketLog uint8

// The packet events, after ftwall's u, U, t and T.
const (
	LogDroppedUDP PacketLog = 1 << iota
	LogAcceptedUDP
	LogDroppedTCP
	LogAcceptedTCP
)

// Defaults for Config and for the configuration file.
const (
	DefaultMaxClients = 64
	DefaultLockTime   = 120 * time.Second
	DefaultLookBack   = 30 * time.Second
	DefaultForget     = time.Hour
)

// DefaultConfig returns the configuration of a fresh installation.
func DefaultConfig() Config {
	c := Config{
		MaxClients: DefaultMaxClients,
		LockTime:   DefaultLockTime,
		LookBack:   DefaultLookBack,
		Forget:     DefaultForget,
		Marks:      nfq.DefaultMarks(),
	}
	for i, p := range detect.All {
		c.Protocols[i] = Preset(p)
	}
	return c
}

// Preset returns the policy for a protocol without any configuration.
func Preset(p *detect.Protocol) ProtocolConfig {
	c := ProtocolConfig{
		Mode:     [...]Mode{detect.ModeOff: Off, detect.ModeMonitor: Monitor, detect.ModeBlock: Block}[p.Mode],
		BlockUDP: true, Probe: p.Asks(false), TCPProbe: p.Asks(true),
		HTTP: true, ResetEncrypted: p.Hidden != nil,
	}
	if !p.Strict {
		c.Lock = Selective
	}
	if p.Answer != nil {
		c.Answer = detect.AnswerWelcome
	}
	if p.Names != nil {
		c.Names, _ = detect.NewNames(p.Names) // a test checks that they are valid
	}
	return c
}

// Device is a LAN device of the router.
type Device struct {
	Index    uint32 // interface index
	Name     string
	Addrs    []nfq.Addr     // the router's addresses on it
	Prefixes []netip.Prefix // the networks on its link
	Routed   []netip.Prefix // the networks behind another router on the device

	nets, routed []network // made from Prefixes and Routed by SetDevices
}

// behind reports whether a is behind another router on the device.
func (d *Device) behind(a *nfq.Addr) bool {
	for i := range d.routed {
		if d.routed[i].contains(a) {
			return true
		}
	}
	return false
}

// onLink reports whether a is a neighbour on the device. Then the source MAC of its packets
// is its own, and not that of another router. Without known prefixes every address counts
// as a neighbour.
func (d *Device) onLink(a *nfq.Addr) bool {
	if len(d.Prefixes) == 0 {
		return true
	}
	for i := range d.nets {
		if d.nets[i].contains(a) {
			return true
		}
	}
	return linkLocal(a)
}

// address returns the router's address of the same family and scope as a. If there is none,
// it returns one of the same family, or the zero Addr.
func (d *Device) address(a *nfq.Addr) nfq.Addr {
	var found nfq.Addr
	for i := range d.Addrs {
		b := &d.Addrs[i]
		if a.Is4() != b.Is4() {
			continue
		}
		if linkLocal(a) == linkLocal(b) {
			return *b
		}
		found = *b
	}
	return found
}
