// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import (
	"strings"
	"testing"
)

// untouched are what programs say that load from peers and are not file sharing, or that
// look like it: sync between own machines, updates, games, video, networks of tunnels. No
// protocol may recognise it. In a text | cuts segments.
var untouched = []struct {
	name string
	tcp  string
	udp  string
}{
	// Windows Delivery Optimization: a name, 8 bytes, a hash of 32, an ID of 16 and 4 bytes;
	// then messages as in BitTorrent.
	{name: "Delivery Optimization", tcp: "\x0eSwarm protocol" + "\x00\x00\x00\x00\x02\x40\x00\x00" + strings.Repeat("\x5a\xa5\x3c\x91", 8) +
		"0123456789abcdef" + "\x00\x00\x00\x01" + "|\x00\x00\x00\x03\x05\xff\xc0" + "|\x00\x00\x00\x01\x02" + "|\x00\x00\x00\x0d\x06\x00\x00\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00"},
	// Syncthing: TLS with the name of its protocol, and in the LAN a number and a message.
	{name: "Syncthing", tcp: tlsOffering("bep/1.0")},
	{name: "a relay of Syncthing's", tcp: tlsOffering("bep-relay")},
	{name: "Syncthing's search in the LAN", udp: "\x2e\xa7\xd9\x0b\x0a\x20" + strings.Repeat("\x31\x9c", 16) + "\x12\x13tcp://0.0.0.0:22000\x18\xd2\x85\xd8\xcc\x04"},
	// Resilio: its search in the LAN, and its sessions.
	{name: "Resilio's search in the LAN", udp: "BSYNC\x00d1:m4:ping4:peer20:abcdefghij01234567894:porti55555e5:share20:0123456789abcdefghije"},
	{name: "Resilio's question to a tracker", udp: "BSYNC\x00d2:la6:\xc0\xa8\x01\x32\xd9\x031:m9:get_peers4:peer20:abcdefghij01234567895:share20:0123456789abcdefghije"},
	// Steam: its own servers, the search in the LAN, and transfers between own machines.
	{name: "Steam", tcp: "\x24\x00\x00\x00VT01\x17\x05\x00\x00" + strings.Repeat("\x81\x3d", 16)},
	{name: "Steam by UDP", udp: "VS01\x00\x00\x01\x00\x00\x02\x00\x00" + strings.Repeat("\x81\x3d", 12)},
	{name: "Steam's search in the LAN", udp: "\xff\xff\xff\xff\x21\x4c\x5f\xa0\x16\x00\x00\x00\x08\xd5\xf4\xb1\xd5\xc5\xb2\xc8\xf5\xdb\x01\x10\x00\x18\x00" + strings.Repeat("\x42\x10", 12)},
	// PeerTube: pages and parts of films by HTTP and TLS, and its tracker by WebSocket. Its
	// peers are browsers, which talk by WebRTC.
	{name: "PeerTube, a part of a film", tcp: "GET /static/streaming-playlists/hls/6d2c/6d2c-720-fragmented.mp4 HTTP/1.1\r\nHost: tube.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nRange: bytes=0-1048575\r\nOrigin: https://tube.example.org\r\n\r\n"},
	{name: "PeerTube's tracker", tcp: "GET /tracker/socket HTTP/1.1\r\nHost: tube.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: https://tube.example.org\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"},
	{name: "PeerTube, a browser's STUN", udp: "\x00\x01\x00\x08\x21\x12\xa4\x42abcdefghijkl\x80\x28\x00\x04\x12\x34\x56\x78"},
	// Networks of tunnels.
	{name: "WireGuard's first message", udp: "\x01\x00\x00\x00" + strings.Repeat("\x9d\x41", 72)},
	{name: "WireGuard's data", udp: "\x04\x00\x00\x00\x21\x43\x65\x87\x05\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("\x9d\x41", 40)},
	{name: "Tailscale's discovery", udp: "TS\xf0\x9f\x92\xac" + strings.Repeat("\x71\xe2", 46)},
	{name: "Tailscale's relay", tcp: "GET /derp HTTP/1.1\r\nHost: derp1.example.org\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n"},
	{name: "NetBird's relay", tcp: tlsOffering("nb-quic")},
	{name: "Nebula's handshake", udp: "\x10\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + strings.Repeat("\x0a\xc3", 60)},
	{name: "Nebula's data", udp: "\x11\x00\x00\x00\x00\x00\x12\x34\x00\x00\x00\x00\x00\x00\x00\x07" + strings.Repeat("\x0a\xc3", 60)},
	{name: "ZeroTier", udp: "\x3d\x6e\x21\x90\xab\xcd\xef\x01\x62\xf7\x3a\x9c\x11\x85\x04\xd3\x71\x2b\x00\x0c" + strings.Repeat("\x5e\x90", 40)},
	{name: "tinc", tcp: "0 home 17.7\n"},
	{name: "Yggdrasil", tcp: "meta\x00\x04" + strings.Repeat("\xd1\x07", 17)},
}

// tlsOffering is a TLS hello that offers one protocol by name.
func tlsOffering(protocol string) string {
	names := string([]byte{0, byte(len(protocol) + 1), byte(len(protocol))}) + protocol
	extensions := "\x00\x10" + string([]byte{0, byte(len(names))}) + names
	body := "\x03\x03" + strings.Repeat("\x4b", 32) + "\x00" + "\x00\x02\x13\x01" + "\x01\x00" + string([]byte{0, byte(len(extensions))}) + extensions
	message := "\x01\x00" + string([]byte{0, byte(len(body))}) + body
	return "\x16\x03\x01" + string([]byte{0, byte(len(message))}) + message
}

func TestUntouched(t *testing.T) {
	for _, tt := range untouched {
		for _, outbound := range []bool{true, false} {
			var s Stream
			var f Finding
			if m, _ := feedAll(&s, strings.Split(tt.tcp, "|"), outbound, &f); m == Yes || m == Hint {
				t.Errorf("%s: match %d: %s", tt.name, m, All[f.Protocol].Title)
			}
		}
		if tt.udp == "" {
			continue
		}
		for _, p := range All {
			var f Finding
			if p.Datagram != nil {
				if k := p.Datagram([]byte(tt.udp), &f); k > Weak {
					t.Errorf("%s: %s", tt.name, p.Title)
				}
			}
			if p.Local != nil && (p.Local([]byte(tt.udp), 3838, &f) || p.Local([]byte(tt.udp), localSearchPort, &f)) {
				t.Errorf("%s: a search of %s", tt.name, p.Title)
			}
		}
	}
	// The opposite: the same hello with Direct Connect's name is found.
	var s Stream
	var f Finding
	if m, _ := feedAll(&s, []string{tlsOffering("adc")}, true, &f); m != Yes || All[f.Protocol] != &DirectConnect {
		t.Errorf("the hello of Direct Connect: match %d", m)
	}
}
