// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
)

// pieceSize is the unit in which a client verifies data. blockSize is the unit in which
// peers send it.
const (
	pieceSize = 64 << 10
	blockSize = 16 << 10
)

// torrent is one file of random bytes and its metadata.
type torrent struct {
	name     string
	content  []byte
	info     []byte // bencoded
	hash     [20]byte
	trackers []string
}

// newTorrent makes a torrent with a number of pieces. more are further entries of the
// info dictionary, or nil.
func newTorrent(pieces int, more map[string]any, trackers ...string) *torrent {
	t := &torrent{name: "film.mkv", content: make([]byte, pieces*pieceSize), trackers: trackers}
	rand.NewChaCha8([32]byte{1}).Read(t.content)
	var sums []byte
	for i := range pieces {
		s := sha1.Sum(t.content[i*pieceSize : (i+1)*pieceSize])
		sums = append(sums, s[:]...)
	}
	info := map[string]any{
		"length": len(t.content), "name": t.name, "piece length": pieceSize, "pieces": sums,
	}
	maps.Copy(info, more)
	t.info = bencode(nil, info)
	t.hash = sha1.Sum(t.info)
	return t
}

// file is the content of the .torrent file. It contains the info dictionary unchanged.
func (t *torrent) file() []byte {
	b := []byte("d")
	if len(t.trackers) > 0 {
		b = bencode(bencode(b, "announce"), t.trackers[0])
		tiers := []any{}
		for _, u := range t.trackers {
			tiers = append(tiers, []any{u})
		}
		b = bencode(bencode(b, "announce-list"), tiers)
	}
	b = append(bencode(b, "info"), t.info...)
	return append(b, 'e')
}

func (t *torrent) hexHash() string { return hex.EncodeToString(t.hash[:]) }

// magnet is the magnet link. The client must get everything else from peers.
func (t *torrent) magnet() string {
	s := "magnet:?xt=urn:btih:" + t.hexHash() + "&dn=" + url.QueryEscape(t.name)
	for _, u := range t.trackers {
		s += "&tr=" + url.QueryEscape(u)
	}
	return s
}

// seed writes the content to a folder.
func (t *torrent) seed(dir string) error {
	return os.WriteFile(filepath.Join(dir, t.name), t.content, 0o644)
}

// pieces counts the complete pieces in a folder. Clients use another name for an
// unfinished file.
func (t *torrent) pieces(dir string) (int, error) {
	best := 0
	for _, suffix := range []string{"", ".part", ".!qB"} {
		f, err := os.Open(filepath.Join(dir, t.name+suffix))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		n, piece := 0, make([]byte, pieceSize)
		for at := 0; at < len(t.content); at += pieceSize {
			if _, err := io.ReadFull(f, piece); err != nil {
				break
			}
			if bytes.Equal(piece, t.content[at:at+pieceSize]) {
				n++
			}
		}
		f.Close()
		best = max(best, n)
	}
	return best, nil
}

// total is the number of pieces.
func (t *torrent) total() int { return len(t.content) / pieceSize }
