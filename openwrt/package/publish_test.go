// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"compress/flate"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// clone returns a separate checkout of the last commit, with a tag.
func clone(t *testing.T, tag string) *release {
	t.Helper()
	from := testRelease(t)
	if from.commit == "" {
		t.Skip("not part of the source: git's history")
	}
	dir := filepath.Join(t.TempDir(), "clone")
	for _, args := range [][]string{{"clone", "-q", "--shared", from.root, dir}, {"-C", dir, "tag", tag}} {
		if out, err := exec.Command("git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	r, err := openRelease(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRelease makes a release for two architectures and reads it like opkg and apk.
func TestRelease(t *testing.T) {
	r := clone(t, "v9.8.7")
	if r.version != "9.8.7" {
		t.Errorf("the tag is v9.8.7, the version %s", r.version)
	}
	keyDir, dir := filepath.Join(t.TempDir(), "keys"), filepath.Join(t.TempDir(), "release")
	if err := makeRelease(r, "9.8.7", dir, keyDir, "mips_24kc"); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, arch := range append([]string{"mips_24kc"}, sameProgram["mips_24kc"]...) {
		opkg, apk := "opkg/"+arch+"/", "apk/"+arch+"/"
		index := read(opkg + "Packages")
		if !bytes.Equal(gunzip(t, read(opkg+"Packages.gz")), index) {
			t.Errorf("%s: Packages.gz has another content", arch)
		}
		verifyUsign(t, read("p2pwall.pub"), read(opkg+"Packages.sig"), index)
		var names []string
		for _, paragraph := range strings.Split(strings.TrimSpace(string(index)), "\n\n") {
			if !strings.HasPrefix(paragraph, "Package: ") {
				t.Errorf("a package begins with %q", strings.SplitN(paragraph, "\n", 2)[0])
			}
			f := controlFields(paragraph)
			names = append(names, f["Package"]+" "+f["Architecture"])
			data := read(opkg + f["Filename"])
			if f["Size"] != fmt.Sprint(len(data)) || f["SHA256sum"] != fmt.Sprintf("%x", sha256.Sum256(data)) || f["Version"] != "9.8.7-r1" {
				t.Errorf("the index says of %s: %v", f["Filename"], f)
			}
			if p := readIPK(t, data); p.fields["Package"] != f["Package"] || p.fields["Depends"] != f["Depends"] {
				t.Errorf("%s is the package %v", f["Filename"], p.fields)
			}
		}
		want := []string{"p2pwall " + arch, "p2pwall-iptables " + arch, "luci-app-p2pwall all", "luci-i18n-p2pwall-de all"}
		if !slices.Equal(names, want) {
			t.Errorf("opkg finds %q, want %q", names, want)
		}

		db := verifyAPKIndex(t, read("p2pwall.pem"), read(apk+"packages.adb"))
		root := db.list(db.word(4))
		names = nil
		for i := range db.len(root[2]) {
			info := db.list(db.list(root[2])[i+1])
			names = append(names, string(db.blob(info[1]))+" "+string(db.blob(info[5])))
			data := read(apk + string(db.blob(info[1])) + "-" + string(db.blob(info[2])) + ".apk")
			// apk identifies a package by the hash of its database, which is the first block.
			raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(data[4:])))
			if err != nil {
				t.Fatal(err)
			}
			block := raw[12:][:binary.LittleEndian.Uint32(raw[8:])-4]
			if sum := sha256.Sum256(block); !bytes.Equal(db.blob(info[3]), sum[:]) || db.int(info[13]) != len(data) {
				t.Errorf("%s: the index has another package", names[i])
			}
		}
		want = []string{"luci-app-p2pwall noarch", "luci-i18n-p2pwall-de noarch", "p2pwall " + arch}
		if !slices.Equal(names, want) {
			t.Errorf("apk finds %q, want %q", names, want)
		}
	}

	recipe := string(read("recipe/p2pwall/Makefile"))
	for _, want := range []string{
		"PKG_VERSION:=9.8.7\n", "PKG_COMMIT:=" + r.commit + "\n",
		fmt.Sprintf("PKG_HASH:=%x\n", sha256.Sum256(read("p2pwall-9.8.7.tar.gz"))),
	} {
		if !strings.Contains(recipe, want) {
			t.Errorf("the recipe does not have %q", want)
		}
	}
	if changes := string(read("CHANGES.md")); !strings.HasPrefix(changes, "# P2Pwall 9.8.7, 20") || !strings.Contains(changes, "\n- ") {
		t.Errorf("what is new:\n%s", changes)
	}

	sums := read("SHA256SUMS")
	verifyUsign(t, read("p2pwall.pub"), read("SHA256SUMS.sig"), sums)
	cmd := exec.Command("sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// usign is OpenWrt's version of this program.
	if signify, err := exec.LookPath("signify-openbsd"); err == nil {
		out, err := exec.Command(signify, "-V", "-p", dir+"/p2pwall.pub", "-x", dir+"/SHA256SUMS.sig", "-m", dir+"/SHA256SUMS").CombinedOutput()
		if err != nil {
			t.Errorf("signify: %v\n%s", err, out)
		}
	}

	// The next release uses the same keys, so it has the same bytes.
	again := filepath.Join(t.TempDir(), "again")
	if err := makeRelease(r, "9.8.7", again, keyDir, "mips_24kc"); err != nil {
		t.Fatal(err)
	}
	if same, err := os.ReadFile(filepath.Join(again, "SHA256SUMS")); err != nil || !bytes.Equal(same, sums) {
		t.Errorf("the second time it is another release (%v)", err)
	}
	for _, name := range []string{opkgSecret, apkSecret} {
		if info, err := os.Stat(filepath.Join(keyDir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

// verifyUsign checks a signature like usign. It knows only the layout of the two files.
func verifyUsign(t *testing.T, public, signature, data []byte) {
	t.Helper()
	decode := func(text []byte, size int) []byte {
		lines := strings.Split(string(text), "\n")
		if len(lines) != 3 || !strings.HasPrefix(lines[0], "untrusted comment: ") || lines[2] != "" {
			t.Fatalf("not two lines: %q", text)
		}
		out, err := base64.StdEncoding.DecodeString(lines[1])
		if err != nil || len(out) != size || string(out[:2]) != "Ed" {
			t.Fatalf("%v: %q", err, text)
		}
		return out
	}
	key, sig := decode(public, 42), decode(signature, 74)
	if !bytes.Equal(key[2:10], sig[2:10]) {
		t.Errorf("key %x, signed by %x", key[2:10], sig[2:10])
	}
	if !ed25519.Verify(key[10:], data, sig[10:]) {
		t.Error("the signature is wrong")
	}
	if ed25519.Verify(key[10:], append(data, '\n'), sig[10:]) {
		t.Error("the signature is right for other data too")
	}
}

// verifyAPKIndex checks the signature of an index like apk, and returns its database.
func verifyAPKIndex(t *testing.T, public, index []byte) adbReader {
	t.Helper()
	block, _ := pem.Decode(public)
	if block == nil || block.Type != "PUBLIC KEY" {
		t.Fatalf("no public key: %q", public)
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(bytes.TrimPrefix(index, []byte("ADBd")))))
	if err != nil || !bytes.HasPrefix(raw, []byte("ADB.indx")) {
		t.Fatalf("%v: %.8q", err, raw)
	}
	size := binary.LittleEndian.Uint32(raw[8:]) // of a database, kind 0
	db, rest := raw[12:8+size], raw[8+(size+7)&^7:]
	head := binary.LittleEndian.Uint32(rest)
	if head>>30 != 1 || size>>30 != 0 {
		t.Fatalf("the blocks are of kinds %d and %d", size>>30, head>>30)
	}
	sig := rest[4 : head&0x3fffffff]
	// The last 65 bytes of the key are its point. The hash of the point is the key's id.
	id := sha512.Sum512(block.Bytes[len(block.Bytes)-65:])
	if sig[0] != 0 || sig[1] != 4 || !bytes.Equal(sig[2:18], id[:16]) {
		t.Fatalf("signed by % x, the key is % x", sig[:18], id[:16])
	}
	verify := func(db []byte) bool {
		sum := sha512.Sum512(db)
		signed := sha512.Sum512(slices.Concat([]byte("indx"), sig[:18], sum[:]))
		return ecdsa.VerifyASN1(parsed.(*ecdsa.PublicKey), signed[:], sig[18:])
	}
	if !verify(db) {
		t.Error("the signature is wrong")
	}
	if verify(append(bytes.Clone(db), 0)) {
		t.Error("the signature is right for other data too")
	}
	return adbReader(db)
}

func TestReleaseRefuses(t *testing.T) {
	r := clone(t, "v1.2.3")
	keys := filepath.Join(t.TempDir(), "keys")
	for _, test := range []struct{ version, keys, want string }{
		{"one", keys, `"one" is no version`},
		{"1.2.4", keys, "does not have the tag v1.2.4"},
		{"1.2.3", filepath.Join(r.root, "dist"), "lies in the checkout"},
	} {
		err := makeRelease(r, test.version, t.TempDir(), test.keys, "x86_64")
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.version, err, test.want)
		}
	}
	if err := os.WriteFile(r.path("VERSION"), []byte("7\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	dirty, err := openRelease(r.root)
	if err != nil {
		t.Fatal(err)
	}
	if err := makeRelease(dirty, "1.2.3", t.TempDir(), keys, "x86_64"); err == nil || !strings.Contains(err.Error(), "files of the checkout are changed") {
		t.Errorf("changed files: %v", err)
	}
	if _, err := os.Stat(keys); err == nil {
		t.Error("keys were made for a release that was not")
	}
}

func TestKeysThatAreNone(t *testing.T) {
	good, err := newUsignKey()
	if err != nil {
		t.Fatal(err)
	}
	spoiled, err := base64.StdEncoding.DecodeString(strings.Split(string(good.secret()), "\n")[1])
	if err != nil {
		t.Fatal(err)
	}
	spoiled[60] ^= 1
	for _, text := range []string{
		"", "untrusted comment: x\n", "untrusted comment: x\n!\n", string(good.public()), string(usignText("x", spoiled)),
	} {
		if _, err := parseUsignKey([]byte(text)); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
	if k, err := parseUsignKey(good.secret()); err != nil || !k.key.Equal(good.key) || k.number != good.number {
		t.Errorf("the key is another one when it is read: %v", err)
	}
	for _, text := range []string{"", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if _, err := parseAPKKey([]byte(text)); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}
