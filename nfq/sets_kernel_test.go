// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/p2pwall/p2pwall/bench/netns"
)

// testTable is the smallest table that uses every set. The sets are those of the router's
// rules. The chains act on what this host sends.
const testTable = `table inet p2pwall {
	set cut4 { typeof ip saddr . ip daddr; flags timeout; }
	set cut6 { typeof ip6 saddr . ip6 daddr; flags timeout; }
	set lock4 { type ipv4_addr; flags timeout; }
	set lock6 { type ipv6_addr; flags timeout; }
	set own4 { typeof ip saddr . meta l4proto . th sport; flags timeout; }
	set own6 { typeof ip6 saddr . meta l4proto . th sport; flags timeout; }
	set watch4 { type ipv4_addr; flags timeout; }
	set watch6 { type ipv6_addr; flags timeout; }
	set mark4 { type ipv4_addr; flags timeout; }
	set mark6 { type ipv6_addr; flags timeout; }
	chain out {
		type filter hook output priority filter - 10;
		ip saddr . meta l4proto . th sport @own4 drop
		ip6 saddr . meta l4proto . th sport @own6 drop
		ip saddr . ip daddr @cut4 drop
		ip6 saddr . ip6 daddr @cut6 drop
	}
}`

func addr(s string) Addr { return AddrFrom(netip.MustParseAddr(s)) }

// waitingSets collect changes like a SetWriter, but write them within Flush.
type waitingSets struct {
	SetWriter
	*KernelSets
}

// Flush writes the collected changes.
func (s *waitingSets) Flush() error {
	err := s.write(s.fill.ops[:s.fill.n])
	s.fill.n = 0
	return err
}

func openSets(t *testing.T, open func() (*KernelSets, error)) *waitingSets {
	t.Helper()
	k, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return &waitingSets{SetWriter{fill: &setBatch{}}, k}
}

func openNFTSets(t *testing.T) *waitingSets { return openSets(t, OpenNFTSets) }

func flush(t *testing.T, s interface{ Flush() error }) {
	t.Helper()
	if err := s.Flush(); err != nil {
		t.Fatal(err)
	}
}

// elementTime is what `nft list set` says about an element, in seconds.
type elementTime struct{ timeout, expires float64 }

