// SPDX-License-Identifier: GPL-2.0-or-later

package openwrt

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// An untouched installation is the same whether it is told by the engine or by
// the configuration file.
func TestDefaultsAgreeWithTheEngine(t *testing.T) {
	want := state.DefaultConfig()
	for i, p := range detect.All {
		if _, ok := Default().Protocols[p.Name]; !ok {
			want.Protocols[i] = state.ProtocolConfig{}
		}
	}
	if diff := cmp.Diff(want, EngineConfig(Default()), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestEngineConfigTakesEveryOption(t *testing.T) {
	c, err := Parse(strings.NewReader(`
config p2pwall 'main'
	option timelock '80'
	option look_back '5'
	option forget '600'
	option max_clients '3'
	option action 'reject'
	list exempt '192.168.1.0/28'
	list exempt '02:00:00:00:00:01'
	list log 'uT'
config protocol 'fasttrack'
	option mode 'monitor'
	option block_udp '0'
	option pong '0x29'
	option probe '0'
	option tcp_probe '0'
	option http '0'
`), "test")
	if err != nil {
		t.Fatal(err)
	}
	want := state.Config{
		MaxClients: 3, LockTime: 80 * time.Second, LookBack: 5 * time.Second, Forget: 600 * time.Second,
		Action:     state.Reject,
		ExemptNets: []netip.Prefix{netip.MustParsePrefix("192.168.1.0/28")},
		ExemptMACs: []nfq.MAC{{2, 0, 0, 0, 0, 1}},
		LogPackets: state.LogDroppedUDP | state.LogAcceptedTCP,
	}
	want.Protocols[detect.ByName("fasttrack")] = state.ProtocolConfig{Mode: state.Monitor, Answer: detect.AnswerFull}
	got := EngineConfig(c)
	for i, p := range detect.All {
		if p.Name != "fasttrack" {
			want.Protocols[i] = got.Protocols[i]
		}
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}
