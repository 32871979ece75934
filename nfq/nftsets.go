// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import "golang.org/x/sys/unix"

// nf_tables' messages and attributes (linux/netfilter/nf_tables.h).
const (
	nftTable = "p2pwall" // of family inet

	msgBatchBegin = 0x10
	msgBatchEnd   = 0x11
	msgNewSetElem = subsysNFTables<<8 | 12
	msgDelSetElem = subsysNFTables<<8 | 14

	elemListTable    = 1
	elemListSet      = 2
	elemListElements = 3
	listElem         = 1
	elemKey          = 1
	elemTimeout      = 4
	dataValue        = 1

	familyInet = 1 // NFPROTO_INET
)

// nftOpLen bounds what one change adds to a batch: a key of 32 bytes three
// times and a timeout.
const nftOpLen = 3*(3*nlaHeaderLen+32) + 12

// nftSetLen bounds what a set adds: three messages with table, name and list,
// and the two that enclose the batch.
const nftSetLen = 3*64 + 2*(nlmsgHeaderLen+nfgenLen)

// OpenNFTSets opens the sets of table `inet p2pwall`: cut4 and cut6 (client . peer),
// lock4 and lock6, own4 and own6 (client . protocol . port), watch4 and watch6, mark4 and
// mark6, all with `flags timeout`. They must be there already: what is missing is an error of each change.
//
// A change is sent as "add, delete, add with the timeout" in one transaction,
// which never shows the set without the element. That is what refreshes a
// timeout on every kernel: before Linux 6.12 adding an element that exists
// keeps its old timeout, and deleting one that does not exist (it may just have
// expired) fails the whole transaction.
func OpenNFTSets() (*KernelSets, error) {
	s := &KernelSets{appendNone: appendNFTNone}
	s.write = s.writeNFT
	s.name = func(set setID) string { return "nft set inet " + nftTable + " " + setNames[set] }
	return s.open(maxSetOps*nftOpLen + int(setCount)*nftSetLen)
}

// writeNFT sends everything in one transaction, and each set alone when that
// fails, so that one missing set does not hold up the others.
func (s *KernelSets) writeNFT(ops []setOp) error {
	all := uint16(1<<setCount - 1)
	s.out = appendNFTBatch(s.out[:0], ops, all)
	if s.transact() == nil {
		return nil
	}
	var first error
	for set := range setCount {
		s.out = appendNFTBatch(s.out[:0], ops, 1<<set)
		if err := s.transact(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// appendNFTNone appends the transaction that empties a set.
func appendNFTNone(b []byte, set setID) []byte {
	b = appendBatchMark(b, msgBatchBegin)
	b, at := beginSetMessage(b, msgDelSetElem, set)
	b = endMessage(b, at) // no elements: all of them
	return appendBatchMark(b, msgBatchEnd)
}

// appendNFTBatch appends a transaction with the changes of the sets whose bit
// is set in which; nothing when there are none.
func appendNFTBatch(b []byte, ops []setOp, which uint16) []byte {
	start := len(b)
	b = appendBatchMark(b, msgBatchBegin)
	empty := len(b)
	for set := range setCount {
		if which&(1<<set) == 0 {
			continue
		}
		b = appendElements(b, msgNewSetElem, ops, set, false)
		b = appendElements(b, msgDelSetElem, ops, set, false)
		b = appendElements(b, msgNewSetElem, ops, set, true)
	}
	if len(b) == empty {
		return b[:start]
	}
	return appendBatchMark(b, msgBatchEnd)
}

// appendElements appends one message with the keys of set: all of them without
// a timeout, or those to be kept with it. Without keys it appends nothing.
func appendElements(b []byte, typ uint16, ops []setOp, set setID, keep bool) []byte {
	start := len(b)
	b, at := beginSetMessage(b, typ, set)
	b, list := beginAttr(b, elemListElements|unix.NLA_F_NESTED)
	empty := len(b)
	for i := range ops {
		op := &ops[i]
		if op.set != set || (keep && op.timeout == 0) {
			continue
		}
		var elem, key int
		b, elem = beginAttr(b, listElem|unix.NLA_F_NESTED)
		b, key = beginAttr(b, elemKey|unix.NLA_F_NESTED)
		b = appendAttr(b, dataValue, op.key[:setKeyLen[set]])
		b = endAttr(b, key)
		if keep {
			var timeout int
			b, timeout = beginAttr(b, elemTimeout)
			b = be.AppendUint64(b, uint64(op.timeout))
			b = endAttr(b, timeout)
		}
		b = endAttr(b, elem)
	}
	if len(b) == empty {
		return b[:start]
	}
	return endMessage(endAttr(b, list), at)
}

func beginSetMessage(b []byte, typ uint16, set setID) ([]byte, int) {
	flags := uint16(unix.NLM_F_REQUEST)
	if typ == msgNewSetElem {
		flags |= unix.NLM_F_CREATE
	}
	b, at := beginMessage(b, typ, flags, setSeq(set), familyInet, 0)
	b = AppendAttrString(b, elemListTable, nftTable)
	return AppendAttrString(b, elemListSet, setNames[set]), at
}

// appendBatchMark appends the message that begins or ends a transaction.
func appendBatchMark(b []byte, typ uint16) []byte {
	b, at := beginMessage(b, typ, unix.NLM_F_REQUEST, 0, unix.AF_UNSPEC, subsysNFTables)
	return endMessage(b, at)
}
