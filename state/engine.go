// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"slices"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state/table"
)

// Sender sends packets in another host's name. The engine's owner calls it; it must not
// block.
type Sender interface {
	// UDP sends a datagram by this device only; dev 0 stands for any.
	UDP(dev uint32, src, dst nfq.AddrPort, payload []byte) error
	// Reset sends a TCP reset to the sender of p, in the name of p's destination, by the
	// device on which p arrived.
	Reset(p *nfq.Packet) error
	// Answer sends data to the sender of p, in the name of p's destination, as the next
	// bytes of their TCP connection.
	Answer(p *nfq.Packet, data []byte) error
	// Reject tells the sender of p that the connection is prohibited.
	Reject(p *nfq.Packet) error
}

// Prober sends a request to a client's TCP port. It uses another goroutine than the
// owner's, and passes the result to Engine.ProbedTCP through Loop.Do. ProbeTCP returns
// false when there is no capacity.
type Prober interface {
	// The request is copied. id comes back with the result. dev is the device that leads to
	// the address. The prober first sends only the first bytes of the request: an answer to
	// these does not count. If first is negative, the answer says whether the host kept the
	// connection; see nfq.TCPProber.
	ProbeTCP(id uint64, dev uint32, addr nfq.Addr, port uint16, request []byte, first int) bool
}

// Engine holds the tables and decides. The package comment says who may call it.
type Engine struct {
	// Counters may be read by the owner at any time.
	Counters Counters
	// OnEvent, when set, is called with each event. It must neither block nor keep the
	// pointer.
	OnEvent func(*Event)
	// OnCut, when set, is called when FlowsToCut has something to report. It must neither
	// block nor call the engine.
	OnCut func()
	// OnLock, when set, is called when a lock begins and when it is renewed. It must
	// neither block nor keep the pointer.
	OnLock func(*Held)

	cfg    Config
	sender Sender
	sets   Sets   // nil: the kernel drops nothing
	prober Prober // nil: no TCP probes
	setState

	proberFull bool // the last probe by TCP had to wait: too many were under way

	neighbours Neighbours // nil: the engine believes every source address

	devices []Device

	now    Time
	second seconds // the second of the last call of seconds
	hash   hasher

	datagrams      detect.Set // protocols with datagrams
	quic           int        // the protocol that uses QUIC, or none
	streams        detect.Set // protocols whose streams are looked at
	defaults       modes      // as the protocols are configured, without policies
	any, strangers modes      // of all hosts together, and of an unknown host
	decided        uint32     // version of the policies
	marking        bool       // some host is or was in mode mark
	more           bool       // since review began, a host holds more protocols than before

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
	nfound, nlocked int // proved clients, locked clients
	wheel           table.Wheel[Time]
	onTimer         func(int32) // fire as a value, made once: a method value allocates
	fullSaid        Time
	toldForged      budget
	rounds          budget // of rounds of questions, over all hosts

	flows    flowTable
	held     heldTable
	udpFlows udpFlows
	standing []standing
	stands   bool // a place in standing may be taken
	rtc      rtcTable

	hasNames bool // some protocol has DNS names
	names    detect.NameFilter
	looks    bool // some protocol looks like random data
	judged   judgedTable
	dns      detect.DNSReply

	flowsDue bool // some client has flowsDue

	exempts        [maxExempt]exemption
	nexempt        int
	noExempt       bool
	exemptionEnded bool // since the last call of ExemptionEnded
	// exemptNets is cfg.ExemptNets, converted.
	exemptNets []network

	event   Event
	heldNow Held
	history history

	finding detect.Finding
	weak    detect.Set    // the protocols that the last datagram matches weakly
	stream  detect.Stream // for data that is read only once; on the stack it would be allocated
	asked   detect.Asked
	out     [detect.MaxAnswer]byte
}

// New takes all the memory that the engine will ever need. seed should be random: it stops
// outsiders from filling one place of the hash tables. sets and prober may be nil.
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
		wheel:        table.NewWheel[Time](n + maxFlows + 1), // a timer for each client and each connection, and standingTimer
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
	e.quic = none
	for i, p := range detect.All {
		if p.Datagram != nil {
			e.datagrams |= 1 << i
		}
		if p.QUIC {
			e.quic = i
		}
	}
	e.onTimer = e.fire
	e.held.init()
	e.Configure(cfg)
	return e
}

// Configure applies a new configuration. Tables keep their size; locks, peers and counters
// stay. It reports what SetPolicies does.
func (e *Engine) Configure(cfg Config) (more bool) {
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
	return e.review()
}

// SetDevices sets the LAN devices. They may come and go while the program runs.
func (e *Engine) SetDevices(d []Device) {
	e.devices = slices.Clone(d)
	for i := range e.devices {
		e.devices[i].nets = networks(e.devices[i].Prefixes)
		e.devices[i].routed = networks(e.devices[i].Routed)
	}
}

// SetNeighbours sets what answers whose an address is.
func (e *Engine) SetNeighbours(n Neighbours) { e.neighbours = n }

// SetProber sets what makes TCP probes.
func (e *Engine) SetProber(p Prober) { e.prober = p }

// Len returns the number of proved clients and of locked ones.
func (e *Engine) Len() (clients, locked int) { return e.nfound, e.nlocked }

// seconds returns t in whole seconds. A 64-bit division is slow on MIPS, and most packets
// belong to the same second as the one before.
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

// Packet decides about one packet. now must not be before the time of an earlier call.
func (e *Engine) Packet(p *nfq.Packet, now Time) nfq.Verdict {
	e.now = now
	e.Counters.Packets++
	v := e.decide(p, now)
	if e.cfg.Marks.Sampled(p) {
		v = nfq.Drop // a sample of what the kernel's sets drop: it is dropped, whatever the engine knows
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
		want >>= 1 // each "dropped" bit is one below its "accepted" bit
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
		// LAN to LAN, or not between LAN and outside.
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

// Advance runs the timers that are due and brings the kernel's sets up to date. Call it
// after each batch, and when Next says so.
func (e *Engine) Advance(now Time) {
	e.now = now
	e.wheel.Advance(now, e.onTimer)
	e.flushSets()
}

// Next returns the latest moment for the next call of Advance; ok is false when no timer is
// set.
func (e *Engine) Next() (t Time, ok bool) { return e.wheel.Next() }

func (e *Engine) send(dev uint32, src, dst nfq.AddrPort, b []byte) {
	if e.sender == nil {
		return
	}
	if err := e.sender.UDP(dev, src, dst, b); err != nil {
		e.Counters.SendErrors++
	}
}

// refuse drops a TCP packet of a LAN host and reacts as configured: nothing, a reset, or a
// rejection. c is the host's client, or nil.
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

// offLink decides about a packet whose source cannot be on its device's link. Nobody knows
// whose it is. So the engine only drops what it recognises.
func (e *Engine) offLink(p *nfq.Packet) nfq.Verdict {
	if p.Proto == nfq.ProtoUDP {
		if f := e.classify(nil, p.Payload); f.Kind > detect.Weak && e.strangers.blocks.Has(f.Protocol) && e.cfg.Protocols[f.Protocol].BlockUDP {
			return nfq.Drop
		}
		return nfq.Accept
	}
	e.stream.Reset()
	e.finding.Reset()
	if e.stream.Feed(e.streams&e.strangers.on, p.Seq, p.Payload, true, &e.finding) == detect.Yes &&
		e.strangers.blocks.Has(e.finding.Protocol) {
		return nfq.Drop
	}
	return nfq.Accept
}
