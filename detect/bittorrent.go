// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// BitTorrent recognises the DHT, UDP and HTTP trackers, uTP and the clear-text
// connections between peers. Sources: BEPs 3, 5, 10, 11, 14, 15 and 29, and
// captures of Transmission, qBittorrent, rTorrent and anacrolix/torrent.
//
// What is encrypted, or shows only by several packets, is not in these functions:
// see MSEFirst and UTP.
var BitTorrent = Protocol{
	Name:     "bittorrent",
	Title:    "BitTorrent",
	Programs: "qBittorrent, Transmission, uTorrent, aria2, rTorrent, WebTorrent",
	Datagram: btDatagram,
	First:    btFirst,
	Header:   btHeader,
	Answer:   btAnswer,
	Flow:     utpFlow,
	Local:    btLocal,
	Groups:   []Group{{"239.192.152.143", localSearchPort}, {"ff15::efc0:988f", localSearchPort}}, // BEP 14
	Hidden:   &btHidden,
	Decoy:    IsDecoy,
	Probes: []Probe{
		{Name: "krpc", Build: btPing, Answered: btPinged},
		{Name: "utp", Build: btSYN, Answered: UTPAnswered},
		// A key that is not whole yet is answered by others that look random as well, such
		// as Bitcoin's nodes.
		{Name: "mse", TCP: true, Alone: mseKey - 1, Build: btKey, Answered: btKeyed},
		{Name: "handshake", TCP: true, Hash: true, Build: btGreeting, Answered: btGreeted},
	},
	WebRTC:  true,
	Sift:    true,
	OnePort: true,
	Mode:    ModeBlock,
	// Transmission; the first ports that were assigned; libtorrent's, rTorrent's, aria2's
	// and qBittorrent's defaults.
	Ports: []uint16{51413, 6881, 6890, 8999, 6889, 6888, 6882, 49160},
	Names: []string{
		"router.bittorrent.com", "router.utorrent.com", "dht.transmissionbt.com", "dht.libtorrent.org",
		"dht.aelitis.com", "router.bittorrent.cloud", "router.silotis.us", "dht.anacrolix.link",
		"router.bt.ouinet.work",
		// Trackers of WebTorrent.
		"tracker.openwebtorrent.com", "tracker.webtorrent.dev", "tracker.btorrent.xyz", "tracker.files.fm",
	},
}

func btPing(dst, _ []byte, salt uint32) int { return TorrentProbe(dst, salt) }

func btSYN(dst, _ []byte, salt uint32) int { return UTPProbe(dst, salt) }

func btKey(dst, _ []byte, salt uint32) int { return MSEProbe(dst, salt) }

// btPinged reports whether b answers the ping: a reply, or an error, with the
// number of its transaction.
func btPinged(b, probe []byte) bool {
	var m, q krpc
	return m.parse(b) && q.parse(probe) && m.kind != 'q' && string(m.tid) == string(q.tid)
}

// btKeyed reports whether b can be the key that answers ours. A server that sends back
// what it gets, perhaps behind words of its own, has no key of its own.
func btKeyed(b, probe []byte) bool {
	return MSEFirst(b) && !bytes.Contains(b, probe[len(probe)-mseKey/2:])
}

func btDatagram(b []byte, f *Finding) Kind {
	b, f.Inner = relayed(b)
	if len(b) < 16 {
		return None
	}
	var p utpPacket
	switch {
	case b[0] == 'd':
		var m krpc
		if !m.parse(b) {
			return None
		}
		f.TCPPort = m.port
		f.Client.set(m.client())
		if m.kind == 'q' {
			if m.named && m.target != nil {
				f.Hash = [20]byte(m.target)
			}
			f.Reason, f.Conduct = ReasonPing, true
			return Query
		}
		f.Reason = ReasonPong
		return Reply
	case utpIsSYN(b):
		f.Reason, f.Conduct = ReasonHello, true
		return Query
	}
	if action, ok := trackerQuery(b); ok {
		// A tracker may be asked from a port of its own.
		f.Reason, f.Conduct, f.NotListening = ReasonAnnounce, true, true
		if action == trackerAnnounce {
			f.Hash = [20]byte(b[16:36])
			PeerIDName(b[36:56], &f.Client)
			f.TCPPort = be16(b[96:])
		}
		return Query
	}
	switch {
	case !p.parse(b):
		return None
	case p.kind == utpData && peerFirst(b[p.data:]) == Yes:
		f.Reason, f.Conduct = ReasonHello, true
		peerNames(b[p.data:], f)
		return Reply
	}
	return Weak
}

func btFirst(b []byte, outbound bool, f *Finding) Match {
	m := peerFirst(b)
	switch {
	case m == Yes:
		f.Reason, f.Conduct = ReasonHello, true
		if outbound {
			peerNames(b, f)
		}
	case outbound && torrentTLS(b):
		f.Reason, f.Conduct = ReasonHello, true
		return Yes
	}
	return m
}

// torrentTLS reports whether b begins a connection of TLS between peers of one torrent, as
// libtorrent has them: the server's name (RFC 6066) is the info hash in hexadecimal digits,
// without a dot. A page cannot have a browser go to such a name, because no name server
// outside can know it.
func torrentTLS(b []byte) bool {
	const record, digits = 0x16, 40
	if len(b) < 5 || b[0] != record || b[1] != 3 {
		return false
	}
	i := bytes.Index(b, sniOfHash)
	if i < 0 {
		return false
	}
	name := b[i+len(sniOfHash):]
	if len(name) < digits {
		return false
	}
	for _, c := range name[:digits] {
		if !isHex(c) {
			return false
		}
	}
	return true
}

// sniOfHash is what stands before a server's name of 40 bytes: the extension's number and
// length, the list's length, the name's kind and length.
var sniOfHash = []byte{0, 0, 0, 45, 0, 43, 0, 0, 40}

// btHeader goes by what a client asks for, and by what it calls itself.
func btHeader(line []byte, first, outbound bool, f *Finding) Match {
	switch {
	case !outbound:
		return No
	case first:
		if !announceLine(line) {
			return No
		}
		f.Reason = ReasonAnnounce
		announceNames(line, f)
	case !torrentHeader(line):
		return No
	default:
		// The name of a program in other requests is no conduct: they may
		// fetch news. Who announces itself by its name shares files.
		if f.Reason == ReasonAnnounce {
			f.Conduct = true
		} else {
			f.Reason = ReasonTransfer
		}
		if !f.Client.Known() {
			AgentName(line, &f.Client)
		}
	}
	return Yes
}
