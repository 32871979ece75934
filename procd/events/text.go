// SPDX-License-Identifier: GPL-2.0-or-later

package events

import (
	"net/netip"
	"strconv"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/state"
)

// sentences are the texts of events. They have these variables:
//
//	$c the client with its MAC, $a only its address, $m only its MAC,
//	$p the peer with its port, $n only the port,
//	$q " to " and the peer with its port; nothing if the peer is not known,
//	$t the protocol's title, $r the reason, $w what happened, $k TCP or UDP,
//	$h how the client was found.
var sentences = [...]struct {
	class state.Class
	what  state.What
	text  string
}{
	{state.ClassClient, state.EventFound, "client $c: $t found, $h"},
	{state.ClassClient, state.EventLocked, "client $c: locked ($r)"},
	{state.ClassClient, state.EventReleased, "client $c: gone, released"},
	{state.ClassClient, state.EventForgotten, "client $c: forgotten"},
	{state.ClassClient, state.EventUnlocked, "client $c: unlocked by the administrator"},
	{state.ClassClient, state.EventExempted, "client $c: exempted by the administrator"},
	{state.ClassClient, state.EventWatched, "client $c: exemption ended by the administrator"},
	{state.ClassPeer, state.EventFound, "client $c: peer $p"},
	{state.ClassPeer, state.EventCut, "client $c: connection with $p cut ($r)"},
	{state.ClassProbe, state.EventSent, "client $c: probed at port $n"},
	{state.ClassProbe, state.EventAnswered, "client $c: answered the probe, lock held"},
	{state.ClassTable, state.EventForged, "address $a is used by two hosts, one of them $m: one may forge it; for now their packets are told apart by MAC, and the kernel drops nothing by this address"},
	{state.ClassTable, state.EventTableFull, "client table full of locked clients, no place for $c: raise max_clients"},
	{state.ClassPacket, state.EventDropped, "$k $c to $p $w"},
	{state.ClassPacket, state.EventAccepted, "$k $c to $p $w"},
	{state.ClassSystem, state.EventRules, "firewall rules were gone or changed: put back"},
}

// Text returns the event as a sentence for a log.
func (e *Entry) Text() string {
	text := "$w"
	for i := range sentences {
		if s := &sentences[i]; s.class == e.Class && s.what == e.What {
			text = s.text
		}
	}
	var b []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '$' {
			b = append(b, text[i])
			continue
		}
		i++
		b = append(b, e.word(text[i])...)
	}
	return string(b)
}

// word returns the text for a letter in a sentence.
func (e *Entry) word(c byte) string {
	switch c {
	case 'a':
		return e.Client.String()
	case 'm':
		return e.MAC.String()
	case 'c':
		if e.MAC.IsZero() {
			return e.Client.String()
		}
		return e.Client.String() + " (" + e.MAC.String() + ")"
	case 'p':
		if e.Peer.IsZero() || e.Port == 0 {
			return e.Peer.String()
		}
		return netip.AddrPortFrom(e.Peer.Netip(), e.Port).String()
	case 'q':
		if e.Peer.IsZero() {
			return ""
		}
		return " to " + e.word('p')
	case 'h':
		if e.Reason == detect.ReasonProbe {
			return "it answered our question"
		}
		if e.Reason == detect.ReasonHandshake {
			return "it went on with our key"
		}
		return e.word('r') + e.word('q')
	case 'n':
		return strconv.Itoa(int(e.Port))
	case 't':
		return e.Title()
	case 'r':
		return e.Reason.String()
	case 'k':
		if e.TCP {
			return "TCP"
		}
		return "UDP"
	}
	return e.What.String()
}
