// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
)

// names knows what hosts are called. It may be asked from any goroutine.
type names struct {
	mu     sync.Mutex
	own    []config.HostName // of the configuration
	file   textFile
	peers  []config.HostName // of WireGuard
	leases textFile
	leased []config.Lease
}

// configure takes the names of a new configuration.
func (n *names) configure(c *config.Config) {
	n.mu.Lock()
	n.own = c.Hosts
	n.mu.Unlock()
}

// of returns the name of a host, "" where nobody has told one. What the configuration
// says comes first.
func (n *names) of(a nfq.Addr, mac nfq.MAC) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if name := config.NameOf(n.own, a.Netip(), mac); name != "" {
		return name
	}
	if n.file.read(config.NamesFile) {
		n.peers = config.ParseNames(n.file.text)
	}
	if name := config.NameOf(n.peers, a.Netip(), nfq.MAC{}); name != "" {
		return name
	}
	if n.leases.read(config.LeaseFiles...) {
		n.leased = config.ParseLeases(n.leases.text)
	}
	for i := range n.leased {
		if l := &n.leased[i]; l.Addr == a.Netip() || !mac.IsZero() && l.MAC == mac {
			return l.Name
		}
	}
	return ""
}

// now is the time on the clock of the wall at the router's place. It may be called from
// any goroutine.
func (d *daemon) now() time.Time {
	if where := d.place.Load(); where != nil {
		return time.Now().In(where)
	}
	return time.Now()
}

// findPlace reads the router's time zone.
func (d *daemon) findPlace() {
	d.policies.findZone()
	d.place.Store(d.policies.where)
}
