// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// keys are the two keys of a release: opkg and apk use different kinds. The first release
// creates them, outside the checkout. Anybody who has them can install any program on every
// router that uses this feed.
type keys struct {
	opkg *usignKey
	apk  *ecdsa.PrivateKey
}

// Names of the secret keys in their directory, and of the public keys in a release.
const (
	opkgSecret = "p2pwall.sec"
	opkgPublic = "p2pwall.pub"
	apkSecret  = "p2pwall-secret.pem"
	apkPublic  = "p2pwall.pem"
)

// openKeys reads the keys from a directory, and creates missing ones.
func openKeys(dir, checkout string) (*keys, error) {
	if dir == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return nil, fmt.Errorf("no folder for the keys: name one with -keys (%w)", err)
		}
		dir = filepath.Join(config, "p2pwall")
	}
	if err := outside(dir, checkout); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	k := &keys{}
	err := keyFile(filepath.Join(dir, opkgSecret),
		func(text []byte) (err error) { k.opkg, err = parseUsignKey(text); return err },
		func() ([]byte, error) {
			key, err := newUsignKey()
			if err != nil {
				return nil, err
			}
			return key.secret(), nil
		})
	if err != nil {
		return nil, err
	}
	return k, keyFile(filepath.Join(dir, apkSecret),
		func(text []byte) (err error) { k.apk, err = parseAPKKey(text); return err }, newAPKKey)
}

// outside reports an error if a directory is in the checkout, where somebody might commit a
// key.
func outside(dir, checkout string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if checkout, err = filepath.Abs(checkout); err != nil {
		return err
	}
	rel, err := filepath.Rel(checkout, dir)
	if err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
		return fmt.Errorf("%s lies in the checkout: name a folder for the keys outside of it with -keys", dir)
	}
	return nil
}

// keyFile reads a key from a file. If there is no file, it creates a key and writes it.
func keyFile(name string, parse func([]byte) error, make func() ([]byte, error)) error {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = make(); err != nil {
			return err
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "package: made the key %s: keep it secret, and keep a copy\n", name)
	} else if err != nil {
		return err
	}
	if err := parse(text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// A usignKey signs for opkg, in the format of OpenWrt's usign and OpenBSD's signify: a
// comment line, then base64 of "Ed", the key's number, and the key or signature.
type usignKey struct {
	number [8]byte
	key    ed25519.PrivateKey
}

func newUsignKey() (*usignKey, error) {
	k := &usignKey{}
	if _, err := rand.Read(k.number[:]); err != nil {
		return nil, err
	}
	var err error
	_, k.key, err = ed25519.GenerateKey(rand.Reader)
	return k, err
}

func usignText(comment string, parts ...[]byte) []byte {
	var data []byte
	for _, p := range parts {
		data = append(data, p...)
	}
	return fmt.Appendf(nil, "untrusted comment: %s\n%s\n", comment, base64.StdEncoding.EncodeToString(data))
}

// secret returns the secret key without a password: "BK", zero rounds, an unused salt, and a
// checksum.
func (k *usignKey) secret() []byte {
	sum := sha512.Sum512(k.key)
	return usignText("private key "+k.name(), []byte("EdBK"), make([]byte, 4+16), sum[:8], k.number[:], k.key)
}

func parseUsignKey(text []byte) (*usignKey, error) {
	_, line, _ := strings.Cut(string(text), "\n")
	data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
	if err != nil || len(data) != 104 || string(data[:4]) != "EdBK" || string(data[4:8]) != "\x00\x00\x00\x00" {
		return nil, errors.New("not a secret key of usign without a password")
	}
	sum := sha512.Sum512(data[40:])
	if string(sum[:8]) != string(data[24:32]) {
		return nil, errors.New("the key's checksum is wrong")
	}
	k := &usignKey{key: ed25519.PrivateKey(data[40:])}
	copy(k.number[:], data[32:])
	return k, nil
}

// name returns the key's number. The key's file in /etc/opkg/keys has this name.
func (k *usignKey) name() string { return fmt.Sprintf("%x", k.number) }

func (k *usignKey) public() []byte {
	return usignText("P2Pwall's packages, public key "+k.name(), []byte("Ed"), k.number[:], k.key.Public().(ed25519.PublicKey))
}

func (k *usignKey) sign(data []byte) []byte {
	return usignText("signed by key "+k.name(), []byte("Ed"), k.number[:], ed25519.Sign(k.key, data))
}

func newAPKKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func parseAPKKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("not a key in PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok || ec.Curve != elliptic.P256() {
		return nil, errors.New("not a key of the curve P-256")
	}
	return ec, nil
}

func apkPublicKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), err
}
