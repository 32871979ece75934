// SPDX-License-Identifier: GPL-2.0-or-later

// Command anacrolix is a small BitTorrent client with the library anacrolix/torrent. It
// downloads one torrent and reports the bytes received on a port of 127.0.0.1. It has its
// own module, so that the wall's module does not need the library.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/anacrolix/dht/v2"
	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/mse"
	"golang.org/x/time/rate"
)

// config is the content of the JSON file that the one argument names.
type config struct {
	Torrent, Files string
	Seed           bool
	RPC            int // port of the report
	Port           int // for peers
	Bind           []string
	Node           string // a DHT node
	Upload         int    // bytes/s; 0 means no limit

	NoDHT, Private, Encrypted, NoTCP, NoUTP, NoWebRTC bool
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var c config
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	client, err := torrent.NewClient(c.client())
	if err != nil {
		return err
	}
	defer client.Close()
	t, err := client.AddTorrentFromFile(c.Torrent)
	if err != nil {
		return err
	}
	<-t.GotInfo()
	if c.Seed {
		t.VerifyData()
	}
	t.DownloadAll()
	account := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		stats := t.Stats()
		fmt.Fprint(w, stats.BytesReadUsefulData.Int64())
	})
	failed := make(chan error, 1)
	go func() { failed <- http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", c.RPC), account) }()
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	select {
	case <-end:
		return nil
	case err := <-failed:
		return err
	}
}

// client returns the library's settings.
func (c *config) client() *torrent.ClientConfig {
	s := torrent.NewDefaultClientConfig()
	s.DataDir, s.Seed, s.ListenPort = c.Files, true, c.Port
	s.NoDHT, s.DisablePEX, s.NoDefaultPortForwarding = c.NoDHT, c.Private, c.Private
	s.DisableTCP, s.DisableUTP, s.DisableWebtorrent = c.NoTCP, c.NoUTP, c.NoWebRTC
	if len(c.Bind) > 0 {
		addr, err := netip.ParseAddr(c.Bind[0])
		if err == nil {
			s.DisableIPv6, s.DisableIPv4 = addr.Is4(), addr.Is6()
			s.ListenHost = func(string) string { return c.Bind[0] }
		}
	}
	if c.Upload > 0 {
		s.UploadRateLimiter = rate.NewLimiter(rate.Limit(c.Upload), 256<<10)
	}
	if c.Encrypted {
		s.HeaderObfuscationPolicy = torrent.HeaderObfuscationPolicy{RequirePreferred: true, Preferred: true}
		s.CryptoProvides = mse.CryptoMethodRC4
		s.CryptoSelector = func(mse.CryptoMethod) mse.CryptoMethod { return mse.CryptoMethodRC4 }
	}
	s.DhtStartingNodes = func(string) dht.StartingNodesGetter {
		return func() ([]dht.Addr, error) {
			if c.Node == "" {
				return nil, nil
			}
			return dht.ResolveHostPorts([]string{c.Node})
		}
	}
	return s
}
