// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
)

// busy returns a world with a locked client, a released one, and peers.
func busy(t *testing.T) *world {
	w := newWorld(t, nil)
	for _, dst := range []string{firstPeer, "198.51.100.9"} {
		w.expect("other client", udp(macB, "192.168.1.51", 1345, dst, 2066, kazaaPing), nfq.Drop)
	}
	w.pass(100 * time.Second)
	w.expect("SYN of the burst", w.syn("203.0.113.200"), nfq.Accept)
	w.expect("ping", w.ping("198.51.100.7"), nfq.Drop)
	w.expect("ping", w.ping("198.51.100.8"), nfq.Drop)
	v6 := tcp(macA, "2001:db8:1::50", 4000, "2001:db8:ff::80", 443, nfq.SYN, nil)
	v6.Version = 6
	w.expect("IPv6 SYN", v6, nfq.Drop)
	w.pass(30 * time.Second)
	if !w.e.Exempt(netip.MustParseAddr("192.168.1.77"), time.Hour, w.now) {
		t.Fatal("exempt")
	}
	return w
}

// restored returns a new world that has read the snapshot at another time.
func restored(t *testing.T, b []byte) (*world, error) {
	w := newWorld(t, nil)
	w.now = w.now.After(1000 * time.Hour)
	w.e.Advance(w.now)
	return w, w.e.Restore(b, w.now)
}

func TestSnapshotGoesOn(t *testing.T) {
	w := busy(t)
	b := w.e.Snapshot(nil, w.now)
	if c := w.e.Snapshot([]byte("head"), w.now); !bytes.Equal(c[4:], b) {
		t.Error("a snapshot depends on what stands before it")
	}
	x, err := restored(t, b)
	if err != nil {
		t.Fatal(err)
	}
	shift := x.now - w.now
	before, after := w.e.Clients(w.now), x.e.Clients(x.now)
	for i := range after {
		after[i].FirstSeen -= shift
		after[i].LastSeen -= shift
		if after[i].LastProbe != 0 {
			after[i].LastProbe -= shift
		}
	}
	if !reflect.DeepEqual(before, after) {
		t.Errorf("clients before\n%+v\nand after\n%+v", before, after)
	}
	p, q := w.e.Peers(nfq.Addr{}), x.e.Peers(nfq.Addr{})
	for i := range q {
		q[i].FirstSeen -= shift
		q[i].LastSeen -= shift
	}
	if !reflect.DeepEqual(p, q) || len(p) != 4 {
		t.Errorf("peers before\n%+v\nand after\n%+v", p, q)
	}
	if w.e.Counters != x.e.Counters {
		t.Errorf("counters before\n%+v\nand after\n%+v", w.e.Counters, x.e.Counters)
	}
	if !reflect.DeepEqual(w.e.History(w.now), x.e.History(x.now)) {
		t.Error("the history changed")
	}
	if x.sets.cuts["192.168.1.50 198.51.100.7"] == 0 || x.sets.cuts["192.168.1.50 203.0.113.200"] == 0 || x.sets.locks["192.168.1.50"] == 0 {
		t.Errorf("the kernel was not told again: %v %v", x.sets.cuts, x.sets.locks)
	}
	x.expect("SYN of the locked client", x.syn("203.0.113.1"), nfq.Drop)
	x.expect("SYN of the released one", tcp(macB, "192.168.1.51", 4000, "203.0.113.1", 80, nfq.SYN, nil), nfq.Accept)
	x.expect("SYN of the burst, again", x.syn("203.0.113.200"), nfq.Drop)
	x.expect("ping of the exempt host", udp(nfq.MAC{2, 7}, "192.168.1.77", 1214, "198.51.100.7", 1214, kazaaPing), nfq.Accept)
	// 50 of 80 seconds were left.
	x.pass(49 * time.Second)
	if !x.locked("192.168.1.50") {
		t.Error("the lock ended too early")
	}
	x.pass(2 * time.Second)
	if x.locked("192.168.1.50") {
		t.Error("the lock did not end")
	}
}

