// SPDX-License-Identifier: GPL-2.0-or-later

// Package npm installs the npm packages that tests need. It installs them outside the
// sources, once for each version of package-lock.json. That file lacks what "npm ci" does
// not read. Before it is committed after a change, this is run here:
//
//	jq --tab 'del(.packages[] | .resolved, .funding, .engines, .license, .bin, .peerDependencies, .peerDependenciesMeta, .hasInstallScript)'
//
// Some versions are old because the newer ones are large: today's minecraft-data has 500 MB.
// A small package takes the place of typescript, which jsp-raknet names but does not use.
package npm

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrMissing is in the error that Programs returns if the machine lacks a program.
var ErrMissing = errors.New("not on this machine")

// Programs finds the programs of want and npm, and writes their paths.
func Programs(want map[string]*string) error {
	for name, path := range want {
		var err error
		if *path, err = exec.LookPath(name); err != nil {
			return fmt.Errorf("needs the program %s: %w", name, ErrMissing)
		}
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return fmt.Errorf("needs the program npm: %w", ErrMissing)
	}
	return nil
}

// Modules installs the packages into the checkout's cache, unless they are there. It
// returns the folder node_modules. It does not run the packages' scripts.
func Modules(root string) (string, error) {
	here := filepath.Join(root, "bench/npm")
	lock, err := os.ReadFile(filepath.Join(here, "package-lock.json"))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(lock)
	dir := filepath.Join(root, ".cache", fmt.Sprintf("npm-%x", sum[:8]))
	modules := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
	}
	// npm installs into a folder beside dir. The folder is renamed to dir at the end, so
	// that dir is never incomplete.
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	for _, f := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join(here, f))
		if err == nil {
			err = os.WriteFile(filepath.Join(work, f), text, 0o644)
		}
		if err != nil {
			return "", err
		}
	}
	npm := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = work
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	if err := os.Rename(work, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return modules, nil
}
