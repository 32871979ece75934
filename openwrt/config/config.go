// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"io"
	"os"
	"slices"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// Backend is the packet filter that the queue rules are written for.
type Backend string

// The backends. BackendAuto means nft if nft can queue packets, else iptables.
const (
	BackendAuto     Backend = "auto"
	BackendNFT      Backend = "nft"
	BackendIPTables Backend = "iptables"
)

// SetsKind says where the kernel keeps the cut pairs and the locked clients.
type SetsKind string

// The kinds of sets. With the nft backend, SetsAuto means nft. With iptables, it means ipset
// if the kernel has the set types needed, else nft.
const (
	SetsAuto  SetsKind = "auto"
	SetsNFT   SetsKind = "nft"
	SetsIPSet SetsKind = "ipset"
	SetsOff   SetsKind = "off"
)

// Action says how a blocked TCP connection attempt is answered.
type Action string

// The actions. Drop is the default because some clients answer a reset with
// thousands of new connections a second.
const (
	ActionDrop   Action = "drop"
	ActionReset  Action = "reset"
	ActionReject Action = "reject"
)

// Offload says what happens to fw4's flow offload.
type Offload string

// OffloadHold keeps undecided connections out of the flow table, because no rule sees the
// packets there. OffloadLeave changes nothing.
const (
	OffloadHold  Offload = "hold"
	OffloadLeave Offload = "leave"
)

// Mode says what the daemon does about one protocol.
type Mode string

// The modes: do not look for it; find and report it; find and block it; find and mark it, so
// that other rules can route it or slow it down.
const (
	ModeOff     Mode = "off"
	ModeMonitor Mode = "monitor"
	ModeBlock   Mode = "block"
	ModeMark    Mode = "mark"
)

// modeWords are all modes.
const modeWords = "off monitor block mark"

// NoDSCP in Config.MarkDSCP leaves the DSCP field unchanged.
const NoDSCP = -1

// Lock says what a locked client may no longer do.
type Lock string

// The locks. Strict stops all new TCP connections. Selective stops the program's own ports,
// peers and connections.
const (
	LockStrict    Lock = "strict"
	LockSelective Lock = "selective"
)

// Protocol is a "config protocol" section.
type Protocol struct {
	Mode     Mode
	Lock     Lock
	BlockUDP bool
	Answer   detect.Answer // to queries, in the name of the peer that was asked
	Probe    bool          // probe locked clients by UDP
	TCPProbe bool          // probe locked clients by TCP
	HTTP     bool          // look at the first data of TCP connections
	// ResetEncrypted resets the encrypted connections of a locked client, so that the client
	// tries again in clear text.
	ResetEncrypted bool
	Names          []string // DNS names that its programs look up: a host that asks for one is suspected
}

// Config is /etc/config/p2pwall, checked and with its defaults filled in.
type Config struct {
	Enabled      bool
	Networks     []string // UCI networks, found in DevicesFile
	Devices      []string // LAN devices named directly
	DevicesFile  string   // lines "network device", written by the init script
	TimeLock     time.Duration
	LookBack     time.Duration
	Forget       time.Duration
	Exempt       ExemptList
	MaxClients   int
	Backend      Backend
	Sets         SetsKind
	Queue        uint16 // first queue number
	Queues       int
	MarkMask     uint32 // the mask of Marks
	QueueLength  uint32
	CopyRange    uint32
	FailOpen     bool
	Action       Action
	Offload      Offload
	Control      string
	StateFile    string // "" for none
	HistoryFile  string // on flash, "" for none
	EventCommand string // "" for none
	Log          LogClasses
	Protocols    map[string]Protocol
	Policies     []Policy
	Notify       []Notify
	Hosts        []HostName
	MarkDSCP     int    // code point of the IP header for packets in mode mark, or NoDSCP
	ConnMark     uint32 // mark of their connections, in the bits of ConnMask
	ConnMask     uint32 // 0: connections get no mark
}

// DefaultPath is the path of the configuration file unless another is given.
const DefaultPath = "/etc/config/p2pwall"

// Default returns the configuration of an empty file.
func Default() Config {
	c := Config{
		Enabled:     true,
		Networks:    []string{"lan"},
		DevicesFile: "/var/run/p2pwall/devices",
		TimeLock:    120 * time.Second,
		LookBack:    30 * time.Second,
		Forget:      3600 * time.Second,
		MaxClients:  64,
		Backend:     BackendAuto,
		Sets:        SetsAuto,
		Queue:       214,
		Queues:      1,
		MarkMask:    nfq.DefaultMarkMask,
		QueueLength: 1024,
		CopyRange:   2048,
		FailOpen:    true,
		Action:      ActionDrop,
		Offload:     OffloadHold,
		Control:     "/var/run/p2pwall/control.sock",
		StateFile:   "/var/run/p2pwall/state",
		Log:         LogClients,
		Protocols:   map[string]Protocol{},
		MarkDSCP:    1,
	}
	for _, p := range detect.All {
		c.Protocols[p.Name] = preset(p)
	}
	return c
}

