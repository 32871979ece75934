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

// The interfaces of the router that the capture stands for.
const (
	lanDevice = 1
	wanDevice = 2
)

// Options says how captures are replayed.
type Options struct {
	Engine state.Config
	// LAN are the networks of the LAN; nil lets each capture tell.
	LAN []netip.Prefix
	// KeepMACs hands the hardware address of several hosts to the engine as a
	// router would. Otherwise such hosts are told apart by their addresses alone:
	// a capture may be taken where every packet has the address of a router.
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
	collect state.Time // when the engine is asked again what it has found
	hints   hints
}

// collectEvery is how often the engine is asked which hosts it suspects: it says
// nothing when it forgets one.
const collectEvery = time.Minute

// leastTime is where captures begin whose times count from zero: the engine
// needs room for what lies before its start.
const leastTime = state.Time(500 * 24 * time.Hour)

// Run replays one capture. A capture that is damaged is replayed as far as it can
// be read; then both the result and an error are returned.
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

// device is the router's LAN device. Where the capture does not tell the router's
// address, one that cannot be in it stands in: probes need a source.
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

// tell moves the clock to the time of a frame, and runs the timers that are due
// on the way.
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

// wall is the capture's time at a moment of the engine's clock.
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

// hardware returns the hardware address that tells the frame's sender from others,
// or zero.
func (r *run) hardware(f *Frame) nfq.MAC {
	if r.sides.shared[f.Src] && !r.keepMACs {
		return nfq.MAC{}
	}
	return f.Src
}

// forward takes a packet that the router would forward through the rules and,
// if they say so, to the engine.
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
		// Connection tracking keeps what has passed only.
		delete(r.kernel.conns, key)
	}
	x := r.client(p.MAC, host)
	if x == nil {
		// Something was recognised: no event tells of that before the proof.
		r.collectClients()
		x = r.client(p.MAC, host)
	}
	if x != nil {
		x.Dropped++
	}
}
