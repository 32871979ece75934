// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"fmt"
	"strings"

	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

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

func (s *Service) peersText(b *strings.Builder, req *Request) error {
	var only nfq.Addr
	if req.Host != "" {
		a, err := address(req)
		if err != nil {
			return err
		}
		only = nfq.AddrFrom(a)
	}
	fmt.Fprintf(b, "%-24s %-24s %5s %-14s %8s %6s\n", "CLIENT", "PEER", "PORT", "PROTOCOL", "DROPPED", "SEEN")
	n := 0
	s.each(func(e *state.Engine, now state.Time) {
		for _, p := range e.Peers(only) {
			n++
			fmt.Fprintf(b, "%-24s %-24s %5d %-14s %8d %6s\n", p.Client, p.Addr, p.Port, p.Protocol.Title, p.Dropped, ago(p.LastSeen, now))
		}
	})
	if n == 0 {
		b.Reset()
		b.WriteString("no peer found\n")
	}
	return nil
}
