// SPDX-License-Identifier: GPL-2.0-or-later

package history

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// The file is big-endian:
//
//	magic "P2PH", u32 version, u32 CRC-32 (IEEE) of the body
//	body: protocols: u8 n, n times (u8 length, name)
//	      hours: i64 the newest, then Hours times (4 times u32, u64, u16), oldest first
//	      records: u16 n, n times (i32 day, addr, mac, u8 protocol, u8 reason, u8 proof,
//	               i64 first, i64 last, i64 nanoseconds locked, u32 connections, u64 bytes,
//	               u8 length, program)
//
// A protocol's number is its place in the file's own list. So a newer program can read
// the file of an older one.
const (
	fileMagic   = "P2PH"
	fileVersion = 1
	fileHead    = 12
)

// ErrDamaged says that a file is damaged or of another version.
var ErrDamaged = errors.New("damaged, or of another version")

// Changes returns a number that grows with each change of the history.
func (t *Table) Changes() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changes
}

// Snapshot returns the content of the file.
func (t *Table) Snapshot() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	be := binary.BigEndian
	b := append(make([]byte, 0, 16<<10), fileMagic...)
	b = be.AppendUint32(b, fileVersion)
	b = be.AppendUint32(b, 0)
	b = append(b, byte(len(detect.All)))
	for _, p := range detect.All {
		b = append(b, byte(len(p.Name)))
		b = append(b, p.Name...)
	}
	b = be.AppendUint64(b, uint64(t.hour))
	for i := range int64(Hours) {
		h := &t.hours[(t.hour+1+i)%Hours]
		for _, v := range [...]uint32{h.DroppedTCP, h.DroppedUDP, h.Probes, h.Connections} {
			b = be.AppendUint32(b, v)
		}
		b = be.AppendUint64(b, h.Bytes)
		b = be.AppendUint16(b, h.Locked)
	}
	n := 0
	at := len(b)
	b = append(b, 0, 0)
	for i := range t.records {
		r := &t.records[i]
		if !r.used() {
			continue
		}
		n++
		b = be.AppendUint32(b, uint32(r.Day))
		b = append(b, r.Addr[:]...)
		b = append(b, r.MAC[:]...)
		b = append(b, r.Protocol, byte(r.Reason), byte(r.Proof))
		for _, v := range [...]int64{r.First, r.Last, int64(r.Locked)} {
			b = be.AppendUint64(b, uint64(v))
		}
		b = be.AppendUint32(b, r.Connections)
		b = be.AppendUint64(b, r.Bytes)
		name := r.Program.String()
		b = append(b, byte(len(name)))
		b = append(b, name...)
	}
	be.PutUint16(b[at:], uint16(n))
	be.PutUint32(b[8:], state.Checksum(b[fileHead:]))
	return b
}

// reader reads a file. Beyond the end of the file it returns zeros and sets bad.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, n)
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) u8() byte    { return r.take(1)[0] }
func (r *reader) u16() uint16 { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

// Restore reads the content of a file into the table. On an error the table stays as it
// was.
func (t *Table) Restore(b []byte) error {
	if len(b) < fileHead || string(b[:4]) != fileMagic || binary.BigEndian.Uint32(b[4:]) != fileVersion ||
		state.Checksum(b[fileHead:]) != binary.BigEndian.Uint32(b[8:]) {
		return ErrDamaged
	}
	r := &reader{b: b[fileHead:]}
	var protocols [256]int // -1: this program does not know the protocol
	names := int(r.u8())
	for i := range names {
		protocols[i] = detect.ByName(string(r.take(int(r.u8()))))
	}
	fresh := new(Table)
	fresh.hour = int64(r.u64())
	if fresh.hour < 0 || fresh.hour > 1<<40 {
		return ErrDamaged
	}
	for i := range int64(Hours) {
		h := &fresh.hours[(fresh.hour+1+i)%Hours]
		h.DroppedTCP, h.DroppedUDP, h.Probes, h.Connections = r.u32(), r.u32(), r.u32(), r.u32()
		h.Bytes, h.Locked = r.u64(), r.u16()
	}
	n := int(r.u16())
	at := 0
	for range n {
		x := Record{
			Day: int32(r.u32()), Addr: nfq.Addr(r.take(16)), MAC: nfq.MAC(r.take(6)),
		}
		protocol := int(r.u8())
		x.Reason, x.Proof = detect.Reason(r.u8()), state.Proof(r.u8())
		x.First, x.Last, x.Locked = int64(r.u64()), int64(r.u64()), time.Duration(r.u64())
		x.Connections, x.Bytes = r.u32(), r.u64()
		x.Program.Set(r.take(int(r.u8())))
		if r.bad || protocol >= names || x.Proof > state.ProofConduct || x.First <= 0 {
			return ErrDamaged
		}
		if protocols[protocol] >= 0 && at < maxRecords {
			x.Protocol = uint8(protocols[protocol])
			fresh.records[at] = x
			at++
		}
	}
	if r.bad || len(r.b) > 0 {
		return ErrDamaged
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.records, t.hours, t.hour = fresh.records, fresh.hours, fresh.hour
	return nil
}
