// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// askStanding probes hosts that have connections which this run has not seen begin. They
// may be older than the daemon, or date from the time after an earlier run died. It reads
// the connection table and asks the kernel about each host, which takes too long for
// Run's goroutine.
func (d *daemon) askStanding() {
	all, err := nfq.StandingTCP(d.status.lan(), detect.WellKnown, detect.Meets)
	if err != nil {
		d.log.Warnf("%v: a client that has its sessions already is found when it asks somebody new", err)
	}
	for i := range all {
		select {
		case <-d.done:
			return
		default:
		}
		x := &all[i]
		n, err := nfq.Neighbour(d.status.deviceOf(&x.Addr), x.Addr)
		if err != nil || !n.Known {
			continue // the host is gone; the connection table keeps its entries for days
		}
		d.workers.do(func(e *state.Engine, now state.Time) { e.Standing(x, n.MAC, now) })
	}
}
