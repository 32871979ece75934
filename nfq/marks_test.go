// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"math/bits"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMakeMarks(t *testing.T) {
	for _, tt := range []struct {
		mask uint32
		want Marks
		ok   bool
	}{
		{7, Marks{Mask: 7, Decided: 5, Sample: 6, Own: 6, Watch: 3, Marked: 7}, true},
		{DefaultMarkMask, Marks{Mask: 0x0200c000, Decided: 0x02004000, Sample: 0x02008000, Own: 0x02008000, Watch: 0xc000, Marked: 0x0200c000}, true},
		{0x80000101, Marks{Mask: 0x80000101, Decided: 0x80000001, Sample: 0x80000100, Own: 0x80000100, Watch: 0x101, Marked: 0x80000101}, true},
		{0, Marks{}, false},
		{3, Marks{}, false},
		{0xf, Marks{}, false},
		{0xffffffff, Marks{}, false},
	} {
		got, ok := MakeMarks(tt.mask)
		if diff := cmp.Diff(tt.want, got); diff != "" || ok != tt.ok {
			t.Errorf("%#x: %v (-want +got):\n%s", tt.mask, ok, diff)
		}
	}
	if got, _ := MakeMarks(DefaultMarkMask); got != DefaultMarks() {
		t.Errorf("%+v", got)
	}
}

// TestDefaultMask: the default mask shares no bit with masks that other programs use.
func TestDefaultMask(t *testing.T) {
	for who, mask := range map[string]uint32{
		"mwan3": 0x3f00, "pbr, Tailscale": 0xff0000, "dscpclassify, cake-qos-simple, qosmate": 0xff,
		"tc-ctinfo(8)": 0xfc000000 | 0x01000000,
	} {
		if DefaultMarkMask&mask != 0 {
			t.Errorf("%s uses %#x", who, mask)
		}
	}
}

// TestMarksOfOthers: a single bit means nothing.
func TestMarksOfOthers(t *testing.T) {
	m := DefaultMarks()
	for _, v := range []uint32{m.Decided, m.Sample, m.Own, m.Watch, m.Marked} {
		if bits.OnesCount32(v) < 2 || v&^m.Mask != 0 {
			t.Errorf("the value %#x of %#x", v, m.Mask)
		}
	}
	for bit := uint32(1); bit != 0; bit <<= 1 {
		if m.decided(bit) || m.Sampled(&Packet{Mark: bit, Hook: HookForward}) {
			t.Errorf("the bit %#x means something", bit)
		}
	}
	for _, tt := range []struct {
		mark             uint32
		decided, sampled bool
	}{
		{0x100, false, false},
		{m.Decided | 0x100, true, false},
		{m.Sample | 0x100, false, true},
		{m.Watch | 0x100, false, false},
	} {
		p := Packet{Mark: tt.mark, Hook: HookForward}
		if m.decided(tt.mark) != tt.decided || m.Sampled(&p) != tt.sampled {
			t.Errorf("%#x: decided %v, sampled %v", tt.mark, m.decided(tt.mark), m.Sampled(&p))
		}
		p.Hook = HookOutput
		if m.Sampled(&p) {
			t.Errorf("%#x: a packet of the router's own is sampled", tt.mark)
		}
	}
	if none := new(Marks); none.Sampled(&Packet{Hook: HookForward}) {
		t.Error("without marks all is sampled")
	}
	if got := m.with(m.Sample|0x100, m.Decided); got != m.Decided|0x100 {
		t.Errorf("got %#x", got)
	}
}
