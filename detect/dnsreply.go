// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// DNSReply is what a name server answered.
type DNSReply struct {
	Name   [255]byte
	N      int // length of the name
	Addrs  [16][16]byte
	NAddrs int
	TTL    uint32 // seconds
}

// Parse reads the answer b of a name server.
func (r *DNSReply) Parse(b []byte) bool { return false }
