// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

// Sender sends packets in another host's name. It is called by the owner and
// must not block.
type Sender interface {
	// UDP sends it by the device, and by no other; 0 stands for any.
	UDP(dev uint32, src, dst nfq.AddrPort, payload []byte) error
	// Reset sends a TCP reset to the sender of p, in its destination's name, by the
	// device that p came in by.
	Reset(p *nfq.Packet) error
	// Answer sends data to the sender of p, in its destination's name, as if it followed
	// in their TCP connection.
	Answer(p *nfq.Packet, data []byte) error
	// Reject tells the sender of p that it is prohibited.
	Reject(p *nfq.Packet) error
}

// Prober sends a request to a client's TCP port, elsewhere than on the owner's
// goroutine, and hands the outcome to Engine.ProbedTCP by way of Loop.Do. It
// returns false when it has no capacity.
type Prober interface {
	// The request is copied. id comes back with the outcome, dev is the device by
	// which the address is reached. The first bytes of the request are sent alone: whoever
	// answers them has not answered.
	ProbeTCP(id uint64, dev uint32, addr nfq.Addr, port uint16, request []byte, first int) bool
}

// Engine holds the tables and decides. See the package comment for who may call
// it.
type Engine struct {
	// Counters may be read by the owner at any time.
	Counters Counters
	// OnEvent, when set, is called with each event; it must neither block
	// nor keep the pointer.
	OnEvent func(*Event)
	// OnCut, when set, is called when FlowsToCut has something to say; it must
	// neither block nor call the engine.
	OnCut func()
	// OnLock, when set, is called when a lock begins and when it is renewed; it must
	// neither block nor keep the pointer.
	OnLock func(*Held)

	cfg    Config
	sender Sender
	sets   Sets   // nil: nothing is dropped in the kernel
	prober Prober // nil: no TCP probes
	setState

	neighbours Neighbours // nil: addresses are whose they say

	devices []Device

	now    Time
	second seconds // the one that now was in when it was asked for last
	hash   hasher

	streams        detect.Set // protocols whose streams are looked at
	defaults       modes      // by the protocols alone
	any, strangers modes      // of all hosts together, and of one that nobody knows
	decided        uint32     // counts changes of the policies
	marking        bool       // somebody is or was in mode mark
	more           bool       // somebody is held now who was not, since SetPolicies

	hosts     []host
	freeHosts []int32
	hostIndex table.Index[hostKey]
	hostLRU   table.LRU

	addrs     []hostAddr
	freeAddrs []int32
	addrIndex table.Index[nfq.Addr]

	clients         []client
	spareClients    []int32
	clientLRU       table.LRU
	nfound, nlocked int // clients that were proved, and locked
	wheel           table.Wheel[Time]
	onTimer         func(int32) // fire, bound once: a method value allocates
	fullSaid        Time
	toldForged      budget
	rounds          budget // of questions, to all hosts

	flows    flowTable
	held     heldTable
	udpFlows udpFlows
	standing []standing
	rtc      rtcTable

	hasNames bool // some protocol has names
	looks    bool // some protocol can look like anything
	judged   judgedTable
	dns      detect.DNSReply

	flowsDue bool // of some client

	exempts  [maxExempt]exemption
	nexempt  int
	noExempt bool
	// exemptNets are cfg.ExemptNets.
	exemptNets []network

	event   Event
	heldNow Held
	history history

	finding detect.Finding
	weak    detect.Set    // the protocols that the datagram fits as well as others
	stream  detect.Stream // of what is shown once: on the stack it would be allocated
	asked   detect.Asked
	out     [detect.MaxAnswer]byte
}

