// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
)

// apk writes a package in the format of apk-tools 3, which OpenWrt 25.12 and
// later use, without a signature. The package's unique id is the hash of the
// database, computed with zeros where the id goes.
func (r *release) apk(p *pack) ([]byte, error) {
	// The file data follow in the order of the database's paths: by
	// directory, then by name.
	files := append(apkLists(p), p.files...)
	sortFiles(files)
	byDir := map[string][]file{}
	var size uint64
	for _, f := range files {
		dir := path.Dir(f.path)
		byDir[dir] = append(byDir[dir], f)
		size += uint64(len(f.data))
	}
	dirs := append([]string{"/"}, directories(files)...)

	w := newADB()
	hash, hashAt := w.hole(20)
	arch := p.arch
	if arch == archAll {
		arch = "noarch"
	}
	info := w.object(
		w.text(p.name),
		w.text(r.packageVersion()),
		hash,
		w.text(strings.Join(strings.Fields(p.description), " ")),
		w.text(arch),
		w.text(license),
		w.text("p2pwall"), // origin
		w.text(maintainer),
		w.text(homepage),
		0, // commit in a repository
		0, // build time
		w.int(size),
		0, // size of the package, which an index has
		0, // priority among providers
		w.dependencies(p.depends),
		w.dependencies(p.provides),
	)
	dirVals := make([]adbVal, 0, len(dirs))
	for _, dir := range dirs {
		var fileVals []adbVal
		for _, f := range byDir[dir] {
			sum := sha256.Sum256(f.data)
			fileVals = append(fileVals, w.object(
				w.text(path.Base(f.path)),
				w.acl(uint64(f.mode)),
				w.int(uint64(len(f.data))),
				w.int(uint64(r.time.Unix())),
				w.blob(sum[:]),
			))
		}
		dirVals = append(dirVals, w.object(
			w.text(strings.TrimPrefix(dir, "/")),
			w.acl(0o755),
			w.array(fileVals...),
		))
	}
	postDeinstall := ""
	if p.postrm != "" {
		postDeinstall = "#!/bin/sh\n" + p.postrm
	}
	scripts := w.object(
		0, // trigger
		0, // pre-install
		w.text(apkPostInstall(p.name)),
		w.text(apkPreDeinstall(p.name)),
		w.text(postDeinstall),
		0, // pre-upgrade
		w.text(apkPostUpgrade(p.name)),
	)
	db := w.finish(w.object(info, w.array(dirVals...), scripts))
	id := sha256.Sum256(db)
	copy(db[hashAt:hashAt+20], id[:])

	var out bytes.Buffer
	out.WriteString("ADB.pckg")
	writeBlock(&out, adbBlockADB, db)
	for i, dir := range dirs {
		for j, f := range byDir[dir] {
			if len(f.data) == 0 {
				continue
			}
			head := binary.LittleEndian.AppendUint32(nil, uint32(i+1))
			head = binary.LittleEndian.AppendUint32(head, uint32(j+1))
			writeBlock(&out, adbBlockData, head, f.data)
		}
	}
	return deflate(out.Bytes())
}

// deflate compresses a whole file, which its fourth byte then says.
func deflate(raw []byte) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("ADBd")
	z, err := flate.NewWriter(&out, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(raw); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (w *adbWriter) acl(mode uint64) adbVal {
	return w.object(w.int(mode), w.text("root"), w.text("root"))
}

// dependencies stores a list of names sorted, as apk-tools does and expects.
func (w *adbWriter) dependencies(names []string) adbVal {
	names = slices.Sorted(slices.Values(names))
	vals := make([]adbVal, len(names))
	for i, name := range names {
		vals[i] = w.object(w.text(name))
	}
	return w.array(vals...)
}

// apkLists are the files in which OpenWrt's scripts look up what opkg knew:
// the users to make, the files, and the configuration files with the hashes
// that they were delivered with.
func apkLists(p *pack) []file {
	base := "/lib/apk/packages/" + p.name
	list := func(suffix, text string) file {
		return file{path: base + suffix, mode: 0o644, data: []byte(text)}
	}
	var lists []file
	var paths []string
	var conf, confStatic string
	if p.user != "" {
		lists = append(lists, list(".rusers", p.user+"\n"))
		paths = append(paths, base+".rusers")
	}
	for _, f := range p.files {
		paths = append(paths, f.path)
		if f.conf {
			conf += f.path + "\n"
			confStatic += fmt.Sprintf("%s %x\n", f.path, sha256.Sum256(f.data))
		}
	}
	sort.Strings(paths)
	lists = append(lists, list(".list", strings.Join(paths, "\n")+"\n"))
	if conf != "" {
		lists = append(lists, list(".conffiles", conf), list(".conffiles_static", confStatic))
	}
	return lists
}
