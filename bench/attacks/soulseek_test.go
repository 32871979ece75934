// SPDX-License-Identifier: GPL-2.0-or-later

package attacks

import (
	"net/netip"
	"testing"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// Messages of Soulseek clients: a login followed by the client's listening port, and the
// first messages of a connection to a peer, by name and by number.
const (
	slskLogin = "\x1f\x00\x00\x00\x01\x00\x00\x00\x07\x00\x00\x00labuser\x08\x00\x00\x00mldonkey\x9c\x00\x00\x00" +
		"\x08\x00\x00\x00\x02\x00\x00\x00\xba\x08\x00\x00"
	slskInit   = "\x12\x00\x00\x00\x01\x04\x00\x00\x00anna\x01\x00\x00\x00F\x00\x00\x00\x00"
	slskPierce = "\x05\x00\x00\x00\x00\x3c\x99\x53\x00"

	slskPort   = 2234
	slskServer = 2242
)

// TestSoulseek: a program that only looks like a Soulseek client must not be taken for
// one, whoever causes it. This packet or connection may be lost, but nothing else.
//
// Revision 8048849 does not know Soulseek.
func TestSoulseek(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		lab  lab.Config
		do   func(e *env, h *lab.Host)
		but  []netip.Addr // packets to these addresses may be lost
	}{
		{name: "one login, again and again", do: func(e *env, h *lab.Host) {
			for range 3 {
				e.ask(h, port(stranger4, slskServer), slskLogin)
			}
		}, but: []netip.Addr{stranger4}},
		{name: "one connection to a peer", do: func(e *env, h *lab.Host) {
			for range 2 {
				e.ask(h, port(stranger4, slskPort), slskInit)
			}
		}, but: []netip.Addr{stranger4}},
		{name: "what is only like one, to several", do: func(e *env, h *lab.Host) {
			for _, a := range []netip.Addr{stranger4, stranger4b, stranger4, stranger4b} {
				e.ask(h, port(a, slskPort), slskPierce)
			}
		}},
		{name: "the host sends back what it gets", lab: lab.Config{NAT: true, Forward: slskPort}, do: func(e *env, h *lab.Host) {
			e.echo(h, slskPort)
			for _, text := range []string{slskInit, slskPierce, slskLogin} {
				e.say(stranger4, port(lab.WAN4, slskPort), text)
				e.say(stranger4b, port(lab.WAN4, slskPort), text)
			}
			e.ask(h, port(stranger4, slskPort), slskPierce) // the wall then probes the echo
		}},
		{name: "a stranger's segments", lab: lab.Config{NAT: true, Forward: slskPort}, do: func(e *env, _ *lab.Host) {
			raw := e.raw(e.lab.Inet)
			for i, text := range []string{slskInit, slskPierce, slskLogin} {
				for j, from := range []netip.Addr{stranger4, stranger4b} {
					e.ok(raw.Send(lab.TCPPacket(port(from, uint16(4000+i*2+j)), port(lab.WAN4, slskPort), lab.FlagACK|lab.FlagPSH, 1000, []byte(text))))
				}
			}
		}},
		{name: "a neighbour with the host's address", lab: lab.Config{Clients: 2}, do: func(e *env, h *lab.Host) {
			raw := e.raw(e.lab.Clients[1])
			for range 3 {
				for i, text := range []string{slskInit, slskLogin, slskInit} {
					to := port([]netip.Addr{stranger4, stranger4b, lab.Server4}[i], slskPort)
					e.ok(raw.Send(lab.TCPPacket(port(h.Addr4, uint16(40000+i)), to, lab.FlagACK|lab.FlagPSH, 1000, []byte(text))))
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEnv(t, setup{lab: c.lab})
			h := e.lab.Clients[0]
			lab.Serve(e.t, e.lab.Inet, lab.Any(slskServer), lab.Echo)
			lab.Serve(e.t, e.lab.Inet, lab.Any(slskPort), lab.Echo)
			v := e.victim(h)
			c.do(e, h)
			if !c.lab.NAT {
				v.unharmed(c.but...)
				return
			}
			v.goesOn()
			v.stop()
			v.notFound() // the recorder cannot match packets that come back through NAT
		})
	}
}

// TestSoulseekClient is the opposite: messages to two addresses are a client's conduct.
func TestSoulseekClient(t *testing.T) {
	e := newEnv(t, setup{})
	h := e.lab.Clients[0]
	lab.Serve(e.t, e.lab.Inet, lab.Any(slskServer), lab.Echo)
	lab.Serve(e.t, e.lab.Inet, lab.Any(slskPort), lab.Echo)
	e.ask(h, port(stranger4, slskServer), slskLogin)
	e.ask(h, port(stranger4b, slskPort), slskInit)
	e.locked(h)
}
