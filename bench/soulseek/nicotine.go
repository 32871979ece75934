// SPDX-License-Identifier: GPL-2.0-or-later

package soulseek

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// nicotine is Nicotine+ without a window. Debian 12's version has no such mode, but
// Debian 13's runs on Debian 12. Its package is unpacked into a folder.
var nicotine = &kind{name: "Nicotine+", command: nicotineCommand, needs: []string{"/usr/bin/python3", "apt-get", "dpkg-deb"}}

const nicotineSuite = "trixie"

func nicotineCommand(o *options) (*exec.Cmd, error) {
	root, err := nicotineTree()
	if err != nil {
		return nil, err
	}
	program, modules := filepath.Join(root, "usr/bin/nicotine"), filepath.Join(root, "usr/lib/python3/dist-packages")
	if o.source != "" {
		program, modules = filepath.Join(o.source, "nicotine"), o.source
	}
	data := filepath.Join(o.dir, "data")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, err
	}
	share := "[]"
	if o.share > 0 {
		share = fmt.Sprintf("[('%s', '%s')]", folderName, o.shared())
	}
	limit := "unlimited"
	if o.rate > 0 {
		limit = "primary"
	}
	// All other settings keep their defaults, except upnp: no router in the lab opens a
	// port. uselimit is for version 3.2.
	settings := fmt.Sprintf(`[server]
server = ('%s', %d)
login = %s
passw = secret
portrange = (%d, %d)
upnp = False
interface = %s
[transfers]
shared = %s
downloaddir = %s
incompletedir = %s
use_upload_speed_limit = %s
uselimit = %t
uploadlimit = %d
[logging]
debug = True
debugmodes = ['connection', 'transfer']
`, o.server.Addr(), o.server.Port(), o.user, o.port, o.port, o.device, share, o.complete(), o.partial(), limit, o.rate > 0, o.rate)
	config := filepath.Join(o.dir, "config")
	if err := os.WriteFile(config, []byte(settings), 0o644); err != nil {
		return nil, err
	}
	if o.from != "" {
		row := []any{o.from, folderName + `\` + fileName, o.complete(), "User logged off", o.size, nil, map[string]int{}}
		text, err := json.Marshal([][]any{row})
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(data, "downloads.json"), text, 0o644); err != nil {
			return nil, err
		}
	}
	cmd := o.ns.Command("/usr/bin/python3", program, "--headless", "-c", config, "-u", data)
	cmd.Env = append(os.Environ(), "HOME="+o.dir, "PYTHONPATH="+modules)
	return cmd, nil
}

// nicotineTree returns the folder with the program. If it is missing, nicotineTree makes
// it in the user's cache, for all checkouts.
var nicotineTree = sync.OnceValues(func() (string, error) {
	cache, unlock, err := lab.Cache("soulseek")
	if err != nil {
		return "", err
	}
	defer unlock()
	root := filepath.Join(cache, "nicotine-"+nicotineSuite)
	return root, lab.Once(root, func(part string) error {
		mirror, _, err := lab.DebianMirror()
		if err != nil {
			return err
		}
		script := `set -e
cd "$0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/archives/partial"
echo "deb $1 $2 main" >"$work/sources.list"
apt() {
	apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
		-o Dir::Cache="$work" -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}
apt update
apt download nicotine
dpkg-deb -x nicotine_*.deb .
rm nicotine_*.deb`
		if out, err := exec.Command("sh", "-c", script, part, mirror, nicotineSuite).CombinedOutput(); err != nil {
			return fmt.Errorf("unpacking Nicotine+: %w\n%s", err, out)
		}
		return nil
	})
})
