// SPDX-License-Identifier: GPL-2.0-or-later

package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
)

// The state file is big-endian:
//
//	magic "P2PW", u32 version, u32 CRC-32 (IEEE) of the body, u32 length of the body
//	body: protocols: u8 n, n times (u8 length, name)
//	      counters: u16 n, n times u64
//	      history: 60 times 3 u32, oldest first
//	      exemptions: u16 n, n times (mac, addr, u64 nanoseconds left)
//	      clients: u16 n, then each client with its peers: u16 n, then each
//	      places: u16 n, n times (mac, addr of the host, addr, u16 port, u8 judgement, age)
//
// Moments are stored as ages: i64 nanoseconds before the snapshot, negative for the future.
// Protocols are numbered by their place in the file's own list. So a newer program can read
// what an older one wrote.
const (
	snapshotMagic   = "P2PW"
	snapshotVersion = 7
	snapshotHead    = 16
)

// Errors of Restore.
var (
	ErrSnapshotDamaged = errors.New("damaged")
	ErrSnapshotVersion = errors.New("written by another version")
)

// Snapshot appends to b everything that must survive a restart.
func (e *Engine) Snapshot(b []byte, now Time) []byte {
	start := len(b)
	b = append(b, snapshotMagic...)
	b = binary.BigEndian.AppendUint32(b, snapshotVersion)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	w := snapshotWriter{b: b, now: now}

	w.u8(uint8(len(detect.All)))
	for _, p := range detect.All {
		w.u8(uint8(len(p.Name)))
		w.b = append(w.b, p.Name...)
	}
	n := 0
	e.Counters.Each(func(string, *uint64) { n++ })
	w.u16(n)
	e.Counters.Each(func(_ string, v *uint64) { w.u64(*v) })
	for _, bucket := range e.History(now) {
		w.u32(bucket.DroppedTCP)
		w.u32(bucket.DroppedUDP)
		w.u32(bucket.Probes)
	}
	w.exemptions(e)
	n = 0
	for i := range e.clients {
		if c := &e.clients[i]; c.used && c.proof != ProofNone {
			n++
		}
	}
	w.u16(n)
	for i := range e.clients {
		if c := &e.clients[i]; c.used && c.proof != ProofNone {
			w.client(e, c)
		}
	}
	w.places(e)
	body := w.b[start+snapshotHead:]
	binary.BigEndian.PutUint32(w.b[start+8:], Checksum(body))
	binary.BigEndian.PutUint32(w.b[start+12:], uint32(len(body)))
	return w.b
}

// The small methods of snapshotWriter and snapshotReader are not inlined: a snapshot is
// made only once a minute, and a copy at every call would cost 12 KB of flash.
type snapshotWriter struct {
	b   []byte
	now Time
}

//go:noinline
func (w *snapshotWriter) u8(v uint8) { w.b = append(w.b, v) }

//go:noinline
func (w *snapshotWriter) u16(v int) { w.b = binary.BigEndian.AppendUint16(w.b, uint16(v)) }

//go:noinline
func (w *snapshotWriter) u32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }

//go:noinline
func (w *snapshotWriter) u64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }

// age writes a moment; 0 stands for never.
//
//go:noinline
func (w *snapshotWriter) age(t Time) {
	v := int64(w.now - t)
	if t == 0 {
		v = never
	}
	w.u64(uint64(v))
}

const never = int64(-1) << 63

//go:noinline
func (w *snapshotWriter) addr(a *nfq.Addr) { w.b = append(w.b, a[:]...) }

//go:noinline
func (w *snapshotWriter) mac(m *nfq.MAC) { w.b = append(w.b, m[:]...) }

//go:noinline
func (w *snapshotWriter) host(k *hostKey) {
	w.mac(&k.mac)
	w.addr(&k.addr)
}

func flag(is bool, bit uint8) uint8 {
	if is {
		return bit
	}
	return 0
}

func (w *snapshotWriter) exemptions(e *Engine) {
	n := 0
	for i := range e.exempts[:e.nexempt] {
		if e.exempts[i].until > w.now {
			n++
		}
	}
	w.u16(n)
	for i := range e.exempts[:e.nexempt] {
		if x := &e.exempts[i]; x.until > w.now {
			w.mac(&x.mac)
			w.addr(&x.addr)
			w.u64(uint64(x.until - w.now))
		}
	}
}

