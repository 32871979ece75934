// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/state"
)

// TestPause: while a pause lasts, it is the only policy.
func TestPause(t *testing.T) {
	c := config.Default()
	c.Policies = []config.Policy{{Name: "night", Mode: config.ModeBlock}}
	p := policies{complaints: newComplaints(nil), clock: time.Now}
	p.pause.begin = time.Now().Add(-time.Hour) // the daemon has run for an hour
	for _, x := range []struct {
		name string
		set  time.Duration // -1: do not call set
		want string
	}{
		{"before", -1, "night"},
		{"for a minute", time.Minute, "pause"},
		{"still", -1, "pause"},
		{"ended", 0, "night"},
		{"over", time.Nanosecond, "night"},
	} {
		if x.set >= 0 {
			p.pause.set(x.set)
		}
		got := p.now(&c, nil)
		if len(got) != 1 || got[0].Name != x.want {
			t.Errorf("%s: policies %+v, want %s", x.name, got, x.want)
			continue
		}
		if q := &got[0]; x.want == "pause" && (q.Mode != state.Off || !q.All || !q.Protocols.Has(0) || !q.Protocols.Has(len(detect.All)-1)) {
			t.Errorf("%s: %+v", x.name, q)
		}
	}
}
