// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"os"
	"path/filepath"
	"testing"
)

// maxSize is what the stripped program may have on the smallest routers, in
// bytes. The linker rounds its segments to 64 KiB there.
//
// For comparison, built the same way: a program that only opens and asks a
// netlink socket with mdlayher/netlink has 2,293,953 bytes, and one that uses
// what this one uses of the standard library besides, 2,425,025.
const maxSize = 3_545_000

func TestSize(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for another machine")
	}
	file := filepath.Join(t.TempDir(), "p2pwall")
	goTool(t, routers[0].env, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", file, ".")
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > maxSize {
		t.Errorf("the program for mips has %d bytes, %d more than it may have: see what grew with go tool nm -size -sort size",
			info.Size(), info.Size()-maxSize)
	}
}
