// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"net/netip"
	"slices"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// Surroundings are what policies depend on besides the configuration.
type Surroundings struct {
	Now      time.Time // in the router's time zone
	ClockSet bool      // if false, policies with hours do not hold
	Leases   []Lease
	Networks []NetworkDevice
	Index    func(device string) uint32 // 0 if there is no such device
}

// Holds reports whether the policy applies now.
func (s *Surroundings) Holds(p *Policy) bool {
	return p.Hours.Always() || s.ClockSet && p.Hours.Hold(s.Now)
}

// EnginePolicies returns the policies that apply now, for the engine.
func (c *Config) EnginePolicies(s *Surroundings) (out []state.Policy) {
	for i := range c.Policies {
		p := &c.Policies[i]
		if !s.Holds(p) {
			continue
		}
		x := state.Policy{
			Name: p.Name, All: p.Everyone(), Mode: p.Mode.engine(),
			MACs: slices.Clone(p.Members.MACs), Nets: slices.Clone(p.Members.Prefixes),
		}
		for j, protocol := range detect.All {
			if p.Covers(protocol.Name) {
				x.Protocols |= 1 << j
			}
		}
		for _, name := range p.Hosts {
			for j := range s.Leases {
				l := &s.Leases[j]
				switch {
				case !l.Is(name):
				case l.MAC != nfq.MAC{}:
					x.MACs, x.Addrs = append(x.MACs, l.MAC), append(x.Addrs, nfq.AddrFrom(l.Addr))
				default:
					x.Nets = append(x.Nets, netip.PrefixFrom(l.Addr, l.Addr.BitLen()))
				}
			}
		}
		devices := p.Devices
		for _, n := range s.Networks {
			if slices.Contains(p.Networks, n.Network) {
				devices = append(slices.Clip(devices), n.Device)
			}
		}
		for _, d := range devices {
			if n := s.Index(d); n != 0 {
				x.Devices = append(x.Devices, n)
			}
		}
		out = append(out, x)
	}
	return out
}
