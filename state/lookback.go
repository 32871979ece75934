// SPDX-License-Identifier: GPL-2.0-or-later

package state

import "time"

const (
	// burstGap is the longest pause within one burst of connection
	// attempts: giFT sends its first pings 0.06 ms after its SYNs.
	burstGap = 200 * time.Millisecond
	// burstLength is the longest burst that is looked back at.
	burstLength = 2 * time.Second
)

// lookBack handles the connections that a host opened before it was recognised. The
// destinations of the same burst become suspected peers. Connections to addresses that are
// peers by now are cut like all others to peers, however old they are.
func (e *Engine) lookBack(c *client, protocol int, now Time) {
	h := &e.hosts[c.host]
	// The proof may have waited for the neighbour table.
	if c.provenAt != 0 {
		now = min(now, c.provenAt)
	}
	from := now - Time(min(e.cfg.LookBack, burstLength))
	last := now
	h.recent(max(from, 0), func(s *syn) bool {
		if s.when < last && last.Since(s.when) > burstGap {
			return false
		}
		last = min(last, s.when)
		if c.peers.get(&s.dst, e.hash.addr(&s.dst)) == nil {
			e.note(h, c, &s.dst, s.dport, protocol, true, now)
		}
		return true
	})
}