// judgedPlaces returns a world with a locked torrent client and a place of each kind.
func judgedPlaces(t *testing.T) *world {
	w := lockedTorrent(t, nil)
	w.wantVerdict("a tunnel's first", w.begins(4000, "203.0.113.80", 8388, bytesOf(1, 200)), nfq.Drop)
	w.pass(handshakeTime + time.Millisecond)
	w.wantVerdict("an upload", w.begins(4001, "203.0.113.81", 8000, "POST /x HTTP/1.1\r\nHost: a.b\r\nContent-Length: 100000\r\n\r\n"), nfq.AcceptDecided)
	p := newProgram(1)
	w.wantVerdict("a session", w.begins(4002, "203.0.113.82", 6881, p.first), nfq.Drop)
	w.expect("what proves it", w.more(4002, "203.0.113.82", 6881, p.first, p.proof(w.answer())), nfq.Drop)
	w.wantVerdict("what is just asked", w.begins(4003, "203.0.113.83", 8388, bytesOf(2, 200)), nfq.Drop)
	return w
}

// TestSnapshotKeepsPlaces: the judgements of places survive a restart. So an existing
// tunnel is neither cut nor asked again for the rest of the day.
func TestSnapshotKeepsPlaces(t *testing.T) {
	const tunnel = "203.0.113.80"
	for _, kept := range []bool{true, false} {
		w := judgedPlaces(t)
		if !kept {
			w.e.judged = newJudgedTable()
		}
		b := w.e.Snapshot(nil, w.now)
		x := newWorld(t, nil)
		x.e.hash.seed = 99 // each process has another
		x.now = w.now.After(1000 * time.Hour)
		x.e.Advance(x.now)
		if err := x.e.Restore(b, x.now); err != nil {
			t.Fatal(err)
		}
		want := map[bool]nfq.Verdict{true: nfq.AcceptDecided, false: nfq.Drop}[kept]
		x.pass(31 * time.Second)
		x.wantVerdict("a tunnel in its middle", x.goesOnFrom(4001, tunnel, 8388), want)
		x.wantVerdict("an upload in its middle", x.goesOnFrom(4002, "203.0.113.81", 8000), want)
		x.wantVerdict("what was just asked, in its middle", x.goesOnFrom(4003, "203.0.113.83", 8388), nfq.Drop)
		if x.locked(hostA) {
			x.wantVerdict("a tunnel's beginning", x.begins(4004, tunnel, 8388, bytesOf(5, 200)), want)
		}
		x.wantVerdict("a session with a peer", x.begins(4005, "203.0.113.82", 6881, newProgram(3).first), nfq.Drop)
		if asked := len(x.out.handshakes) != 0; asked == kept {
			t.Errorf("kept %v: asked %v", kept, asked)
		}
		if !kept {
			continue
		}
		// Another host does not know the places. A day later they are asked again.
		if n := x.e.judged.Len(); n != 3 {
			t.Errorf("%d places", n)
		}
		x.pass(judgedTime - 32*time.Second)
		x.proveTorrent()
		x.e.Packet(x.speaks("198.51.100.7", 6881, dhtPing), x.now)
		x.wantVerdict("a tunnel's beginning, a day later", x.begins(4006, tunnel, 8388, bytesOf(6, 200)), nfq.Drop)
		consistent(t, x.e, x.sets)
	}
}

