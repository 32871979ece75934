// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What every package says about itself.
const (
	maintainer = "P2Pwall developers <p2pwall@users.noreply.github.com>"
	homepage   = "https://github.com/p2pwall/p2pwall"
	license    = "GPL-2.0-or-later"
	// packageRelease counts the packagings of one version.
	packageRelease = "1"
)

// release is what is being packaged: a checkout, its version, and the one time
// that everything made of it carries.
type release struct {
	root    string
	version string
	time    time.Time
}

func openRelease(root string) (*release, error) {
	if root == "" {
		var err error
		if root, err = findRoot(); err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		return nil, err
	}
	r := &release{root: root, version: strings.TrimSpace(string(text))}
	r.time, err = r.sourceTime()
	return r, err
}

func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "VERSION")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no VERSION file in this directory or above, say where the checkout is with -root")
		}
		dir = parent
	}
}

// sourceTime is SOURCE_DATE_EPOCH, or the time of the last commit. A tree that
// is no checkout has neither, and gets the time its VERSION file has.
func (r *release) sourceTime() (time.Time, error) {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		out, err := exec.Command("git", "-C", r.root, "log", "-1", "--format=%ct").Output()
		if err == nil {
			epoch = string(bytes.TrimSpace(out))
		}
	}
	if epoch == "" {
		info, err := os.Stat(r.path("VERSION"))
		if err != nil {
			return time.Time{}, err
		}
		return info.ModTime().UTC().Truncate(time.Second), nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, make it a number of seconds", epoch)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

func (r *release) path(name string) string { return filepath.Join(r.root, name) }

// packageVersion is the version as OpenWrt's package managers write it.
func (r *release) packageVersion() string { return r.version + "-r" + packageRelease }
