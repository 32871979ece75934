// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/openwrt/check"
	"github.com/p2pwall/p2pwall/procd/events"
	"github.com/p2pwall/p2pwall/state"
)

// Info is what the control socket tells of the daemon beside its engines.
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
	// Restart are the options whose new values need a restart.
	Restart []string
}

// Queue is the state of one kernel queue.
type Queue struct {
	Number, Length       uint32
	Waiting              uint32
	Dropped, UserDropped uint64 // by the kernel: queue full, socket full
}

// Service answers the requests of the control socket.
type Service struct {
	Loops   []*state.Loop
	Journal *events.Journal
	// PID is left out of replies when it is 1: that is its number within a jail,
	// and nobody outside can use it.
	PID   int
	Info  func() Info
	Check func() []check.Finding
	// LAN returns the networks of the LAN; nil, or none of them, when they are
	// not known.
	LAN func() []netip.Prefix

	checking sync.Mutex
	clock    func() time.Time // nil: the wall clock
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

// answer writes the members of the reply to a command; nil is one that does not exist.
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
	_ = s.history(w, req)
	w.close('}')
	if req.Host == "" {
		return nil
	}
	return s.peers(w, req)
}

// each runs f on every engine in turn.
func (s *Service) each(f func(e *state.Engine, now state.Time)) {
	for _, l := range s.Loops {
		l.Do(f)
	}
}

func (s *Service) now() time.Time {
	if s.clock != nil {
		return s.clock()
	}
	return time.Now()
}

// wall is the wall-clock time of t, in seconds: the engine's clock does not
// follow the corrections of the wall clock.
func (s *Service) wall(t, now state.Time) float64 {
	if t == 0 {
		return 0
	}
	return float64(s.now().Add(-now.Since(t)).UnixMilli()) / 1000
}

func (s *Service) status(w *jsonWriter, _ *Request) error {
	info := s.Info()
	w.str("version", info.Version)
	if s.PID != 1 {
		w.num("pid", int64(s.PID))
	}
	w.num("started", info.Started.Unix())
	w.num("uptime", int64(s.now().Sub(info.Started)/time.Second))
	w.bool("enabled", info.Enabled)
	w.str("config", info.Config)
	w.str("backend", info.Backend)
	w.str("sets", info.Sets)
	w.bool("rules_ok", info.RulesOK)
	w.key("devices")
	w.open('[')
	for _, d := range info.Devices {
		w.item(d)
	}
	w.close(']')
	w.key("restart")
	w.open('[')
	for _, o := range info.Restart {
		w.item(o)
	}
	w.close(']')
	w.num("timelock", int64(info.TimeLock/time.Second))
	w.key("queues")
	w.open('[')
	for _, q := range info.Queues {
		w.open('{')
		w.uint("number", uint64(q.Number))
		w.uint("length", uint64(q.Length))
		w.uint("waiting", uint64(q.Waiting))
		w.uint("dropped", q.Dropped)
		w.uint("user_dropped", q.UserDropped)
		w.close('}')
	}
	w.close(']')
	var sum state.Counters
	clients, locked := 0, 0
	s.each(func(e *state.Engine, _ state.Time) {
		sum.Add(&e.Counters)
		c, l := e.Len()
		clients += c
		locked += l
	})
	w.key("counters")
	w.open('{')
	sum.Each(func(name string, v *uint64) { w.uint(name, *v) })
	w.uint("events_lost", s.Journal.Lost())
	w.close('}')
	w.num("clients", int64(clients))
	w.num("locked", int64(locked))
	w.key("exemptions")
	w.open('[')
	for _, x := range s.exemptions() {
		w.open('{')
		w.str("address", x.Addr.String())
		w.str("mac", x.MAC.String())
		w.num("seconds", int64(x.Left/time.Second))
		w.close('}')
	}
	w.close(']')
	return nil
}

// exemptions returns those that were given at run time. Every engine has all of
// them; the first may lack the MAC of a host that another one sees.
//
//go:noinline
func (s *Service) exemptions() (out []state.Exemption) {
	s.Loops[0].Do(func(e *state.Engine, now state.Time) { out = e.Exemptions(now) })
	return out
}

// address reads the host of a request.
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

