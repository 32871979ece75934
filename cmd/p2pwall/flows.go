// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/procd"
	"github.com/p2pwall/p2pwall/state"
)

// flowPause is the least time between two readings of the connection table.
const flowPause = 200 * time.Millisecond

// flowCutter takes connections between a client and its peers out of the kernel's
// connection table when the client is found, and all that are unknown when it is
// locked so that these are cut: one that is offloaded past the rules comes back to
// them, one that has been accepted before is looked at again.
type flowCutter struct {
	clients chan cutClient
	failed  bool
}

// cutClient is a client with connections that are to go.
type cutClient struct {
	addr   nfq.Addr
	locked bool // just now
}

func newFlowCutter() *flowCutter { return &flowCutter{clients: make(chan cutClient, 64)} }

// Event notes the client of an event after which connections may be left. It
// does not wait: with so many clients waiting, one more is dealt with when it is
// next locked.
func (f *flowCutter) Event(e *procd.Entry) {
	if e.What != state.EventLocked && e.What != state.EventCut {
		return
	}
	select {
	case f.clients <- cutClient{e.Client, e.What == state.EventLocked}:
	default:
	}
}

// run cuts until done is closed. All that wait are dealt with in one reading.
func (f *flowCutter) run(d *daemon) {
	for {
		select {
		case <-d.done:
			return
		case c := <-f.clients:
			clients := map[nfq.Addr]bool{c.addr: c.locked}
			for more := true; more; {
				select {
				case c := <-f.clients:
					clients[c.addr] = clients[c.addr] || c.locked
				default:
					more = false
				}
			}
			if err := d.cutFlows(clients); err != nil && !f.failed {
				f.failed = true
				d.log.Printf("%v: connections that were made before a client was found may go on (said once); "+
					"install kmod-nf-conntrack-netlink (OpenWrt)", err)
			}
			time.Sleep(flowPause)
		}
	}
}

func (d *daemon) cutFlows(clients map[nfq.Addr]bool) error {
	pairs := map[nfq.Pair]struct{}{}
	sifted := map[nfq.Addr]struct{}{}
	for a, locked := range clients {
		for _, w := range d.workers {
			w.loop.Do(func(e *state.Engine, now state.Time) {
				for _, p := range e.CutPairs(a, now) {
					pairs[p] = struct{}{}
				}
				if !locked {
					return
				}
				for _, a := range e.SiftedAddrs(a, now) {
					sifted[a] = struct{}{}
				}
			})
		}
	}
	var err error
	if len(pairs) > 0 {
		_, err = nfq.DeleteFlows(pairs)
	}
	if len(sifted) > 0 && err == nil {
		_, err = nfq.DeleteUnknownFlows(sifted, d.lan())
	}
	return err
}
