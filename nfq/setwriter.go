// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"math"
	"time"
)

// SetWriter keeps the kernel's sets without ever waiting for the kernel, which takes no
// change while another program changes the rules: that was seen to last for more than
// a second.
//
// Changes are collected, and Flush hands them over to a goroutine that writes them, as
// one batch. Batches are written one after the other, in their order. There are two
// buffers: while the kernel takes one, the other is filled. All methods but Close belong
// to one goroutine, which they never stop and for which they do not allocate.
type SetWriter struct {
	_ [0]func() // not to be compared: the code for it costs flash
	// Refused is how many changes did not fit.
	Refused uint64

	kernel *KernelSets
	fill   *setBatch
	idle   chan *setBatch // the other buffer, when it is not being written
	work   chan *setBatch
	ended  chan struct{}
	handed uint64
	lost   bool
}

// setBatch is a number of changes.
type setBatch struct {
	_      [0]func() // not comparable: code to compare it costs flash
	number uint64
	n      int
	ops    [maxSetOps]setOp
}

// NewSetWriter starts a writer, to which the sets belong from now on. After each batch
// taken is called on the writer's goroutine, with the batch's number and with what
// the kernel refused, if anything; see SetError. The batches are numbered from 1 on.
// While taken runs, nothing is written, but changes can be collected and handed over.
func NewSetWriter(k *KernelSets, taken func(batch uint64, err error)) *SetWriter {
	w := &SetWriter{
		kernel: k, fill: &setBatch{},
		idle: make(chan *setBatch, 1), work: make(chan *setBatch, 1), ended: make(chan struct{}),
	}
	w.idle <- &setBatch{}
	go func() {
		defer close(w.ended)
		for b := range w.work {
			number, err := b.number, k.write(b.ops[:b.n])
			// Before taken, so that whom it wakes can hand over the next.
			w.idle <- b
			taken(number, err)
		}
	}()
	return w
}

// Close ends the writer when all that was handed over is written, and closes the socket.
// It leaves the sets' elements to their timeouts. Nothing may be called after it.
func (w *SetWriter) Close() error {
	close(w.work)
	<-w.ended
	return w.kernel.Close()
}

// Flush hands the collected changes over. When the kernel has not taken the batch
// before, they stay, and a later Flush does it: taken is called in between. It returns
// the number of the newest batch that was handed over, 0 for none.
//
// What the kernel refused is not sent again: the owner of the state tells it anew when
// the cause is mended.
func (w *SetWriter) Flush() (handed uint64) {
	if w.fill.n == 0 {
		return w.handed
	}
	select {
	case next := <-w.idle:
		w.handed++
		w.fill.number = w.handed
		w.work <- w.fill // it has room: there are two buffers
		w.fill = next
		next.n = 0
	default:
	}
	return w.handed
}

// Room is how many more changes can be collected before the next batch is handed over.
func (w *SetWriter) Room() int { return len(w.fill.ops) - w.fill.n }

// Lost reports whether changes were refused for want of room since it was asked last.
// The owner then has to tell all that it knows again, no more at a time than there is
// Room for. An element that should have been deleted is among the lost: unless that is
// told again, too, it lasts for its timeout.
func (w *SetWriter) Lost() bool {
	lost := w.lost
	w.lost = false
	return lost
}

// Cut has the kernel drop everything between client and peer for d, from when the
// kernel takes it. Of two families, or of none, it does nothing.
func (w *SetWriter) Cut(client, peer Addr, d time.Duration) { w.pair(client, peer, d) }

// Uncut ends a Cut.
func (w *SetWriter) Uncut(client, peer Addr) { w.pair(client, peer, 0) }

// Lock has the kernel drop the connection attempts of the host with the address for d.
func (w *SetWriter) Lock(addr Addr, d time.Duration) { w.host(setLock4, addr, d) }

// Unlock ends a Lock.
func (w *SetWriter) Unlock(addr Addr) { w.Lock(addr, 0) }

// Own has the kernel drop, for d, what the host with the address sends from the port,
// and what comes to it there. The protocol is ProtoTCP or ProtoUDP.
func (w *SetWriter) Own(addr Addr, proto uint8, port uint16, d time.Duration) {
	op, ok := hostOp(setOwn4, &addr)
	if !ok {
		return
	}
	key := op.key[4:]
	if op.set == setOwn6 {
		key = op.key[16:]
	}
	key[0] = proto
	be.PutUint16(key[4:], port)
	w.add(&op, d)
}

// Disown ends an Own.
func (w *SetWriter) Disown(addr Addr, proto uint8, port uint16) { w.Own(addr, proto, port, 0) }

// Watch has the kernel queue for d all TCP data that the host with the address sends on
// connections that are not decided: of those that are old, too, and what belongs to no
// connection that the kernel knows.
func (w *SetWriter) Watch(addr Addr, d time.Duration) { w.host(setWatch4, addr, d) }

// Unwatch ends a Watch.
func (w *SetWriter) Unwatch(addr Addr) { w.Watch(addr, 0) }

// Mark has the kernel mark, for d, what it would drop of the host with the address.
func (w *SetWriter) Mark(addr Addr, d time.Duration) { w.host(setMark4, addr, d) }

// Unmark ends a Mark.
func (w *SetWriter) Unmark(addr Addr) { w.Mark(addr, 0) }

func (w *SetWriter) pair(client, peer Addr, d time.Duration) {
	if client.Is4() != peer.Is4() || client.IsZero() || peer.IsZero() {
		return
	}
	var op setOp
	if client.Is4() {
		op.set = setCut4
		copy(op.key[:4], client[12:])
		copy(op.key[4:], peer[12:])
	} else {
		op.set = setCut6
		copy(op.key[:16], client[:])
		copy(op.key[16:], peer[:])
	}
	w.add(&op, d)
}

func (w *SetWriter) host(set4 setID, addr Addr, d time.Duration) {
	if op, ok := hostOp(set4, &addr); ok {
		w.add(&op, d)
	}
}

// hostOp begins a change with a host's address: of the set for IPv4, or of the one for
// IPv6 that is next to it. It reports false when there is no address.
func hostOp(set4 setID, addr *Addr) (op setOp, ok bool) {
	op.set = set4
	if addr.Is4() {
		copy(op.key[:], addr[12:])
	} else {
		op.set++
		copy(op.key[:], addr[:])
	}
	return op, !addr.IsZero()
}

// add collects one change. A later change of the same element replaces an earlier one
// that was not handed over yet, so that a key is in a batch only once.
func (w *SetWriter) add(op *setOp, d time.Duration) {
	d = max(d, 0)
	ms := d / time.Millisecond
	if d%time.Millisecond != 0 {
		ms++
	}
	op.timeout = uint32(min(ms, math.MaxUint32))
	b := w.fill
	for i := range b.ops[:b.n] {
		if o := &b.ops[i]; o.set == op.set && o.key == op.key {
			o.timeout = op.timeout
			return
		}
	}
	if b.n == len(b.ops) {
		w.Refused++
		w.lost = true
		return
	}
	b.ops[b.n] = *op
	b.n++
}
