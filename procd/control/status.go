// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"fmt"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/state"
)

func (s *Service) status(w *jsonWriter, _ *Request) error {
	info := s.Info()
	w.str("version", info.Version)
	if s.PID != 1 {
		w.num("pid", int64(s.PID))
	}
	w.num("started", info.Started.Unix())
	w.num("uptime", int64(s.now().Sub(info.Started)/time.Second))
	w.bool("enabled", info.Enabled)
	w.num("paused", int64((info.Paused+time.Second-1)/time.Second))
	w.str("config", info.Config)
	w.str("backend", info.Backend)
	w.str("sets", info.Sets)
	w.bool("rules_ok", info.RulesOK)
	w.list("devices", info.Devices)
	w.list("restart", info.Restart)
	w.policies(info.Policies)
	w.num("timelock", int64(info.TimeLock/time.Second))
	w.queues(info.Queues)
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
	w.receivers(s.Receivers(), false)
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

func (w *jsonWriter) policies(all []Policy) {
	w.key("policies")
	w.open('[')
	for i := range all {
		p := &all[i]
		w.open('{')
		w.str("name", p.Name)
		w.str("mode", p.Mode)
		w.bool("holds", p.Holds)
		w.close('}')
	}
	w.close(']')
}

func (w *jsonWriter) queues(all []Queue) {
	w.key("queues")
	w.open('[')
	for _, q := range all {
		w.open('{')
		w.uint("number", uint64(q.Number))
		w.uint("length", uint64(q.Length))
		w.uint("waiting", uint64(q.Waiting))
		w.uint("dropped", q.Dropped)
		w.uint("user_dropped", q.UserDropped)
		w.close('}')
	}
	w.close(']')
}

// exemptions returns the exemptions given at run time. Every engine has all of them. The
// first engine may lack the MAC of a host that only another engine sees.
//
//go:noinline
func (s *Service) exemptions() (out []state.Exemption) {
	s.Loops[0].Do(func(e *state.Engine, now state.Time) { out = e.Exemptions(now) })
	return out
}

func (s *Service) statusText(b *strings.Builder, _ *Request) error {
	info := s.Info()
	var sum state.Counters
	s.each(func(e *state.Engine, _ state.Time) { sum.Add(&e.Counters) })
	fmt.Fprintf(b, "p2pwall %s, running for %v", info.Version, s.now().Sub(info.Started).Round(time.Second))
	if s.PID != 1 {
		fmt.Fprintf(b, " (pid %d)", s.PID)
	}
	b.WriteByte('\n')
	if info.Paused > 0 {
		fmt.Fprintf(b, "paused   nothing is looked for, for %v more: \"p2pwall pause 0\" ends that\n", info.Paused.Round(time.Second))
	}
	rules := "in place"
	if !info.RulesOK {
		rules = "NOT in place: see \"p2pwall check\""
	}
	fmt.Fprintf(b, "rules    %s, sets %s, %s\n", info.Backend, info.Sets, rules)
	lan := strings.Join(info.Devices, " ")
	if lan == "" {
		lan = "no device: nothing is watched, see \"p2pwall check\""
	}
	fmt.Fprintf(b, "LAN      %s\n", lan)
	for i := range info.Policies {
		p, now := &info.Policies[i], "not now"
		if p.Holds {
			now = "holds now"
		}
		fmt.Fprintf(b, "policy   %s: %s, %s\n", p.Name, p.Mode, now)
	}
	if len(info.Restart) > 0 {
		fmt.Fprintf(b, "restart  needed for the new %s\n", strings.Join(info.Restart, ", "))
	}
	for _, q := range info.Queues {
		fmt.Fprintf(b, "queue    %d: %d waiting, %d dropped by the kernel\n", q.Number, q.Waiting, q.Dropped+q.UserDropped)
	}
	h := s.hosts()
	h.statusText(b)
	fmt.Fprintf(b, "packets  %d seen, %d accepted, %d dropped (%d TCP, %d UDP; %d by the kernel alone)\n",
		sum.Packets, sum.Accepted, sum.Dropped, sum.DroppedTCP, sum.DroppedUDP, sum.DroppedKernel)
	if sum.Marked > 0 {
		fmt.Fprintf(b, "marked   %d packets, and what follows them in their connections\n", sum.Marked)
	}
	fmt.Fprintf(b, "sent     %d pongs, %d probes, %d handshakes (%d answered)\n", sum.Pongs, sum.Probes, sum.Handshakes, sum.Answers)
	for _, x := range s.exemptions() {
		fmt.Fprintf(b, "exempt   %s for %v\n", x.Addr, x.Left.Round(time.Second))
	}
	for _, r := range s.Receivers() {
		if r.Fault != "" {
			fmt.Fprintf(b, "notify   %s: %d waiting, %s\n", r.Name, r.Waiting, r.Fault)
		}
	}
	unusual(b, &sum)
	return nil
}

func ago(t, now state.Time) string {
	if t == 0 {
		return "-"
	}
	return now.Since(t).Round(time.Second).String()
}

// unusual writes the counters that are 0 as long as nothing is wrong.
func unusual(b *strings.Builder, sum *state.Counters) {
	odd := false
	sum.Each(func(name string, v *uint64) {
		switch name {
		case "unparsable", "send_errors", "clients_evicted", "clients_refused", "hosts_evicted",
			"flows_evicted", "peers_evicted", "forged", "ignored_peers", "set_errors", "withheld":
			if *v != 0 {
				if !odd {
					b.WriteString("unusual ")
				}
				odd = true
				fmt.Fprintf(b, " %s=%d", name, *v)
			}
		}
	})
	if odd {
		b.WriteByte('\n')
	}
}
