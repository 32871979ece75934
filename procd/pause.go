// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"sync/atomic"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/state"
)

// pause is how long all policies are off. It ends by itself, and with the daemon. The
// goroutines of the control socket set it; the next round of watchPolicies applies it.
type pause struct {
	begin time.Time    // monotonic: setting the clock does not change the pause
	until atomic.Int64 // nanoseconds after begin; 0: no pause
}

// set lets the pause last for d from now; 0 ends it.
func (p *pause) set(d time.Duration) {
	if d > 0 {
		d += time.Since(p.begin)
	}
	p.until.Store(int64(d))
}

func (p *pause) left() time.Duration {
	return max(0, time.Duration(p.until.Load())-time.Since(p.begin))
}

// paused are the policies of a pause: every protocol is off for everybody.
func paused() []state.Policy {
	return []state.Policy{{Name: "pause", All: true, Protocols: 1<<len(detect.All) - 1, Mode: state.Off}}
}
