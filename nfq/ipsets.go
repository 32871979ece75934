// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import "golang.org/x/sys/unix"

// ipset's messages and attributes (linux/netfilter/ipset/ip_set.h).
const (
	ipsetPrefix = "p2pwall-"

	// ipsetProtocol is what every kernel takes: those before 4.20 know only 6.
	ipsetProtocol = 6

	msgIPSetFlush = subsysIPSet<<8 | 4
	msgIPSetAdd   = subsysIPSet<<8 | 9
	msgIPSetDel   = subsysIPSet<<8 | 10

	ipsetAttrProtocol = 1
	ipsetAttrName     = 2
	ipsetAttrData     = 7

	ipsetDataIP      = 1
	ipsetDataPort    = 4
	ipsetDataTimeout = 6
	ipsetDataProto   = 7
	ipsetDataIP2     = 20

	ipsetAddr4 = 1
	ipsetAddr6 = 2

	ipsetMaxTimeout = 2147483 // seconds, IPSET_MAX_TIMEOUT
)

// ipsetOpLen bounds the message of one change: headers, protocol, name, and
// two IPv6 addresses and a timeout as data.
const ipsetOpLen = nlmsgHeaderLen + nfgenLen + 8 + 24 + 4 + 2*24 + 8

// OpenIPSets opens the sets p2pwall-cut4 and p2pwall-cut6 (hash:net,net, client and
// peer), p2pwall-lock4 and p2pwall-lock6 (hash:ip), p2pwall-own4 and p2pwall-own6
// (hash:ip,port), and p2pwall-watch4, p2pwall-watch6, p2pwall-mark4 and p2pwall-mark6
// (hash:ip), all created with a timeout. They must be there already: what is missing is an error of each change.
//
// ipset counts in seconds: a timeout is rounded up. Adding an element that
// exists refreshes its timeout, and deleting one that does not exist is no
// error, as no message asks for that (NLM_F_EXCL).
func OpenIPSets() (*KernelSets, error) {
	s := &KernelSets{appendNone: appendIPSetNone}
	s.write = s.writeIPSet
	s.name = func(set setID) string { return "ipset " + ipsetPrefix + setNames[set] }
	return s.open(maxSetOps * ipsetOpLen)
}

// writeIPSet sends one message a change; the kernel takes each for itself.
func (s *KernelSets) writeIPSet(ops []setOp) error {
	s.out = s.out[:0]
	for i := range ops {
		s.out = appendIPSetOp(s.out, &ops[i])
	}
	return s.transact()
}

// appendIPSetNone appends the message that empties a set.
func appendIPSetNone(b []byte, set setID) []byte {
	b, at := beginIPSet(b, msgIPSetFlush, set)
	return endMessage(b, at)
}

func appendIPSetOp(b []byte, op *setOp) []byte {
	typ := uint16(msgIPSetAdd)
	if op.timeout == 0 {
		typ = msgIPSetDel
	}
	b, at := beginIPSet(b, typ, op.set)
	b, data := beginAttr(b, ipsetAttrData|unix.NLA_F_NESTED)
	switch op.set {
	case setLock4, setWatch4, setMark4:
		b = appendIPSetAddr(b, ipsetDataIP, ipsetAddr4, op.key[:4])
	case setLock6, setWatch6, setMark6:
		b = appendIPSetAddr(b, ipsetDataIP, ipsetAddr6, op.key[:16])
	case setOwn4:
		b = appendIPSetAddr(b, ipsetDataIP, ipsetAddr4, op.key[:4])
		b = appendIPSetPort(b, op.key[4:12])
	case setOwn6:
		b = appendIPSetAddr(b, ipsetDataIP, ipsetAddr6, op.key[:16])
		b = appendIPSetPort(b, op.key[16:24])
	case setCut4:
		b = appendIPSetAddr(b, ipsetDataIP, ipsetAddr4, op.key[:4])
		b = appendIPSetAddr(b, ipsetDataIP2, ipsetAddr4, op.key[4:8])
	case setCut6:
		b = appendIPSetAddr(b, ipsetDataIP, ipsetAddr6, op.key[:16])
		b = appendIPSetAddr(b, ipsetDataIP2, ipsetAddr6, op.key[16:])
	}
	if op.timeout != 0 {
		seconds := min((uint64(op.timeout)+999)/1000, ipsetMaxTimeout)
		b = appendAttr32(b, ipsetDataTimeout|unix.NLA_F_NET_BYTEORDER, uint32(seconds))
	}
	return endMessage(endAttr(b, data), at)
}

func appendIPSetAddr(b []byte, attr, family uint16, addr []byte) []byte {
	b, at := beginAttr(b, attr|unix.NLA_F_NESTED)
	b = appendAttr(b, family|unix.NLA_F_NET_BYTEORDER, addr)
	return endAttr(b, at)
}

// appendIPSetPort appends what the key has after the address: protocol and port.
func appendIPSetPort(b, key []byte) []byte {
	b = appendAttr(b, ipsetDataPort|unix.NLA_F_NET_BYTEORDER, key[4:6])
	return appendAttr(b, ipsetDataProto, key[:1])
}

func beginIPSet(b []byte, typ uint16, set setID) ([]byte, int) {
	family := uint8(unix.AF_INET)
	switch set {
	case setCut6, setLock6, setOwn6, setWatch6, setMark6:
		family = unix.AF_INET6
	}
	b, at := beginMessage(b, typ, unix.NLM_F_REQUEST, setSeq(set), family, 0)
	b = appendAttr(b, ipsetAttrProtocol, []byte{ipsetProtocol})
	b, name := beginAttr(b, ipsetAttrName)
	b = append(b, ipsetPrefix...)
	b = append(b, setNames[set]...)
	return endAttr(append(b, 0), name), at
}
