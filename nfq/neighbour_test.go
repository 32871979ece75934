// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

func TestNeighbourMessages(t *testing.T) {
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"device", appendGetLink(nil, 7), `00 00` + n16(0) + n32(7) + n32(0) + n32(0)},
		{
			"route IPv4", appendGetRoute(nil, 7, &src4),
			`02 20 00 00 00 00 00 00` + n32(0x1000) + n16(8) + n16(1) + `c000020a` + n16(8) + n16(4) + n32(7),
		},
		{
			"route IPv6", appendGetRoute(nil, 7, &src6),
			`0a 80 00 00 00 00 00 00` + n32(0) + n16(20) + n16(1) + `20010db8 00010000 00000000 00000010` + n16(8) + n16(4) + n32(7),
		},
		{
			"neighbours", appendGetNeighbours(nil, 7),
			`00 00` + n16(0) + n32(0) + n16(0) + `00 00` + n16(8) + n16(8) + n32(7),
		},
		{
			"use IPv4", appendUseNeighbour(nil, 7, &src4),
			`02 00` + n16(0) + n32(7) + n16(0) + `01 00` + n16(8) + n16(1) + `c000020a`,
		},
		{
			"use IPv6", appendUseNeighbour(nil, 7, &src6),
			`0a 00` + n16(0) + n32(7) + n16(0) + `01 00` + n16(20) + n16(1) + `20010db8 00010000 00000000 00000010`,
		},
	} {
		if diff := cmp.Diff(unhex(tt.want), tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// ndmsg is the header of a neighbour entry on device 7 in the given state.
func ndmsg(family string, state uint16) string {
	return family + `00` + n16(0) + n32(7) + n16(state) + `00 01`
}

// rtmsg is the header of a route of the given kind.
func rtmsg(family, table, kind string) string {
	return family + `20 00 00` + table + `02 00` + kind + n32(0)
}

const macHex = `021122334455 0000`

var macOfHex = MAC{2, 0x11, 0x22, 0x33, 0x44, 0x55}

func TestParseNeighbour(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		want      neighbourEntry
		ok        bool
	}{
		{"nothing", ``, neighbourEntry{}, false},
		{"half a header", `02 00 0000`, neighbourEntry{}, false},
		{"no address", ndmsg(`02`, 2), neighbourEntry{dev: 7, state: 2}, false},
		{
			"IPv4", ndmsg(`02`, 2) + n16(8) + n16(1) + `c000020a` + n16(10) + n16(2) + macHex,
			neighbourEntry{7, 2, src4, macOfHex},
			true,
		},
		{
			"IPv6, MAC first", ndmsg(`0a`, 4) + n16(10) + n16(2) + macHex + n16(20) + n16(1) + `20010db8 00010000 00000000 00000010`,
			neighbourEntry{7, 4, src6, macOfHex},
			true,
		},
		{"no MAC", ndmsg(`02`, 1) + n16(8) + n16(1) + `c000020a`, neighbourEntry{7, 1, src4, MAC{}}, true},
		{
			"a MAC of another kind", ndmsg(`02`, 2) + n16(8) + n16(1) + `c000020a` + n16(12) + n16(2) + `0102030405060708`,
			neighbourEntry{7, 2, src4, MAC{}},
			true,
		},
		{
			"an address of another length", ndmsg(`02`, 2) + n16(6) + n16(1) + `c000 0000`,
			neighbourEntry{dev: 7, state: 2},
			false,
		},
		{
			"an attribute longer than the message", ndmsg(`02`, 2) + n16(8) + n16(1) + `c000020a` + n16(99) + n16(2) + macHex,
			neighbourEntry{7, 2, src4, MAC{}},
			true,
		},
	} {
		n, ok := parseNeighbour(unhex(tt.raw))
		if ok != tt.ok || n != tt.want {
			t.Errorf("%s: got %+v, %v", tt.name, n, ok)
		}
	}
}

func TestParseRoute(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		want      routeEntry
		ok        bool
	}{
		{"nothing", ``, routeEntry{}, false},
		{
			"on the link", rtmsg(`02`, `fe`, `01`) + n16(8) + n16(15) + n32(254) + n16(8) + n16(4) + n32(7),
			routeEntry{1, 254, 7, Addr{}},
			true,
		},
		{
			"by a gateway", rtmsg(`02`, `fe`, `01`) + n16(8) + n16(4) + n32(7) + n16(8) + n16(5) + `c000020a`,
			routeEntry{1, 254, 7, src4},
			true,
		},
		{
			"by a gateway of IPv6", rtmsg(`0a`, `fe`, `01`) + n16(8) + n16(4) + n32(7) + n16(20) + n16(5) + `20010db8 00010000 00000000 00000010`,
			routeEntry{1, 254, 7, src6},
			true,
		},
		{
			"IPv4 by a gateway of IPv6", rtmsg(`02`, `fe`, `01`) + n16(8) + n16(4) + n32(7) + n16(22) + n16(18) + n16(10) + `20010db8 00010000 00000000 00000010 0000`,
			routeEntry{1, 254, 7, src6},
			true,
		},
		{
			"a table above 255", rtmsg(`02`, `fc`, `01`) + n16(8) + n16(15) + n32(1000) + n16(8) + n16(4) + n32(7),
			routeEntry{1, 1000, 7, Addr{}},
			true,
		},
		{
			"odd lengths", rtmsg(`02`, `fe`, `07`) + n16(6) + n16(15) + `0000 0000` + n16(5) + n16(4) + `07 000000` + n16(6) + n16(18) + `0200 0000`,
			routeEntry{7, 254, 0, Addr{}},
			true,
		},
	} {
		r, ok := parseRoute(unhex(tt.raw))
		if ok != tt.ok || r != tt.want {
			t.Errorf("%s: got %+v, %v", tt.name, r, ok)
		}
	}
}

