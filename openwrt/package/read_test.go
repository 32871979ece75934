// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"archive/tar"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"
)

// A readPack is a package as a package manager reads it.
type readPack struct {
	fields  map[string]string // control fields; those of apk under their ipk names
	scripts map[string]string
	conf    []string
	files   map[string]readFile
	dirs    map[string]fs.FileMode
}

type readFile struct {
	mode  fs.FileMode
	owner string
	data  []byte
}

func gunzip(t *testing.T, data []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func eachEntry(t *testing.T, archive []byte, f func(h *tar.Header, data []byte)) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		f(h, data)
	}
}

// readIPK unpacks an ipk: a gzip tar with the version of the format and two more tars.
func readIPK(t *testing.T, data []byte) *readPack {
	t.Helper()
	parts := map[string][]byte{}
	var order []string
	eachEntry(t, gunzip(t, data), func(h *tar.Header, data []byte) {
		name := strings.TrimPrefix(h.Name, "./")
		order = append(order, name)
		parts[name] = data
	})
	if got := strings.Join(order, " "); got != "debian-binary control.tar.gz data.tar.gz" {
		t.Fatalf("the parts are %q", got)
	}
	if got := string(parts["debian-binary"]); got != "2.0\n" {
		t.Fatalf("debian-binary is %q", got)
	}
	p := &readPack{fields: map[string]string{}, scripts: map[string]string{}, files: map[string]readFile{}, dirs: map[string]fs.FileMode{}}
	eachEntry(t, gunzip(t, parts["control.tar.gz"]), func(h *tar.Header, data []byte) {
		switch name := strings.TrimPrefix(h.Name, "./"); name {
		case "control":
			p.fields = controlFields(string(data))
		case "conffiles":
			p.conf = strings.Fields(string(data))
		default:
			if h.Mode != 0o755 {
				t.Errorf("script %s has mode %o", name, h.Mode)
			}
			p.scripts[name] = string(data)
		}
	})
	p.readData(t, gunzip(t, parts["data.tar.gz"]))
	return p
}

func (p *readPack) readData(t *testing.T, archive []byte) {
	t.Helper()
	eachEntry(t, archive, func(h *tar.Header, data []byte) {
		name := path.Clean("/" + h.Name)
		owner := fmt.Sprintf("%d:%d", h.Uid, h.Gid)
		if h.Typeflag == tar.TypeDir {
			p.dirs[name] = fs.FileMode(h.Mode)
			return
		}
		if h.Typeflag != tar.TypeReg {
			t.Errorf("%s is no regular file", name)
		}
		p.files[name] = readFile{fs.FileMode(h.Mode), owner, data}
	})
}

// controlFields reads Debian's control syntax. Of the description it keeps the first line.
func controlFields(text string) map[string]string {
	fields := map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok && line[0] != ' ' {
			fields[name] = value
		}
	}
	return fields
}

// An adbReader follows the references in an apk's database.
type adbReader []byte

func (r adbReader) word(at int) uint32 { return binary.LittleEndian.Uint32(r[at:]) }

// list returns the values of an object or array, with indexes from one.
func (r adbReader) list(v uint32) []uint32 {
	if v == 0 {
		return make([]uint32, 32)
	}
	at := int(v &^ 0xf0000000)
	n := int(r.word(at))
	vals := make([]uint32, max(n, 32))
	for i := 1; i < n; i++ {
		vals[i] = r.word(at + 4*i)
	}
	return vals
}

func (r adbReader) len(v uint32) int {
	if v == 0 {
		return 0
	}
	return int(r.word(int(v&^0xf0000000))) - 1
}

func (r adbReader) blob(v uint32) []byte {
	at := int(v &^ 0xf0000000)
	switch v >> 28 {
	case 0x8:
		return r[at+1:][:r[at]]
	case 0x9:
		return r[at+2:][:binary.LittleEndian.Uint16(r[at:])]
	case 0xa:
		return r[at+4:][:r.word(at)]
	}
	return nil
}

