// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// torrentClients are the two letters that programs use in peer IDs (BEP 20) and in "v" of
// the DHT.
var torrentClients = [...]struct{ code, name string }{
	{"TR", "Transmission"},
	{"qB", "qBittorrent"},
	{"LT", "libtorrent"},
	{"lt", "rTorrent"},
	{"UT", "uTorrent"},
	{"UM", "uTorrent for Mac"},
	{"UW", "uTorrent Web"},
	{"BT", "BitTorrent"},
	{"DE", "Deluge"},
	{"A2", "aria2"},
	{"AZ", "Vuze"},
	{"BI", "BiglyBT"},
	{"BC", "BitComet"},
	{"BB", "BitBuddy"},
	{"FD", "Free Download Manager"},
	{"FL", "Flud"},
	{"GT", "anacrolix/torrent"},
	{"KT", "KTorrent"},
	{"LW", "LimeWire"},
	{"PI", "PicoTorrent"},
	{"SD", "Xunlei"},
	{"TX", "Tixati"},
	{"WW", "WebTorrent"},
	{"WD", "WebTorrent Desktop"},
	{"XL", "Xunlei"},
	{"FW", "FrostWire"},
	{"MO", "Mono.Torrent"},
	{"HL", "Halite"},
	{"RC", "rqbit"},
	{"rN", "rqbit"},
}

func torrentClient(code []byte) string {
	for i := range torrentClients {
		if string(code) == torrentClients[i].code {
			return torrentClients[i].name
		}
	}
	return ""
}

// PeerIDName reads the program's name from a peer ID of 20 bytes, such as "-TR3000-...".
// It reports whether there is a name.
func PeerIDName(id []byte, c *ClientName) bool {
	c.n = 0
	if !peerIDLike(id) {
		return false
	}
	switch id[0] {
	case 'M': // "M7-9-2--": the original client
		c.set("BitTorrent")
		return true
	case 'A': // "A2-1-36-0-"
		c.set("aria2")
		return true
	}
	if name := torrentClient(id[1:3]); name != "" {
		c.set(name)
	} else {
		c.add(id[1:3])
	}
	c.add([]byte{' '})
	c.digit(id[3])
	c.add([]byte{'.'})
	c.digit(id[4])
	if string(id[1:3]) == "TR" && id[3] < '4' { // 3.00, 2.94
		c.add(id[5:6])
		return true
	}
	for i, d := range id[5:7] {
		if i == 0 || d != '0' && d != '-' {
			c.add([]byte{'.'})
			c.digit(d)
		}
	}
	return true
}

// digit adds a part of a version. Letters stand for the numbers from ten on.
func (c *ClientName) digit(d byte) {
	if d >= 'A' && d <= 'Z' {
		d -= 'A'
		c.add([]byte{'1' + d/10, '0' + d%10})
		return
	}
	c.add([]byte{d})
}

// peerIDLike reports whether id is a peer ID in one of the usual forms.
func peerIDLike(id []byte) bool {
	if len(id) != 20 {
		return false
	}
	if id[0] == '-' {
		if id[7] != '-' {
			return false
		}
		for _, c := range id[1:7] {
			if !isAlnum(c) && c != '-' && c != '~' {
				return false
			}
		}
		return true
	}
	if string(id[:3]) == "A2-" {
		return id[3] >= '0' && id[3] <= '9' && (id[4] == '-' || id[5] == '-')
	}
	return id[0] == 'M' && isAlnum(id[1]) && id[2] == '-' && isAlnum(id[3]) && id[4] == '-' && isAlnum(id[5]) && id[6] == '-'
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || lower(c) >= 'a' && lower(c) <= 'z'
}

// client returns the program's name from "v" of the message, or "". Only some programs
// send "v": two letters, and a version in a form of the program's own.
func (m *krpc) client() string {
	if len(m.version) < 2 {
		return ""
	}
	return torrentClient(m.version[:2])
}

// WireName reads the program's name from the beginning of a connection between peers:
// from the extension handshake if it has the name, otherwise from the peer ID.
func WireName(w *Wire, c *ClientName) bool {
	c.n = 0
	if len(w.Client) > 0 {
		c.add(w.Client)
		return true
	}
	return PeerIDName(w.ID, c)
}

// AgentName reads the program's name from a User-Agent line.
func AgentName(line []byte, c *ClientName) bool {
	c.n = 0
	if !torrentHeader(line) {
		return false
	}
	_, value, _ := cutHeader(line)
	c.add(value)
	return true
}
