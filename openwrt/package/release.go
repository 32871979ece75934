// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
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
	commit  string // with "-dirty" behind it if files are changed; "" if unknown
	time    time.Time
}

func openRelease(root string) (*release, error) {
	if root == "" {
		var err error
		if root, err = findRoot(); err != nil {
			return nil, err
		}
	}
	r := &release{root: root}
	if err := r.setVersion(); err != nil {
		return nil, err
	}
	var err error
	r.time, err = r.sourceTime()
	return r, err
}

// git runs git in the checkout and returns what it prints, nothing when it fails.
// A tree that is unpacked somewhere in another checkout has no git of its own.
func (r *release) git(args ...string) string {
	run := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-C", r.root}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	if inside, err := run("rev-parse", "--show-prefix"); err != nil || inside != "" {
		return ""
	}
	out, err := run(args...)
	if err != nil {
		return ""
	}
	return out
}

// setVersion takes the version from the commit's tag, v1.2.3. A commit without a
// tag, and a tree without git, have the version that comes next, of VERSION.
func (r *release) setVersion() error {
	r.commit = r.git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
	tag := r.git("describe", "--exact-match", "--tags", "--match=v[0-9]*")
	if version, ok := strings.CutPrefix(tag, "v"); ok {
		r.version = version
		return nil
	}
	text, err := os.ReadFile(r.path("VERSION"))
	r.version = strings.TrimSpace(string(text))
	return err
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
		epoch = r.git("log", "-1", "--format=%ct")
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
