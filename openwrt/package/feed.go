// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// A feed is a directory of packages for one architecture, with the indexes that opkg and apk
// read.
type feed struct {
	dir string // in the release, below "opkg" or "apk"

	packages strings.Builder // opkg's index
	apk      *adbWriter
	apkInfos map[string]adbVal
}

func newFeed(dir string) *feed {
	return &feed{dir: dir, apk: newADB(), apkInfos: map[string]adbVal{}}
}

// add writes a package into the feed: as ipk, and as apk if the OpenWrt releases with apk
// have the package.
func (f *feed) add(o *output, r *release, p *pack, apk bool) error {
	data, err := r.ipk(p)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s_%s_%s.ipk", p.name, r.packageVersion(), p.arch)
	control, err := ipkControl(data)
	if err != nil {
		return err
	}
	// The name must come first: for LuCI, the line with the name starts a new package.
	first := "Package: " + p.name + "\n"
	fmt.Fprintf(&f.packages, "%sFilename: %s\nSize: %d\nSHA256sum: %x\n%s\n\n",
		first, name, len(data), sha256.Sum256(data), strings.TrimRight(strings.Replace(control, first, "", 1), "\n"))
	if err := o.write(path.Join("opkg", f.dir, name), data); err != nil || !apk {
		return err
	}
	a, err := r.apk(p)
	if err != nil {
		return err
	}
	info := f.apk.apkInfo(r, p)
	info[apkUniqueID] = f.apk.blob(a.hash[:])
	info[apkInstalled] = f.apk.int(a.installed)
	info[apkFileSize] = f.apk.int(uint64(len(a.data)))
	f.apkInfos[p.name] = f.apk.object(info...)
	// apk builds the name of the file from the package's name and version.
	return o.write(path.Join("apk", f.dir, p.name+"-"+r.packageVersion()+".apk"), a.data)
}

// finish writes the indexes and signs them.
func (f *feed) finish(o *output, k *keys) error {
	index := []byte(f.packages.String())
	apk, err := f.apkIndex(k.apk)
	return errors.Join(err,
		o.write(path.Join("opkg", f.dir, "Packages"), index),
		o.write(path.Join("opkg", f.dir, "Packages.gz"), gzipped(index)),
		o.write(path.Join("opkg", f.dir, "Packages.sig"), k.opkg.sign(index)),
		o.write(path.Join("apk", f.dir, "packages.adb"), apk))
}

// apkIndex returns a signed index for apk-tools 3.
func (f *feed) apkIndex(key *ecdsa.PrivateKey) ([]byte, error) {
	const schema = "indx"
	var infos []adbVal
	for _, name := range sortedKeys(f.apkInfos) {
		infos = append(infos, f.apkInfos[name])
	}
	description := f.apk.text("P2Pwall")
	db := f.apk.finish(f.apk.object(description, f.apk.object(infos...)))

	// The signature covers the schema, its own head and the hash of the database. The head
	// has version 0, SHA-512, and the id of the key.
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	id := sha512.Sum512(public)
	head := append([]byte{0, 4}, id[:16]...)
	sum := sha512.Sum512(db)
	signed := sha512.Sum512(slices.Concat([]byte(schema), head, sum[:]))
	// Without a random source, the same data gives the same signature.
	signature, err := key.Sign(nil, signed[:], crypto.SHA512)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("ADB." + schema)
	writeBlock(&out, adbBlockADB, db)
	writeBlock(&out, adbBlockSig, head, signature)
	return deflate(out.Bytes())
}

// ipkControl returns the description of a package from its ipk.
func ipkControl(ipk []byte) (string, error) {
	control, err := tarMember(ipk, "control.tar.gz")
	if err != nil {
		return "", err
	}
	text, err := tarMember(control, "control")
	return string(text), err
}

// tarMember returns a file of a gzip-compressed tar archive.
func tarMember(archive []byte, name string) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	for in := tar.NewReader(z); ; {
		head, err := in.Next()
		if err == io.EOF {
			return nil, fmt.Errorf("no %s in the archive", name)
		}
		if err != nil {
			return nil, err
		}
		if path.Clean(head.Name) == name {
			return io.ReadAll(in)
		}
	}
}
