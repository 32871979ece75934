// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

var aria2 = &kind{
	name:    "aria2",
	program: "aria2c",
	command: func(o *options) ([]string, error) {
		args := []string{
			"--no-conf", "--dir=" + o.files(), "--continue",
			"--enable-rpc", fmt.Sprintf("--rpc-listen-port=%d", o.rpc),
			fmt.Sprintf("--listen-port=%d", o.port), fmt.Sprintf("--dht-listen-port=%d", o.port),
			"--dht-file-path=" + o.dir + "/dht.dat", "--dht-file-path6=" + o.dir + "/dht6.dat",
			"--file-allocation=none", "--disk-cache=0",
		}
		if o.node.IsValid() {
			if o.node.Addr().Is4() {
				args = append(args, "--dht-entry-point="+o.node.String())
			} else {
				args = append(args, "--enable-dht6", "--dht-entry-point6="+o.node.String())
			}
		}
		if len(o.bind) > 0 {
			args = append(args, "--interface="+o.bind[0].String())
		}
		if o.seed {
			args = append(args, "--check-integrity", "--seed-ratio=0")
		}
		if o.upload > 0 {
			args = append(args, fmt.Sprintf("--max-overall-upload-limit=%dK", o.upload))
		}
		if o.encrypted {
			args = append(args, "--bt-require-crypto", "--bt-min-crypto-level=arc4")
		}
		if o.noDHT {
			args = append(args, "--enable-dht=false")
		}
		if o.private {
			args = append(args, "--enable-peer-exchange=false")
		}
		if o.ca != "" {
			args = append(args, "--ca-certificate="+o.ca)
		}
		if o.lsd {
			args = append(args, "--bt-enable-lpd")
		}
		if o.magnet {
			return append(args, o.torrent.magnet()), nil
		}
		return append(args, o.torrentFile()), nil
	},
	got: func(p *program) (int, error) {
		sum, found := 0, false
		for _, call := range []string{`"aria2.tellActive","params":[["totalLength","completedLength"]]`, `"aria2.tellStopped","params":[0,9,["totalLength","completedLength"]]`} {
			resp, err := p.http.Post("http://localhost/jsonrpc", "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":"1","method":`+call+`}`))
			if err != nil {
				return 0, err
			}
			defer resp.Body.Close()
			var r struct {
				Result []struct{ TotalLength, CompletedLength string }
			}
			if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
				return 0, err
			}
			for _, d := range r.Result {
				// aria2 treats the file behind a magnet link as a separate download.
				if d.TotalLength == strconv.Itoa(len(p.opt.torrent.content)) {
					n, err := strconv.Atoi(d.CompletedLength)
					if err != nil {
						return 0, err
					}
					sum, found = sum+n, true
				}
			}
		}
		if !found {
			return 0, errNoTorrent
		}
		return sum, nil
	},
}
