// SPDX-License-Identifier: GPL-2.0-or-later

package history

import (
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.FixedZone("", 2*3600))

func addr(s string) nfq.Addr { return nfq.AddrFrom(netip.MustParseAddr(s)) }

func tally(n int) *state.Tally {
	x := &state.Tally{
		Addr: addr("192.168.1.50"), MAC: nfq.MAC{2, 0, 0, 0, byte(n >> 8), byte(n)}, Protocol: uint8(detect.ByName("bittorrent")),
		Reason: detect.ReasonPing, Proof: state.ProofConduct, Locked: time.Minute, Connections: 3, Bytes: 1000,
	}
	x.Program.Set([]byte("Transmission 4.0"))
	return x
}

// TestDays: a client has one record per day. The day begins at midnight in the router's
// time zone.
func TestDays(t *testing.T) {
	for _, x := range []struct {
		at       string
		day      string
		midnight string
	}{
		{"2026-03-03T23:59:59+02:00", "2026-03-03", "2026-03-02T22:00:00Z"},
		{"2026-03-04T00:00:00+02:00", "2026-03-04", "2026-03-03T22:00:00Z"},
		{"2026-03-04T00:00:00Z", "2026-03-04", "2026-03-04T00:00:00Z"},
		{"2026-03-04T01:00:00-05:00", "2026-03-04", "2026-03-04T05:00:00Z"},
		// Summer time began at two o'clock.
		{"2026-03-29T12:00:00+02:00", "2026-03-29", "2026-03-28T22:00:00Z"},
	} {
		at, _ := time.Parse(time.RFC3339, x.at)
		day, midnight := dayOf(at)
		if got := time.Unix(int64(day)*daySeconds, 0).UTC().Format("2006-01-02"); got != x.day {
			t.Errorf("%s is of %s, want %s", x.at, got, x.day)
		}
		if got := time.Unix(midnight, 0).UTC().Format(time.RFC3339); got != x.midnight {
			t.Errorf("%s: midnight %s, want %s", x.at, got, x.midnight)
		}
	}
}

func TestAdd(t *testing.T) {
	var h Table
	day, _ := dayOf(noon)
	six := tally(1)
	six.Addr, six.Proof, six.Reason = addr("2001:db8::50"), state.ProofAnswer, detect.ReasonProbe
	six.Program = detect.ClientName{}
	other := tally(2)
	other.MAC = nfq.MAC{}
	third := *other
	third.Addr = addr("192.168.1.51")
	h.add(day, noon.Unix()-100, noon.Unix()-50, tally(1))
	h.add(day, noon.Unix()-100, noon.Unix(), six)
	h.add(day, noon.Unix()-90, noon.Unix(), other)
	h.add(day, noon.Unix()-80, noon.Unix(), &third)
	h.add(day-1, noon.Unix()-daySeconds, noon.Unix()-daySeconds, tally(1))
	h.add(day-Days, noon.Unix()-Days*daySeconds, noon.Unix(), tally(1)) // too old to be returned
	h.add(day+1, noon.Unix(), noon.Unix(), tally(1))                    // from a clock that was ahead
	got := h.Records(noon)
	if len(got) != 4 {
		t.Fatalf("%d records: %+v", len(got), got)
	}
	want := Record{
		Day: day, Addr: addr("192.168.1.50"), MAC: tally(1).MAC, Protocol: tally(1).Protocol, Reason: detect.ReasonProbe,
		Proof: state.ProofAnswer, Program: tally(1).Program, First: noon.Unix() - 100, Last: noon.Unix(),
		Locked: 2 * time.Minute, Connections: 6, Bytes: 2000,
	}
	if !reflect.DeepEqual(got[0], want) {
		t.Errorf("got %+v\nwant %+v", got[0], want)
	}
	if got[1].Addr != other.Addr || got[2].Addr != third.Addr || got[3].Day != day-1 {
		t.Errorf("order: %+v", got)
	}
}

