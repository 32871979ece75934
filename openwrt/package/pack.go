// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
)

// A pack is a package, independent of its format.
type pack struct {
	name        string
	arch        string // the package manager's name for it; archAll for any
	section     string
	title       string
	description string
	depends     []string
	provides    []string
	conflicts   []string
	user        string // OpenWrt's Require-User: user=uid:group=gid
	postrm      string // body of a script that runs after the removal, or ""
	files       []file
}

// archAll is the architecture of a package without machine code. apk's name for it is noarch.
const archAll = "all"

// A file is a regular file of a package. Its path implies its directories.
type file struct {
	path string // absolute
	mode fs.FileMode
	conf bool // the user may change it: an upgrade keeps it
	data []byte
}

// readTree returns the files below a directory. In their paths, the directory is "/".
func readTree(dir string) ([]file, error) {
	var files []file
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		mode, err := fileMode(name)
		if err != nil {
			return err
		}
		files = append(files, file{path: "/" + filepath.ToSlash(rel), mode: mode, data: data})
		return nil
	})
	return files, err
}

// fileMode returns the mode of a checkout's file in a package. Git stores only the executable
// bit, so executables get 0755 and all others 0644.
func fileMode(name string) (fs.FileMode, error) {
	info, err := os.Stat(name)
	if err != nil {
		return 0, err
	}
	if info.Mode()&0o111 != 0 {
		return 0o755, nil
	}
	return 0o644, nil
}

func sortFiles(files []file) {
	sort.Slice(files, func(i, j int) bool { return files[i].path < files[j].path })
}

// directories returns every directory above the files, without "/", sorted.
func directories(files []file) []string {
	seen := map[string]bool{}
	for _, f := range files {
		for dir := path.Dir(f.path); dir != "/"; dir = path.Dir(dir) {
			seen[dir] = true
		}
	}
	dirs := make([]string, 0, len(seen))
	for dir := range seen {
		dirs = append(dirs, dir)
	}
	sort.Strings(dirs)
	return dirs
}
