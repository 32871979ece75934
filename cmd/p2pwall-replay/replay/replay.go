// SPDX-License-Identifier: GPL-2.0-or-later

package replay

import (
	"io"
	"net/netip"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// The interface numbers of the imitated router.
const (
	lanDevice = 1
	wanDevice = 2
)

// Options says how captures are replayed.
type Options struct {
	Engine state.Config
	// LAN are the networks of the LAN; nil: find them out from each capture.
	LAN []netip.Prefix
	// KeepMACs passes a MAC to the engine even if several hosts share it, as a router
	// would. Otherwise such hosts are told apart by IP address alone: where a capture was
	// taken, every packet may have the MAC of a router.
	KeepMACs bool
}

// run is one capture on its way through the engine.
type run struct {
	sides    *sides
	keepMACs bool
	kernel   *kernel
	engine   *state.Engine
	result   *Result

	clock   state.Time    // never goes back
	shift   time.Duration // added to the capture's times
	started bool
	clients map[lockKey]*Client // by MAC or address
	at      map[nfq.Addr]*Client
	collect state.Time // when to ask the engine again what it has found
	hints   hints
}

// collectEvery is how often the replay asks the engine for its suspects. The engine
// forgets suspects without an event.
const collectEvery = time.Minute

// leastTime is the start time of captures whose times count from zero. The engine needs
// times before its start.
const leastTime = state.Time(500 * 24 * time.Hour)

// Run replays one capture. It replays a damaged capture as far as it can be read, and
// returns both a result and an error.
func Run(path string, o Options) (*Result, error) {
	s, err := look(path, o.LAN)
	if err != nil {
		return nil, err
	}
	c, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	r := &run{
		sides: s, keepMACs: o.KeepMACs,
		result:  &Result{File: path, Clients: []*Client{}, Events: []Event{}},
		clients: map[lockKey]*Client{},
		at:      map[nfq.Addr]*Client{},
		hints:   hints{tunnels: map[string]int{}},
	}
	readsTCP, looks, names := false, false, false
	for i, protocol := range detect.All {
		p := &o.Engine.Protocols[i]
		readsTCP = readsTCP || p.Mode != state.Off && p.HTTP
		looks = looks || p.Mode != state.Off && protocol.Sift
		names = names || p.Names.Len() > 0
	}
	r.kernel = newKernel(readsTCP, looks, o.Engine.LockTime)
	r.kernel.names = names
	// The same capture gives the same result: the seed is fixed.
	r.engine = state.New(o.Engine, (*sender)(r.result), r.kernel, 1)
	r.engine.OnEvent = r.event
	r.engine.SetDevices([]state.Device{r.device()})
	var f Frame
	for {
		if err = c.Next(&f); err != nil {
			break
		}
		r.frame(&f)
	}
	r.finish()
	if err == io.EOF {
		err = nil
	} else {
		r.result.Error = err.Error()
	}
	return r.result, err
}

// device returns the router's LAN device. Probes need a source address. If the capture
// does not show the router's address, device uses one that no capture contains.
func (r *run) device() state.Device {
	d := state.Device{Index: lanDevice, Name: "lan", Prefixes: r.sides.lan}
	var four, six bool
	for a := range r.sides.router {
		d.Addrs = append(d.Addrs, a)
		four, six = four || a.Is4(), six || !a.Is4()
	}
	if !four {
		d.Addrs = append(d.Addrs, nfq.AddrFrom4([4]byte{192, 0, 2, 1}))
	}
	if !six {
		d.Addrs = append(d.Addrs, nfq.AddrFrom(netip.MustParseAddr("fe80::1")))
	}
	return d
}

// tell moves the clock to the time of a frame, and runs the timers that are due until
// then.
func (r *run) tell(t time.Time) {
	now := state.Time(t.UnixNano())
	if !r.started {
		if now < leastTime {
			r.shift = time.Duration(leastTime - now)
		}
		r.started = true
		r.result.first = t
		r.set(now.After(r.shift))
		r.engine.Advance(r.clock)
		return
	}
	now = now.After(r.shift)
	for {
		due, ok := r.engine.Next()
		if !ok || due > now {
			break
		}
		r.set(due)
		r.engine.Advance(r.clock)
	}
	r.set(now)
}

func (r *run) set(now state.Time) {
	r.clock = max(r.clock, now)
	r.kernel.now = r.clock
}

// wall converts engine time to the capture's time.
func (r *run) wall(t state.Time) time.Time { return time.Unix(0, int64(t)-int64(r.shift)).UTC() }

func (r *run) frame(f *Frame) {
	r.tell(f.Time)
	if r.clock >= r.collect {
		r.collectClients()
		r.collect = r.clock.After(collectEvery)
	}
	r.result.Packets++
	src, dst, ok := addresses(f.IP)
	if !ok {
		r.hints.frame(f)
		return
	}
	p := nfq.Packet{Hook: nfq.HookForward}
	nfq.ParsePacket(f.IP, &p)
	r.hints.packet(&p, f.IP, src, dst, r.sides)
	switch r.sides.direction(&src, &dst) {
	case outbound:
		p.InDev, p.OutDev = lanDevice, wanDevice
		p.MAC = r.hardware(f)
		r.forward(&p, src, true)
	case inbound:
		p.InDev, p.OutDev = wanDevice, lanDevice
		r.forward(&p, dst, false)
	case toRouter:
		p.Hook, p.InDev = nfq.HookInput, lanDevice
		p.MAC = r.hardware(f)
		if r.kernel.toRouter(&p) == queued {
			r.engine.Packet(&p, r.clock)
			r.engine.Advance(r.clock)
		}
	}
}

// hardware returns the MAC of the frame's sender, or zero if several hosts share it.
func (r *run) hardware(f *Frame) nfq.MAC {
	if r.sides.shared[f.Src] && !r.keepMACs {
		return nfq.MAC{}
	}
	return f.Src
}

// forward passes a packet that the router would forward through the rules, and to the
// engine if they queue it.
func (r *run) forward(p *nfq.Packet, host nfq.Addr, out bool) {
	w, c, key, isNew := r.kernel.forward(p, out)
	drop := w == gone || w == sample
	if w == queued || w == sample {
		v := r.engine.Packet(p, r.clock)
		r.engine.Advance(r.clock)
		drop = drop || v == nfq.Drop
		if c != nil {
			c.decided = c.decided || v == nfq.AcceptDecided || v == nfq.AcceptMarked
		}
	}
	if !drop {
		r.result.Accepted++
		return
	}
	r.result.Dropped++
	r.result.DroppedPackets = append(r.result.DroppedPackets, r.result.Packets)
	if isNew {
		// Conntrack keeps no entry for a dropped first packet.
		delete(r.kernel.conns, key)
	}
	x := r.client(p.MAC, host)
	if x == nil {
		// The engine recognised the host. It sends no event before the proof.
		r.collectClients()
		x = r.client(p.MAC, host)
	}
	if x != nil {
		x.Dropped++
	}
}
