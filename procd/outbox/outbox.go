// SPDX-License-Identifier: GPL-2.0-or-later

// Package outbox tells people of events: by a POST to ntfy or alike, by a webhook, by mail.
// What is to be told waits in RAM until it could be told. A program of the system sends it.
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
	// perHost is the least time between two messages about one host. What changes
	// meanwhile is told when it is over, unless it has changed back.
	perHost = time.Hour
	// maxHosts is how many hosts are remembered for that, maxWaiting how many messages
	// may wait for one receiver.
	maxHosts   = 64
	maxWaiting = 64
	// settle is the time between an event and its message: the program's name may come
	// a moment after it was found.
	settle = 3 * time.Second
	// The pause after a failure is firstPause, and twice as long after each further one,
	// up to longestPause.
	firstPause   = 5 * time.Second
	longestPause = 5 * time.Minute
	// stale is the age at which a message is given up.
	stale = 24 * time.Hour
	// patience is how long one message may take, testPatience the same of a test:
	// somebody waits for that.
	patience     = time.Minute
	testPatience = 12 * time.Second
)

// message is something to be told.
type message struct {
	_      [0]func() // is not compared whole, which would cost flash
	what   config.NotifyEvents
	well   bool // of NotifyUnprotected: it can protect again
	test   bool
	number uint64
	wall   time.Time
	due    time.Time
	client nfq.Addr
	mac    nfq.MAC
	// protocol is an index in detect.All.
	protocol uint8
	text     string // of NotifyUnprotected: why
}

// same reports whether two messages say the same of a host.
func (m *message) same(o *message) bool {
	return m.what == o.what && m.well == o.well && m.text == o.text
}

// host is what was told about a host. The zero address stands for the wall itself.
type host struct {
	client nfq.Addr
	mac    nfq.MAC
	told   message
	at     time.Time
	next   message // what is to be told when it is time
	waits  bool
}

// receiver is somebody who is told.
type receiver struct {
	_ [0]func() // is not compared, which would cost flash
	config.Notify
	queue  []message
	fails  int
	next   time.Time // before then nothing is tried
	fault  string    // of the last try
	refuse bool      // the queue was full; this was said
}

// Outbox tells people of events. Event and Trouble may be called from any goroutine, and
// do not wait.
type Outbox struct {
	log *syslog.Logger
	// describe returns the name of a host and that of the program which was found on it,
	// as far as they are known.
	describe func(nfq.Addr, nfq.MAC) (name, program string)
	send     func(*receiver, *letter, time.Duration) error
	now      func() time.Time
	router   string // its name
	wake     chan struct{}
	done     <-chan struct{}

	mu        sync.Mutex
	receivers []*receiver
	hosts     []host
	number    uint64
}

// New returns an outbox without receivers. Who tells is named router, and now has its
// place. It ends what it has started when done is closed.
func New(router string, log *syslog.Logger, done <-chan struct{}, describe func(nfq.Addr, nfq.MAC) (name, program string), now func() time.Time) *Outbox {
	o := &Outbox{
		log: log, describe: describe, now: now, router: router, wake: make(chan struct{}, 1), done: done,
		number: uint64(time.Now().UnixNano()),
	}
	o.send = o.deliver
	return o
}

// Configure says who is told. What waits for a receiver that stays as it is goes on
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

// look has Run look again.
func (o *Outbox) look() {
	select {
	case o.wake <- struct{}{}:
	default: // it will
	}
}

// Event notes an event that somebody may be told of.
func (o *Outbox) Event(e *events.Entry) {
	if e.Class != state.ClassClient || e.Quiet { // who allowed it knows that it is
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

// Trouble notes that the wall cannot protect, and why; "" says that it can.
func (o *Outbox) Trouble(why string) {
	m := message{what: config.NotifyUnprotected, well: why == "", text: why, wall: o.now()}
	o.mu.Lock()
	h := o.hostOf(&m)
	known := h != nil && (h.told.what != 0 || h.waits)
	o.mu.Unlock()
	if m.well && !known {
		return // nobody was told otherwise
	}
	o.note(&m)
}

// hostOf returns what was told about the host of a message, or nil.
func (o *Outbox) hostOf(m *message) *host {
	for i := range o.hosts {
		h := &o.hosts[i]
		if h.mac == m.mac && (!m.mac.IsZero() || h.client == m.client) {
			return h
		}
	}
	return nil
}

// note queues a message now, or when it is time for one about its host.
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
	if m.well && !h.told.well { // good news of the wall need not wait
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

// newHost returns a place for one more host: that of one of which nothing was told lately
// if all are taken; nil if there is none.
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

// tell queues a message for all who want it.
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

// Run sends what is due until done is closed.
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

// next returns a message that is due and for whom it is; without one how long to wait for
// it, 0 being without end.
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
		// Of several that are due, the one that waits for longest comes first: a
		// receiver that is slow holds up no other.
		if soon(due) && (who == nil || due.Before(first)) {
			who, m, first = r, r.queue[0], due
		}
	}
	return who, m, wait
}

// outcome notes what came of a message.
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

// Flush gives what waits a last chance before the program ends. It does not wait for
// longer than the time.
func (o *Outbox) Flush(most time.Duration) {
	o.mu.Lock()
	for _, r := range o.receivers {
		r.next = time.Time{}
		for i := range r.queue {
			r.queue[i].due = time.Time{}
		}
	}
	o.look()
	o.mu.Unlock()
	for end := time.Now().Add(most); time.Now().Before(end) && o.waiting() > 0; {
		time.Sleep(50 * time.Millisecond)
	}
}

// waiting is how many messages wait.
func (o *Outbox) waiting() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.receivers {
		n += len(r.queue)
	}
	return n
}

// Receivers says who is told, how much waits, and what went wrong last.
func (o *Outbox) Receivers() (out []control.Receiver) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.receivers {
		out = append(out, control.Receiver{Name: r.Name, Kind: string(r.Kind), Waiting: len(r.queue), Fault: r.fault})
	}
	return out
}

// Test sends a message to each receiver, and says what came of it.
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

// id names a message, so that a receiver can tell it from others.
func (m *message) id() string { return strconv.FormatUint(m.number, 36) }
