// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// collected returns the changes that the calls collect.
func collected(calls func(*SetWriter)) []setOp {
	w := SetWriter{fill: &setBatch{}}
	calls(&w)
	return w.fill.ops[:w.fill.n]
}

// nested returns the header of a nested attribute.
func nested(n, typ uint16) string { return n16(n) + n16(typ|0x8000) }

// nftGolden is the header of an nf_tables message up to its list of n bytes. set is the
// set's name as an attribute with its padding.
func nftGolden(length uint32, typ, flags uint16, seq uint32, set string, n uint16) string {
	return n32(length) + n16(typ) + n16(flags) + n32(seq) + n32(0) + `01 00 0000` +
		n16(12) + n16(1) + `7032707761 6c6c00` + set + nested(n, 3)
}

func TestAppendNFTBatch(t *testing.T) {
	begin := n32(20) + n16(0x10) + n16(1) + n32(0) + n32(0) + `00 00 000a`
	end := n32(20) + n16(0x11) + n16(1) + n32(0) + n32(0) + `00 00 000a`
	const (
		add = 0xa0c
		del = 0xa0e
	)
	cut4 := n16(9) + n16(2) + `63757434 00 000000`
	cut6 := n16(9) + n16(2) + `63757436 00 000000`
	lock4 := n16(10) + n16(2) + `6c6f636b34 00 0000`
	lock6 := n16(10) + n16(2) + `6c6f636b36 00 0000`
	own4 := n16(9) + n16(2) + `6f776e34 00 000000`
	own6 := n16(9) + n16(2) + `6f776e36 00 000000`
	watch4 := n16(11) + n16(2) + `776174636834 00 00`
	watch6 := n16(11) + n16(2) + `776174636836 00 00`
	mark4 := n16(10) + n16(2) + `6d61726b34 00 0000`
	mark6 := n16(10) + n16(2) + `6d61726b36 00 0000`
	// An element, with a timeout of 1.5 s or without one. n is the length of its key
	// attribute. The key is padded.
	value := func(n uint16, key string) string { return nested(8+(n+3)&^3, 1) + n16(4+n) + n16(1) + key }
	elem := func(n uint16, key string) string { return nested(12+(n+3)&^3, 1) + value(n, key) }
	elemFor := func(n uint16, key string) string {
		return nested(24+(n+3)&^3, 1) + value(n, key) + n16(12) + n16(4) + `00000000000005dc`
	}
	const (
		all  = 1<<setCount - 1
		d    = 1500 * time.Millisecond
		pair = `c000020a c6336414`
	)
	// The client, a protocol and a port, each padded to a multiple of four bytes.
	const (
		port  = `c000020a 11000000 1ae10000`
		port6 = `20010db8 00010000 00000000 00000010 06000000 00500000`
	)
	pair6 := `20010db8 00010000 00000000 00000010 20010db8 00020000 00000000 00000020`

	for _, tt := range []struct {
		name  string
		calls func(*SetWriter)
		which uint16
		want  string
	}{
		{"nothing", func(*SetWriter) {}, all, ""},
		{"nothing in these sets", func(s *SetWriter) { s.Cut(src4, dst4, d) }, all &^ 1, ""},
		{
			"cut IPv4", func(s *SetWriter) { s.Cut(src4, dst4, d) }, all,
			begin + nftGolden(68, add, 0x401, 1, cut4, 24) + elem(8, pair) +
				nftGolden(68, del, 1, 1, cut4, 24) + elem(8, pair) +
				nftGolden(80, add, 0x401, 1, cut4, 36) + elemFor(8, pair) + end,
		},
		{
			"cut IPv6", func(s *SetWriter) { s.Cut(src6, dst6, d) }, all,
			begin + nftGolden(92, add, 0x401, 2, cut6, 48) + elem(32, pair6) +
				nftGolden(92, del, 1, 2, cut6, 48) + elem(32, pair6) +
				nftGolden(104, add, 0x401, 2, cut6, 60) + elemFor(32, pair6) + end,
		},
		{
			"uncut", func(s *SetWriter) { s.Uncut(src4, dst4) }, all,
			begin + nftGolden(68, add, 0x401, 1, cut4, 24) + elem(8, pair) +
				nftGolden(68, del, 1, 1, cut4, 24) + elem(8, pair) + end,
		},
		{
			"lock IPv4 and IPv6, unlock another", func(s *SetWriter) {
				s.Lock(src6, d)
				s.Unlock(dst4)
				s.Lock(src4, d)
			}, all,
			begin + nftGolden(80, add, 0x401, 3, lock4, 36) + elem(4, `c6336414`) + elem(4, `c000020a`) +
				nftGolden(80, del, 1, 3, lock4, 36) + elem(4, `c6336414`) + elem(4, `c000020a`) +
				nftGolden(76, add, 0x401, 3, lock4, 32) + elemFor(4, `c000020a`) +
				nftGolden(76, add, 0x401, 4, lock6, 32) + elem(16, pair6[:35]) +
				nftGolden(76, del, 1, 4, lock6, 32) + elem(16, pair6[:35]) +
				nftGolden(88, add, 0x401, 4, lock6, 44) + elemFor(16, pair6[:35]) + end,
		},
		{
			"a port of each family", func(s *SetWriter) {
				s.Own(src4, ProtoUDP, 6881, d)
				s.Disown(src6, ProtoTCP, 80)
			}, all,
			begin + nftGolden(72, add, 0x401, 5, own4, 28) + elem(12, port) +
				nftGolden(72, del, 1, 5, own4, 28) + elem(12, port) +
				nftGolden(84, add, 0x401, 5, own4, 40) + elemFor(12, port) +
				nftGolden(84, add, 0x401, 6, own6, 40) + elem(24, port6) +
				nftGolden(84, del, 1, 6, own6, 40) + elem(24, port6) + end,
		},
		{
			"ports that differ in one thing", func(s *SetWriter) {
				s.Own(src4, ProtoUDP, 6881, d)
				s.Disown(src4, ProtoTCP, 6881)
				s.Disown(src4, ProtoUDP, 6882)
				s.Own(src4, ProtoUDP, 6881, 0) // replaces the first
			}, all,
			begin + nftGolden(120, add, 0x401, 5, own4, 76) + elem(12, port) +
				elem(12, `c000020a 06000000 1ae10000`) + elem(12, `c000020a 11000000 1ae20000`) +
				nftGolden(120, del, 1, 5, own4, 76) + elem(12, port) +
				elem(12, `c000020a 06000000 1ae10000`) + elem(12, `c000020a 11000000 1ae20000`) + end,
		},
		{
			"watch, end it for another", func(s *SetWriter) {
				s.Watch(src4, d)
				s.Unwatch(src6)
			}, all,
			begin + nftGolden(64, add, 0x401, 7, watch4, 20) + elem(4, `c000020a`) +
				nftGolden(64, del, 1, 7, watch4, 20) + elem(4, `c000020a`) +
				nftGolden(76, add, 0x401, 7, watch4, 32) + elemFor(4, `c000020a`) +
				nftGolden(76, add, 0x401, 8, watch6, 32) + elem(16, pair6[:35]) +
				nftGolden(76, del, 1, 8, watch6, 32) + elem(16, pair6[:35]) + end,
		},
		{
			"mark, end it for another", func(s *SetWriter) {
				s.Mark(src4, d)
				s.Unmark(src6)
			}, all,
			begin + nftGolden(64, add, 0x401, 9, mark4, 20) + elem(4, `c000020a`) +
				nftGolden(64, del, 1, 9, mark4, 20) + elem(4, `c000020a`) +
				nftGolden(76, add, 0x401, 9, mark4, 32) + elemFor(4, `c000020a`) +
				nftGolden(76, add, 0x401, 10, mark6, 32) + elem(16, pair6[:35]) +
				nftGolden(76, del, 1, 10, mark6, 32) + elem(16, pair6[:35]) + end,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ops := collected(tt.calls)
			if diff := cmp.Diff(unhex(tt.want), appendNFTBatch(nil, ops, tt.which), emptyIsNil); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAppendIPSetOp(t *testing.T) {
	golden := func(length uint32, typ uint16, seq uint32, family, name string, rest string) string {
		return n32(length) + n16(typ) + n16(1) + n32(seq) + n32(0) + family + `00 0000` +
			n16(5) + n16(1) + `06 000000` + name + rest
	}
	cut4 := n16(17) + n16(2) + `70327077616c6c2d 63757434 00 000000`
	cut6 := n16(17) + n16(2) + `70327077616c6c2d 63757436 00 000000`
	lock4 := n16(18) + n16(2) + `70327077616c6c2d 6c6f636b34 00 0000`
	lock6 := n16(18) + n16(2) + `70327077616c6c2d 6c6f636b36 00 0000`
	own4 := n16(17) + n16(2) + `70327077616c6c2d 6f776e34 00 000000`
	own6 := n16(17) + n16(2) + `70327077616c6c2d 6f776e36 00 000000`
	watch4 := n16(19) + n16(2) + `70327077616c6c2d 776174636834 00 00`
	watch6 := n16(19) + n16(2) + `70327077616c6c2d 776174636836 00 00`
	timeout := n16(8) + n16(6|0x4000) + `00000002` // 1.5 s, rounded up
	ip4 := func(typ uint16, a string) string { return nested(12, typ) + n16(8) + n16(1|0x4000) + a }
	ip6 := func(typ uint16, a string) string { return nested(24, typ) + n16(20) + n16(2|0x4000) + a }
	port := func(proto, number string) string {
		return n16(6) + n16(4|0x4000) + number + `0000` + n16(5) + n16(7) + proto + `000000`
	}
	const (
		add, del = 0x609, 0x60a
		d        = 1500 * time.Millisecond
		s4, d4   = `c000020a`, `c6336414`
		s6       = `20010db8 00010000 00000000 00000010`
		d6       = `20010db8 00020000 00000000 00000020`
	)
	for _, tt := range []struct {
		name  string
		calls func(*SetWriter)
		want  string
	}{
		{
			"cut IPv4", func(s *SetWriter) { s.Cut(src4, dst4, d) },
			golden(84, add, 1, `02`, cut4, nested(36, 7)+ip4(1, s4)+ip4(20, d4)+timeout),
		},
		{
			"uncut IPv4", func(s *SetWriter) { s.Uncut(src4, dst4) },
			golden(76, del, 1, `02`, cut4, nested(28, 7)+ip4(1, s4)+ip4(20, d4)),
		},
		{
			"cut IPv6", func(s *SetWriter) { s.Cut(src6, dst6, d) },
			golden(108, add, 2, `0a`, cut6, nested(60, 7)+ip6(1, s6)+ip6(20, d6)+timeout),
		},
		{
			"lock IPv4", func(s *SetWriter) { s.Lock(src4, d) },
			golden(72, add, 3, `02`, lock4, nested(24, 7)+ip4(1, s4)+timeout),
		},
		{
			"port of IPv4", func(s *SetWriter) { s.Own(src4, ProtoUDP, 6881, d) },
			golden(88, add, 5, `02`, own4, nested(40, 7)+ip4(1, s4)+port(`11`, `1ae1`)+timeout),
		},
		{
			"port of IPv6 no more", func(s *SetWriter) { s.Disown(src6, ProtoTCP, 80) },
			golden(92, del, 6, `0a`, own6, nested(44, 7)+ip6(1, s6)+port(`06`, `0050`)),
		},
		{
			"watch IPv4", func(s *SetWriter) { s.Watch(src4, d) },
			golden(72, add, 7, `02`, watch4, nested(24, 7)+ip4(1, s4)+timeout),
		},
		{
			"watch IPv6 no more", func(s *SetWriter) { s.Unwatch(src6) },
			golden(76, del, 8, `0a`, watch6, nested(28, 7)+ip6(1, s6)),
		},
		{
			"unlock IPv6", func(s *SetWriter) { s.Unlock(src6) },
			golden(76, del, 4, `0a`, lock6, nested(28, 7)+ip6(1, s6)),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ops := collected(tt.calls)
			if diff := cmp.Diff(unhex(tt.want), appendIPSetOp(nil, &ops[0])); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(unhex(golden(48, 0x604, 1, `02`, cut4, "")), appendIPSetNone(nil, setCut4)); diff != "" {
		t.Errorf("flush (-want +got):\n%s", diff)
	}
}

func TestSetTimeout(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want uint32
	}{
		{-time.Second, 0},
		{0, 0},
		{1, 1},
		{time.Millisecond, 1},
		{time.Millisecond + 1, 2},
		{2 * time.Minute, 120000},
		{math.MaxInt64, math.MaxUint32},
	} {
		ops := collected(func(s *SetWriter) { s.Lock(src4, tt.d) })
		if ops[0].timeout != tt.want {
			t.Errorf("%v: %d ms, want %d", tt.d, ops[0].timeout, tt.want)
		}
	}
	// ipset has a lower limit for timeouts.
	b := appendIPSetOp(nil, &setOp{set: setLock4, timeout: math.MaxUint32})
	if got := be.Uint32(b[len(b)-4:]); got != 2147483 {
		t.Errorf("ipset timeout %d", got)
	}
}

func TestSetErrorText(t *testing.T) {
	for errno, want := range map[unix.Errno]string{
		unix.ENOENT: "x: missing in the kernel, load the rules again",
		unix.EPERM:  "x: no permission: run as root or with CAP_NET_ADMIN",
		unix.ENFILE: "x: full",
		4352:        "x: full",
		4103:        "x: ipset error 4103",
		unix.EINVAL: "x: invalid argument",
	} {
		if got := (&SetError{Set: "x", Errno: errno}).Error(); got != want {
			t.Errorf("%d: %q, want %q", errno, got, want)
		}
	}
}

func BenchmarkAppendNFTBatch(b *testing.B) {
	peer := dst4
	ops := collected(func(s *SetWriter) {
		for i := range 64 {
			peer[15] = byte(i)
			s.Cut(src4, peer, time.Minute)
		}
	})
	buf := make([]byte, 0, maxSetOps*nftOpLen+int(setCount)*nftSetLen)
	b.ReportAllocs()
	for b.Loop() {
		appendNFTBatch(buf, ops, 1<<setCount-1)
	}
}
