// SPDX-License-Identifier: GPL-2.0-or-later

package check

import (
	"slices"
	"time"

	"github.com/p2pwall/p2pwall/openwrt/config"
)

// policies reports policies that name a network, a device or a host that does not exist or is
// not watched.
func (m *machine) policies() {
	c, hours := m.c, ""
	for i := range c.Policies {
		p := &c.Policies[i]
		if !p.Hours.Always() {
			hours = p.Name
		}
		watch := say("policy-watch", "watch it as well: add it to the section p2pwall")
		for _, n := range p.Networks {
			if !slices.Contains(c.Networks, n) {
				m.warn(watch, say("policy-network", "the policy %s names the network %s, which is not watched", p.Name, n))
			}
		}
		for _, d := range p.Devices {
			if !slices.Contains(m.target.Devices, d) {
				m.warn(watch, say("policy-device", "the policy %s names the device %s, which is not watched", p.Name, d))
			}
		}
		for _, h := range p.Hosts {
			if !m.leased(h) {
				m.warn(say("policy-lease", "see the names of the leases under Status, Overview, or name its hardware address"),
					say("policy-host", "the policy %s names the computer %s, and no DHCP lease has this name", p.Name, h))
			}
		}
	}
	if hours != "" && !config.ClockSet(time.Now()) {
		m.warn(say("set-clock", "wait for the time server, or set it"),
			say("clock", "the clock is not set: policies with hours, such as %s, do not hold", hours))
	}
}

// leased reports whether a lease has the name.
func (m *machine) leased(name string) bool {
	for _, path := range config.LeaseFiles {
		text, _ := m.file(path)
		for _, l := range config.ParseLeases(text) {
			if l.Is(name) {
				return true
			}
		}
	}
	return false
}
