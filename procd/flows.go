// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

const (
	// flowPause is the shortest time between two readings of the connection table. After
	// a reading that used t of the processor, the next one starts flowShare times t later
	// at the earliest. So a large table and a busy client cannot use up the processor. An
	// old connection of a locked host goes on until the next reading. So flowPauseMost is
	// the longest time.
	flowPause     = 200 * time.Millisecond
	flowShare     = 20
	flowPauseMost = 2 * time.Second
)

// pauseAfter returns how long no reading follows one that used so much of the processor.
func pauseAfter(used time.Duration) time.Duration {
	return min(max(flowPause, flowShare*used), flowPauseMost)
}

// threadTime returns how long the calling thread has used the processor. It counts no
// waiting: on a busy machine a reading takes long that costs little.
func threadTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// flowCutter deletes entries from the kernel's connection table: those of connections
// that were let through before their host was locked. An offloaded connection then comes
// back to the rules. A connection that the rules let pass as decided is looked at again.
type flowCutter struct {
	log    *syslog.Logger
	due    chan struct{}
	failed bool
}

func newFlowCutter(log *syslog.Logger) *flowCutter {
	return &flowCutter{log: log, due: make(chan struct{}, 1)}
}

// note makes run ask the engines which connections to cut. It does not wait.
func (f *flowCutter) note() {
	select {
	case f.due <- struct{}{}:
	default: // run will ask them anyway
	}
}

// run calls cut after each note, until done is closed.
func (f *flowCutter) run(done <-chan struct{}, cut func() error) {
	for {
		select {
		case <-done:
			return
		case <-f.due:
		}
		runtime.LockOSThread() // threadTime is a thread's
		begin := threadTime()
		err := cut()
		used := threadTime() - begin
		runtime.UnlockOSThread()
		if err != nil && !f.failed {
			f.failed = true
			f.log.Warnf("%v: connections that were made before a client was found may go on (said once); "+
				"install kmod-nf-conntrack-netlink (OpenWrt)", err)
		}
		select {
		case <-done:
			return
		case <-time.After(pauseAfter(used)):
		}
	}
}

// skipped reports whether flows to a port are left alone. All TCP flows are looked
// at again: clients use the ports of services as well, and packets in the middle of a
// connection show what it is.
func skipped(proto uint8, port uint16) bool {
	return proto == nfq.ProtoUDP && detect.WellKnown(proto, port)
}

// cutFlows cuts or marks the connections that the engines name.
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
