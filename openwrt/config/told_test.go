// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"os"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/detect"
)

// TestTold shows that README and man page name each protocol.
func TestTold(t *testing.T) {
	for file, words := range map[string]func(p *detect.Protocol) []string{
		"../../README.md":     func(p *detect.Protocol) []string { return []string{p.Title} },
		"../debian/p2pwall.8": func(p *detect.Protocol) []string { return []string{p.Title, p.Name} },
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range detect.All {
			for _, w := range words(p) {
				if !strings.Contains(strings.Join(strings.Fields(string(text)), " "), w) {
					t.Errorf("%s does not say %q", file, w)
				}
			}
		}
	}
}
