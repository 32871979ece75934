// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"
)

// TestOverlay has the nanoseconds where a big-endian kernel reads them: in the last
// four of sixteen bytes. That it helps is shown on the emulated router ("sleeps").
func TestOverlay(t *testing.T) {
	last := regexp.MustCompile(`type timespec struct \{\n\ttv_sec +int64\n\t_ +\[4\]byte.*\n\ttv_nsec +int32\n\}`)
	for _, target := range openWrtTargets {
		file, err := target.overlay(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if (file != "") != (target.arch == "mips_24kc") {
			t.Errorf("%s: overlay %q", target.arch, file)
		}
		if file == "" {
			continue
		}
		var overlay struct{ Replace map[string]string }
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &overlay)
		}
		if err != nil || len(overlay.Replace) != 1 {
			t.Fatalf("%v: %s", err, text)
		}
		for _, instead := range overlay.Replace {
			source, err := os.ReadFile(instead)
			if err != nil {
				t.Fatal(err)
			}
			if !last.Match(source) {
				t.Errorf("not in order:\n%s", source)
			}
		}
	}
}