// New takes all the memory the engine will ever need. seed should be random:
// it keeps outsiders from filling one place of the hash tables. sets and prober
// may be nil.
func New(cfg Config, sender Sender, sets Sets, seed uint32) *Engine {
	n := max(cfg.MaxClients, 1)
	hosts := n * hostsPerClient
	e := &Engine{
		sender:       sender,
		sets:         sets,
		hash:         hasher{seed},
		hosts:        make([]host, hosts),
		freeHosts:    make([]int32, 0, hosts),
		hostIndex:    table.NewIndex[hostKey](hosts),
		hostLRU:      table.NewLRU(hosts),
		addrs:        make([]hostAddr, hosts*addrsPerHost),
		freeAddrs:    make([]int32, 0, hosts*addrsPerHost),
		addrIndex:    table.NewIndex[nfq.Addr](hosts * addrsPerHost),
		clients:      make([]client, n),
		spareClients: make([]int32, 0, n),
		clientLRU:    table.NewLRU(n),
		wheel:        table.NewWheel[Time](n + maxFlows + 1), // a timer for each client, for each connection, and standingTimer
		flows:        newFlowTable(),
		udpFlows:     newUDPFlows(),
		rtc:          newRTCTable(),
		judged:       newJudgedTable(),
		standing:     make([]standing, nfq.MaxStanding),
	}
	for i := hosts - 1; i >= 0; i-- {
		e.freeHosts = append(e.freeHosts, int32(i))
	}
	for i := len(e.addrs) - 1; i >= 0; i-- {
		e.freeAddrs = append(e.freeAddrs, int32(i))
	}
	for i := n - 1; i >= 0; i-- {
		e.spareClients = append(e.spareClients, int32(i))
	}
	e.onTimer = e.fire
	e.held.init()
	e.Configure(cfg)
	return e
}

// Configure takes a new configuration. The tables keep their size; locks, peers
// and counters stay.
func (e *Engine) Configure(cfg Config) {
	cfg.MaxClients = len(e.clients)
	e.cfg, e.defaults = cfg, modes{}
	for i := range detect.All {
		e.defaults.set(1<<i, cfg.Protocols[i].Mode)
	}
	e.exemptNets = networks(cfg.ExemptNets)
	e.setNoExempt()
	for i := range e.clients {
		c := &e.clients[i]
		if !c.used {
			continue
		}
		if e.exempt(&c.addr, &e.hosts[c.host].via, e.now) {
			e.forget(int32(i))
			continue
		}
		if c.locked && cfg.LockTime == 0 {
			e.release(int32(i), c)
		}
		e.schedule(int32(i), c, e.now)
	}
	e.review()
}

// SetDevices tells which devices are the LAN's. Devices come and go while the
// program runs.
func (e *Engine) SetDevices(d []Device) {
	e.devices = slices.Clone(d)
	for i := range e.devices {
		e.devices[i].nets = networks(e.devices[i].Prefixes)
		e.devices[i].routed = networks(e.devices[i].Routed)
	}
}

// SetNeighbours sets who tells whose an address is.
func (e *Engine) SetNeighbours(n Neighbours) { e.neighbours = n }

// SetProber sets who makes TCP probes.
func (e *Engine) SetProber(p Prober) { e.prober = p }

// Len returns the number of clients that were proved and of those that are locked.
func (e *Engine) Len() (clients, locked int) { return e.nfound, e.nlocked }

// seconds is t in whole seconds. A division of 64 bits is costly on MIPS, and
// most packets are of the same second as the one before.
func (e *Engine) seconds(t Time) seconds {
	if d := t - e.second.time(); d < 0 || d >= Time(time.Second) {
		e.second = t.seconds()
	}
	return e.second
}

//go:noinline
func (e *Engine) device(index uint32) *Device {
	for i := range e.devices {
		if e.devices[i].Index == index {
			return &e.devices[i]
		}
	}
	return nil
}

//go:noinline
func (e *Engine) slotOf(h *host) int32 {
	// The key leads back to the slot; pointers into the table stay valid,
	// but hold no number.
	return e.hostIndex.Get(h.key, h.hash)
}

// Packet decides about one packet. now must not be before that of earlier calls.
func (e *Engine) Packet(p *nfq.Packet, now Time) nfq.Verdict {
	e.now = now
	e.Counters.Packets++
	v := e.decide(p, now)
	if e.cfg.Marks.Sampled(p) {
		v = nfq.Drop // the kernel's sets know more than the engine, or will soon know less
	}
	if v == nfq.Drop {
		e.Counters.Dropped++
		if p.Proto == nfq.ProtoTCP {
			e.Counters.DroppedTCP++
			e.history.at(now).DroppedTCP++
		} else {
			e.Counters.DroppedUDP++
			e.history.at(now).DroppedUDP++
		}
	} else {
		e.Counters.Accepted++
	}
	if e.cfg.LogPackets != 0 {
		e.logPacket(p, v)
	}
	return v
}

