// SPDX-License-Identifier: GPL-2.0-or-later

package detect

import "bytes"

// BitTorrent recognises the DHT, UDP and HTTP trackers, uTP and plain connections between
// peers. Sources: BEPs 3, 5, 10, 11, 14, 15 and 29, and captures of Transmission,
// qBittorrent, rTorrent and anacrolix/torrent.
//
// Encrypted sessions, and flows that take several packets to recognise, are elsewhere:
// see MSEFirst and UTP.
var BitTorrent = Protocol{
	Name:     "bittorrent",
	Title:    "BitTorrent",
	Programs: "qBittorrent, Transmission, uTorrent, aria2, rTorrent, WebTorrent",
	Datagram: btDatagram,
	First:    btFirst,
	Begins:   peerProtocol[:1],
	TLS:      torrentTLS,
	Header:   btHeader,
	Answer:   btAnswer,
	Flow:     utpFlow,
	Local:    btLocal,
	Groups:   []Group{{"239.192.152.143", localSearchPort}, {"ff15::efc0:988f", localSearchPort}}, // BEP 14
	Hidden:   &btHidden,
	Middle:   func(b []byte) bool { return peerMiddle(b) == Yes },
	Decoy:    IsDecoy,
	Probes: []Probe{
		{Name: "krpc", Build: btPing, Answered: btPinged},
		{Name: "utp", Build: btSYN, Answered: UTPAnswered},
		// Some other programs that look random, such as Bitcoin nodes, answer a key
		// before it is complete. anacrolix/torrent, if it has to encrypt, sends its key to
		// whoever connects.
		{Name: "mse", TCP: true, Alone: mseKey - 1, Early: true, Build: btKey, Answered: btKeyed},
		{Name: "handshake", TCP: true, Hash: true, Build: btGreeting, Answered: btGreeted},
	},
	WebRTC:  true,
	Sift:    true,
	OnePort: true,
	Mode:    ModeBlock,
	// Transmission; the first ports that were assigned; the defaults of libtorrent,
	// rTorrent, aria2, qBittorrent and anacrolix/torrent.
	Ports: []uint16{51413, 6881, 6890, 42069, 8999, 6889, 6888, 6882, 49160},
	Names: []string{
		"router.bittorrent.com", "router.utorrent.com", "dht.transmissionbt.com", "dht.libtorrent.org",
		"dht.aelitis.com", "router.bittorrent.cloud", "router.silotis.us", "dht.anacrolix.link",
		"router.bt.ouinet.work",
		// WebTorrent trackers.
		"tracker.openwebtorrent.com", "tracker.webtorrent.dev", "tracker.btorrent.xyz", "tracker.files.fm",
	},
}

func btPing(dst, _ []byte, salt uint32) int { return TorrentProbe(dst, salt) }

func btSYN(dst, _ []byte, salt uint32) int { return UTPProbe(dst, salt) }

func btKey(dst, _ []byte, salt uint32) int { return MSEProbe(dst, salt) }

// btPinged reports whether b answers the ping: it is a reply or an error with the same
// transaction ID.
func btPinged(b, probe []byte) bool {
	var m, q krpc
	return m.parse(b) && q.parse(probe) && m.kind != 'q' && string(m.tid) == string(q.tid)
}

// btKeyed reports whether b can be the key that answers our key. A server that echoes its
// input, perhaps after other bytes, has no key of its own.
func btKeyed(b, probe []byte) bool {
	return MSEFirst(b) && !bytes.Contains(b, probe[len(probe)-mseKey/2:])
}

func btDatagram(b []byte, f *Finding) Kind {
	b, f.Inner = relayed(b)
	if len(b) < 16 {
		return None
	}
	var p utpPacket
	utp := p.parse(b)
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
				f.setHash(m.target)
			}
			f.Reason, f.Conduct = ReasonPing, true
			return Query
		}
		f.Reason = ReasonPong
		return Reply
	case utp && p.isSYN(b):
		f.Reason, f.Conduct = ReasonHello, true
		return Query
	}
	if action, ok := trackerQuery(b); ok {
		// A client may query a tracker from a separate port.
		f.Reason, f.Conduct, f.NotListening = ReasonAnnounce, true, true
		if action == trackerAnnounce {
			f.setHash(b[16:36])
			PeerIDName(b[36:56], &f.Client)
			f.TCPPort = be16(b[96:])
		}
		return Query
	}
	switch {
	case !utp:
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
	if m == Yes {
		f.Reason, f.Conduct = ReasonHello, true
		if outbound {
			peerNames(b, f)
		}
	}
	return m
}

// torrentTLS recognises a TLS connection between peers of one torrent, as
// libtorrent makes them. The server name (RFC 6066) is the info-hash in hexadecimal
// digits, without a dot. A web page cannot make a browser connect to such a name, because
// no name server on the Internet can resolve it.
func torrentTLS(name, _ []byte) bool {
	const digits = 40
	if len(name) != digits {
		return false
	}
	for _, c := range name {
		if !isHex(c) {
			return false
		}
	}
	return true
}

// btHeader recognises announce requests and the programs' user agents.
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
		// A program's name in other requests does not count as conduct: the program may
		// be fetching news. A program that announces a torrent under its own name shares
		// files.
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
