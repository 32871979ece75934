// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
)

// names knows the names of hosts. Any goroutine may use it.
type names struct {
	mu     sync.Mutex
	own    []config.HostName // from the configuration
	file   textFile
	peers  []config.HostName // from WireGuard
	leases textFile
	leased []config.Lease
}

func (n *names) configure(c *config.Config) {
	n.mu.Lock()
	n.own = c.Hosts
	n.mu.Unlock()
}

// of returns the name of a host, "" if it is not known. A name from the configuration
// comes first, then WireGuard's, then one from the DHCP leases.
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

// now is the time in the router's time zone. Any goroutine may call it.
func (d *daemon) now() time.Time {
	if where := d.place.Load(); where != nil {
		return time.Now().In(where)
	}
	return time.Now()
}

func (d *daemon) findPlace() {
	d.policies.findZone()
	d.place.Store(d.policies.where)
}
