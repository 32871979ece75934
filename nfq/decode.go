// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import "golang.org/x/sys/unix"

// NFQUEUE's messages, commands and attributes
// (linux/netfilter/nfnetlink_queue.h).
const (
	msgPacket       = subsysQueue << 8
	msgVerdict      = subsysQueue<<8 | 1
	msgConfig       = subsysQueue<<8 | 2
	msgVerdictBatch = subsysQueue<<8 | 3

	attrPacketHeader  = 1
	attrVerdictHeader = 2
	attrMark          = 3
	attrInDev         = 5
	attrOutDev        = 6
	attrHWAddr        = 9
	attrPayload       = 10

	cfgCommand = 1
	cfgParams  = 2
	cfgMaxLen  = 3
	cfgMask    = 4
	cfgFlags   = 5

	commandBind  = 1
	copyPacket   = 2
	flagFailOpen = 1
)

// packetOverhead is the room that a message needs beside the packet: headers,
// and every attribute this kernel or a later one adds, with a reserve.
const packetOverhead = 512

// decodePacket reads the body of an NFQNL_MSG_PACKET message into p, which
// points into body afterwards. It returns false for a message without a
// packet number: there is nothing a verdict could name.
func decodePacket(body []byte, p *Packet) bool {
	p.ID, p.Hook, p.InDev, p.OutDev, p.Mark, p.MAC = 0, 0, 0, 0, 0, MAC{}
	var raw []byte
	found := false
	if len(body) < nfgenLen {
		body = nil
	} else {
		body = body[nfgenLen:]
	}
	for len(body) >= nlaHeaderLen {
		n := int(native.Uint16(body))
		typ := native.Uint16(body[2:]) & nlaTypeMask
		if n < nlaHeaderLen {
			break
		}
		// An attribute is longer than the rest only if the receive buffer
		// cut the message off. Part of a packet is still of use; part of a
		// number is not.
		if n > len(body) {
			if typ != attrPayload {
				break
			}
			n = len(body)
		}
		value := body[nlaHeaderLen:n]
		switch typ {
		case attrPacketHeader: // be32 id, be16 hw_protocol, u8 hook
			if len(value) >= 7 {
				p.ID = be.Uint32(value)
				p.Hook = value[6]
				found = true
			}
		case attrMark:
			if len(value) >= 4 {
				p.Mark = be.Uint32(value)
			}
		case attrInDev:
			if len(value) >= 4 {
				p.InDev = be.Uint32(value)
			}
		case attrOutDev:
			if len(value) >= 4 {
				p.OutDev = be.Uint32(value)
			}
		case attrHWAddr: // be16 length, u16 padding, u8 address[8]
			if len(value) >= 10 && be.Uint16(value) == 6 {
				p.MAC = MAC(value[4:10])
			}
		case attrPayload:
			raw = value
		}
		body = body[min(align4(n), len(body)):]
	}
	ParsePacket(raw, p)
	return found
}

// decoded counts the messages that decodeMessages found beside packets.
type decoded struct {
	errors  uint64     // NLMSG_ERROR messages of the kernel
	errno   unix.Errno // the last of them
	strange uint64     // messages that are no packet and no error
}

// decodeMessages decodes the messages of one datagram into packets, as many as
// there is room for. It returns how many those are and the part of b that is
// left for the next call.
func decodeMessages(b []byte, packets []Packet, d *decoded) (n int, rest []byte) {
	for len(b) > 0 && n < len(packets) {
		typ, body, left, ok := nextMessage(b)
		if !ok {
			d.strange++
			return n, nil
		}
		b = left
		switch typ {
		case msgPacket:
			if decodePacket(body, &packets[n]) {
				n++
			} else {
				d.strange++
			}
		case unix.NLMSG_ERROR:
			if errno := messageErrno(body); errno != 0 {
				d.errors++
				d.errno = errno
			}
		default:
			d.strange++
		}
	}
	return n, b
}