// TestBounds: a host that pretends to be many pushes out neither other days nor records
// with a long lock. The records of the oldest days are replaced.
func TestBounds(t *testing.T) {
	var h Table
	day, _ := dayOf(noon)
	for d := range int32(40) {
		long := tally(0xffff)
		long.Locked = time.Hour
		h.add(day-39+d, 1, 1, long)
		for n := range 19 {
			h.add(day-39+d, 1, 1, tally(n))
		}
	}
	before := len(h.Records(noon))
	if before < maxRecords-20 {
		t.Errorf("%d records of %d", before, maxRecords)
	}
	for n := range 10000 {
		h.add(day, 1, 1, tally(0x1000+n))
	}
	days := map[int32]int{}
	long := false
	for _, r := range h.Records(noon) {
		days[r.Day]++
		long = long || r.Day == day && r.Locked == time.Hour
	}
	if days[day] != maxOfDay || !long {
		t.Errorf("%d records of one day, the long lock is there: %v", days[day], long)
	}
	for d := day - 20; d < day; d++ {
		if days[d] != 20 {
			t.Errorf("day %d has %d records", d-day, days[d])
		}
	}
}

func TestHours(t *testing.T) {
	var h Table
	hour := noon.Unix() / hourSeconds
	h.at(hour - 200).Bytes = 1
	h.at(hour - 5).Bytes = 2
	h.at(hour).Bytes = 3
	got, last := h.Series(noon.Add(59 * time.Minute))
	if last != hour*hourSeconds || got[Hours-1].Bytes != 3 || got[Hours-6].Bytes != 2 {
		t.Errorf("last %d: %+v", last, got)
	}
	var sum uint64
	for _, x := range got {
		sum += x.Bytes
	}
	if sum != 5 {
		t.Errorf("all hours together have %d", sum)
	}
	later, _ := h.Series(noon.Add(3 * time.Hour))
	if later[Hours-4].Bytes != 3 || later[Hours-1].Bytes != 0 {
		t.Errorf("three hours later: %+v", later)
	}
	// The clock was ahead by a year, and is right again.
	h.at(hour - 365*24).Bytes = 7
	if got, _ := h.Series(noon.Add(-365 * 24 * time.Hour)); got[Hours-1].Bytes != 7 || got[Hours-2].Bytes != 0 {
		t.Errorf("with the clock set back: %+v", got[Hours-2:])
	}
}

func full() *Table {
	h := new(Table)
	day, _ := dayOf(noon)
	h.add(day, noon.Unix()-100, noon.Unix(), tally(1))
	x := tally(2)
	x.Program = detect.ClientName{}
	h.add(day-3, noon.Unix()-3*daySeconds, noon.Unix()-3*daySeconds, x)
	*h.at(noon.Unix() / hourSeconds) = Hour{1, 2, 3, 4, 5, 6}
	*h.at(noon.Unix()/hourSeconds - 7) = Hour{7, 8, 9, 10, 11, 12}
	return h
}

func TestFile(t *testing.T) {
	h := full()
	b := h.Snapshot()
	var got Table
	if err := got.Restore(b); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(h.Records(noon), got.Records(noon), cmp.Comparer(func(a, b detect.ClientName) bool { return a == b })); d != "" {
		t.Errorf("records (-want +got):\n%s", d)
	}
	a, _ := h.Series(noon)
	if b, _ := got.Series(noon); a != b {
		t.Errorf("hours: got %v, want %v", b, a)
	}
	// The header and the first record, byte by byte.
	if head := hex.EncodeToString(b[:8]); head != "5032504800000001" {
		t.Errorf("head %s", head)
	}
	i := strings.Index(string(b), "Transmission 4.0") - 66
	if record := hex.EncodeToString(b[i : i+66]); record != ""+
		"00005024"+"00000000000000000000ffffc0a80132"+"020000000001"+"01"+"01"+"02"+
		"0000000069a8023c"+"0000000069a802a0"+"0000000df8475800"+"00000003"+"00000000000003e8"+"10" {
		t.Errorf("record %s", record)
	}
}

