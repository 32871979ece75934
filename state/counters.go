// SPDX-License-Identifier: GPL-2.0-or-later

package state

// Counters count packets or events since the engine's start. When a snapshot was restored,
// they go on from its values.
type Counters struct {
	Packets        uint64 // packets from the queue
	Accepted       uint64
	Dropped        uint64 // by the engine, and by the kernel's sets alone
	DroppedTCP     uint64
	DroppedUDP     uint64
	Pongs          uint64 // answers sent in a peer's name
	Probes         uint64
	Answers        uint64 // probes and handshakes that were answered
	Locks          uint64
	Unlocks        uint64
	Unparsable     uint64 // packets with unreadable headers: accepted
	SendErrors     uint64 // packets that the engine failed to send
	Cuts           uint64 // connections cut by their first data
	ClientsFound   uint64
	ClientsEvicted uint64
	ClientsRefused uint64 // no place: the table was full of locked clients
	PeersFound     uint64
	PeersEvicted   uint64
	HostsEvicted   uint64
	FlowsEvicted   uint64
	Forged         uint64 // packets with an address that another MAC uses
	IgnoredPeers   uint64 // addresses in payloads that cannot be peers
	Handshakes     uint64 // connections answered in a peer's name
	SetErrors      uint64 // updates of the kernel's sets that failed
	DroppedKernel  uint64 // the part of Dropped that never reached the queue
	Marked         uint64 // packets that were marked and not dropped, in mode mark
	Withheld       uint64 // changes of the kernel's sets, events and rounds of questions beyond their budget
}

// Each calls f with every counter and its name on the control socket.
func (c *Counters) Each(f func(name string, v *uint64)) {
	f("packets", &c.Packets)
	f("accepted", &c.Accepted)
	f("dropped", &c.Dropped)
	f("dropped_tcp", &c.DroppedTCP)
	f("dropped_udp", &c.DroppedUDP)
	f("pongs", &c.Pongs)
	f("probes", &c.Probes)
	f("answers", &c.Answers)
	f("locks", &c.Locks)
	f("unlocks", &c.Unlocks)
	f("unparsable", &c.Unparsable)
	f("send_errors", &c.SendErrors)
	f("cuts", &c.Cuts)
	f("clients_found", &c.ClientsFound)
	f("clients_evicted", &c.ClientsEvicted)
	f("clients_refused", &c.ClientsRefused)
	f("peers_found", &c.PeersFound)
	f("peers_evicted", &c.PeersEvicted)
	f("hosts_evicted", &c.HostsEvicted)
	f("flows_evicted", &c.FlowsEvicted)
	f("forged", &c.Forged)
	f("ignored_peers", &c.IgnoredPeers)
	f("set_errors", &c.SetErrors)
	f("dropped_kernel", &c.DroppedKernel)
	f("handshakes", &c.Handshakes)
	f("withheld", &c.Withheld)
	f("marked", &c.Marked)
}

// DroppedByKernel adds packets that the kernel's sets dropped on their own since the last
// call: TCP, and all others.
func (e *Engine) DroppedByKernel(tcp, udp uint64, now Time) {
	c, b := &e.Counters, e.history.at(now)
	c.Dropped += tcp + udp
	c.DroppedKernel += tcp + udp
	c.DroppedTCP += tcp
	c.DroppedUDP += udp
	b.DroppedTCP += uint32(tcp)
	b.DroppedUDP += uint32(udp)
}

// Add adds o to c.
func (c *Counters) Add(o *Counters) {
	var theirs []*uint64
	o.Each(func(_ string, v *uint64) { theirs = append(theirs, v) })
	i := 0
	c.Each(func(_ string, v *uint64) {
		*v += *theirs[i]
		i++
	})
}
