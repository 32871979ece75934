// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Recv waits for packets until deadline (zero: without end) and returns how
// many packets it received: Packet and Verdict can be called for these. It returns 0 and
// no error at the deadline, after a Wake, and sometimes for no reason. It first sends the
// verdicts of the last batch, if Flush was not called. It does not allocate.
func (q *Queue) Recv(deadline time.Time) (int, error) {
	if err := q.Flush(); err != nil {
		return 0, err
	}
	q.n = 0
	if q.decode() {
		return q.begin(), nil
	}
	if q.moderate {
		q.moderate = false
		// Raw, although it sleeps: the runtime would take a short sleep for a
		// long one, give the processor to another thread and wake that, which
		// costs more than the sleep saves. A failure only means less moderation.
		_, _, _ = syscall.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&q.pause)), 0, 0)
	}
	for {
		if done, err := q.receive(deadline); done {
			return 0, err
		}
		switch q.errno {
		case 0:
			if q.decode() {
				return q.begin(), nil
			}
		case unix.ENOBUFS:
			q.counters.Overruns++
		case unix.EINTR, unix.EAGAIN:
		default:
			return 0, os.NewSyscallError("recvmmsg", q.errno)
		}
	}
}

// receive lets the netpoller call recvmmsg, at once and again when there is something to
// read. done says that there was nothing.
//
// The socket may keep an earlier deadline than the one that is asked for. To return early
// now and then costs less than to set the deadline for every batch.
func (q *Queue) receive(deadline time.Time) (done bool, err error) {
	if !q.armed || !deadline.IsZero() && (q.deadline.IsZero() || deadline.Before(q.deadline)) {
		if err := q.conn.SetReadDeadline(deadline); err != nil {
			return true, err
		}
		q.armed, q.deadline = true, deadline
	}
	// Only now: a Wake before SetReadDeadline set a deadline that is lost,
	// but its flag is here; a later one ends the read below.
	if q.woken.Load() {
		q.woken.Store(false)
		return true, nil
	}
	err = q.raw.Read(q.readReady)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		q.armed = false
		q.woken.Store(false)
		return true, nil
	}
	return err != nil, err
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// Wake makes the current or the next Recv return without waiting for packets.
// Any goroutine may call it.
func (q *Queue) Wake() {
	q.woken.Store(true)
	// The error of a closed socket says what Recv says, too.
	_ = q.conn.SetReadDeadline(longAgo)
}

// Moderate makes the next Recv wait a moment before it looks for packets, so that
// several packets share the cost of one wake-up. It is for an owner that sees packets come
// close together, but one by one. After a full batch Recv does not wait: more packets are
// there already.
func (q *Queue) Moderate() {
	q.moderate = q.pause != unix.Timespec{} && q.filled < len(q.headers)
}

// recvmmsg fills the slab as far as there are messages, without blocking.
func (q *Queue) recvmmsg(fd uintptr) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, fd,
		uintptr(unsafe.Pointer(&q.headers[0])), uintptr(len(q.headers)), unix.MSG_DONTWAIT, 0, 0)
	q.filled, q.next, q.rest = 0, 0, nil
	q.errno = errno
	if errno == 0 {
		q.filled = int(n)
	}
}

// decode turns what is in the slab into packets, as many as fit; a datagram
// may hold several messages. It reports whether there are packets.
func (q *Queue) decode() bool {
	for q.n < len(q.packets) {
		if len(q.rest) == 0 {
			if q.next == q.filled {
				break
			}
			start := q.next * q.slot
			length := min(int(q.headers[q.next].Len), q.slot)
			q.rest = q.slab[start : start+length]
			q.next++
		}
		var n int
		n, q.rest = decodeMessages(q.rest, q.packets[q.n:], &q.seen)
		q.n += n
	}
	return q.n > 0
}

// begin opens a batch: until told otherwise, its packets are accepted.
func (q *Queue) begin() int {
	clear(q.verdicts)
	q.open = true
	mark := q.marks.begins(q.repeat.Load())
	for i := range q.packets[:q.n] {
		p := &q.packets[i]
		p.Begins = p.Mark&q.marks.Mask == mark && p.Hook == HookForward
	}
	q.counters.Batches++
	q.counters.Packets += uint64(q.n)
	return q.n
}

// Packet returns packet i of the last Recv. It is valid until the next Recv.
func (q *Queue) Packet(i int) *Packet { return &q.packets[:q.n][i] }

// Verdict says what becomes of packet i of the last Recv. A packet without a
// verdict is accepted.
func (q *Queue) Verdict(i int, v Verdict) { q.verdicts[:q.n][i] = v }

// SetRepeat says what becomes of a forwarded packet that AcceptDecided marks. While it is
// off, as at first, the packet goes on from where it was queued. While it is on, the
// packet meets the rules of the same hook once more (NF_REPEAT). These rules must let it
// pass because of its mark. This saves a second chain for packets from the queue, which
// every packet of the router would have to go through.
func (q *Queue) SetRepeat(on bool) { q.repeat.Store(on) }

// Flush sends the verdicts on all packets of the last Recv in one write. After
// a failed Flush the packets stay with the kernel until a later batch verdict
// settles them, too.
func (q *Queue) Flush() error {
	if !q.open {
		return nil
	}
	q.open = false
	q.lastID = q.packets[q.n-1].ID
	q.out = appendVerdicts(q.out[:0], q.num, q.packets[:q.n], q.verdicts, &q.marks, q.repeat.Load())
	return q.write()
}

// write sends q.out.
func (q *Queue) write() error {
	// The kernel works on the verdicts within the call; it refuses only when
	// it is short of memory for the message.
	const attempts = 3
	for range attempts {
		if err := q.raw.Control(q.trySend); err != nil {
			return err
		}
		if q.errno == 0 {
			return nil
		}
	}
	return os.NewSyscallError("send", q.errno)
}

// send writes q.out to the kernel, which is where an unconnected netlink
// socket sends to.
func (q *Queue) send(fd uintptr) {
	_, _, q.errno = syscall.RawSyscall6(unix.SYS_SENDTO, fd,
		uintptr(unsafe.Pointer(unsafe.SliceData(q.out))), uintptr(len(q.out)), unix.MSG_DONTWAIT, 0, 0)
}