func (s *Service) peers(w *jsonWriter, req *Request) error {
	var only nfq.Addr
	if req.Host != "" {
		a, err := address(req)
		if err != nil {
			return err
		}
		only = nfq.AddrFrom(a)
	}
	w.key("peers")
	w.open('[')
	s.each(func(e *state.Engine, now state.Time) {
		for _, p := range e.Peers(only) {
			w.open('{')
			w.str("client", p.Client.String())
			w.str("address", p.Addr.String())
			w.num("port", int64(p.Port))
			w.str("protocol", p.Protocol.Name)
			w.tenths("first_seen", s.wall(p.FirstSeen, now))
			w.tenths("last_seen", s.wall(p.LastSeen, now))
			w.num("dropped", int64(p.Dropped))
			w.close('}')
		}
	})
	w.close(']')
	return nil
}

// maxExemption is the longest exemption; what is for always belongs into the
// configuration.
const maxExemption = 366 * 24 * time.Hour

// change unlocks a host, or exempts it for the time that it returns; 0 ends an
// exemption.
func (s *Service) change(req *Request) (time.Duration, error) {
	a, err := address(req)
	if err != nil {
		return 0, err
	}
	if req.Cmd == "unlock" {
		was := false
		s.each(func(e *state.Engine, now state.Time) { was = e.Unlock(a, now) || was })
		if !was {
			return 0, fmt.Errorf("%s is no client that is known: \"clients\" lists them", a)
		}
		return 0, nil
	}
	d := time.Duration(min(req.Seconds, int64(maxExemption/time.Second))) * time.Second
	if d <= 0 {
		was := false
		s.each(func(e *state.Engine, now state.Time) { was = e.EndExemption(a, now) || was })
		if !was {
			return 0, fmt.Errorf("%s is not exempt at run time: \"status\" lists who is; to exempt it say for how many seconds", a)
		}
		return 0, nil
	}
	if !s.mayBeLocal(a) {
		return 0, fmt.Errorf("%s is not on the LAN: only a computer of the LAN can be exempted, \"clients\" lists those that were found", a)
	}
	room := true
	s.each(func(e *state.Engine, now state.Time) { room = e.Exempt(a, d, now) && room })
	if !room {
		return 0, errors.New("too many exemptions: put lasting ones into the configuration (list exempt)")
	}
	return d, nil
}

func (s *Service) changeJSON(w *jsonWriter, req *Request) error {
	d, err := s.change(req)
	if err != nil {
		return err
	}
	w.bool("ok", true)
	if req.Cmd == "exempt" {
		w.num("seconds", int64(d/time.Second))
	}
	return nil
}

func (s *Service) changeText(b *strings.Builder, req *Request) error {
	d, err := s.change(req)
	switch {
	case err != nil:
		return err
	case req.Cmd == "unlock":
		fmt.Fprintf(b, "%s is unlocked\n", req.Host)
	case d == 0:
		fmt.Fprintf(b, "%s is watched again\n", req.Host)
	default:
		fmt.Fprintf(b, "%s is left alone for %v\n", req.Host, d)
	}
	return nil
}

// mayBeLocal reports whether a can be an address of the LAN. One that is private may
// be behind another router; one of the Internet must be of a network of the LAN.
func (s *Service) mayBeLocal(a netip.Addr) bool {
	var lan []netip.Prefix
	if s.LAN != nil {
		lan = s.LAN()
	}
	a = a.Unmap()
	return len(lan) == 0 || a.IsPrivate() || a.IsLinkLocalUnicast() ||
		slices.ContainsFunc(lan, func(p netip.Prefix) bool { return p.Contains(a) })
}

// entry writes an event.
func (w *jsonWriter) entry(e *events.Entry) {
	w.open('{')
	w.uint("seq", e.Seq)
	w.tenths("time", float64(e.Wall.UnixMilli())/1000)
	w.str("class", e.Class.String())
	w.str("event", e.What.String())
	if !e.Client.IsZero() {
		w.str("client", e.Client.String())
	}
	if !e.MAC.IsZero() {
		w.str("mac", e.MAC.String())
	}
	if !e.Peer.IsZero() {
		w.str("peer", e.Peer.String())
		w.num("port", int64(e.Port))
	}
	if e.Class <= state.ClassProbe {
		w.str("protocol", e.ProtocolName())
	}
	if r := e.Reason.String(); r != "" {
		w.str("reason", r)
	}
	w.str("text", e.Text())
	w.close('}')
}

