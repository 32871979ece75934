// SPDX-License-Identifier: GPL-2.0-or-later

package events

import (
	"net/netip"
	"time"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

var wallNow = time.Date(2026, 1, 2, 3, 4, 5, 600e6, time.UTC)

var clientMAC = nfq.MAC{2, 0, 0, 0, 0, 0xa}

func addr(s string) nfq.Addr { return nfq.AddrFrom(netip.MustParseAddr(s)) }

func found(client string) state.Event {
	return state.Event{
		Class: state.ClassClient, What: state.EventFound, Protocol: uint8(detect.ByName("fasttrack")),
		Reason: detect.ReasonPing, Client: addr(client), MAC: clientMAC, Peer: addr("198.51.100.7"), Port: 1214,
	}
}
