// SPDX-License-Identifier: GPL-2.0-or-later

package nfq

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// Defaults of Config.
const (
	DefaultMaxLen     = 1024
	DefaultCopyRange  = 2048
	DefaultBatch      = 64
	DefaultReadBuffer = 1 << 20
	DefaultModeration = 400 * time.Microsecond
)

// Config says which queue to open, and how. The zero value of a field stands
// for its default.
type Config struct {
	Num       uint16 // the queue's number
	MaxLen    uint32 // packets the kernel holds for us at most
	CopyRange uint32 // bytes of a packet that are copied to us
	FailOpen  bool   // let packets pass, not drop them, when the queue is full
	Batch     int    // packets per Recv at most
	// ReadBuffer is the socket's receive buffer in bytes. The kernel counts
	// twice as much, for its own overhead.
	ReadBuffer int
	// NetNS is a file descriptor of a network namespace, 0 for the current one.
	NetNS int
	// Moderation is how long the Recv after Moderate waits before it asks for
	// packets: under load a wake-up then brings many. 50 to 400 us are sensible;
	// negative turns it off.
	Moderation time.Duration
	// Marks are what verdicts mark packets with.
	Marks Marks
}

func (c *Config) setDefaults() {
	if c.MaxLen == 0 {
		c.MaxLen = DefaultMaxLen
	}
	if c.CopyRange == 0 {
		c.CopyRange = DefaultCopyRange
	}
	// 0xffff less the attribute's header is what the kernel copies at most.
	c.CopyRange = min(c.CopyRange, 0xffff-nlaHeaderLen)
	if c.Batch <= 0 {
		c.Batch = DefaultBatch
	}
	if c.ReadBuffer <= 0 {
		c.ReadBuffer = DefaultReadBuffer
	}
	if c.Moderation == 0 {
		c.Moderation = DefaultModeration
	}
	if c.Marks == (Marks{}) {
		c.Marks = DefaultMarks()
	}
}

// Queue is one NFQUEUE. Its methods are for the one goroutine that owns it,
// except Wake and SetRepeat, which any goroutine may call.
type Queue struct {
	num      uint16
	failOpen bool
	marks    Marks
	conn     *netlink.Conn
	raw      syscall.RawConn

	// The slab: one slot a datagram.
	slab    []byte
	slot    int
	headers []unix.Mmsghdr
	iovecs  []unix.Iovec
	filled  int    // slots the last receive filled
	next    int    // the first of them that is not decoded
	rest    []byte // what is left to decode of the one before it

	packets  []Packet
	verdicts []Verdict
	n        int  // packets of the current batch
	open     bool // they have no verdict yet
	lastID   uint32
	out      []byte

	// Results of the system calls, and the callbacks that make them: made
	// once, because a closure per call would be an allocation per call.
	errno     unix.Errno
	readReady func(fd uintptr) bool
	trySend   func(fd uintptr)

	deadline time.Time // the socket's
	armed    bool      // it is known, and has not passed
	pause    unix.Timespec
	moderate bool // the next Recv waits first
	woken    atomic.Bool
	repeat   atomic.Bool

	counters Counters
	seen     decoded
}

// Counters are a Queue's own figures since it was opened.
type Counters struct {
	Packets  uint64 // packets received
	Batches  uint64 // receives that brought packets
	Overruns uint64 // ENOBUFS reports of the socket
	// Errors counts errors the kernel reported, such as a verdict on a packet
	// that went with its device.
	Errors  uint64
	Strange uint64 // messages that could not be read
}

// Counters returns the queue's own figures.
func (q *Queue) Counters() Counters {
	c := q.counters
	c.Errors = q.seen.errors
	c.Strange = q.seen.strange
	return c
}

// Stats returns the kernel's figures for the queue. It reads the namespace of
// the calling thread.
func (q *Queue) Stats() (QueueStats, error) {
	s, err := ReadStats(q.num)
	if err != nil {
		return QueueStats{}, err
	}
	if len(s) == 0 {
		return QueueStats{}, fmt.Errorf("queue %d is not in %s", q.num, procQueues)
	}
	return s[0], nil
}

// Open takes the queue c.Num. degraded has one line for each feature that this
// kernel lacks and that the queue goes without.
//
// Errors name a remedy; errors.Is tells unix.EPERM (no privilege) from
// unix.EBUSY (another program holds the queue).
func Open(c Config) (q *Queue, degraded []string, err error) {
	c.setDefaults()
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: c.NetNS})
	if err != nil {
		return nil, nil, openError(c.Num, err)
	}
	q = &Queue{num: c.Num, failOpen: c.FailOpen, marks: c.Marks, conn: conn}
	if degraded, err = q.configure(&c); err != nil {
		_ = conn.Close()
		return nil, nil, openError(c.Num, err)
	}
	if q.raw, err = conn.SyscallConn(); err != nil {
		_ = conn.Close()
		return nil, nil, openError(c.Num, err)
	}
	q.allocate(&c)
	return q, degraded, nil
}

// allocate takes all the memory that the queue will ever use.
func (q *Queue) allocate(c *Config) {
	q.slot = align4(int(c.CopyRange) + packetOverhead)
	q.slab = make([]byte, c.Batch*q.slot)
	q.headers = make([]unix.Mmsghdr, c.Batch)
	q.iovecs = make([]unix.Iovec, c.Batch)
	for i := range q.headers {
		q.iovecs[i].Base = &q.slab[i*q.slot]
		q.iovecs[i].SetLen(q.slot)
		q.headers[i].Hdr.Iov = &q.iovecs[i]
		q.headers[i].Hdr.SetIovlen(1)
	}
	q.packets = make([]Packet, c.Batch)
	q.verdicts = make([]Verdict, c.Batch)
	q.out = make([]byte, 0, (c.Batch+1)*verdictLen)
	if c.Moderation > 0 {
		q.pause = unix.NsecToTimespec(c.Moderation.Nanoseconds())
	}
	q.readReady = func(fd uintptr) bool {
		q.recvmmsg(fd)
		return q.errno != unix.EAGAIN
	}
	q.trySend = q.send
}

