// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"math/bits"
	"strconv"
)

// MarkBits is how many bits the mask of Marks has.
const MarkBits = 3

// DefaultMarkMask is a mask that none of the usual programs shares: mwan3 uses
// 0x00003f00, pbr and Tailscale 0x00ff0000, dscpclassify, cake-qos-simple and the
// like the lowest byte, the example in tc-ctinfo(8) 0xfd000000.
const DefaultMarkMask = 0x0200c000

// Marks are the values of the mask's bits in the mark of a packet and of a connection.
// Each value has at least two bits set. So another program that uses one of the bits for
// something else does not make one of these values.
type Marks struct {
	Mask uint32
	// Decided is the mark (packet and connection) of connections that were looked
	// at: they are not queued again and may be offloaded.
	Decided uint32
	// Sample is the mark of the few blocked packets that are queued all the same, so
	// that the daemon knows that the client still tries. They are always dropped. A full
	// queue that fails open lets them pass: for that case the rules mark the connection
	// that such a packet begins, and drop the answers.
	Sample uint32
	// Own is the mark of the packets that this program sends. They are not tracked. It
	// is the same value as Sample: sampled packets are forwarded ones, and these are not.
	Own uint32
	// Watch is the mark of packets from or to a watched host. Where nft only keeps the
	// sets, it tells iptables in this way. For a SYN it says that it need not be queued. As
	// the mark of a connection it says that the rules let its SYN pass, and that its first
	// data is still to come.
	Watch uint32
	// Marked is the mark (packet and connection) of what would be cut if it were not to
	// be marked only. It has all bits, so that it counts as decided, too. Such a
	// connection has Conn as well, in the bits of ConnMask: others route it by that, or
	// slow it down.
	Marked         uint32
	Conn, ConnMask uint32
}

// MakeMarks makes the values of a mask, with its bits from the lowest up. It reports
// false when the mask does not have MarkBits bits.
func MakeMarks(mask uint32) (Marks, bool) {
	if bits.OnesCount32(mask) != MarkBits {
		return Marks{}, false
	}
	first := mask & -mask
	last := uint32(1) << (31 - bits.LeadingZeros32(mask))
	return Marks{
		Mask: mask, Decided: first | last,
		Sample: mask &^ first, Own: mask &^ first, Watch: mask &^ last, Marked: mask,
	}, true
}

// DefaultMarks returns the values of DefaultMarkMask.
func DefaultMarks() Marks {
	m, _ := MakeMarks(DefaultMarkMask)
	return m
}

// begins returns the mark of a packet that is the first data of a connection whose SYN the
// rules let pass. If verdicts do not send packets through the rules again, Watch has a
// meaning of its own, so it is Decided. Then each verdict has to replace it.
func (m *Marks) begins(repeat bool) uint32 {
	if repeat {
		return m.Watch
	}
	return m.Decided
}

// Sampled reports whether the rules marked the packet with Sample. Only a forwarded
// packet can be a sample.
func (m *Marks) Sampled(p *Packet) bool {
	return p.Mark&m.Mask == m.Sample && m.Mask != 0 && p.Hook == HookForward
}

// FormatMark writes a mark as nft and iptables print it.
func FormatMark(mark uint32) string {
	s := strconv.FormatUint(uint64(mark), 16)
	return "0x" + "00000000"[len(s):] + s
}

// decided reports whether a mark has the value of Decided.
func (m *Marks) decided(mark uint32) bool { return mark&m.Decided == m.Decided }

// marked reports whether a mark has the value of Marked.
func (m *Marks) marked(mark uint32) bool { return mark&m.Mask == m.Marked && m.Mask != 0 }

// with returns a mark with one of the values. The bits outside the mask stay.
func (m *Marks) with(mark, value uint32) uint32 { return mark&^m.Mask | value }