func (w *snapshotWriter) client(e *Engine, c *client) {
	h := &e.hosts[c.host]
	w.host(&h.key)
	w.mac(&h.via)
	w.addr(&c.addr)
	n := 0
	for _, s := range h.addrs {
		if s != none {
			n++
		}
	}
	w.u8(uint8(n))
	for _, s := range h.addrs {
		if s != none {
			w.addr(&e.addrs[s].addr)
		}
	}
	w.u32(c.device)
	w.u8(c.protocol)
	w.u8(uint8(c.reason))
	w.u8(uint8(c.proof))
	w.u32(uint32(c.proved)) // bit i is the file's protocol i
	w.age(c.firstSeen)
	w.age(c.lastSeen)
	w.u8(flag(c.locked, 1) | flag(c.strict, 2) | flag(c.selective, 4))
	w.age(c.lockUntil)
	w.u32(c.locks)
	w.u32(c.dropped)
	w.u32(c.droppedTCP)
	w.u32(c.droppedUDP)
	w.age(c.lastProbe)
	w.age(c.lastAnswer)
	w.u8(c.queryLen)
	w.b = append(w.b, c.query[:c.queryLen]...)
	w.u16(int(c.port))
	w.addr(&c.askedAt)
	w.u16(int(c.listen))
	w.u8(c.way)
	w.b = append(w.b, c.key[:]...)
	for _, port := range c.own {
		w.u16(int(port))
	}
	name := c.program.String()
	w.u8(uint8(len(name)))
	w.b = append(w.b, name...)
	// Oldest first, so that reading restores the order of use.
	w.u16(c.peers.n)
	for s := c.peers.oldest; s != 0; s = c.peers.peers[s-1].newer {
		p := &c.peers.peers[s-1]
		w.addr(&p.addr)
		w.u16(int(p.port))
		w.u8(p.protocol)
		w.u8(flag(p.suspect, 1))
		w.age(p.first.time())
		w.age(p.last.time())
		w.u32(p.dropped)
	}
}

// places writes what is known about places outside. The table holds it by a hash of the
// host, and the next process will have other hashes. So the file has the host's key.
func (w *snapshotWriter) places(e *Engine) {
	at, n := len(w.b), 0
	w.u16(0)
	for i := range e.hosts {
		h := &e.hosts[i]
		for s := range e.judged.judged[:e.judged.Len()] {
			p, j := e.judged.Key(int32(s)), &e.judged.judged[s]
			what := j.by(w.now)
			if !h.used || p.host != h.hash || what <= asking {
				continue
			}
			n++
			w.host(&h.key)
			w.addr(&p.addr)
			w.u16(int(p.port))
			w.u8(uint8(what))
			w.age(j.when)
		}
	}
	binary.BigEndian.PutUint16(w.b[at:], uint16(n))
}

// Restore reads what Snapshot wrote. The engine must be new and have its devices. Locks go
// on with the time that was left, and the kernel's sets are filled again. After an error
// the engine is incomplete and must be thrown away.
func (e *Engine) Restore(b []byte, now Time) error {
	e.now = now
	if len(b) < snapshotHead || string(b[:4]) != snapshotMagic {
		return fmt.Errorf("%w: it does not begin as a state file", ErrSnapshotDamaged)
	}
	if v := binary.BigEndian.Uint32(b[4:]); v != snapshotVersion {
		return fmt.Errorf("%w (%d, this one reads %d)", ErrSnapshotVersion, v, snapshotVersion)
	}
	body := b[snapshotHead:]
	if n := binary.BigEndian.Uint32(b[12:]); uint64(n) != uint64(len(body)) {
		return fmt.Errorf("%w: %d bytes of %d", ErrSnapshotDamaged, len(body), n)
	}
	if Checksum(body) != binary.BigEndian.Uint32(b[8:]) {
		return fmt.Errorf("%w: wrong checksum", ErrSnapshotDamaged)
	}
	r := snapshotReader{b: body, now: now}
	// Clients in the file were reported and counted before the restart.
	tell := e.OnEvent
	e.OnEvent = nil
	e.restore(&r)
	e.OnEvent = tell
	if r.bad || len(r.b) != 0 {
		return fmt.Errorf("%w: its contents do not fit together", ErrSnapshotDamaged)
	}
	return nil
}

// snapshotReader checks bounds at every step. After the first failure it returns zeros.
type snapshotReader struct {
	b   []byte
	now Time
	bad bool
	// protocols maps the file's protocol numbers to ours; none for an unknown one.
	protocols []int
}

