// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/p2pwall/p2pwall/bench/lab"
)

// command runs a program with its output in the preparation log. If the program fails,
// the error has the last lines of its output.
func (b *bed) command(dir string, env []string, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), env...)
	c.Stdin = nil
	out, err := os.OpenFile(filepath.Join(b.cache, "prepare.log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	begin, err := out.Seek(0, 2)
	if err != nil {
		return err
	}
	c.Stdout, c.Stderr = out, out
	if err := c.Run(); err != nil {
		text, _ := os.ReadFile(out.Name())
		text = text[min(int(begin), len(text)):]
		if len(text) > 2000 {
			text = text[len(text)-2000:]
		}
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, text)
	}
	return nil
}

// install installs the host packages that are missing for a machine; tools.sh lists them.
func (b *bed) install(what string) error {
	return b.command("", nil, "sh", "bench/tools.sh", "router", what)
}

// digest returns the name of a cached piece: a digest of its inputs.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// once makes a cached folder.
func (b *bed) once(name string, make func(dir string) error) (string, error) {
	dir := filepath.Join(b.cache, name)
	return dir, lab.Once(dir, func(part string) error {
		b.say("making %s", name)
		return make(part)
	})
}
