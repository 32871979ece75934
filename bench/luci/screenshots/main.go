// SPDX-License-Identifier: GPL-2.0-or-later

// Screenshots writes the pictures of the LuCI app for the documentation. It runs the app
// with a real daemon, in a lab with two FastTrack clients and a BitTorrent client. It runs
// in the checkout's root, as root, and needs chromium, node and npm.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/luci"
)

func main() {
	out := flag.String("o", "docs/screenshots", "folder for the pictures")
	warm := flag.Duration("warm", 3*time.Minute, "how long the lab runs before, so that the chart has something to show")
	flag.Parse()
	lab.CloseOnSignal()
	if err := shoot(*out, *warm); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func shoot(out string, warm time.Duration) error {
	tools, err := luci.NewTools(".")
	if err != nil {
		return err
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "p2pwall-screenshots-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	live, err := luci.NewLive(luci.LiveConfig{
		Root: ".", Dir: dir, Lock: "120", Names: [2]string{"attic-pc", "old-laptop"}, Torrent: "student-pc", Stay: warm / 4,
		Closed: true,
	})
	if err != nil {
		return err
	}
	defer live.Close()
	if err := live.Handshake(); err != nil {
		return err
	}
	time.Sleep(warm)
	// The list of exempt hosts must not be empty.
	desk := lab.Request{Cmd: "exempt", Host: "192.168.1.100", Seconds: 3600}
	if err := live.Wall().Do(desk, nil); err != nil {
		return err
	}
	text, err := tools.Run("screenshots.cjs", live.Server, "PICTURES="+out)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, text)
	}
	return nil
}