//go:noinline
func (r *snapshotReader) take(n int) []byte {
	if r.bad || len(r.b) < n {
		r.bad = true
		return make([]byte, n)
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

//go:noinline
func (r *snapshotReader) u8() uint8 { return r.take(1)[0] }

//go:noinline
func (r *snapshotReader) u16() int { return int(binary.BigEndian.Uint16(r.take(2))) }

//go:noinline
func (r *snapshotReader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }

//go:noinline
func (r *snapshotReader) u64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

// maxAge limits the ages that are accepted, in both directions.
const maxAge = int64(earliest) / 2

//go:noinline
func (r *snapshotReader) age() Time {
	v := int64(r.u64())
	if v == never {
		return 0
	}
	return r.now - Time(min(max(v, -maxAge), maxAge))
}

//go:noinline
func (r *snapshotReader) addr() nfq.Addr { return nfq.Addr(r.take(16)) }

//go:noinline
func (r *snapshotReader) mac() nfq.MAC { return nfq.MAC(r.take(6)) }

//go:noinline
func (r *snapshotReader) host() hostKey { return hostKey{r.mac(), r.addr()} }

func (r *snapshotReader) protocol() int {
	if p := int(r.u8()); p < len(r.protocols) {
		return r.protocols[p]
	}
	r.bad = true
	return none
}

// proved reads a set of the file's protocols. It returns those that some host looks for.
func (r *snapshotReader) proved(e *Engine) detect.Set {
	var out detect.Set
	bits := r.u32()
	for i, p := range r.protocols {
		if i < 32 && bits>>i&1 != 0 && p != none && e.any.on.Has(p) {
			out |= 1 << p
		}
	}
	return out
}

func (e *Engine) restore(r *snapshotReader) {
	for range r.u8() {
		r.protocols = append(r.protocols, detect.ByName(string(r.take(int(r.u8())))))
	}
	counters := make([]uint64, r.u16())
	for i := range counters {
		counters[i] = r.u64()
	}
	e.history.at(r.now)
	for i := range int64(HistoryMinutes) {
		b := Bucket{r.u32(), r.u32(), r.u32()}
		e.history.buckets[(e.history.minute-HistoryMinutes+1+i)%HistoryMinutes] = b
	}
	for range r.u16() {
		x := exemption{mac: r.mac(), addr: r.addr()}
		left := r.u64()
		if r.bad {
			return
		}
		x.until = r.now.After(time.Duration(min(left, uint64(maxAge))))
		if e.nexempt < maxExempt {
			e.exempts[e.nexempt] = x
			e.nexempt++
			e.noExempt = false
		}
	}
	for range r.u16() {
		if r.bad {
			return
		}
		e.restoreClient(r)
	}
	for range r.u16() {
		k := r.host()
		p := place{r.addr(), uint16(r.u16()), e.hashKey(&k)}
		what, when := judgement(r.u8()), r.age()
		if r.bad || what <= asking || what >= judgements {
			r.bad = true
			return
		}
		slot, _ := e.judged.Take(&p, e.hashPlace(&p))
		e.judged.judged[slot] = judged{min(when, r.now), what}
	}
	// Last, because adding clients changes counters. Additional counters from a newer
	// program are skipped.
	i := 0
	e.Counters.Each(func(_ string, v *uint64) {
		*v = 0
		if i < len(counters) {
			*v = counters[i]
		}
		i++
	})
}

func (e *Engine) restoreClient(r *snapshotReader) {
	k := r.host()
	via, addr := r.mac(), r.addr()
	var addrs [addrsPerHost]nfq.Addr
	n := int(r.u8())
	if n > addrsPerHost {
		r.bad = true
		return
	}
	for i := range n {
		addrs[i] = r.addr()
	}
	device := r.u32()
	protocol, reason := r.protocol(), detect.Reason(r.u8())
	proof, proved := Proof(r.u8()), r.proved(e)
	if proof == ProofNone || int(proof) >= len(proofNames) {
		r.bad = true
		return
	}
	first, last := r.age(), r.age()
	flags, until := r.u8(), r.age()
	locked := flags&1 != 0
	var old client
	r.program(&old)
	peers := r.u16()
	if r.bad || peers > MaxPeers {
		r.bad = true
		return
	}
	// If the protocol is unknown now, or nobody looks for it any more, the client is left
	// out.
	var c *client
	var h *host
	if protocol != none && e.any.on.Has(protocol) && !e.exempt(&addr, &via, r.now) {
		c, h = e.restoreHost(k, via, addrs[:n], addr, device, protocol, reason, r.now)
	}
	if c != nil {
		e.nfound++
		c.told, c.proof, c.proved = true, proof, proved
		c.firstSeen, c.lastSeen = first, last
		c.locks, c.dropped, c.droppedTCP, c.droppedUDP = old.locks, old.dropped, old.droppedTCP, old.droppedUDP
		c.lastProbe, c.lastAnswer = old.lastProbe, old.lastAnswer
		c.query, c.queryLen, c.port, c.askedAt = old.query, old.queryLen, old.port, old.askedAt
		c.listen, c.way, c.key, c.program, c.own = old.listen, old.way, old.key, old.program, old.own
	}
	e.restorePeers(r, h, c, int(peers), locked)
	if c == nil || r.bad {
		return
	}
	if locked && proved.Has(protocol) && until > r.now && e.cfg.LockTime > 0 && h.modes.holds.Has(protocol) {
		c.strict, c.selective = flags&2 != 0, flags&4 != 0
		e.restoreLock(h, c, until, r.now)
	}
	e.schedule(h.client, c, r.now)
}

// program reads what is known of a client's program.
func (r *snapshotReader) program(c *client) {
	c.locks, c.dropped, c.droppedTCP, c.droppedUDP = r.u32(), r.u32(), r.u32(), r.u32()
	c.lastProbe, c.lastAnswer = r.age(), r.age()
	c.queryLen = r.u8()
	if int(c.queryLen) > len(c.query) {
		r.bad = true
		return
	}
	copy(c.query[:], r.take(int(c.queryLen)))
	c.port, c.askedAt = uint16(r.u16()), r.addr()
	c.listen, c.way = uint16(r.u16()), r.u8()
	copy(c.key[:], r.take(len(c.key)))
	for i := range c.own {
		c.own[i] = uint16(r.u16())
	}
	c.program.Set(r.take(int(r.u8())))
}

// restorePeers enters the peers of a client. If c is nil, they are read and dropped.
func (e *Engine) restorePeers(r *snapshotReader, h *host, c *client, n int, locked bool) {
	for range n {
		a, port, proto, suspect := r.addr(), uint16(r.u16()), r.protocol(), r.u8() == 1
		first, last, dropped := r.age(), r.age(), r.u32()
		if r.bad {
			return
		}
		if c == nil || proto == none || suspect && !locked {
			continue
		}
		p := e.note(h, c, &a, port, proto, suspect, r.now)
		p.told, p.first, p.last, p.dropped = true, first.seconds(), last.seconds(), dropped
	}
}

// restoreLock locks a client as before, for at most one lock time.
func (e *Engine) restoreLock(h *host, c *client, until, now Time) {
	c.locked, c.tally.since = true, now
	e.nlocked++
	c.lockUntil = min(until, now.After(e.cfg.LockTime))
	c.lockStart = c.lockUntil - Time(e.cfg.LockTime)
	e.lockInKernel(c)
	for i := range c.peers.peers[:c.peers.n] {
		e.cut(h, c, &c.peers.peers[i], now)
	}
}

// restoreHost enters the host of a client, and the client.
func (e *Engine) restoreHost(k hostKey, via nfq.MAC, addrs []nfq.Addr, addr nfq.Addr, device uint32, protocol int, reason detect.Reason, now Time) (*client, *host) {
	hash := e.hashKey(&k)
	if e.hostIndex.Get(&k, hash) != none {
		return nil, nil // the file has it twice
	}
	slot := e.newHost(k, hash, &via, now)
	if slot == none {
		return nil, nil
	}
	h := &e.hosts[slot]
	h.lastSeen = now
	for i := range addrs {
		e.useAddr(slot, h, &addrs[i], now)
	}
	e.restoreShared(&k, via, device, now)
	h.device = device
	e.refit(h)
	c := e.enter(h, protocol, reason, &addr, &Device{Index: device}, now)
	if c == nil {
		return nil, nil
	}
	return c, h
}

// restoreShared adds the shared MAC of a host that is known by its address because several
// hosts have its MAC.
func (e *Engine) restoreShared(k *hostKey, via nfq.MAC, device uint32, now Time) {
	d := e.device(device)
	if d == nil || !k.mac.IsZero() || via.IsZero() || !d.onLink(&k.addr) {
		return
	}
	m := hostKey{mac: via}
	hash := e.hashKey(&m)
	if e.hostIndex.Get(&m, hash) != none {
		return
	}
	if slot := e.newHost(m, hash, &via, now); slot != none {
		e.hosts[slot].shared, e.hosts[slot].lastSeen = now.After(sharing), now
	}
}
