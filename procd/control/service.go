// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/check"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/procd/history"
	"github.com/p2pwall/p2pwall/state"
)

// Info is what the control socket says about the daemon, apart from its engines.
type Info struct {
	Version  string
	Config   string // path of the configuration
	Started  time.Time
	Enabled  bool
	Backend  string
	Sets     string
	RulesOK  bool
	Devices  []string
	TimeLock time.Duration
	Queues   []Queue
	// Paused is how long the pause still lasts; 0: no pause.
	Paused time.Duration
	// Restart are the options whose new values need a restart.
	Restart []string
	// Policies are the policies of the configuration, in its order.
	Policies []Policy
}

// Policy is a policy of the configuration, and whether it holds now.
type Policy struct {
	_          [0]func() // not comparable: code to compare it costs flash
	Name, Mode string
	Holds      bool
}

// Queue is the state of one kernel queue.
type Queue struct {
	Number, Length       uint32
	Waiting              uint32
	Dropped, UserDropped uint64 // by the kernel: because the queue was full, because the socket was full
}

// Service answers the requests of the control socket.
type Service struct {
	Loops   []*state.Loop
	Journal *events.Journal
	History *history.Table
	// PID is left out of replies if it is 1. That is the number within a jail, and of no
	// use outside.
	PID   int
	Info  func() Info
	Check func() []check.Finding
	// Receivers returns the receivers of messages. TestReceivers sends each a test
	// message, and returns the results.
	Receivers, TestReceivers func() []Receiver
	// Name returns the name of a host, "" if it is not known.
	Name func(nfq.Addr, nfq.MAC) string
	// LAN returns the networks of the LAN. If they are not known, LAN is nil or returns
	// none.
	LAN func() []netip.Prefix

	// Pause starts a pause of that length; 0 ends it.
	Pause func(time.Duration)

	// Now returns the time in the router's time zone; nil: time.Now.
	Now func() time.Time

	checking sync.Mutex
}

// Handle answers one request.
func (s *Service) Handle(req Request, r *Reply) {
	c := Find(req.Cmd)
	if c != nil && c.Follows {
		s.monitor(req, r)
		return
	}
	var w jsonWriter
	w.open('{')
	if err := s.answer(c, &w, &req); err != nil {
		r.Error(err)
		return
	}
	w.close('}')
	r.Send(w.b)
}

// answer writes the members of the reply to a command. A nil command is an unknown one.
func (s *Service) answer(c *Command, w *jsonWriter, req *Request) error {
	switch {
	case c == nil:
		names := ""
		for i := range Commands {
			names += " " + Commands[i].Name
		}
		return fmt.Errorf("unknown cmd %q: use one of%s", req.Cmd, names)
	case !req.Text:
		return c.json(s, w, req)
	case c.text == nil:
		return fmt.Errorf("cmd %q has no text form", req.Cmd)
	}
	var b strings.Builder
	if err := c.text(s, &b, req); err != nil {
		return err
	}
	w.str("text", b.String())
	return nil
}

func (s *Service) page(w *jsonWriter, req *Request) error {
	w.key("status")
	w.open('{')
	_ = s.status(w, req)
	w.close('}')
	_ = s.clients(w, req)
	w.key("history")
	w.open('{')
	s.minutes(w)
	w.close('}')
	if req.Host == "" {
		return nil
	}
	return s.peers(w, req)
}

func (s *Service) each(f func(e *state.Engine, now state.Time)) {
	for _, l := range s.Loops {
		l.Do(f)
	}
}

func (s *Service) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// wall returns t as wall-clock time in Unix seconds. It counts back from now, because the
// engine's clock ignores corrections of the wall clock.
func (s *Service) wall(t, now state.Time) float64 {
	if t == 0 {
		return 0
	}
	return float64(s.now().Add(-now.Since(t)).UnixMilli()) / 1000
}

func address(req *Request) (netip.Addr, error) {
	if req.Host == "" {
		return netip.Addr{}, errors.New("no host: give an IP address as \"host\"")
	}
	a, err := netip.ParseAddr(req.Host)
	if err != nil {
		return a, fmt.Errorf("host %q is no IP address", req.Host)
	}
	return a.WithZone(""), nil
}
