// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"
)

// An apkFile is a package for apk-tools 3. The other fields are for the index; the pack does
// not have them.
type apkFile struct {
	data      []byte
	hash      [sha256.Size]byte // of the database; apk identifies the package by it
	installed uint64            // bytes
}

// Fields of a package's description in a database, counted from 0.
const (
	apkUniqueID  = 2
	apkInstalled = 11
	apkFileSize  = 12
)

// apkInfo returns the values of a package's description in a database. The caller adds the
// fields named above.
func (w *adbWriter) apkInfo(r *release, p *pack) []adbVal {
	arch := p.arch
	if arch == archAll {
		arch = "noarch"
	}
	return []adbVal{
		w.text(p.name),
		w.text(r.packageVersion()),
		0, // unique id
		w.text(strings.Join(strings.Fields(p.description), " ")),
		w.text(arch),
		w.text(license),
		w.text("p2pwall"), // origin
		w.text(maintainer),
		w.text(homepage),
		0, // commit in a repository
		0, // build time
		0, // installed size
		0, // size of the package, only in an index
		0, // priority among providers
		w.dependencies(p.depends),
		w.dependencies(p.provides),
	}
}

// apk writes a package in the format of apk-tools 3, for OpenWrt 25.12 and later. It has no
// signature, because the index is signed. The package's unique id is the hash of the
// database, computed with zeros in place of the id.
func (r *release) apk(p *pack) (*apkFile, error) {
	// The data of the files follow in the order of the database's paths: by directory, then
	// by name.
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

	// apk-tools stores the values in this order. Another order would be valid too, but this
	// one allows a comparison of bytes.
	w := newADB()
	info := w.apkInfo(r, p)
	dirVals := make([]adbVal, len(dirs))
	for i, dir := range dirs {
		var fileVals []adbVal
		for _, f := range byDir[dir] {
			fileVals = append(fileVals, w.file(f, r.time.Unix()))
		}
		name := w.text(strings.TrimPrefix(dir, "/"))
		acl := w.acl(0o755)
		dirVals[i] = w.object(name, acl, w.object(fileVals...))
	}
	info[apkInstalled] = w.int(size)
	var idAt int
	info[apkUniqueID], idAt = w.hole(20)
	infoVal, pathsVal := w.object(info...), w.object(dirVals...)
	db := w.finish(w.object(infoVal, pathsVal, w.apkScripts(p)))
	id := sha256.Sum256(db)
	copy(db[idAt:idAt+20], id[:])

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
	data, err := deflate(out.Bytes())
	return &apkFile{data: data, hash: sha256.Sum256(db), installed: size}, err
}

// deflate compresses a whole file and says so in its fourth byte.
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

// apkScripts stores the scripts that run when the package comes and goes.
func (w *adbWriter) apkScripts(p *pack) adbVal {
	postDeinstall := ""
	if p.postrm != "" {
		postDeinstall = "#!/bin/sh\n" + p.postrm
	}
	return w.object(
		0, // trigger
		0, // pre-install
		w.text(apkPostInstall(p.name)),
		w.text(apkPreDeinstall(p.name)),
		w.text(postDeinstall),
		0, // pre-upgrade
		w.text(apkPostUpgrade(p.name)),
	)
}

func (w *adbWriter) file(f file, mtime int64) adbVal {
	sum := sha256.Sum256(f.data)
	name, hash, time, size := w.text(path.Base(f.path)), w.blob(sum[:]), w.int(uint64(mtime)), w.int(uint64(len(f.data)))
	return w.object(name, w.acl(uint64(f.mode)), size, time, hash)
}

func (w *adbWriter) acl(mode uint64) adbVal {
	return w.object(w.int(mode), w.text("root"), w.text("root"))
}

// dependencies stores a list of names. apk-tools expects it sorted.
func (w *adbWriter) dependencies(names []string) adbVal {
	byName := map[string]adbVal{}
	for _, name := range names {
		byName[name] = w.object(w.text(name))
	}
	var vals []adbVal
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		vals = append(vals, byName[name])
	}
	return w.object(vals...)
}

// apkLists are the files that give OpenWrt's scripts the data that opkg had itself: the users
// to create, the list of files, and the configuration files with their original hashes.
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
