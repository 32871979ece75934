// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// apt is a package system of its own, separate from the host's. It has another
// architecture and its own state, and uses one suite of the host's Debian mirror. It does
// not use the security suite: mipsel has none, and armhf's had a broken index.
type apt struct {
	bed  *bed
	dir  string
	opts []string
}

// newApt opens the package system of an architecture and a suite. If suite is "", it
// takes the host's suite. kind is deb or deb-src.
func (b *bed) newApt(suite, arch, kind string) (*apt, error) {
	uri, own, err := lab.DebianMirror()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.cache, "apt-"+kind+"-"+arch)
	if suite == "" {
		suite = own
	} else {
		dir += "-" + suite
	}
	for _, d := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{
		"status":  "",
		"sources": fmt.Sprintf("%s %s %s main\n", kind, uri, suite),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	a := &apt{bed: b, dir: dir}
	for _, o := range []string{
		"Dir::State=" + dir,
		"Dir::State::status=" + dir + "/status",
		"Dir::Cache=" + dir,
		"Dir::Etc::sourcelist=" + dir + "/sources",
		"Dir::Etc::sourceparts=/dev/null",
		"APT::Architecture=" + arch,
		"APT::Architectures::=" + arch,
		"APT::Sandbox::User=root",
		"Acquire::Languages=none",
		"Debug::NoLocking=1",
	} {
		a.opts = append(a.opts, "-o", o)
	}
	return a, b.command(dir, nil, "apt-get", append(a.opts, "update")...)
}

// unpack downloads packages with all dependencies and unpacks them into root.
func (a *apt) unpack(root string, packages ...string) error {
	args := append(a.opts, "install", "--download-only", "-y", "--no-install-recommends")
	if err := a.bed.command(a.dir, nil, "apt-get", append(args, packages...)...); err != nil {
		return err
	}
	return a.extract(root)
}

// unpackAlone downloads one package without its dependencies and unpacks it into root.
func (a *apt) unpackAlone(root, pkg string) error {
	archives := filepath.Join(a.dir, "archives")
	if err := a.bed.command(archives, nil, "apt-get", append(a.opts, "download", pkg)...); err != nil {
		return err
	}
	return a.extract(root)
}

// extract unpacks the downloaded archives and deletes them.
func (a *apt) extract(root string) error {
	files, err := filepath.Glob(filepath.Join(a.dir, "archives", "*.deb"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := a.bed.command("", nil, "dpkg-deb", "-x", f, root); err != nil {
			return err
		}
		if err := os.Remove(f); err != nil {
			return err
		}
	}
	return nil
}

// dependencies returns the packages with one of some prefixes that a package depends on.
func (a *apt) dependencies(pkg string, prefixes ...string) (found []string, err error) {
	out, err := exec.Command("apt-cache", append(a.opts, "show", "--no-all-versions", pkg)...).Output()
	if err != nil {
		return nil, fmt.Errorf("apt-cache show %s: %w", pkg, err)
	}
	for line := range strings.Lines(string(out)) {
		rest, _ := strings.CutPrefix(line, "Depends: ")
		for _, one := range strings.Split(rest, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(one), " ")
			if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
				found = append(found, name)
			}
		}
	}
	return found, nil
}

// source downloads a package's source and unpacks the upstream part into
// dir/NAME.
func (a *apt) source(dir, name string) (string, error) {
	if err := a.bed.command(dir, nil, "apt-get", append(a.opts, "source", "--download-only", name)...); err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(dir, name+"_*.orig.tar.*"))
	if err != nil {
		return "", err
	}
	for _, f := range found {
		if strings.HasSuffix(f, ".asc") {
			continue
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return "", err
		}
		return to, a.bed.command(to, nil, "tar", "-xf", f, "--strip-components=1")
	}
	return "", fmt.Errorf("no upstream archive of %s", name)
}
