// SPDX-License-Identifier: GPL-2.0-or-later

// Package outbox sends messages about events to people: by POST to ntfy or similar, by
// webhook, by mail. A message waits in RAM until it is sent. A program of the system,
// such as curl, sends it.
package outbox

import (
	"strconv"
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/procd/control"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/procd/syslog"
	"github.com/p2pwall/p2pwall/state"
)

const (
	// perHost is the shortest time between two messages about one host. A change within
	// this time is told at its end, unless it was undone.
	perHost = time.Hour
	// maxHosts is how many hosts are remembered for perHost. maxWaiting is how many
	// messages may wait for one receiver.
	maxHosts   = 64
	maxWaiting = 64
	// settle is the time between an event and its message: the program's name may become
	// known a moment after the event.
	settle = 3 * time.Second
	// The pause after a failure is firstPause. It doubles with each further failure, up
	// to longestPause.
	firstPause   = 5 * time.Second
	longestPause = 5 * time.Minute
	// stale is the age at which a message is dropped.
	stale = 24 * time.Hour
	// patience is how long sending a message may take. For a test it is testPatience,
	// because somebody waits for the result.
	patience     = time.Minute
	testPatience = 12 * time.Second
)

type message struct {
	_      [0]func() // not comparable: the code for == would cost flash
	what   config.NotifyEvents
	well   bool // for NotifyUnprotected: the network is protected again
	test   bool
	number uint64
	wall   time.Time
	due    time.Time
	client nfq.Addr
	mac    nfq.MAC
	// protocol is an index in detect.All.
	protocol uint8
	text     string // for NotifyUnprotected: the reason
}

// same reports whether two messages about one host say the same.
func (m *message) same(o *message) bool {
	return m.what == o.what && m.well == o.well && m.text == o.text
}

// host is the last message about a host. The zero address stands for messages about the
// daemon itself.
type host struct {
	client nfq.Addr
	mac    nfq.MAC
	told   message
	at     time.Time
	next   message // the message to send when perHost is over, if waits
	waits  bool
}

type receiver struct {
	_ [0]func() // not comparable: the code for == would cost flash
	config.Notify
	queue  []message
	fails  int
	next   time.Time // no attempt before this time
	fault  string    // of the last attempt
	refuse bool      // the queue was full, and this has been logged
}

// Outbox sends messages about events. Any goroutine may call Event and Trouble, which do
// not wait.
type Outbox struct {
	log *syslog.Logger
	// describe returns the names of a host and of the program found on it, "" if not
	// known.
	describe func(nfq.Addr, nfq.MAC) (name, program string)
	send     func(*receiver, *letter, time.Duration) error
	now      func() time.Time
	router   string // the router's name
	wake     chan struct{}
	done     <-chan struct{}

	mu        sync.Mutex
	receivers []*receiver
	hosts     []host
	number    uint64
}

// New returns an outbox without receivers. Messages name the router, and now returns the
// time in its time zone. When done is closed, the outbox kills the programs that it has
// started.
func New(router string, log *syslog.Logger, done <-chan struct{}, describe func(nfq.Addr, nfq.MAC) (name, program string), now func() time.Time) *Outbox {
	o := &Outbox{
		log: log, describe: describe, now: now, router: router, wake: make(chan struct{}, 1), done: done,
		number: uint64(time.Now().UnixNano()),
	}
	o.send = o.deliver
	return o
}

// Configure sets the receivers. Messages for a receiver that did not change go on
// waiting.
func (o *Outbox) Configure(all []config.Notify) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var now []*receiver
	for i := range all {
		r := &receiver{Notify: all[i]}
		for _, old := range o.receivers {
			if old.Notify == all[i] {
				r = old
			}
		}
		now = append(now, r)
	}
	o.receivers = now
	o.look()
}

func (o *Outbox) look() {
	select {
	case o.wake <- struct{}{}:
	default: // Run is woken already
	}
}

// Event queues a message for an event, if there is one for it.
func (o *Outbox) Event(e *events.Entry) {
	if e.Class != state.ClassClient || e.Quiet { // the administrator caused this event
		return
	}
	m := message{wall: e.Wall.In(o.now().Location()), client: e.Client, mac: e.MAC, protocol: e.Protocol}
	switch e.What {
	case state.EventFound, state.EventLocked:
		m.what = config.NotifyFound
	case state.EventReleased:
		m.what = config.NotifyReleased
	default:
		return
	}
	o.note(&m)
}

// Trouble queues the message that the network is not protected, and why. With "" the
// message says that it is protected again.
func (o *Outbox) Trouble(why string) {
	m := message{what: config.NotifyUnprotected, well: why == "", text: why, wall: o.now()}
	o.mu.Lock()
	h := o.hostOf(&m)
	known := h != nil && (h.told.what != 0 || h.waits)
	o.mu.Unlock()
	if m.well && !known {
		return // no trouble was told before
	}
	o.note(&m)
}

// hostOf returns the entry for the host of a message, or nil.
func (o *Outbox) hostOf(m *message) *host {
	for i := range o.hosts {
		h := &o.hosts[i]
		if h.mac == m.mac && (!m.mac.IsZero() || h.client == m.client) {
			return h
		}
	}
	return nil
}

// note queues a message now, or when perHost is over for its host.
func (o *Outbox) note(m *message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.receivers) == 0 {
		return
	}
	now := o.now()
	h := o.hostOf(m)
	if h == nil {
		if h = o.newHost(now); h == nil {
			o.log.Warnf("notify: too many computers at once: not all are told of")
			return
		}
		*h = host{client: m.client, mac: m.mac}
	}
	if m.well && !h.told.well { // good news is told at once
		at := h.at
		o.tell(h, m, now)
		h.at = at
		return
	}
	if h.told.what != 0 && now.Sub(h.at) < perHost {
		h.next, h.waits = *m, !m.same(&h.told)
		o.look()
		return
	}
	o.tell(h, m, now)
}

