// SPDX-License-Identifier: GPL-2.0-or-later

package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/p2pwall/p2pwall/detect"
)

// documented is what docs/configuration.md says: the defaults in UCI syntax, and the options
// of the main section and of the protocols that it explains.
type documented struct {
	uci       string
	main      map[string]bool
	explained map[string]bool
	protocols map[string][]string // options of each protocol
	policy    map[string]bool
	notify    map[string]bool
	host      map[string]bool
}

// readDocument reads the tables of docs/configuration.md.
func readDocument(t *testing.T) documented {
	t.Helper()
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	d := documented{main: map[string]bool{}, explained: map[string]bool{}, policy: map[string]bool{}, notify: map[string]bool{}, host: map[string]bool{}, protocols: map[string][]string{}}
	row := regexp.MustCompile("^\\| (list )?`(\\w+)` \\|(.*)\\|$")
	word := regexp.MustCompile("^`([^`]*)`$")
	var section string
	var names []string // of protocols, in the header of the table
	sections := map[string]string{}
	for _, line := range strings.Split(string(text), "\n") {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section, names = title, nil
		}
		if strings.HasPrefix(line, "| option |") {
			names = nil
			for _, c := range strings.Split(line, "|")[2:] {
				if m := word.FindStringSubmatch(strings.TrimSpace(c)); m != nil {
					names = append(names, m[1])
				}
			}
		}
		m := row.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		kind, name, cells := "option", m[2], strings.Split(m[3], "|")
		if m[1] != "" {
			kind = "list"
		}
		switch {
		case section == "`config p2pwall 'main'`":
			d.main[name] = true
			if v := word.FindStringSubmatch(strings.TrimSpace(cells[0])); v != nil {
				sections["p2pwall 'main'"] += "\t" + kind + " " + name + " '" + v[1] + "'\n"
			}
		case section == "`config policy`":
			d.policy[name] = true
		case section == "`config notify`":
			d.notify[name] = true
		case section == "`config host`":
			d.host[name] = true
		case section == "`config protocol`" && names == nil:
			d.explained[name] = true
		case section == "`config protocol`":
			for i, p := range names {
				v := strings.TrimSpace(cells[i])
				if v == "-" {
					continue
				}
				d.protocols[p] = append(d.protocols[p], name)
				if w := word.FindStringSubmatch(v); w != nil {
					sections["protocol '"+p+"'"] += "\t" + kind + " " + name + " '" + w[1] + "'\n"
				}
			}
		}
	}
	for title, options := range sections {
		d.uci += "config " + title + "\n" + options
	}
	return d
}

// TestDocumented: docs/configuration.md has each option of the parser, with the right
// default.
func TestDocumented(t *testing.T) {
	d := readDocument(t)
	got, err := Parse(strings.NewReader(d.uci), "docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	same(t, Default(), got)

	// The options of the main section are the cases of two switches.
	source, err := os.ReadFile("schema.go")
	if err != nil {
		t.Fatal(err)
	}
	from := strings.Index(string(source), "\nfunc (d *decoder) mainOption(")
	to := strings.Index(string(source), "\n// protocol decodes")
	cases := regexp.MustCompile(`(?m)^\tcase "(\w+)":`).FindAllStringSubmatch(string(source[from:to]), -1)
	if len(cases) < 20 {
		t.Fatalf("only %d options are found in schema.go", len(cases))
	}
	for _, c := range cases {
		if !d.main[c[1]] {
			t.Errorf("docs/configuration.md lacks the option %s", c[1])
		}
		delete(d.main, c[1])
	}
	for name := range d.main {
		t.Errorf("docs/configuration.md explains %s, which the parser does not know", name)
	}
	for _, name := range strings.Fields(policyOptions) {
		if !d.policy[name] {
			t.Errorf("docs/configuration.md lacks the option %s of a policy", name)
		}
	}
	if n := len(strings.Fields(policyOptions)); len(d.policy) != n {
		t.Errorf("docs/configuration.md has %d options for a policy, want %d", len(d.policy), n)
	}
	for _, name := range strings.Fields(notifyOptions) {
		if !d.notify[name] {
			t.Errorf("docs/configuration.md lacks the option %s of a notify section", name)
		}
	}
	if n := len(strings.Fields(notifyOptions)); len(d.notify) != n {
		t.Errorf("docs/configuration.md has %d options for a notify section, want %d", len(d.notify), n)
	}
	for _, name := range strings.Fields(hostOptions) {
		if !d.host[name] {
			t.Errorf("docs/configuration.md lacks the option %s of a host section", name)
		}
	}
	for _, p := range detect.All {
		for _, name := range Options(p) {
			if !hasWord(strings.Join(d.protocols[p.Name], " "), name) {
				t.Errorf("docs/configuration.md has no default for %s of %s", name, p.Name)
			}
			if !d.explained[name] {
				t.Errorf("docs/configuration.md does not explain %s", name)
			}
		}
		if n := len(Options(p)); len(d.protocols[p.Name]) != n {
			t.Errorf("docs/configuration.md has %d options for %s, want %d", len(d.protocols[p.Name]), p.Name, n)
		}
	}
}