func (r adbReader) int(v uint32) int {
	switch v >> 28 {
	case 0x1:
		return int(v &^ 0xf0000000)
	case 0x2:
		return int(r.word(int(v &^ 0xf0000000)))
	}
	return 0
}

func (r adbReader) names(v uint32) string {
	var names []string
	for i := range r.len(v) {
		names = append(names, string(r.blob(r.list(r.list(v)[i+1])[1])))
	}
	return strings.Join(names, ", ")
}

// readAPK unpacks an apk of format 3 and checks the hashes in it.
func readAPK(t *testing.T, data []byte) *readPack {
	t.Helper()
	body, ok := bytes.CutPrefix(data, []byte("ADBd"))
	if !ok {
		t.Fatal("not a compressed apk 3")
	}
	raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	rest, ok := bytes.CutPrefix(raw, []byte("ADB.pckg"))
	if !ok {
		t.Fatal("not a package")
	}
	var blocks [][]byte
	for len(rest) > 0 {
		size := int(binary.LittleEndian.Uint32(rest) & 0x3fffffff)
		if kind := rest[3] >> 6; (kind == 0) != (blocks == nil) || kind == 1 || kind == 3 {
			t.Fatalf("block %d is of kind %d", len(blocks), kind)
		}
		blocks = append(blocks, rest[4:size])
		rest = rest[(size+7)&^7:]
	}
	r := adbReader(blocks[0])
	root := r.list(r.word(4))
	info := r.list(root[1])
	p := &readPack{scripts: map[string]string{}, files: map[string]readFile{}, dirs: map[string]fs.FileMode{}}
	p.fields = map[string]string{
		"Package": string(r.blob(info[1])), "Version": string(r.blob(info[2])), "Architecture": string(r.blob(info[5])),
		"License": string(r.blob(info[6])), "Maintainer": string(r.blob(info[8])), "URL": string(r.blob(info[9])),
		"Depends": r.names(info[15]), "Provides": r.names(info[16]),
	}
	// The unique id is the hash of the database with zeros in place of the id.
	id := bytes.Clone(r.blob(info[3]))
	clear(r.blob(info[3]))
	if sum := sha256.Sum256(r); !bytes.Equal(id, sum[:20]) {
		t.Errorf("the unique id is %x, the database has %x", id, sum[:20])
	}
	for i, name := range []string{"trigger", "pre-install", "post-install", "pre-deinstall", "post-deinstall", "pre-upgrade", "post-upgrade"} {
		if s := r.blob(r.list(root[3])[i+1]); s != nil {
			p.scripts[name] = string(s)
		}
	}
	contents := map[[2]int][]byte{}
	for _, b := range blocks[1:] {
		at := [2]int{int(binary.LittleEndian.Uint32(b)), int(binary.LittleEndian.Uint32(b[4:]))}
		contents[at] = b[8:]
	}
	for i := range r.len(root[2]) {
		dir := r.list(r.list(root[2])[i+1])
		dirName := path.Clean("/" + string(r.blob(dir[1])))
		p.dirs[dirName] = fs.FileMode(r.int(r.list(dir[2])[1]))
		for j := range r.len(dir[3]) {
			f := r.list(r.list(dir[3])[j+1])
			acl := r.list(f[2])
			name := path.Join(dirName, string(r.blob(f[1])))
			data := contents[[2]int{i + 1, j + 1}]
			if sum := sha256.Sum256(data); !bytes.Equal(sum[:], r.blob(f[5])) || r.int(f[3]) != len(data) {
				t.Errorf("%s: the size or the hash is another's", name)
			}
			owner := string(r.blob(acl[2])) + ":" + string(r.blob(acl[3]))
			p.files[name] = readFile{fs.FileMode(r.int(acl[1])), owner, data}
		}
	}
	p.conf = strings.Fields(string(p.files["/lib/apk/packages/"+p.fields["Package"]+".conffiles"].data))
	return p
}
