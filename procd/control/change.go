// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/state"
)

// maxExemption is the longest exemption. A permanent one belongs in the configuration.
const maxExemption = 366 * 24 * time.Hour

// change unlocks a host, or exempts it for the time that change returns. A time of 0 ends
// an exemption.
func (s *Service) change(req *Request) (time.Duration, error) {
	a, err := address(req)
	if err != nil {
		return 0, err
	}
	s.takeHistory() // first, since the engine drops the news of a host that it forgets
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

// mayBeLocal reports whether a can be an address of the LAN. A private address may be
// behind another router. A public address must be in a network of the LAN.
func (s *Service) mayBeLocal(a netip.Addr) bool {
	var lan []netip.Prefix
	if s.LAN != nil {
		lan = s.LAN()
	}
	a = a.Unmap()
	return len(lan) == 0 || a.IsPrivate() || a.IsLinkLocalUnicast() ||
		slices.ContainsFunc(lan, func(p netip.Prefix) bool { return p.Contains(a) })
}
