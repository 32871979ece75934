// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"os"
	"slices"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/state"
)

// policies finds out which policies hold. It reads the clock, the leases and the devices,
// so that the engines need not.
type policies struct {
	*complaints
	clock   func() time.Time
	leases  textFile
	zone    textFile
	devices textFile
	known   []config.Lease
	where   *time.Location // the time zone; nil: the system's
	told    []state.Policy
	pause   pause
}

// textFile is a text file that is read again when its time or size has changed.
type textFile struct {
	_       [0]func() // not comparable: code to compare it costs flash
	text    string
	changed time.Time
	size    int64
}

// read reads the first of the files that exists, and reports whether the text may have
// changed.
func (f *textFile) read(paths ...string) bool {
	for _, path := range paths {
		i, err := os.Stat(path)
		if err != nil {
			continue
		}
		if i.ModTime().Equal(f.changed) && i.Size() == f.size {
			return false
		}
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		f.text, f.changed, f.size = string(b), i.ModTime(), i.Size()
		return true
	}
	news := f.text != ""
	*f = textFile{}
	return news
}

func (p *policies) now(c *config.Config, devices []state.Device) []state.Policy {
	if p.pause.left() > 0 {
		return paused()
	}
	if len(c.Policies) == 0 {
		return nil
	}
	s := config.Surroundings{Now: p.clock(), Index: func(name string) uint32 {
		for i := range devices {
			if devices[i].Name == name {
				return devices[i].Index
			}
		}
		return 0
	}}
	p.findZone()
	if p.where != nil {
		s.Now = s.Now.In(p.where)
	}
	s.ClockSet = config.ClockSet(s.Now)
	said, named, networks := "", false, false
	for i := range c.Policies {
		x := &c.Policies[i]
		if !s.ClockSet && !x.Hours.Always() {
			said = "the clock is not set yet: until it is, policies with hours do not hold"
		}
		named, networks = named || len(x.Hosts) > 0, networks || len(x.Networks) > 0
	}
	p.say("clock", said)
	if named && p.leases.read(config.LeaseFiles...) {
		p.known = config.ParseLeases(p.leases.text)
	}
	s.Leases = p.known
	if networks {
		p.devices.read(c.DevicesFile)
		s.Networks, _ = config.ReadDevices(strings.NewReader(p.devices.text), c.DevicesFile) // faults were logged at the start
	}
	return c.EnginePolicies(&s)
}

func (p *policies) findZone() {
	if !p.zone.read(config.ZoneFile) {
		return
	}
	p.where = nil
	if tz := strings.TrimSpace(p.zone.text); tz != "" {
		l, err := config.Zone(tz)
		said := ""
		if err != nil {
			said = err.Error() + ": the hours of policies are those of UTC"
		}
		p.where = l
		p.say("zone", said)
	}
}

// watchPolicies tells the engines when the set of policies that hold has changed.
func (d *daemon) watchPolicies() {
	c := &d.status.cfg
	if len(c.Policies)+len(d.policies.told) == 0 && d.policies.pause.left() == 0 {
		return
	}
	now := d.policies.now(c, d.status.devices)
	if samePolicies(now, d.policies.told) {
		return
	}
	names := func(list []state.Policy) string {
		var s []string
		for i := range list {
			s = append(s, list[i].Name)
		}
		return strings.Join(s, ", ")
	}
	if before, after := names(d.policies.told), names(now); before != after {
		if after == "" {
			after = "none"
		}
		d.log.Printf("policies that hold now: %s", after)
	}
	d.policies.told = now
	d.status.setPolicies(now)
	more := false
	d.workers.do(func(e *state.Engine, t state.Time) { more = e.SetPolicies(now, t) || more })
	if more && d.rules.loaded {
		d.workers.suspect(d.rules.lookAgain(c))
		d.helpers.Go(d.askStanding)
	}
}

// watchExemptions probes hosts when an exemption has ended.
func (d *daemon) watchExemptions() {
	ended := false
	d.workers.do(func(e *state.Engine, now state.Time) { ended = e.ExemptionEnded(now) || ended })
	if ended && d.rules.loaded {
		d.helpers.Go(d.askStanding)
	}
}

func samePolicies(a, b []state.Policy) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := &a[i], &b[i]
		if x.Name != y.Name || x.All != y.All || x.Protocols != y.Protocols || x.Mode != y.Mode ||
			!slices.Equal(x.MACs, y.MACs) || !slices.Equal(x.Nets, y.Nets) || !slices.Equal(x.Devices, y.Devices) ||
			!slices.Equal(x.Addrs, y.Addrs) {
			return false
		}
	}
	return true
}
