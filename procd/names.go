// SPDX-License-Identifier: GPL-2.0-or-later

package procd

import (
	"os"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
)

// names knows what hosts are called.
type names struct{}

// of returns the name of a host, "" where nobody has told one.
func (*names) of(a nfq.Addr, mac nfq.MAC) string {
	for _, path := range config.LeaseFiles {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, l := range config.ParseLeases(string(b)) {
			if l.Addr == a.Netip() || !mac.IsZero() && l.MAC == mac {
				return l.Name
			}
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
