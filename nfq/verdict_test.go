// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testMarks are marks that are easy to read.
var testMarks, _ = MakeMarks(0x07000000)

// Goldens of the messages for queue 214 (0x00d6).
func verdictGolden(id, verdict string) string {
	return n32(32) + n16(0x301) + n16(1) + n32(0) + n32(0) + `00 00 00d6` +
		n16(12) + n16(2) + verdict + id
}

func markGolden(id, mark string) string {
	return n32(40) + n16(0x301) + n16(1) + n32(0) + n32(0) + `00 00 00d6` +
		n16(12) + n16(2) + `00000001` + id + n16(8) + n16(3) + mark
}

// repeatGolden is markGolden with the verdict NF_REPEAT.
func repeatGolden(id, mark string) string {
	return n32(40) + n16(0x301) + n16(1) + n32(0) + n32(0) + `00 00 00d6` +
		n16(12) + n16(2) + `00000004` + id + n16(8) + n16(3) + mark
}

func batchGolden(id, verdict string) string {
	return n32(32) + n16(0x303) + n16(1) + n32(0) + n32(0) + `00 00 00d6` +
		n16(12) + n16(2) + verdict + id
}

func TestAppendVerdicts(t *testing.T) {
	const accept, drop = `00000001`, `00000000`
	packets := []Packet{{ID: 0xfffffffe}, {ID: 0xffffffff, Mark: 0x100}, {ID: 0}, {ID: 1}}
	begun := []Packet{{ID: 0xfffffffe}, {ID: 0xffffffff, Mark: 0x05000100, Begins: true}, {ID: 0}, {ID: 1, Mark: 0x05000000, Begins: true}}
	const (
		id0 = `fffffffe`
		id1 = `ffffffff`
		id2 = `00000000`
		id3 = `00000001`
	)
	tests := []struct {
		name     string
		verdicts []Verdict
		want     string
		begun    bool
	}{
		{name: "nothing"},
		{"one accept", []Verdict{Accept}, batchGolden(id0, accept), false},
		{"one drop", []Verdict{Drop}, batchGolden(id0, drop), false},
		{"one mark", []Verdict{AcceptDecided}, markGolden(id0, `05000000`), false},
		{"all accepted", []Verdict{Accept, Accept, Accept, Accept}, batchGolden(id3, accept), false},
		{"all dropped", []Verdict{Drop, Drop, Drop, Drop}, batchGolden(id3, drop), false},
		// Another program's mark is kept.
		{"a mark", []Verdict{Accept, AcceptDecided, Accept, Accept}, markGolden(id1, `05000100`) + batchGolden(id3, accept), false},
		{"as many drops as accepts", []Verdict{Drop, Accept, Accept, Drop}, verdictGolden(id0, drop) + verdictGolden(id3, drop) + batchGolden(id2, accept), false},
		{"more accepts", []Verdict{Accept, Drop, Accept, AcceptDecided}, verdictGolden(id1, drop) + markGolden(id3, `05000000`) + batchGolden(id2, accept), false},
		{"more drops", []Verdict{Drop, Drop, Accept, Drop}, verdictGolden(id2, accept) + batchGolden(id3, drop), false},
		{"to be marked", []Verdict{AcceptMarked, AcceptMarked}, markGolden(id0, `07000000`) + markGolden(id1, `07000100`), false},
		{"marks only", []Verdict{AcceptDecided, AcceptDecided}, markGolden(id0, `05000000`) + markGolden(id1, `05000100`), false},
		// A batch verdict does not take the mark away.
		{"first data, accepted", []Verdict{Accept, Accept, Accept, Accept}, markGolden(id1, `00000100`) + markGolden(id3, `00000000`) + batchGolden(id2, accept), true},
		{"first data, dropped", []Verdict{Accept, Drop, Drop, Drop}, verdictGolden(id0, accept) + batchGolden(id3, drop), true},
		{"first data, decided", []Verdict{Accept, Drop, Accept, AcceptDecided}, verdictGolden(id1, drop) + verdictGolden(id3, accept) + batchGolden(id2, accept), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, packets := len(tt.verdicts), packets
			if tt.begun {
				packets = begun
			}
			buf := make([]byte, 0, (n+1)*verdictLen)
			var got []byte
			if allocs := testing.AllocsPerRun(10, func() {
				got = appendVerdicts(buf, 214, packets[:n], tt.verdicts, &testMarks, false)
			}); allocs != 0 {
				t.Errorf("%v allocations", allocs)
			}
			if diff := cmp.Diff(unhex(tt.want), got, emptyIsNil); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRepeat: a packet goes back to the rules if it is forwarded and was not marked
// before.
func TestRepeat(t *testing.T) {
	const id = `00000007`
	for _, tt := range []struct {
		name    string
		packet  Packet
		verdict Verdict
		repeat  bool
		want    string
	}{
		{"decided", Packet{ID: 7, Hook: HookForward, Mark: 0x100}, AcceptDecided, true, repeatGolden(id, `05000100`)},
		{"for the router", Packet{ID: 7, Hook: HookInput}, AcceptDecided, true, markGolden(id, `05000000`)},
		{"a bit of another's", Packet{ID: 7, Hook: HookForward, Mark: 0x02000100}, AcceptDecided, true, repeatGolden(id, `05000100`)},
		{"all bits", Packet{ID: 7, Hook: HookForward, Mark: testMarks.Mask}, AcceptDecided, true, markGolden(id, `05000000`)},
		{"it came back as it went", Packet{ID: 7, Hook: HookForward, Mark: testMarks.Decided}, AcceptDecided, true, verdictGolden(id, `00000001`)},
		{"accepted", Packet{ID: 7, Hook: HookForward}, Accept, true, verdictGolden(id, `00000001`)},
		{"first data, accepted", Packet{ID: 7, Hook: HookForward, Mark: testMarks.Watch | 0x100, Begins: true}, Accept, true, markGolden(id, `00000100`)},
		{"first data, decided", Packet{ID: 7, Hook: HookForward, Mark: testMarks.Watch | 0x100, Begins: true}, AcceptDecided, true, repeatGolden(id, `05000100`)},
		{"first data, marked", Packet{ID: 7, Hook: HookForward, Mark: testMarks.Watch, Begins: true}, AcceptMarked, true, repeatGolden(id, `07000000`)},
		{"first data, accepted, iptables", Packet{ID: 7, Hook: HookForward, Mark: testMarks.Decided | 0x100, Begins: true}, Accept, false, markGolden(id, `00000100`)},
		{"first data, decided, iptables", Packet{ID: 7, Hook: HookForward, Mark: testMarks.Decided, Begins: true}, AcceptDecided, false, verdictGolden(id, `00000001`)},
		{"dropped", Packet{ID: 7, Hook: HookForward}, Drop, true, verdictGolden(id, `00000000`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(unhex(tt.want), appendVerdict(nil, 214, &tt.packet, tt.verdict, &testMarks, tt.repeat)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestConfigMessages checks the attributes that Open sends.
func TestConfigMessages(t *testing.T) {
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"bind", attr(cfgCommand, []byte{commandBind, 0, 0, 0}), n16(8) + n16(1) + `01 00 0000`},
		{"copy 2048 bytes", attr(cfgParams, append(be.AppendUint32(nil, 2048), copyPacket)), n16(9) + n16(2) + `00000800 02 000000`},
		{"length 1024", attr(cfgMaxLen, be.AppendUint32(nil, 1024)), n16(8) + n16(3) + `00000400`},
		{"fail-open", appendAttr32(appendAttr32(nil, cfgFlags, flagFailOpen), cfgMask, flagFailOpen), n16(8) + n16(5) + `00000001` + n16(8) + n16(4) + `00000001`},
	} {
		if diff := cmp.Diff(unhex(tt.want), tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func BenchmarkAppendVerdicts(b *testing.B) {
	packets := make([]Packet, DefaultBatch)
	for _, bb := range []struct {
		name  string
		every int // one packet in every so many is dropped
	}{{"accept 64", DefaultBatch + 1}, {"mixed 64", 4}, {"drop 64", 1}} {
		verdicts := make([]Verdict, DefaultBatch)
		for i := range verdicts {
			packets[i].ID = uint32(i)
			if (i+1)%bb.every == 0 {
				verdicts[i] = Drop
			}
		}
		buf := make([]byte, 0, (DefaultBatch+1)*verdictLen)
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				appendVerdicts(buf, 214, packets, verdicts, &testMarks, false)
			}
		})
	}
}
