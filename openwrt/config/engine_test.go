// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

// Without changes, the engine's defaults and those of the configuration file agree.
func TestDefaultsAgreeWithTheEngine(t *testing.T) {
	sameEngine(t, state.DefaultConfig(), EngineConfig(Default()))
	for _, p := range detect.All {
		if _, err := detect.NewNames(p.Names); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
}

// sameEngine compares configurations of the engine.
func sameEngine(t *testing.T, want, got state.Config) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b detect.Names) bool { return reflect.DeepEqual(a, b) })); diff != "" {
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
	option mark '0x700'
	list exempt '192.168.1.0/28'
	list exempt '02:00:00:00:00:01'
	list log 'uT'
config protocol 'fasttrack'
	option mode 'monitor'
	option lock 'selective'
	option block_udp '0'
	option pong '0x29'
	option probe '0'
	option tcp_probe '0'
	option http '0'
config protocol 'bittorrent'
	option mode 'monitor'
	option lock 'strict'
	option answer '0'
	option reset_encrypted '0'
	list name '*.example.org'
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
		Marks:      nfq.Marks{Mask: 0x700, Decided: 0x500, Sample: 0x600, Own: 0x600, Watch: 0x300, Marked: 0x700},
	}
	names, err := detect.NewNames([]string{"*.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	want.Protocols[detect.ByName("fasttrack")] = state.ProtocolConfig{
		Mode: state.Monitor, Lock: state.Selective, Answer: detect.AnswerFull,
	}
	want.Protocols[detect.ByName("bittorrent")] = state.ProtocolConfig{
		Mode: state.Monitor, Lock: state.Strict, BlockUDP: true, Probe: true, TCPProbe: true, HTTP: true, Names: names,
	}
	got := EngineConfig(c)
	for i, p := range detect.All {
		if p.Name != "fasttrack" && p.Name != "bittorrent" {
			want.Protocols[i] = got.Protocols[i]
		}
	}
	sameEngine(t, want, got)
}
