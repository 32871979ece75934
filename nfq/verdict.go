// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import "golang.org/x/sys/unix"

// The kernel's verdicts (linux/netfilter.h).
const (
	nfDrop   = 0
	nfAccept = 1
	nfRepeat = 4
)

// verdictLen is the length of the longest verdict message: header, nfgenmsg,
// verdict attribute, mark attribute.
const verdictLen = nlmsgHeaderLen + nfgenLen + 12 + 8

// appendVerdict appends the verdict on one packet. With repeat, one that marks the
// packet is to have it meet the same rules again.
func appendVerdict(b []byte, queue uint16, p *Packet, v Verdict, m *Marks, repeat bool) []byte {
	verdict := kernelVerdict(v)
	mark := p.Mark
	switch v {
	case Accept:
		if p.Begins {
			mark = m.with(mark, 0)
		}
	case AcceptDecided:
		mark = m.with(mark, m.Decided)
	case AcceptMarked:
		mark = m.with(mark, m.Marked)
	}
	// What has a mark already went round once, and the rules did not know it.
	if repeat && v != Accept && mark != p.Mark && p.Hook == HookForward && !m.decided(p.Mark) {
		verdict = nfRepeat
	}
	b, at := beginVerdict(b, msgVerdict, queue, p.ID, verdict)
	if mark != p.Mark {
		// The attribute replaces the whole mark: what others put there is kept.
		b = appendAttr32(b, attrMark, mark)
	}
	return endMessage(b, at)
}

// appendBatchVerdict appends the verdict on every packet that the kernel still
// holds up to and including id.
func appendBatchVerdict(b []byte, queue uint16, id uint32, v Verdict) []byte {
	b, at := beginVerdict(b, msgVerdictBatch, queue, id, kernelVerdict(v))
	return endMessage(b, at)
}

// kernelVerdict is the kernel's word for a verdict, without the mark.
func kernelVerdict(v Verdict) uint32 {
	if v == Drop {
		return nfDrop
	}
	return nfAccept
}

func beginVerdict(b []byte, typ, queue uint16, id, verdict uint32) ([]byte, int) {
	b, at := beginMessage(b, typ, unix.NLM_F_REQUEST, 0, unix.AF_UNSPEC, queue)
	b, attr := beginAttr(b, attrVerdictHeader)
	b = be.AppendUint32(b, verdict)
	b = be.AppendUint32(b, id)
	return endAttr(b, attr), at
}

// appendVerdicts appends the verdicts on all packets. Of accepts and drops the
// larger group gets one batch verdict; it comes last, because it settles
// everything that is still held up to its packet.
func appendVerdicts(b []byte, queue uint16, packets []Packet, verdicts []Verdict, m *Marks, repeat bool) []byte {
	var count [AcceptMarked + 1]int
	for i, v := range verdicts[:len(packets)] {
		if !packets[i].Begins || v == Drop {
			count[v]++
		}
	}
	batch := Accept
	if count[Drop] > count[Accept] {
		batch = Drop
	}
	last := -1
	for i := range packets {
		// A batch verdict does not take the mark away.
		if v := verdicts[i]; v != batch || v == Accept && packets[i].Begins {
			b = appendVerdict(b, queue, &packets[i], v, m, repeat)
		} else {
			last = i
		}
	}
	if last >= 0 {
		b = appendBatchVerdict(b, queue, packets[last].ID, batch)
	}
	return b
}
