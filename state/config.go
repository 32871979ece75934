// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"net/netip"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// Mode is what is done about a protocol.
type Mode uint8

// The modes of a protocol.
const (
	Off     Mode = iota // not looked for
	Monitor             // found and logged, nothing blocked
	Mark                // found, and marked for others that route it or slow it down
	Block               // found and blocked
)

var modeNames = [...]string{"off", "monitor", "mark", "block"}

// String returns the name that the configuration has for it.
func (m Mode) String() string { return modeNames[m] }

// Action is what happens to a blocked TCP packet.
type Action uint8

// The actions. Drop is the default: giFT answers resets with thousands of
// connections a second.
const (
	Drop   Action = iota
	Reset         // drop, and a TCP reset to the LAN host
	Reject        // drop, and ICMP "administratively prohibited" to the LAN host
)

// Lock is what a locked client is kept from.
type Lock uint8

// The locks. Whatever the lock, what is recognised is blocked.
const (
	// Strict lets no TCP connection be opened at all. It cuts what Selective cuts, too;
	// where a protocol's peers are cut by address, UDP is left to be answered.
	Strict Lock = iota
	// Selective cuts only what has not shown to be something known that is
	// no file sharing.
	Selective
)

// ProtocolConfig is the policy for one protocol.
type ProtocolConfig struct {
	Mode     Mode
	Lock     Lock
	BlockUDP bool
	Answer   detect.Answer
	Probe    bool // by UDP
	TCPProbe bool // by TCP
	HTTP     bool // look at the first data of TCP connections
	// ResetEncrypted resets the encrypted connections of a locked client, so that
	// it tries again in clear.
	ResetEncrypted bool
	// Names are DNS names: who asks for one is suspected.
	Names detect.Names
}

// Config is what an engine is told at its start, and again when the
// configuration is read anew.
type Config struct {
	// MaxClients is the size of the client table, set once at New.
	MaxClients int
	// LockTime is how long a client's TCP stays locked after its last sign
	// of life; 0 turns locks off.
	LockTime time.Duration
	// LookBack is how far back the connections of a new client are cut.
	LookBack time.Duration
	// Forget is how long an unlocked client and its peers are remembered.
	Forget time.Duration
	Action Action
	// Exempt hosts are never looked at.
	ExemptNets []netip.Prefix
	ExemptMACs []nfq.MAC
	// Protocols[i] is the policy for detect.All[i]; what is behind these is off.
	Protocols [detect.MaxProtocols]ProtocolConfig
	// Policies are those that hold, see SetPolicies.
	Policies []Policy
	// LogPackets selects the packet events that are emitted.
	LogPackets PacketLog
	// Marks are the packet marks that the rules and the engine share.
	Marks nfq.Marks
}

// PacketLog is a set of packet events to emit: one for each packet, so off by
// default.
type PacketLog uint8

// The packet events, after ftwall's u, U, t and T.
const (
	LogDroppedUDP PacketLog = 1 << iota
	LogAcceptedUDP
	LogDroppedTCP
	LogAcceptedTCP
)

// Defaults for Config, also those of the configuration file.
const (
	DefaultMaxClients = 64
	DefaultLockTime   = 120 * time.Second
	DefaultLookBack   = 30 * time.Second
	DefaultForget     = time.Hour
)

// DefaultConfig returns the configuration of an untouched installation.
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

// Preset returns the policy for a protocol about which nothing is configured.
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
		c.Names, _ = detect.NewNames(p.Names) // a test tries them
	}
	return c
}

// Device is a LAN device of the router.
type Device struct {
	Index    uint32 // interface index
	Name     string
	Addrs    []nfq.Addr     // the router's addresses on it
	Prefixes []netip.Prefix // the networks that are on link
	Routed   []netip.Prefix // the networks behind another router on the device

	nets, routed []network // of Prefixes and Routed, made by SetDevices
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

// onLink reports whether a is a neighbour on the device, so that the MAC its
// packets come with is its own and not that of another router. Without known
// prefixes every address is taken for one.
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

// address returns the router's address of the same family and scope as a, else one of
// the same family, or the zero Addr.
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
