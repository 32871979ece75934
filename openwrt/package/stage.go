// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"os"
	"path/filepath"
	"strconv"

	"github.com/goreleaser/nfpm/v2"
	"github.com/goreleaser/nfpm/v2/files"
)

// A stage is a directory for the inputs that nfpm only takes from files: the content of the
// package, and its scripts.
type stage struct {
	dir string
	n   int
}

func newStage() (*stage, error) {
	dir, err := os.MkdirTemp("", "p2pwall-package-")
	return &stage{dir: dir}, err
}

func (s *stage) remove() { os.RemoveAll(s.dir) }

func (s *stage) write(data []byte) (name string, err error) {
	s.n++
	name = filepath.Join(s.dir, strconv.Itoa(s.n))
	return name, os.WriteFile(name, data, 0o644)
}

// describe returns nfpm's description of a package. Each format adds its own fields.
func (s *stage) describe(r *release, p *pack) (*nfpm.Info, error) {
	info := &nfpm.Info{
		Name: p.name, Arch: p.arch, Platform: "linux", Version: r.version, VersionSchema: "none",
		Section: p.section, Maintainer: maintainer, Homepage: homepage, License: license,
		Description: p.title + "\n" + p.description, MTime: r.time, DisableGlobbing: true,
	}
	info.Depends, info.Provides, info.Conflicts = p.depends, p.provides, p.conflicts
	for _, f := range p.files {
		name, err := s.write(f.data)
		if err != nil {
			return nil, err
		}
		kind := files.TypeFile
		if f.conf {
			kind = files.TypeConfigNoReplace
		}
		info.Contents = append(info.Contents, &files.Content{
			Source: name, Destination: f.path, Type: kind,
			FileInfo: &files.ContentFileInfo{
				Owner: "root", Group: "root", Mode: f.mode, MTime: r.time,
			},
		})
	}
	return info, nil
}

// script stages a script and returns its file name, or "" for no script.
func (s *stage) script(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	return s.write([]byte(text))
}