func (e *Engine) logPacket(p *nfq.Packet, v nfq.Verdict) {
	want, what := LogAcceptedUDP, EventAccepted
	if p.Proto == nfq.ProtoTCP {
		want = LogAcceptedTCP
	}
	if v == nfq.Drop {
		what = EventDropped
		want >>= 1 // each "dropped" stands before its "accepted"
	}
	if e.cfg.LogPackets&want != 0 {
		e.emit(Event{Class: ClassPacket, What: what, TCP: p.Proto == nfq.ProtoTCP, Client: p.Src, MAC: p.MAC, Peer: p.Dst, Port: p.DstPort})
	}
}

func (e *Engine) decide(p *nfq.Packet, now Time) nfq.Verdict {
	if p.Version == 0 {
		e.Counters.Unparsable++
		return nfq.Accept
	}
	if p.Fragment || p.Proto != nfq.ProtoTCP && p.Proto != nfq.ProtoUDP {
		return nfq.Accept
	}
	in := e.device(p.InDev)
	switch p.Hook {
	case nfq.HookForward:
		out := e.device(p.OutDev)
		switch {
		case in != nil && out == nil:
			if e.exempt(&p.Src, &p.MAC, now) {
				return nfq.Accept
			}
			h := e.hostOf(p, in, now)
			if h == nil {
				return e.offLink(p)
			}
			if h.modes.on == 0 {
				return nfq.Accept
			}
			if p.Proto == nfq.ProtoUDP {
				return e.udpOut(p, in, h, now)
			}
			return e.tcpOut(p, in, h, now)
		case in == nil && out != nil:
			if p.Proto == nfq.ProtoUDP {
				return e.udpIn(p, now)
			}
			return e.tcpIn(p)
		}
		// LAN to LAN, or none of ours.
	case nfq.HookInput:
		switch {
		case in == nil || e.exempt(&p.Src, &p.MAC, now):
		case p.Proto == nfq.ProtoUDP && p.DstPort == detect.ProbePort:
			return e.udpToRouter(p, in, now)
		default:
			e.local(p, in, now)
		}
	case nfq.HookOutput:
		if p.Proto == nfq.ProtoUDP && p.SrcPort == dnsPort {
			e.nameReply(p, now)
		}
	}
	return nfq.Accept
}

// Advance runs the timers that are due, and has the kernel's sets brought up to
// date. Call it after each batch and when Next says so.
func (e *Engine) Advance(now Time) {
	e.now = now
	e.wheel.Advance(now, e.onTimer)
	e.flushSets()
}

// Next returns when Advance has to be called, at the latest; ok is false when no
// timer is set.
func (e *Engine) Next() (t Time, ok bool) { return e.wheel.Next() }

func (e *Engine) send(dev uint32, src, dst nfq.AddrPort, b []byte) {
	if e.sender == nil {
		return
	}
	if err := e.sender.UDP(dev, src, dst, b); err != nil {
		e.Counters.SendErrors++
	}
}

// refuse drops a TCP packet of a LAN host in the way that is configured; c is its
// client, or nil.
func (e *Engine) refuse(p *nfq.Packet, c *client) nfq.Verdict {
	if e.sender != nil {
		var err error
		switch e.cfg.Action {
		case Reset:
			err = e.sender.Reset(p)
		case Reject:
			err = e.sender.Reject(p)
		}
		if err != nil {
			e.Counters.SendErrors++
		}
	}
	return c.drop(p)
}

// offLink decides about a packet whose source cannot be on its device's link, so that
// nobody knows whose it is: what is recognised is dropped, and that is all.
func (e *Engine) offLink(p *nfq.Packet) nfq.Verdict {
	if p.Proto == nfq.ProtoUDP {
		if f := e.classify(nil, p.Payload); f.Kind > detect.Weak && e.strangers.blocks.Has(f.Protocol) && e.cfg.Protocols[f.Protocol].BlockUDP {
			return nfq.Drop
		}
		return nfq.Accept
	}
	e.stream = detect.Stream{}
	e.finding.Reset()
	if e.stream.Feed(e.streams&e.strangers.on, p.Seq, p.Payload, true, &e.finding) == detect.Yes &&
		e.strangers.blocks.Has(e.finding.Protocol) {
		return nfq.Drop
	}
	return nfq.Accept
}