func TestNeighbourAmong(t *testing.T) {
	entry := func(dev uint32, state uint16, addr, mac string) netlink.Message {
		return netlink.Message{Data: unhex(`02 00` + n16(0) + n32(dev) + n16(state) + `00 01` +
			n16(8) + n16(1) + addr + n16(10) + n16(2) + mac)}
	}
	const (
		incomplete, reachable, stale, delay, probe, failed, noarp, permanent = 1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80

		other = `02aaaaaaaaaa 0000`
		zero  = `000000000000 0000`
	)
	all := []netlink.Message{
		entry(7, reachable, `c000020a`, macHex),
		entry(7, stale, `c000020b`, macHex),
		entry(7, delay, `c000020c`, macHex),
		entry(7, probe, `c000020d`, macHex),
		entry(7, noarp, `c000020e`, macHex),
		entry(7, permanent, `c000020f`, macHex),
		entry(7, failed, `c0000210`, macHex),
		entry(7, incomplete, `c0000211`, macHex),
		entry(8, reachable, `c0000212`, macHex),
		entry(7, reachable, `c0000213`, other),
		entry(7, noarp, `c0000214`, zero),
		{Data: unhex(`02 00`)},
	}
	for i, want := range []NeighbourInfo{
		0x0a: {macOfHex, true, 6, false}, 0x0b: {macOfHex, true, 6, false}, 0x0c: {macOfHex, true, 6, false},
		0x0d: {macOfHex, true, 6, false}, 0x0e: {macOfHex, true, 6, false}, 0x0f: {macOfHex, true, 6, false},
		0x13: {MAC{2, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa}, true, 1, false}, 0x15: {},
	} {
		a := AddrFrom4([4]byte{192, 0, 2, byte(i)})
		if got := neighbourAmong(all, 7, &a); got != want {
			t.Errorf("%v: %+v, want %+v", a, got, want)
		}
	}
}

func FuzzParseNeighbour(f *testing.F) {
	f.Add(unhex(ndmsg(`02`, 2) + n16(8) + n16(1) + `c000020a` + n16(10) + n16(2) + macHex))
	f.Add(unhex(rtmsg(`02`, `fe`, `01`) + n16(8) + n16(4) + n32(7) + n16(8) + n16(5) + `c000020a`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, ok := parseNeighbour(b); ok && n.addr.IsZero() {
			t.Errorf("an entry without an address: %+v", n)
		}
		if r, ok := parseRoute(b); ok != (len(b) >= rtmsgLen) {
			t.Errorf("%+v, %v of %d bytes", r, ok, len(b))
		}
	})
}

// TestNeighbourAsker: Ask never waits, every accepted question gets its answer, and a
// slow question does not delay the next one.
func TestNeighbourAsker(t *testing.T) {
	type answer struct {
		id   uint64
		info NeighbourInfo
		err  error
	}
	answers := make(chan answer, 100)
	slow, stop, begun := addr("192.0.2.99"), make(chan struct{}), make(chan struct{}, 100)
	a := newNeighbourAsker(func(dev uint32, a Addr) (NeighbourInfo, error) {
		begun <- struct{}{}
		if a == slow {
			<-stop
			return NeighbourInfo{}, nil
		}
		if dev == 9 {
			return NeighbourInfo{}, unix.ENODEV
		}
		return NeighbourInfo{MAC: MAC{5: a[15]}, Known: true, Addrs4: int(dev)}, nil
	}, func(id uint64, info NeighbourInfo, err error) { answers <- answer{id, info, err} })

	for i := range neighbourAskers - 1 {
		if !a.Ask(uint64(i), 1, slow, [2]Flow{}) {
			t.Fatal("refused at first")
		}
		<-begun
	}
	if !a.Ask(1<<40, 3, addr("192.0.2.10"), [2]Flow{}) || !a.Ask(1<<41, 9, addr("192.0.2.10"), [2]Flow{}) {
		t.Fatal("refused")
	}
	if got := <-answers; got != (answer{1 << 40, NeighbourInfo{MAC{5: 10}, true, 3, false}, nil}) {
		t.Errorf("got %+v", got)
	}
	if got := <-answers; got.id != 1<<41 || !errors.Is(got.err, unix.ENODEV) {
		t.Errorf("got %+v", got)
	}
	<-begun
	<-begun
	a.Ask(3, 1, slow, [2]Flow{})
	<-begun
	// All goroutines are busy: further questions wait until the queue is full.
	for i := range neighbourQueue {
		if !a.Ask(uint64(100+i), 1, addr("192.0.2.10"), [2]Flow{}) {
			t.Fatalf("refused with %d waiting", i)
		}
	}
	if n := testing.AllocsPerRun(10, func() {
		if a.Ask(999, 1, slow, [2]Flow{}) {
			t.Error("taken with a full queue")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	close(stop)
	seen := map[uint64]bool{}
	for range neighbourAskers + neighbourQueue {
		seen[(<-answers).id] = true
	}
	if len(seen) != neighbourAskers+neighbourQueue || seen[999] {
		t.Errorf("answers to %v", seen)
	}
	a.Close()
}
