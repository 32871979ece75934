// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

// The netfilter hooks a packet can come from (linux/netfilter.h).
const (
	HookPrerouting  = 0
	HookInput       = 1
	HookForward     = 2
	HookOutput      = 3
	HookPostrouting = 4
)

// IP protocol numbers that Packet.Proto is compared with.
const (
	ProtoTCP = 6
	ProtoUDP = 17
)

// TCP flags, as in octet 13 of the TCP header (RFC 9293).
const (
	FIN = 0x01
	SYN = 0x02
	RST = 0x04
	PSH = 0x08
	ACK = 0x10
)

// Packet is a view of one queued packet. Payload and Raw point into the
// queue's slab and are valid until the next Recv.
type Packet struct {
	ID     uint32 // the kernel's number for the verdict
	Hook   uint8  // HookInput, HookForward, ...
	InDev  uint32 // interface index, 0 when there is none
	OutDev uint32 // interface index, 0 when there is none
	Mark   uint32 // the packet's netfilter mark
	// Begins says that this is the first data of a connection whose SYN the rules let pass.
	Begins bool
	MAC    MAC // source hardware address, zero when there is none

	// Version is 4 or 6, and 0 for a packet whose headers could not be
	// read; then only the fields above and Raw are set.
	Version uint8
	Proto   uint8 // ProtoTCP, ProtoUDP or another
	// Fragment says that this is a fragment without a transport header
	// (offset > 0): ports, flags and payload are empty.
	Fragment bool
	// MoreFragments says that the payload goes on in a later fragment.
	MoreFragments bool

	Src, Dst         Addr
	SrcPort, DstPort uint16
	TCPFlags         uint8
	Seq, Ack         uint32 // TCP sequence and acknowledgment numbers

	// Payload is what follows the TCP or UDP header, as far as it was
	// copied; PayloadLen is its length on the wire by the headers, so
	// PayloadLen > len(Payload) means that the copy range cut it off.
	Payload    []byte
	PayloadLen int

	Raw []byte // the IP packet as far as it was copied
}

// Verdict is what becomes of a packet.
type Verdict uint8

const (
	// Accept lets the packet go on to the firewall's own chains.
	Accept Verdict = iota
	// Drop ends it.
	Drop
	// AcceptDecided accepts and marks the packet with Marks.Decided: the
	// connection was looked at and needs no further look.
	AcceptDecided
	// AcceptMarked accepts and marks the packet with Marks.Marked: it would be cut,
	// and its connection is to be marked in place of that.
	AcceptMarked
)