// newHost returns an entry for one more host. If all are taken, it reuses the oldest
// entry whose perHost is over; nil if there is none.
func (o *Outbox) newHost(now time.Time) *host {
	if len(o.hosts) < maxHosts {
		o.hosts = append(o.hosts, host{})
		return &o.hosts[len(o.hosts)-1]
	}
	var old *host
	for i := range o.hosts {
		if h := &o.hosts[i]; !h.waits && now.Sub(h.at) >= perHost && (old == nil || h.at.Before(old.at)) {
			old = h
		}
	}
	return old
}

// tell queues a message for all receivers that want it.
func (o *Outbox) tell(h *host, m *message, now time.Time) {
	h.told, h.at, h.waits = *m, now, false
	o.number++
	m.number, m.due = o.number, now.Add(settle)
	for _, r := range o.receivers {
		switch {
		case r.Events&m.what == 0:
		case len(r.queue) == maxWaiting:
			if !r.refuse {
				o.log.Warnf("notify %s: too many messages wait: the newest are left out", r.Name)
			}
			r.refuse = true
		default:
			r.queue = append(r.queue, *m)
		}
	}
	o.look()
}

// Run sends messages when they are due, until done is closed.
func (o *Outbox) Run() {
	for {
		r, m, wait := o.next()
		if r != nil {
			l := o.letter(r, &m)
			o.outcome(r, &m, o.send(r, l, patience))
			select {
			case <-o.done:
				return
			default:
			}
			continue
		}
		var timer <-chan time.Time
		if wait > 0 {
			timer = time.After(wait)
		}
		select {
		case <-timer:
		case <-o.wake:
		case <-o.done:
			return
		}
	}
}

// next returns a message that is due, and its receiver. If none is due, it returns how
// long to wait; 0 means no limit.
func (o *Outbox) next() (who *receiver, m message, wait time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	var first time.Time
	soon := func(t time.Time) bool {
		d := t.Sub(now)
		if d <= 0 {
			return true
		}
		if wait == 0 || d < wait {
			wait = d
		}
		return false
	}
	for i := range o.hosts {
		if h := &o.hosts[i]; h.waits && soon(h.at.Add(perHost)) {
			next := h.next
			o.tell(h, &next, now)
		}
	}
	for _, r := range o.receivers {
		for len(r.queue) > 0 && now.Sub(r.queue[0].due) > stale {
			o.log.Warnf("notify %s: a message is given up after %v", r.Name, stale)
			r.queue = r.queue[1:]
		}
		if len(r.queue) == 0 {
			continue
		}
		due := r.queue[0].due
		if r.next.After(due) {
			due = r.next
		}
		// Of several messages the one that was due first is sent first. So a slow
		// receiver does not hold up the others.
		if soon(due) && (who == nil || due.Before(first)) {
			who, m, first = r, r.queue[0], due
		}
	}
	return who, m, wait
}

func (o *Outbox) outcome(r *receiver, m *message, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil && err != errUncertain {
		r.fails++
		pause := longestPause
		if n := r.fails - 1; n < 6 {
			pause = firstPause << n
		}
		r.next = o.now().Add(min(pause, longestPause))
		if fault := err.Error(); fault != r.fault {
			r.fault = fault
			o.log.Warnf("notify %s: %v: it is tried again", r.Name, err)
		}
		return
	}
	if len(r.queue) > 0 && r.queue[0].number == m.number {
		r.queue = r.queue[1:]
	}
	switch {
	case err != nil:
		o.log.Warnf("notify %s: %v", r.Name, err)
	case r.fault != "":
		o.log.Printf("notify %s: told, %d more messages wait", r.Name, len(r.queue))
	}
	r.fails, r.next, r.fault, r.refuse = 0, time.Time{}, "", false
}

// Flush tries once more to send all waiting messages before the program ends. It waits no
// longer than most.
func (o *Outbox) Flush(most time.Duration) {
	o.mu.Lock()
	now := o.now()
	for _, r := range o.receivers {
		r.next = time.Time{}
		for i := range r.queue {
			if r.queue[i].due.After(now) {
				r.queue[i].due = now
			}
		}
	}
	o.look()
	o.mu.Unlock()
	for end := time.Now().Add(most); time.Now().Before(end) && o.waiting() > 0; {
		time.Sleep(50 * time.Millisecond)
	}
}

func (o *Outbox) waiting() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.receivers {
		n += len(r.queue)
	}
	return n
}

// Receivers returns each receiver with its number of waiting messages and its last error.
func (o *Outbox) Receivers() (out []control.Receiver) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.receivers {
		out = append(out, control.Receiver{Name: r.Name, Kind: string(r.Kind), Waiting: len(r.queue), Fault: r.fault})
	}
	return out
}

// Test sends a test message to each receiver, and returns the results.
func (o *Outbox) Test() (out []control.Receiver) {
	o.mu.Lock()
	var all []*receiver
	for _, r := range o.receivers {
		all = append(all, &receiver{Notify: r.Notify})
	}
	o.number++
	m := message{test: true, number: o.number, wall: o.now()}
	o.mu.Unlock()
	out = make([]control.Receiver, len(all))
	var wg sync.WaitGroup
	for i, r := range all {
		wg.Go(func() {
			out[i] = control.Receiver{Name: r.Name, Kind: string(r.Kind)}
			if err := o.send(r, o.letter(r, &m), testPatience); err != nil {
				out[i].Fault = err.Error()
			}
		})
	}
	wg.Wait()
	return out
}

// id identifies a message for its receiver.
func (m *message) id() string { return strconv.FormatUint(m.number, 36) }
