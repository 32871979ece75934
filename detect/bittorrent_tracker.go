// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// The UDP tracker protocol (BEP 15).
const (
	trackerMagicHigh = 0x00000417 // upper half of the constant at the start of a connect
	trackerMagicLow  = 0x27101980
	trackerConnect   = 0
	trackerAnnounce  = 1
	trackerScrape    = 2

	trackerConnectSize  = 16
	trackerAnnounceSize = 98
)

// trackerQuery returns the action of the tracker request b. The tracker chooses the
// connection ID of an announce, so only the other fields can identify it.
func trackerQuery(b []byte) (action uint32, ok bool) {
	switch {
	case len(b) >= trackerConnectSize && len(b) <= trackerConnectSize+8 &&
		be32(b) == trackerMagicHigh && be32(b[4:]) == trackerMagicLow && be32(b[8:]) == trackerConnect:
		return trackerConnect, true
	case len(b) >= trackerAnnounceSize && be32(b[8:]) == trackerAnnounce:
		// event is 0 to 3. The first bytes of the peer ID are printable with every known
		// client.
		return trackerAnnounce, be32(b[80:]) <= 3 && be16(b[96:]) != 0 && peerIDLike(b[36:56])
	}
	return 0, false
}

// announceLine reports whether the request line is that of an announce or a scrape: it
// has an info-hash of 20 bytes, some of them written as %xx.
func announceLine(line []byte) bool {
	return hasPrefix(line, []byte("GET ")) == Yes && isHash(parameter(line, "info_hash="))
}

// announceNames enters the program and its port in f, if the kept part of an announce's
// request line has them.
func announceNames(line []byte, f *Finding) {
	var id [20]byte
	n, _ := unescape(id[:], parameter(line, "peer_id="))
	PeerIDName(id[:n], &f.Client)
	if n, _ := unescape(id[:], parameter(line, "info_hash=")); n == len(id) {
		f.setHash(id[:])
	}
	port := parameter(line, "port=")
	for i, c := range port {
		if c == '&' || c == ' ' {
			f.TCPPort = decimalPort(port[:i])
			break
		}
	}
}

// isHash reports whether b begins with 20 bytes in URL encoding.
func isHash(b []byte) bool {
	var hash [20]byte
	n, rest := unescape(hash[:], b)
	return n == len(hash) && (len(rest) == 0 || rest[0] == '&' || rest[0] == ' ')
}

// torrentAgents are the beginnings of the user agents of BitTorrent clients. aria2 is not
// among them, because it also downloads by HTTP.
var torrentAgents = [...]string{
	"transmission/", "qbittorrent/", "qbittorrent v", "utorrent/", "utorrentmac/", "btwebclient/",
	"bittorrent/", "libtorrent/", "rtorrent/", "deluge/", "deluge ", "deluge-torrent", "azureus ", "vuze ",
	"biglybt ", "bitcomet/", "bitspirit/", "ktorrent/", "webtorrent/", "anacrolix/", "anacrolix-torrent", "go.torrent",
}

// torrentHeader reports whether the header line is a BitTorrent client's User-Agent.
func torrentHeader(line []byte) bool {
	name, value, ok := cutHeader(line)
	if !ok || !equalFold(name, "user-agent") {
		return false
	}
	for _, a := range torrentAgents {
		if hasPrefixFold(value, a) {
			return true
		}
	}
	return false
}
