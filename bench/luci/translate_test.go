// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the catalogs anew from the views")

const (
	templateHeader = `"Content-Type: text/plain; charset=UTF-8"`
	germanHeader   = `""
"Language: de\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: nplurals=2; plural=n != 1;\n"`
)

// TestCatalogs shows that the template has exactly the texts of the app, and that the
// German catalog translates all of them.
func TestCatalogs(t *testing.T) {
	messages, err := Messages(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(messages) < 100 {
		t.Fatalf("only %d messages were found", len(messages))
	}
	template := filepath.Join(root, appDir, "po/templates/p2pwall.pot")
	german := filepath.Join(root, appDir, "po/de/p2pwall.po")
	words, err := ReadPO(german)
	if err != nil && !*update {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		template: Catalog(messages, templateHeader, nil),
		german:   Catalog(messages, germanHeader, words),
	} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what the views say: go test ./bench/luci -run TestCatalogs -update", file)
		}
	}
	verb := regexp.MustCompile(`%[a-z]`)
	for _, m := range messages {
		de := words[m.Text]
		if de == "" {
			t.Errorf("no German for %q", m.Text)
			continue
		}
		if a, b := strings.Join(verb.FindAllString(m.Text, -1), ""), strings.Join(verb.FindAllString(de, -1), ""); a != b {
			t.Errorf("%q has the places %s, the German %q has %s", m.Text, a, de, b)
		}
		if strings.ContainsAny(m.Text+de, "<>") {
			t.Errorf("%q or %q holds markup", m.Text, de)
		}
	}
}