func TestRestoreRefusesDamagedPlaces(t *testing.T) {
	w := judgedPlaces(t)
	good := w.e.Snapshot(nil, w.now)
	const record, what = 49, 9 // length of a record, and its judgement's distance from the end
	for _, tt := range []struct {
		name   string
		change func(b []byte) []byte
		ok     bool
	}{
		{"as it is", func(b []byte) []byte { return b }, true},
		{"one less", func(b []byte) []byte { return b[:len(b)-record] }, false},
		{"half of one less", func(b []byte) []byte { return b[:len(b)-record/2] }, false},
		{"one more", func(b []byte) []byte { return append(b, b[len(b)-record:]...) }, false},
		{"unknown", func(b []byte) []byte { b[len(b)-what] = byte(unknown); return b }, false},
		{"asking", func(b []byte) []byte { b[len(b)-what] = byte(asking); return b }, false},
		{"the last judgement", func(b []byte) []byte { b[len(b)-what] = byte(judgements) - 1; return b }, true},
		{"no judgement", func(b []byte) []byte { b[len(b)-what] = byte(judgements); return b }, false},
		{"of the future", func(b []byte) []byte { b[len(b)-8] = 0x81; return b }, true},
	} {
		x, err := restored(t, seal(tt.change(bytes.Clone(good))))
		if (err == nil) != tt.ok || err != nil && !errors.Is(err, ErrSnapshotDamaged) {
			t.Errorf("%s: %v", tt.name, err)
		}
		for _, j := range x.e.judged.judged[:x.e.judged.Len()] {
			if j.when > x.now {
				t.Errorf("%s: known since a moment to come", tt.name)
			}
		}
	}
	// More places than fit: the file of a program with a larger table.
	at := len(good) - 3*record - 2
	if n := binary.BigEndian.Uint16(good[at:]); n != 3 {
		t.Fatalf("%d places in the file", n)
	}
	many := bytes.Clone(good[:at])
	many = binary.BigEndian.AppendUint16(many, 2*maxJudged)
	for i := range 2 * maxJudged {
		r := bytes.Clone(good[len(good)-record:])
		binary.BigEndian.PutUint16(r[38:], uint16(i))
		many = append(many, r...)
	}
	if x, err := restored(t, seal(many)); err != nil || x.e.judged.Len() != maxJudged {
		t.Errorf("%d places of a larger table: %v", x.e.judged.Len(), err)
	}
}

// seal gives a changed snapshot a valid checksum.
func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[snapshotHead:]))
	binary.BigEndian.PutUint32(b[12:], uint32(len(b)-snapshotHead))
	return b
}

func TestRestoreRefusesWhatIsDamaged(t *testing.T) {
	good := busy(t).e.Snapshot(nil, earliest.After(130*time.Second))
	change := func(f func(b []byte) []byte) []byte { return f(bytes.Clone(good)) }
	for _, tt := range []struct {
		name string
		b    []byte
		want error
	}{
		{"empty", nil, ErrSnapshotDamaged},
		{"text", []byte("this is no state file at all"), ErrSnapshotDamaged},
		{"truncated", good[:len(good)-7], ErrSnapshotDamaged},
		{"longer", append(bytes.Clone(good), 0), ErrSnapshotDamaged},
		{"one bit", change(func(b []byte) []byte { b[len(b)/2] ^= 4; return b }), ErrSnapshotDamaged},
		{"version", change(func(b []byte) []byte { b[7] = 99; return b }), ErrSnapshotVersion},
		{"truncated, sealed", seal(bytes.Clone(good[:len(good)-7])), ErrSnapshotDamaged},
		{"more, sealed", seal(append(bytes.Clone(good), 1, 2, 3)), ErrSnapshotDamaged},
	} {
		if _, err := restored(t, tt.b); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func FuzzRestore(f *testing.F) {
	w := busy(&testing.T{})
	good := w.e.Snapshot(nil, w.now)
	f.Add(good)
	f.Add(good[:100])
	w = judgedPlaces(&testing.T{})
	f.Add(w.e.Snapshot(nil, w.now))
	cfg := blockAll()
	cfg.MaxClients = 4
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= snapshotHead { // to get past the checksum
			b = bytes.Clone(b)
			copy(b, snapshotMagic)
			binary.BigEndian.PutUint32(b[4:], snapshotVersion)
			seal(b)
		}
		e := New(cfg, nil, newFakeSets(), 1)
		e.SetDevices([]Device{lan()})
		now := earliest
		e.Advance(now)
		if e.Restore(b, now) != nil {
			return
		}
		// An accepted snapshot must leave an engine that works.
		for range 20 {
			now = now.After(10 * time.Minute)
			e.Packet(udp(macA, "192.168.1.50", 1214, "198.51.100.7", 1214, kazaaPing), now)
			e.Advance(now)
		}
		e.Snapshot(nil, now)
	})
}
