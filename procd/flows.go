// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"net/netip"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

const (
	// flowPause is the least time between two readings of the connection table,
	// and flowShare what one takes at least of the time until the next: a large
	// table and a client that finds peers all the time leave the processor alone.
	flowPause = 200 * time.Millisecond
	flowShare = 20
)

// flowCutter takes connections out of the kernel's connection table that were decided
// before they were to be cut: one that is offloaded past the rules comes back to them,
// one that the rules let pass as decided is looked at again.
type flowCutter struct {
	log    *syslog.Logger
	due    chan struct{}
	failed bool
}

func newFlowCutter(log *syslog.Logger) *flowCutter {
	return &flowCutter{log: log, due: make(chan struct{}, 1)}
}

// note has the engines asked for what is to go. It does not wait.
func (f *flowCutter) note() {
	select {
	case f.due <- struct{}{}:
	default: // they will be asked
	}
}

// run calls cut, each time that there is something to cut, until done is closed.
func (f *flowCutter) run(done <-chan struct{}, cut func() error) {
	for {
		select {
		case <-done:
			return
		case <-f.due:
		}
		begin := time.Now()
		if err := cut(); err != nil && !f.failed {
			f.failed = true
			f.log.Warnf("%v: connections that were made before a client was found may go on (said once); "+
				"install kmod-nf-conntrack-netlink (OpenWrt)", err)
		}
		select {
		case <-done:
			return
		case <-time.After(max(flowPause, flowShare*time.Since(begin))):
		}
	}
}

// skipped reports whether flows to a port are not looked at anew. Of TCP all are, because
// clients use the ports of services as well, and what is in their middle shows what they
// are.
func skipped(proto uint8, port uint16) bool {
	return proto == nfq.ProtoUDP && detect.WellKnown(proto, port)
}

// cutFlows cuts what the engines want to have cut.
func (w workers) cutFlows(marks nfq.Marks, lan []netip.Prefix) error {
	f := state.NewFlows()
	w.do(func(e *state.Engine, now state.Time) { e.FlowsToCut(f, now) })
	if len(f.MarkPairs)+len(f.MarkPorts)+len(f.Freed) > 0 {
		if _, err := nfq.MarkFlows(marks, f.MarkPairs, f.MarkPorts, f.Freed, lan); err != nil {
			return err
		}
	}
	if len(f.Pairs)+len(f.Ports)+len(f.Hosts) == 0 {
		return nil
	}
	_, err := nfq.CutFlows(marks, f.Pairs, f.Ports, f.Hosts, lan, skipped)
	return err
}