// TestDamagedFile: a damaged file of any kind does not change the table.
func TestDamagedFile(t *testing.T) {
	good := full().Snapshot()
	sealed := func(b []byte) []byte {
		binary.BigEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[fileHead:]))
		return b
	}
	clone := func() []byte { return append([]byte(nil), good...) }
	version := clone()
	version[7]++
	flipped := clone()
	flipped[100] ^= 1
	for name, b := range map[string][]byte{
		"nothing": nil, "a head alone": good[:fileHead], "another version": sealed(version), "a bit": flipped,
		"cut":  sealed(clone()[:len(good)-1]),
		"more": sealed(append(clone(), 0)),
	} {
		h := full()
		want := h.Records(noon)
		if err := h.Restore(b); err != ErrDamaged {
			t.Errorf("%s: %v", name, err)
		}
		if got := h.Records(noon); len(got) != len(want) || !reflect.DeepEqual(got[0], want[0]) {
			t.Errorf("%s: the table has changed", name)
		}
	}
	if err := new(Table).Restore(sealed(clone())); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func FuzzRestore(f *testing.F) {
	f.Add(full().Snapshot()[fileHead:])
	f.Fuzz(func(t *testing.T, body []byte) {
		b := append([]byte(fileMagic), 0, 0, 0, fileVersion)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(body))
		var h Table
		if h.Restore(append(b, body...)) != nil {
			return
		}
		var again Table
		if err := again.Restore(h.Snapshot()); err != nil {
			t.Fatalf("what it writes itself is %v", err)
		}
		again.Records(noon)
		again.Series(noon)
	})
}

// TestTake: what the engines count is added to days and hours once. While the clock is
// not set, the engines keep it.
func TestTake(t *testing.T) {
	now := state.Time(noon.UnixNano())
	cfg := state.DefaultConfig()
	e := state.New(cfg, nil, nil, 7)
	e.SetDevices([]state.Device{{
		Index: 3, Name: "br-lan", Addrs: []nfq.Addr{addr("192.168.1.1")},
		Prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")},
	}})
	each := func(f func(*state.Engine, state.Time)) { f(e, now) }
	ping, _ := hex.DecodeString("27000000a9804b615a614100")
	send := func(port uint16, to string) {
		e.Packet(&nfq.Packet{
			Hook: nfq.HookForward, InDev: 3, OutDev: 2, MAC: nfq.MAC{2, 0, 0, 0, 0, 1}, Version: 4, Proto: nfq.ProtoUDP,
			Src: addr("192.168.1.50"), Dst: addr(to), SrcPort: port, DstPort: 1214, Payload: ping, PayloadLen: len(ping),
		}, now)
	}
	var h Table
	h.Take(noon, each)
	send(1000, "198.51.100.1")
	send(1000, "198.51.100.2")
	send(1000, "198.51.100.2") // the same connection
	now = now.After(10 * time.Second)
	h.Take(time.Unix(1000, 0), each)
	if r := h.Records(noon); len(r) != 0 {
		t.Errorf("with the clock of 1970: %+v", r)
	}
	h.Take(noon.Add(10*time.Second), each)
	h.Take(noon.Add(10*time.Second), each)
	r := h.Records(noon)
	if len(r) != 1 {
		t.Fatalf("%d records", len(r))
	}
	if r[0].Connections != 2 || r[0].Bytes != 3*(28+12) || r[0].Locked != 10*time.Second || r[0].First != noon.Unix() || r[0].Last != noon.Unix() {
		t.Errorf("got %+v", r[0])
	}
	hours, _ := h.Series(noon)
	if got, want := hours[Hours-1], (Hour{DroppedUDP: 3, Connections: 2, Bytes: 120, Locked: 1}); got != want {
		t.Errorf("hour %+v, want %+v", got, want)
	}
	now = now.After(30 * time.Second)
	h.Take(noon.Add(40*time.Second), each)
	if r := h.Records(noon); r[0].Locked != 40*time.Second {
		t.Errorf("locked for %v", r[0].Locked)
	}
}