// configure sets up the socket, binds it to the queue and sets the queue's
// options. What a kernel does not know becomes a line of degraded, unless the
// queue is of no use without it.
func (q *Queue) configure(c *Config) (degraded []string, err error) {
	lack := func(what string, err error) {
		degraded = append(degraded, fmt.Sprintf("queue %d: %s: %v", c.Num, what, err))
	}
	if err := q.conn.SetReadBuffer(c.ReadBuffer); err != nil {
		lack("receive buffer stays at the system's default, a burst may be lost", err)
	}
	if err := q.conn.SetOption(netlink.NoENOBUFS, true); err != nil {
		lack("NETLINK_NO_ENOBUFS is missing, an overrun may delay packets", err)
	}
	if err := q.config(cfgCommand, []byte{commandBind, 0, 0, 0}); err != nil {
		return nil, err
	}
	params := append(be.AppendUint32(nil, c.CopyRange), copyPacket)
	if err := q.config(cfgParams, params); err != nil {
		return nil, err
	}
	if err := q.config(cfgMaxLen, be.AppendUint32(nil, c.MaxLen)); err != nil {
		lack("the kernel keeps its own queue length", err)
	}
	if c.FailOpen {
		flags := appendAttr32(nil, cfgFlags, flagFailOpen)
		if err := q.configAttrs(appendAttr32(flags, cfgMask, flagFailOpen)); err != nil {
			lack("fail-open is missing, packets are dropped while the queue is full", err)
		}
	}
	return degraded, nil
}

func (q *Queue) config(typ uint16, value []byte) error {
	return q.configAttrs(appendAttr(nil, typ, value))
}

// configAttrs sends one configuration message and waits for its acknowledgement. If the
// queue's rule is there already, packets may come in between: these are accepted unseen.
func (q *Queue) configAttrs(attrs []byte) error {
	nfgen := be.AppendUint16([]byte{unix.AF_UNSPEC, 0}, q.num)
	if err := q.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	req, err := q.conn.Send(netlink.Message{
		Header: netlink.Header{Type: msgConfig, Flags: netlink.Request | netlink.Acknowledge},
		Data:   append(nfgen, attrs...),
	})
	if err != nil {
		return err
	}
	for {
		messages, err := q.conn.Receive()
		if err != nil {
			return err
		}
		for _, m := range messages {
			var p Packet
			switch {
			case m.Header.Type == netlink.Error && m.Header.Sequence == req.Header.Sequence:
				return nil
			case m.Header.Type == msgPacket && decodePacket(m.Data, &p):
				if err := q.acceptEarly(p.ID); err != nil {
					return err
				}
			}
		}
	}
}

func (q *Queue) acceptEarly(id uint32) error {
	b := appendVerdict(nil, q.num, &Packet{ID: id}, Accept, &q.marks, false)
	_, err := q.conn.Send(netlink.Message{
		Header: netlink.Header{Type: msgVerdict, Flags: netlink.Request},
		Data:   b[nlmsgHeaderLen:],
	})
	return err
}

// openError says what to do about err. The kernel answers EPERM in two cases: to a
// program without the privilege, and to one that wants a queue that another program has.
func openError(num uint16, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EBUSY):
		if held, serr := ReadStats(num); serr == nil && len(held) > 0 {
			return fmt.Errorf("queue %d is held by another program (netlink port %d, mostly its process id): "+
				"end that program, or use another queue number: %w", num, held[0].PortID, unix.EBUSY)
		}
		return fmt.Errorf("queue %d: no permission: run as root or with CAP_NET_ADMIN: %w", num, err)
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("queue %d: the kernel has no NFQUEUE: install kmod-nfnetlink-queue, "+
			"or load the module nfnetlink_queue: %w", num, err)
	}
	return fmt.Errorf("queue %d: %w", num, err)
}

// Close sends the verdicts on the current batch and gives the queue back. The kernel
// drops the packets that have no verdict yet. If the queue fails open, Close accepts these
// packets first, except samples.
func (q *Queue) Close() error {
	err := q.Flush()
	if q.failOpen && err == nil {
		err = q.dropSamples()
	}
	if q.failOpen && err == nil {
		// As numbers wrap around, this is behind every packet that is held.
		const far = 1 << 30
		q.out = appendBatchVerdict(q.out[:0], q.num, q.lastID+far, Accept)
		err = q.write()
	}
	return errors.Join(err, q.conn.Close())
}

// dropSamples gives verdicts on the packets that wait to be received: it drops samples
// and accepts the others. It does not wait for more.
func (q *Queue) dropSamples() error {
	const most = 1024 // batches: others may go on sending
	for range most {
		q.n = 0
		if !q.decode() {
			if err := q.raw.Control(q.recvmmsg); err != nil {
				return err
			}
			if q.errno == unix.EINTR || q.errno == unix.ENOBUFS {
				continue
			}
			if !q.decode() {
				return nil
			}
		}
		for i := range q.begin() {
			if q.marks.Sampled(q.Packet(i)) {
				q.Verdict(i, Drop)
			}
		}
		if err := q.Flush(); err != nil {
			return err
		}
	}
	return nil
}
