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

// Data that every package has.
const (
	maintainer = "P2Pwall developers <p2pwall@users.noreply.github.com>"
	homepage   = "https://github.com/p2pwall/p2pwall"
	license    = "GPL-2.0-or-later"
	// packageRelease is the number of the packaging of one version.
	packageRelease = "1"
)

// release is the tree to package: a checkout, its version, and the one time that all packages
// get.
type release struct {
	root    string
	version string
	commit  string // ends with "-dirty" if files are changed; "" if unknown
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

// git runs git in the checkout and returns its output, or "" if it fails. It ignores the git
// of another checkout that this tree was unpacked in.
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

// setVersion takes the version from the commit's tag, such as v1.2.3. Without a tag or
// without git, it takes the next version, from the file VERSION.
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

// sourceTime returns SOURCE_DATE_EPOCH or the time of the last commit. If there is neither,
// it returns the time of the VERSION file.
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

// packageVersion returns the version in the form of OpenWrt's package managers.
func (r *release) packageVersion() string { return r.version + "-r" + packageRelease }
