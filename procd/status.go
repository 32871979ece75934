// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/check"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/control"
	"github.com/p2pwall/p2pwall/state"
)

// status is what other goroutines may know of the daemon. Only Run's goroutine writes it,
// and holds the lock while it does. That goroutine may read status without the lock.
type status struct {
	o       *Options
	started time.Time
	pause   *pause

	mu      sync.Mutex
	cfg     config.Config
	names   []string // of the LAN devices
	devices []state.Device
	backend string // "" before the rules are loaded
	sets    string
	rulesOK bool
	restart []string // options whose new values need a restart
	holding []string // names of the policies that hold
}

// setRules notes which rules and sets are loaded, and whether they are in place.
func (s *status) setRules(backend, sets string, ok bool) {
	s.mu.Lock()
	s.backend, s.sets, s.rulesOK = backend, sets, ok
	s.mu.Unlock()
}

// setDevices notes the configured names of the LAN's devices, and the devices that exist.
func (s *status) setDevices(names []string, devices []state.Device) {
	s.mu.Lock()
	s.names, s.devices = names, devices
	s.mu.Unlock()
}

func (s *status) setConfig(c *config.Config, restart []string) {
	s.mu.Lock()
	s.cfg, s.restart = *c, restart
	s.mu.Unlock()
}

func (s *status) setPolicies(list []state.Policy) {
	var names []string
	for i := range list {
		names = append(names, list[i].Name)
	}
	s.mu.Lock()
	s.holding = names
	s.mu.Unlock()
}

func (s *status) marks() nfq.Marks {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.Marks()
}

func (s *status) lan() []netip.Prefix {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lan []netip.Prefix
	for i := range s.devices {
		lan = append(lan, s.devices[i].Prefixes...)
	}
	return lan
}

// deviceOf returns the index of the LAN device whose network contains an address, or 0.
func (s *status) deviceOf(a *nfq.Addr) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.devices {
		for _, p := range s.devices[i].Prefixes {
			if p.Contains(a.Netip()) {
				return s.devices[i].Index
			}
		}
	}
	return 0
}

func (s *status) queues() []uint16 {
	nums := make([]uint16, s.cfg.Queues)
	for n := range nums {
		nums[n] = s.cfg.Queue + uint16(n)
	}
	return nums
}

// info answers the control socket.
func (s *status) info() control.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := control.Info{
		Version: s.o.Version, Config: s.o.Config, Started: s.started, Enabled: true,
		Paused: s.pause.left(), Backend: s.backend, Sets: s.sets, RulesOK: s.rulesOK, TimeLock: s.cfg.TimeLock, Devices: s.names, Restart: s.restart,
	}
	for j := range s.cfg.Policies {
		p := &s.cfg.Policies[j]
		i.Policies = append(i.Policies, control.Policy{Name: p.Name, Mode: string(p.Mode), Holds: slices.Contains(s.holding, p.Name)})
	}
	if i.Backend == "" {
		i.Backend, i.Sets = "starting", "starting"
	}
	stats, _ := nfq.ReadStats(s.queues()...)
	for _, q := range stats {
		i.Queues = append(i.Queues, control.Queue{
			Number: uint32(q.Num), Length: s.cfg.QueueLength, Waiting: q.Waiting,
			Dropped: q.Dropped, UserDropped: q.UserDropped,
		})
	}
	return i
}

// check answers the control socket.
func (s *status) check() []check.Finding {
	s.mu.Lock()
	cfg := s.cfg
	s.mu.Unlock()
	return check.Findings(&cfg)
}
