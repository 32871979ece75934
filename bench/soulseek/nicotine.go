// SPDX-License-Identifier: GPL-2.0-or-later

package soulseek

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	// port.
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
uploadlimit = %d
[logging]
debug = True
debugmodes = ['connection', 'transfer']
`, o.server.Addr(), o.server.Port(), o.user, o.port, o.port, o.device, share, o.complete(), o.partial(), limit, o.rate)
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
	cmd := o.ns.Command("/usr/bin/python3", filepath.Join(root, "usr/bin/nicotine"), "--headless", "-c", config, "-u", data)
	cmd.Env = append(os.Environ(), "HOME="+o.dir, "PYTHONPATH="+filepath.Join(root, "usr/lib/python3/dist-packages"))
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
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	work, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	// The package comes from this machine's Debian mirror.
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian", "Component: main").Output()
	mirror, _, _ := strings.Cut(string(out), "\n")
	if err != nil || mirror == "" {
		return "", fmt.Errorf("apt has no list of Debian's packages: run apt-get update (%v)", err)
	}
	if err := os.WriteFile(filepath.Join(work, "sources.list"), []byte("deb "+mirror+" "+nicotineSuite+" main\n"), 0o644); err != nil {
		return "", err
	}
	script := `set -e
cd "$0"
mkdir -p lists/partial archives/partial tree
apt() {
	apt-get -q -o Dir::Etc::sourcelist="$0/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$0/lists" \
		-o Dir::Cache="$0" -o Acquire::Languages=none -o APT::Sandbox::User=root "$@"
}
apt update
apt download nicotine
dpkg-deb -x nicotine_*.deb tree`
	if out, err := exec.Command("sh", "-c", script, work).CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpacking Nicotine+ of Debian's %s: %w\n%s", nicotineSuite, err, out)
	}
	return root, os.Rename(filepath.Join(work, "tree"), root)
})