// Parse reads a configuration in UCI syntax. File is the name in error messages. The error is
// of type Errors and holds every fault found. If there are faults, the Config holds only the
// path of the control socket: the daemon keeps the configuration that it has.
func Parse(r io.Reader, file string) (Config, error) {
	// A configuration has a few KiB. A longer file is something else.
	const limit = 1 << 18
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return Config{}, Errors{{File: file, What: "cannot be read: " + err.Error(), Remedy: "check the file"}}
	}
	if len(text) > limit {
		return Config{}, Errors{{File: file, What: "is longer than 256 KiB", Remedy: "check that it is a configuration"}}
	}
	s := &scanner{file: file, text: string(text), line: 1}
	sections := s.sections()
	c := Default()
	d := decoder{config: &c, file: file, errs: s.errs}
	for _, sec := range sections {
		d.section(sec)
	}
	d.whole()
	if err := d.errs.sorted(); err != nil {
		return Config{Control: c.Control}, err
	}
	return c, nil
}

// Load reads the configuration file at path.
func Load(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		remedy := "check its permissions"
		if os.IsNotExist(err) {
			remedy = "create it, or name another with -c"
		}
		return Config{}, Errors{{File: path, What: "cannot be opened: " + reason(err), Remedy: remedy}}
	}
	defer f.Close()
	return Parse(f, path)
}

// reason strips the path that the os package puts before an error.
func reason(err error) string {
	if p, ok := err.(*os.PathError); ok {
		return p.Err.Error()
	}
	return err.Error()
}

// Marks returns the marks of packets and connections.
func (c *Config) Marks() nfq.Marks {
	m, _ := nfq.MakeMarks(c.MarkMask) // the mask was checked when it was read
	m.Conn, m.ConnMask = c.ConnMark, c.ConnMask
	return m
}

// Active reports whether the daemon looks for any protocol.
func (c *Config) Active() bool {
	return c.AnyIn(ModeMonitor) || c.AnyIn(ModeBlock) || c.AnyIn(ModeMark)
}

// ReadsTCP reports whether any protocol looks at the first data of TCP
// connections.
func (c *Config) ReadsTCP() bool {
	for name, p := range c.Protocols {
		if p.HTTP && c.LooksFor(name) {
			return true
		}
	}
	return false
}

// Sifts reports whether the daemon looks for a protocol whose lock stops only the client's
// own ports and connections, not the rest of its host.
func (c *Config) Sifts() bool {
	return c.SiftsIn(ModeBlock) || c.SiftsIn(ModeMark) || c.SiftsIn(ModeMonitor)
}

// SiftsIn reports whether a protocol with such a lock is in the mode.
func (c *Config) SiftsIn(mode Mode) bool {
	for _, p := range detect.All {
		if (p.Sift || c.Protocols[p.Name].Lock == LockSelective) && c.In(p.Name, mode) {
			return true
		}
	}
	return false
}

// Quiet reports whether a protocol in the mode has clients that send nothing recognisable
// while they have their sessions.
func (c *Config) Quiet(mode Mode) bool {
	for _, p := range detect.All {
		if p.Quiet && c.In(p.Name, mode) {
			return true
		}
	}
	return false
}

// ReadsNames reports whether the daemon knows any protocol by its DNS names.
func (c *Config) ReadsNames() bool {
	for name, p := range c.Protocols {
		if p.Names != nil && c.LooksFor(name) {
			return true
		}
	}
	return false
}

// Groups returns the multicast groups in which programs search the LAN for others. It covers
// the protocols that the daemon looks for.
func (c *Config) Groups() []detect.Group {
	var out []detect.Group
	for _, p := range detect.All {
		for _, g := range p.Groups {
			if c.LooksFor(p.Name) && !slices.Contains(out, g) {
				out = append(out, g)
			}
		}
	}
	return out
}

// Probes reports whether the router receives answers to probes.
func (c *Config) Probes() bool {
	for name, p := range c.Protocols {
		if p.Probe && c.LooksFor(name) {
			return true
		}
	}
	return false
}

// Answers reports whether the daemon answers clients of any protocol in the name of their
// peers.
func (c *Config) Answers() bool {
	for _, p := range detect.All {
		if x := c.Protocols[p.Name]; x.BlockUDP && x.Answer != detect.AnswerNone && c.In(p.Name, ModeBlock) {
			return true
		}
	}
	return false
}
