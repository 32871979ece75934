// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"fmt"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

func (s *Service) statusText(b *strings.Builder, _ *Request) error {
	info := s.Info()
	var sum state.Counters
	s.each(func(e *state.Engine, _ state.Time) { sum.Add(&e.Counters) })
	fmt.Fprintf(b, "p2pwall %s, running for %v", info.Version, s.now().Sub(info.Started).Round(time.Second))
	if s.PID != 1 {
		fmt.Fprintf(b, " (pid %d)", s.PID)
	}
	b.WriteByte('\n')
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
	fmt.Fprintf(b, "sent     %d pongs, %d probes, %d handshakes (%d answered)\n", sum.Pongs, sum.Probes, sum.Handshakes, sum.Answers)
	for _, x := range s.exemptions() {
		fmt.Fprintf(b, "exempt   %s for %v\n", x.Addr, x.Left.Round(time.Second))
	}
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
	return nil
}

// ago says how long ago t was.
func ago(t, now state.Time) string {
	if t == 0 {
		return "-"
	}
	return now.Since(t).Round(time.Second).String()
}

func (s *Service) peersText(b *strings.Builder, req *Request) error {
	var only nfq.Addr
	if req.Host != "" {
		a, err := address(req)
		if err != nil {
			return err
		}
		only = nfq.AddrFrom(a)
	}
	fmt.Fprintf(b, "%-24s %-24s %5s %-10s %8s %6s\n", "CLIENT", "PEER", "PORT", "PROTOCOL", "DROPPED", "SEEN")
	n := 0
	s.each(func(e *state.Engine, now state.Time) {
		for _, p := range e.Peers(only) {
			n++
			fmt.Fprintf(b, "%-24s %-24s %5d %-10s %8d %6s\n", p.Client, p.Addr, p.Port, p.Protocol.Title, p.Dropped, ago(p.LastSeen, now))
		}
	})
	if n == 0 {
		b.Reset()
		b.WriteString("no peer found\n")
	}
	return nil
}