// TestTakeAcrossMidnight: what a client did before and after midnight is in two records. The
// second begins at midnight at the earliest, also for a host that is silent but still locked.
func TestTakeAcrossMidnight(t *testing.T) {
	midnight := time.Date(2026, 3, 5, 0, 0, 0, 0, noon.Location())
	evening := midnight.Add(-10 * time.Second)
	now := state.Time(evening.UnixNano())
	e := engine()
	each := func(f func(*state.Engine, state.Time)) { f(e, now) }
	var h Table
	ping(e, now, "198.51.100.1")
	ping(e, now, "198.51.100.2")
	h.Take(evening, each)
	now = now.After(30 * time.Second)
	e.Advance(now)
	h.Take(evening.Add(30*time.Second), each)
	r := h.Records(midnight)
	if len(r) != 2 {
		t.Fatalf("%d records: %+v", len(r), r)
	}
	if r[0].Day != r[1].Day+1 || r[0].First != midnight.Unix() || r[0].Last != midnight.Unix() || r[0].Connections != 0 {
		t.Errorf("the new day: %+v", r[0])
	}
	if r[1].First != evening.Unix() || r[1].Last != evening.Unix() || r[1].Connections != 2 {
		t.Errorf("the day before: %+v", r[1])
	}
	if r[0].Locked+r[1].Locked != 30*time.Second {
		t.Errorf("locked for %v and %v", r[1].Locked, r[0].Locked)
	}
}

// TestTakeOfSeveralEngines adds what the engines of all queues count, and the hosts that they
// have locked at the same time.
func TestTakeOfSeveralEngines(t *testing.T) {
	now := state.Time(noon.UnixNano())
	engines := []*state.Engine{engine(), engine()}
	each := func(f func(*state.Engine, state.Time)) {
		for _, e := range engines {
			f(e, now)
		}
	}
	var h Table
	// What was counted before the history began is not of this hour.
	ping(engines[0], now, "198.51.100.9")
	ping(engines[0], now, "198.51.100.8")
	h.Take(noon, each)
	before, _ := h.Series(noon)
	changes := h.Changes()
	ping(engines[0], now, "198.51.100.1")
	ping(engines[1], now, "198.51.100.1")
	ping(engines[1], now, "198.51.100.2")
	h.Take(noon, each)
	after, _ := h.Series(noon)
	if b, a := before[Hours-1], after[Hours-1]; b.DroppedUDP != 0 || b.Locked != 1 || a.DroppedUDP == 0 || a.Locked != 2 {
		t.Errorf("before %+v, after %+v", b, a)
	}
	if r := h.Records(noon); len(r) != 1 || r[0].Connections != 5 {
		t.Errorf("one host seen by two engines: %+v", r)
	}
	if h.Changes() == changes {
		t.Error("no change is counted, so that nothing would be saved")
	}
	changes = h.Changes()
	h.Take(noon, each)
	if h.Changes() != changes {
		t.Error("a change is counted without news, so that the flash would be written for nothing")
	}
	// A moment later nothing was dropped, but the hosts were locked. Then the locks end.
	later := func(d time.Duration) {
		for range d / time.Second {
			now = now.After(time.Second)
			for _, e := range engines {
				e.Advance(now)
			}
		}
		h.Take(time.Unix(0, int64(now)).In(noon.Location()), each)
	}
	if later(10 * time.Second); h.Changes() == changes {
		t.Error("the time of the locks is no change")
	}
	later(10 * time.Minute)
	for _, e := range engines {
		if _, locked := e.Len(); locked != 0 {
			t.Fatal("the locks go on: this tests nothing")
		}
	}
	if hours, _ := h.Series(noon); hours[Hours-1].Locked != 2 {
		t.Errorf("at most %d hosts were locked in this hour, want 2", hours[Hours-1].Locked)
	}
}

// engine returns an engine with one LAN.
func engine() *state.Engine {
	e := state.New(state.DefaultConfig(), nil, nil, 7)
	e.SetDevices([]state.Device{{
		Index: 3, Name: "br-lan", Addrs: []nfq.Addr{addr("192.168.1.1")},
		Prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")},
	}})
	return e
}

// ping lets a client of FastTrack ask a peer.
func ping(e *state.Engine, now state.Time, peer string) {
	payload, _ := hex.DecodeString("27000000a9804b615a614100")
	e.Packet(&nfq.Packet{
		Hook: nfq.HookForward, InDev: 3, OutDev: 2, MAC: nfq.MAC{2, 0, 0, 0, 0, 1}, Version: 4, Proto: nfq.ProtoUDP,
		Src: addr("192.168.1.50"), Dst: addr(peer), SrcPort: 1000, DstPort: 1214, Payload: payload, PayloadLen: len(payload),
	}, now)
}
