// SPDX-License-Identifier: GPL-2.0-or-later

package clients

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/p2pwall/p2pwall/bench/lab"
	"github.com/p2pwall/p2pwall/bench/netns"
)

// The newest clients come from a newer Debian suite. Their programs and libraries are
// unpacked into a folder and run with that folder as their root. Nothing is installed.

// currentSuite is the suite. currentPackages and mulePackages are the packages. What is
// newer than the suite is in nextSuite: nextLibrary is libtorrent there, which can be
// installed beside the suite's own. Its package for Python cannot, so that one is
// unpacked into nextFolder.
const (
	currentSuite    = "unstable"
	currentPackages = "transmission-daemon,qbittorrent-nox,rtorrent,aria2,deluged,libc-bin," + nextLibrary
	mulePackages    = "amule-daemon,libc-bin"

	nextSuite   = "experimental"
	nextLibrary = "libtorrent-rasterbar2.1"
	nextPython  = "python3-libtorrent"
	nextFolder  = "/opt/" + nextPython
)

// current makes a kind of the same client in Debian's newest version.
func current(k *kind, env ...string) *kind {
	c := *k
	c.name = "current " + k.name
	c.current, c.needs, c.env = true, "", env
	return &c
}

var (
	newTransmission = current(transmission)
	newQBittorrent  = current(qbittorrent)
	newRTorrent     = current(rtorrent)
	newAria2        = current(aria2)
	newDeluge       = current(deluge)
	newLibtorrent   = current(libtorrent, "PYTHONPATH="+nextFolder+"/usr/lib/python3/dist-packages")
)

// currentTree returns the folder.
var currentTree = sync.OnceValues(func() (string, error) { return treeOf(currentPackages) })

// treeOf returns the folder with the packages. If it is missing, treeOf makes it in about
// half a minute, in the user's cache for all checkouts. Remove it to get newer clients.
func treeOf(packages string) (string, error) {
	cache, unlock, err := lab.Cache("clients")
	if err != nil {
		return "", err
	}
	defer unlock()
	sum := sha256.Sum256([]byte(packages))
	root := filepath.Join(cache, fmt.Sprintf("%s-%x", currentSuite, sum[:4]))
	return root, lab.Once(root, func(part string) error { return makeTree(part, packages) })
}

// makeTree unpacks the clients and their dependencies from this machine's Debian mirror.
func makeTree(root, packages string) error {
	mirror, _, err := lab.DebianMirror()
	if err != nil {
		return err
	}
	var more []string
	if strings.Contains(packages, nextLibrary) {
		// Once the suite has the newest version, nextSuite has none. Then apt takes the suite's.
		const script = `set -e
mkdir -p "$1` + nextFolder + `"
cd "$1/tmp"
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get --quiet --target-release ` + nextSuite + ` download ` + nextPython + `
dpkg-deb --extract ` + nextPython + `_*.deb "$1` + nextFolder + `"
rm ` + nextPython + `_*.deb`
		more = []string{"deb " + mirror + " " + nextSuite + " main", "--extract-hook=" + script}
	}
	if err := lab.Debootstrap(root, mirror, currentSuite, "extract", packages, more...); err != nil {
		return err
	}
	for _, dir := range []string{"proc", "dev", "tmp", "etc"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+dir, filepath.Join(root, dir)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	for name, text := range map[string]string{
		"resolv.conf": "", "hosts": "127.0.0.1 localhost\n::1 localhost\n",
		"passwd": "root:x:0:0:root:/root:/bin/sh\n", "group": "root:x:0:\n",
	} {
		if err := os.WriteFile(filepath.Join(root, "etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// inTree prepares a command with a tree as its root. It also sees the devices, the
// processes, and one folder with all its files. "ip netns exec" gives the command its own
// mounts, so they end with it.
func inTree(ns *netns.Namespace, root, folder, resolv, name string, args ...string) *exec.Cmd {
	const script = `set -e
root=$0 folder=$1 resolv=$2
shift 2
mount --bind /proc "$root/proc"
mount --bind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root$folder"
mount --bind "$folder" "$root$folder"
mount --bind "$resolv" "$root/etc/resolv.conf"
exec chroot "$root" "$@"`
	return ns.Command("sh", append([]string{"-c", script, root, folder, resolv, name}, args...)...)
}
