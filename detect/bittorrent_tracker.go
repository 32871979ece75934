// SPDX-License-Identifier: GPL-2.0-or-later

package detect

// The UDP tracker protocol (BEP 15).
const (
	trackerMagicHigh = 0x00000417 // of the constant that a connect begins with
	trackerMagicLow  = 0x27101980
	trackerConnect   = 0
	trackerAnnounce  = 1
	trackerScrape    = 2

	trackerConnectSize  = 16
	trackerAnnounceSize = 98
)

// trackerQuery returns the action of the tracker request b. The connection number
// of an announce is the tracker's choice, so the rest has to speak.
func trackerQuery(b []byte) (action uint32, ok bool) {
	switch {
	case len(b) >= trackerConnectSize && len(b) <= trackerConnectSize+8 &&
		be32(b) == trackerMagicHigh && be32(b[4:]) == trackerMagicLow && be32(b[8:]) == trackerConnect:
		return trackerConnect, true
	case len(b) >= trackerAnnounceSize && be32(b[8:]) == trackerAnnounce:
		// event is 0 to 3; a client's number for itself is printable in
		// its first bytes with every client that exists.
		return trackerAnnounce, be32(b[80:]) <= 3 && be16(b[96:]) != 0 && peerIDLike(b[36:56])
	}
	return 0, false
}

// announceLine reports whether the request line is that of an announce or a
// scrape: its info hash is 20 bytes, some of them written as %xx.
func announceLine(line []byte) bool {
	return hasPrefix(line, []byte("GET ")) == Yes && isHash(parameter(line, "info_hash="))
}

// announceNames enters in f the program and its port, as far as the request line
// of an announce has them in what is kept of it.
func announceNames(line []byte, f *Finding) {
	var id [20]byte
	n, _ := unescape(id[:], parameter(line, "peer_id="))
	PeerIDName(id[:n], &f.Client)
	if n, _ := unescape(f.Hash[:], parameter(line, "info_hash=")); n < len(f.Hash) {
		f.Hash = [20]byte{}
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

// torrentAgents are how the user agents of BitTorrent clients begin. aria2 is
// not among them: it fetches by HTTP as well.
var torrentAgents = [...]string{
	"transmission/", "qbittorrent/", "qbittorrent v", "utorrent/", "utorrentmac/", "btwebclient/",
	"bittorrent/", "libtorrent/", "rtorrent/", "deluge/", "deluge ", "deluge-torrent", "azureus ", "vuze ",
	"biglybt ", "bitcomet/", "bitspirit/", "ktorrent/", "webtorrent/", "anacrolix/", "anacrolix-torrent", "go.torrent",
}

// torrentHeader reports whether the header line is a BitTorrent client's own.
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
