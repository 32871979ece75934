// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// askStanding has hosts asked that have connections which this run has not looked at: they
// may be of the time before, or of that since an earlier run has died. It reads the
// connection table and asks the kernel about each host, so that it is nothing for Run's
// goroutine.
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
			continue // the connection table remembers for days who has gone
		}
		d.workers.do(func(e *state.Engine, now state.Time) { e.Standing(x, n.MAC, now) })
	}
}