// nftElements lists a set: the element as text, such as "192.0.2.1 . 192.0.2.2".
func nftElements(t *testing.T, set string) map[string]elementTime {
	t.Helper()
	var reply struct {
		Nftables []struct {
			Set *struct {
				Elem []struct {
					Elem struct {
						Val              any
						Timeout, Expires float64
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(netns.Run(t, "", "nft", "-j", "list", "set", "inet", nftTable, set)), &reply); err != nil {
		t.Fatal(err)
	}
	found := map[string]elementTime{}
	for _, object := range reply.Nftables {
		if object.Set == nil {
			continue
		}
		for _, e := range object.Set.Elem {
			key := fmt.Sprint(e.Elem.Val)
			if pair, ok := e.Elem.Val.(map[string]any); ok {
				key = strings.Trim(strings.ReplaceAll(fmt.Sprint(pair["concat"]), " ", " . "), "[]")
			}
			found[key] = elementTime{e.Elem.Timeout, e.Elem.Expires}
		}
	}
	return found
}

func keys(m map[string]elementTime) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

func TestNFTSets(t *testing.T) {
	netns.Enter(t)
	netns.Run(t, "", "nft", testTable)
	s := openNFTSets(t)
	const hour = time.Hour

	want := func(step string, sets map[string]string) {
		t.Helper()
		for _, set := range setNames {
			if got := keys(nftElements(t, set)); got != sets[set] {
				t.Errorf("%s: %s has %q, want %q", step, set, got, sets[set])
			}
		}
	}

	s.Cut(addr("192.0.2.1"), addr("198.51.100.1"), hour)
	s.Cut(addr("2001:db8::1"), addr("2001:db8::2"), hour)
	s.Cut(addr("192.0.2.1"), addr("2001:db8::2"), hour) // different families: no element
	s.Cut(addr("192.0.2.1"), Addr{}, hour)
	s.Lock(addr("192.0.2.3"), hour)
	s.Lock(addr("2001:db8::3"), hour)
	s.Lock(Addr{}, hour)
	s.Own(addr("192.0.2.4"), ProtoUDP, 6881, hour)
	s.Own(addr("2001:db8::4"), ProtoTCP, 51413, hour)
	s.Own(Addr{}, ProtoUDP, 6881, hour)
	s.Watch(addr("192.0.2.5"), hour)
	s.Watch(addr("2001:db8::5"), hour)
	s.Watch(Addr{}, hour)
	s.Mark(addr("192.0.2.6"), hour)
	s.Mark(addr("2001:db8::6"), hour)
	flush(t, s)
	all := map[string]string{
		"cut4": "192.0.2.1 . 198.51.100.1", "cut6": "2001:db8::1 . 2001:db8::2",
		"lock4": "192.0.2.3", "lock6": "2001:db8::3",
		"own4": "192.0.2.4 . udp . 6881", "own6": "2001:db8::4 . tcp . 51413",
		"watch4": "192.0.2.5", "watch6": "2001:db8::5",
		"mark4": "192.0.2.6", "mark6": "2001:db8::6",
	}
	want("add", all)
	for _, set := range setNames {
		for key, e := range nftElements(t, set) {
			if e.timeout != 3600 || e.expires <= 0 || e.expires > 3600 {
				t.Errorf("%s %s: %+v, want a timeout of 3600", set, key, e)
			}
		}
	}

	// Deleting a missing element is possible, and a later change wins.
	s.Uncut(addr("192.0.2.99"), addr("198.51.100.1"))
	s.Unlock(addr("2001:db8::3"))
	s.Unlock(addr("192.0.2.3"))
	s.Lock(addr("192.0.2.3"), hour)
	s.Cut(addr("192.0.2.7"), addr("198.51.100.7"), hour)
	s.Uncut(addr("192.0.2.7"), addr("198.51.100.7"))
	flush(t, s)
	s.Disown(addr("2001:db8::4"), ProtoTCP, 51413)
	s.Disown(addr("192.0.2.4"), ProtoTCP, 6881) // a different element
	s.Unwatch(addr("2001:db8::5"))
	flush(t, s)
	all["lock6"], all["own6"], all["watch6"] = "", "", ""
	want("delete", all)

	if err := s.Clear(); err != nil {
		t.Error(err)
	}
	want("clear", nil)
	if err := s.Clear(); err != nil {
		t.Errorf("clearing empty sets: %v", err)
	}
	flush(t, s)
}

// TestNFTSetsRefresh: an element that is set again lives as long as a new one, whether
// its timeout changes or not.
func TestNFTSetsRefresh(t *testing.T) {
	netns.Enter(t)
	netns.Run(t, "", "nft", testTable)
	s := openNFTSets(t)
	a, b := addr("192.0.2.1"), addr("198.51.100.1")
	for _, old := range []string{"timeout 3600s expires 100s", "timeout 200s expires 100s", "timeout 7200s expires 7100s"} {
		if err := s.Clear(); err != nil {
			t.Fatal(err)
		}
		netns.Run(t, "", "nft", "add element inet p2pwall cut4 { 192.0.2.1 . 198.51.100.1 "+old+" }")
		s.Cut(a, b, time.Hour)
		flush(t, s)
		e := nftElements(t, "cut4")["192.0.2.1 . 198.51.100.1"]
		if e.timeout != 3600 || e.expires <= 100 || e.expires > 3600 {
			t.Errorf("after %q: %+v, want a timeout of 3600", old, e)
		}
	}
	// An element expires by itself. An expired element can be set and deleted.
	s.Cut(a, b, time.Millisecond)
	flush(t, s)
	for len(nftElements(t, "cut4")) > 0 {
		time.Sleep(time.Millisecond)
	}
	s.Uncut(a, b)
	flush(t, s)
	s.Cut(a, b, time.Hour)
	flush(t, s)
	if got := nftElements(t, "cut4"); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

// TestNFTSetsGap: a pair stays cut while its element is refreshed.
func TestNFTSetsGap(t *testing.T) {
	netns.Enter(t)
	netns.Run(t, "", "nft", testTable)
	s := openNFTSets(t)
	f := families[0]
	listener, sender := listenUDP(t, f, 7000), dialUDP(t, f, 7000)
	loopback := addr(f.loopback)
	write(t, sender, []byte("before"))
	var buf [16]byte
	if n, err := listener.Read(buf[:]); err != nil || string(buf[:n]) != "before" {
		t.Fatalf("got %q, %v", buf[:n], err)
	}
	s.Cut(loopback, loopback, time.Hour)
	flush(t, s)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := sender.Write([]byte("leak")); !errors.Is(err, unix.EPERM) {
				t.Errorf("a packet of a cut pair: %v, want %v", err, unix.EPERM)
				return
			}
		}
	})
	for range 300 {
		s.Cut(loopback, loopback, time.Hour)
		flush(t, s)
	}
	close(stop)
	wg.Wait()
	s.Uncut(loopback, loopback)
	flush(t, s)
	write(t, sender, []byte("after"))
	if n, err := listener.Read(buf[:]); err != nil || string(buf[:n]) != "after" {
		t.Fatalf("got %q, %v", buf[:n], err)
	}
}

// TestNFTSetsMany makes as many changes at a time as fit, of the largest kind.
func TestNFTSetsMany(t *testing.T) {
	netns.Enter(t)
	netns.Run(t, "", "nft", testTable)
	s := openNFTSets(t)
	client, peer := addr("2001:db8::1"), addr("2001:db8:1::")
	const n = 3*maxSetOps + 7
	for i := range n {
		if s.Room() == 0 {
			flush(t, s)
		}
		be.PutUint16(peer[14:], uint16(i))
		s.Cut(client, peer, time.Hour)
	}
	flush(t, s)
	if got := len(nftElements(t, "cut6")); got != n {
		t.Errorf("%d elements, want %d", got, n)
	}
	if cap(s.out) != maxSetOps*nftOpLen+int(setCount)*nftSetLen {
		t.Errorf("the buffer grew to %d bytes", cap(s.out))
	}
}

func TestNFTSetsMissing(t *testing.T) {
	netns.Enter(t)
	s := openNFTSets(t)
	change := func() error {
		s.Cut(addr("192.0.2.1"), addr("198.51.100.1"), time.Hour)
		s.Lock(addr("192.0.2.1"), time.Hour)
		return s.Flush()
	}
	missing := func(err error, set string) {
		t.Helper()
		var e *SetError
		if !errors.As(err, &e) || e.Set != "nft set inet p2pwall "+set || !errors.Is(err, unix.ENOENT) {
			t.Errorf("got %v, want that %s is missing", err, set)
		}
	}
	missing(change(), "cut4")
	missing(s.Clear(), "cut4")
	// If one set is missing, the others still work.
	netns.Run(t, "", "nft", testTable)
	netns.Run(t, "", "nft", "delete set inet p2pwall lock4")
	missing(change(), "lock4")
	if got := keys(nftElements(t, "cut4")); got != "192.0.2.1 . 198.51.100.1" {
		t.Errorf("cut4 has %q", got)
	}
	netns.Run(t, "", "nft", "delete set inet p2pwall watch4")
	missing(s.Clear(), "lock4")
	s.Watch(addr("192.0.2.1"), time.Hour)
	missing(s.Flush(), "watch4")
	if got := keys(nftElements(t, "cut4")); got != "" {
		t.Errorf("after Clear cut4 has %q", got)
	}
	if err := s.Flush(); err != nil {
		t.Errorf("Flush without changes: %v", err)
	}
	dropCaps(t)
	if err := change(); !errors.Is(err, unix.EPERM) {
		t.Errorf("without privilege: %v", err)
	}
}

func TestNFTSetsAllocs(t *testing.T) {
	netns.Enter(t)
	netns.Run(t, "", "nft", testTable)
	s := openNFTSets(t)
	client, peer := addr("192.0.2.1"), addr("198.51.100.1")
	if n := testing.AllocsPerRun(50, func() {
		for i := range maxSetOps {
			peer[15] = byte(i)
			s.Cut(client, peer, time.Hour)
		}
		s.Uncut(client, peer)
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func openIPSets(t *testing.T) *waitingSets { return openSets(t, OpenIPSets) }

// createIPSets creates our sets and says which exist: some kernels lack some set types.
func createIPSets(t *testing.T) (have [setCount]bool) {
	t.Helper()
	for set, typ := range [setCount][]string{
		setCut4: {"hash:net,net"}, setCut6: {"hash:net,net", "family", "inet6"},
		setLock4: {"hash:ip"}, setLock6: {"hash:ip", "family", "inet6"},
		setOwn4: {"hash:ip,port"}, setOwn6: {"hash:ip,port", "family", "inet6"},
		setWatch4: {"hash:ip"}, setWatch6: {"hash:ip", "family", "inet6"},
		setMark4: {"hash:ip"}, setMark6: {"hash:ip", "family", "inet6"},
	} {
		name := ipsetPrefix + setNames[set]
		out, err := netns.Try("", "ipset", append([]string{"create", name}, append(typ, "timeout", "0")...)...)
		if err != nil && !strings.Contains(out, "set type not supported") {
			t.Fatal(err)
		}
		if have[set] = err == nil; !have[set] {
			t.Logf("this kernel has no %s: %s is not there", typ[0], name)
		}
	}
	if !have[setLock4] || !have[setLock6] {
		t.Fatal("this kernel lacks even hash:ip")
	}
	return have
}

// ipsetElements lists a set: each element as text with its remaining seconds.
func ipsetElements(t *testing.T, set setID) map[string]elementTime {
	t.Helper()
	found := map[string]elementTime{}
	for line := range strings.Lines(netns.Run(t, "", "ipset", "list", "-o", "save", ipsetPrefix+setNames[set])) {
		f := strings.Fields(line)
		if f[0] != "add" {
			continue
		}
		var e elementTime
		if _, err := fmt.Sscan(f[4], &e.expires); err != nil || f[3] != "timeout" {
			t.Fatalf("element %q: %v", line, err)
		}
		found[f[2]] = e
	}
	return found
}

func TestIPSets(t *testing.T) {
	netns.Enter(t)
	have := createIPSets(t)
	s := openIPSets(t)
	elements := [setCount]string{"192.0.2.1,198.51.100.1", "2001:db8::1,2001:db8::2", "192.0.2.3", "2001:db8::3", "192.0.2.4,udp:6881", "2001:db8::4,tcp:51413", "192.0.2.5", "2001:db8::5", "192.0.2.6", "2001:db8::6"}
	firstMissing := slices.Index(have[:], false)

	// finish flushes. The error names the first missing set.
	finish := func(err error) {
		t.Helper()
		var e *SetError
		switch {
		case firstMissing < 0 && err != nil,
			firstMissing >= 0 && (!errors.As(err, &e) || !errors.Is(err, unix.ENOENT) || e.Set != "ipset p2pwall-"+setNames[firstMissing]):
			t.Errorf("got %v, missing sets %v", err, have)
		}
	}
	want := func(step string, present bool) {
		t.Helper()
		for set, there := range have {
			if !there {
				continue
			}
			got := ipsetElements(t, setID(set))
			e, found := got[elements[set]]
			if found != present || (present && (len(got) != 1 || e.expires <= 100 || e.expires > 3600)) {
				t.Errorf("%s: %s has %v", step, setNames[set], got)
			}
		}
	}
	add := func(d time.Duration) {
		s.Cut(addr("192.0.2.1"), addr("198.51.100.1"), d)
		s.Cut(addr("2001:db8::1"), addr("2001:db8::2"), d)
		s.Lock(addr("192.0.2.3"), d)
		s.Lock(addr("2001:db8::3"), d)
		s.Own(addr("192.0.2.4"), ProtoUDP, 6881, d)
		s.Own(addr("2001:db8::4"), ProtoTCP, 51413, d)
		s.Watch(addr("192.0.2.5"), d)
		s.Watch(addr("2001:db8::5"), d)
		s.Mark(addr("192.0.2.6"), d)
		s.Mark(addr("2001:db8::6"), d)
	}
	// First fifty seconds, then the second call refreshes the timeout.
	add(50 * time.Second)
	finish(s.Flush())
	add(time.Hour)
	finish(s.Flush())
	want("add", true)
	// Deleting twice is not an error.
	for range 2 {
		s.Uncut(addr("192.0.2.1"), addr("198.51.100.1"))
		s.Uncut(addr("2001:db8::1"), addr("2001:db8::2"))
		s.Unlock(addr("192.0.2.3"))
		s.Unlock(addr("2001:db8::3"))
		s.Disown(addr("192.0.2.4"), ProtoUDP, 6881)
		s.Disown(addr("2001:db8::4"), ProtoTCP, 51413)
		s.Unwatch(addr("192.0.2.5"))
		s.Unwatch(addr("2001:db8::5"))
		s.Unmark(addr("192.0.2.6"))
		s.Unmark(addr("2001:db8::6"))
		finish(s.Flush())
		want("delete", false)
	}
	add(time.Hour)
	finish(s.Flush())
	finish(s.Clear())
	want("clear", false)

	// More than fits at once.
	a := addr("2001:db8::")
	const n = 2*maxSetOps + 7
	for i := range n {
		if s.Room() == 0 {
			flush(t, s)
		}
		be.PutUint16(a[14:], uint16(i+1))
		s.Lock(a, time.Hour)
	}
	flush(t, s)
	if got := len(ipsetElements(t, setLock6)); got != n {
		t.Errorf("%d elements, want %d", got, n)
	}
	if cap(s.out) != maxSetOps*ipsetOpLen {
		t.Errorf("the buffer grew to %d bytes", cap(s.out))
	}
	if allocs := testing.AllocsPerRun(50, func() {
		for i := range maxSetOps {
			be.PutUint16(a[14:], uint16(i+1))
			s.Lock(a, time.Hour)
		}
		if err := s.Flush(); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}

	// A full set gives an error.
	netns.Run(t, "", "ipset", "destroy", ipsetPrefix+"lock4")
	netns.Run(t, "", "ipset", "create", ipsetPrefix+"lock4", "hash:ip", "maxelem", "1", "hashsize", "1", "timeout", "0")
	for i := range 100 {
		s.Lock(AddrFrom4([4]byte{192, 0, 2, byte(i)}), time.Hour)
	}
	if err := s.Flush(); err == nil || err.Error() != "ipset p2pwall-lock4: full" {
		t.Errorf("a full set: %v", err)
	}
}