func (s *Service) events(w *jsonWriter, req *Request) error {
	w.num("since", s.Journal.Began().Unix())
	w.key("events")
	w.open('[')
	for _, e := range s.Journal.Since(req.Since) {
		w.entry(&e)
	}
	w.close(']')
	return nil
}

// line is an event as the monitor shows it to a person. Time.Format would do
// for 20 KB of flash.
func line(e *events.Entry) string {
	h, m, s := e.Wall.Clock()
	return fmt.Sprintf("%02d:%02d:%02d %s", h, m, s, e.Text())
}

// monitor sends events, one a line, as they come: those after "since", or only
// new ones when it is 0.
func (s *Service) monitor(req Request, r *Reply) {
	seq := req.Since
	if seq == 0 {
		seq = s.Journal.Last()
	}
	more, end := s.Journal.Follow()
	defer end()
	gone := r.Gone()
	for {
		for _, e := range s.Journal.Since(seq) {
			// A reader that is behind by more than the journal keeps sees so by
			// the numbers; in words it must be said.
			if req.Text && e.Seq > seq+1 && seq > 0 {
				var w jsonWriter
				w.open('{')
				w.str("text", strconv.FormatUint(e.Seq-seq-1, 10)+" events were left out")
				w.close('}')
				r.Send(w.b)
			}
			var w jsonWriter
			if req.Text {
				w.open('{')
				w.str("text", line(&e))
				w.close('}')
			} else {
				w.entry(&e)
			}
			r.Send(w.b)
			seq = e.Seq
		}
		if r.Failed() {
			return
		}
		select {
		case <-more:
		case <-gone:
			return
		case <-r.Done():
			return
		}
	}
}

func (s *Service) history(w *jsonWriter, _ *Request) error {
	var sum [state.HistoryMinutes]state.Bucket
	s.each(func(e *state.Engine, now state.Time) {
		for i, b := range e.History(now) {
			sum[i].DroppedTCP += b.DroppedTCP
			sum[i].DroppedUDP += b.DroppedUDP
			sum[i].Probes += b.Probes
		}
	})
	w.num("interval", 60)
	column := func(name string, value func(b *state.Bucket) uint32) {
		w.key(name)
		w.open('[')
		for i := range sum {
			w.itemNum(uint64(value(&sum[i])))
		}
		w.close(']')
	}
	column("dropped_tcp", func(b *state.Bucket) uint32 { return b.DroppedTCP })
	column("dropped_udp", func(b *state.Bucket) uint32 { return b.DroppedUDP })
	column("probes", func(b *state.Bucket) uint32 { return b.Probes })
	return nil
}

func (s *Service) check(w *jsonWriter, _ *Request) error {
	// A check tries things out in the kernel: one at a time.
	s.checking.Lock()
	defer s.checking.Unlock()
	w.findings(s.Check())
	return nil
}

func (w *jsonWriter) findings(all []check.Finding) {
	w.key("findings")
	w.open('[')
	for _, f := range all {
		w.open('{')
		w.str("level", f.Level.String())
		w.saying("what", f.What, "code", f.Code, "args", f.Args)
		w.saying("remedy", f.Remedy, "fix", f.Fix, "fix_args", f.FixArgs)
		w.close('}')
	}
	w.close(']')
}

// saying writes a sentence, and its code with the arguments if it has one.
func (w *jsonWriter) saying(name, text, codeName, code, argsName string, args []string) {
	w.str(name, text)
	if code == "" {
		return
	}
	w.str(codeName, code)
	w.key(argsName)
	w.open('[')
	for _, a := range args {
		w.item(a)
	}
	w.close(']')
}

// CheckReply is the reply to a check, for when there is no daemon to give it.
func CheckReply(all []check.Finding) []byte {
	var w jsonWriter
	w.open('{')
	w.findings(all)
	w.close('}')
	return w.b
}

// AppendFaults adds to a reply what is wrong with the configuration file, which the
// daemon cannot see. A reply that is an error stays as it is.
func AppendFaults(reply []byte, faults []string) []byte {
	if len(faults) == 0 || !bytes.HasSuffix(reply, []byte("}")) || bytes.HasPrefix(reply, []byte(`{"error":`)) {
		return reply
	}
	w := jsonWriter{b: bytes.TrimSuffix(slices.Clone(reply), []byte("}")), more: true}
	w.key("faults")
	w.open('[')
	for _, f := range faults {
		w.item(f)
	}
	w.close(']')
	w.close('}')
	return w.b
}
