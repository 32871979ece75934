// SPDX-License-Identifier: GPL-2.0-or-later

// Command compare joins the tables of several runs of bench/clients in one table, to
// compare two programs (P2PWALL_BIN) or two revisions.
//
//	P2PWALL_RESULTS=a.txt P2PWALL_BIN=old go test -run TestWall ./bench/clients -all
//	P2PWALL_RESULTS=b.txt P2PWALL_BIN=new go test -run TestWall ./bench/clients -all
//	go run ./bench/clients/compare a.txt b.txt
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: compare FILE...")
		os.Exit(2)
	}
	var texts []string
	for _, f := range os.Args[1:] {
		text, err := os.ReadFile(f)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		texts = append(texts, string(text))
	}
	names := os.Args[1:]
	for i, f := range names {
		names[i] = strings.TrimSuffix(filepath.Base(f), filepath.Ext(f))
	}
	fmt.Print(compare(names, texts))
}

// compare makes one row for each client in each situation. A cell has the four figures of
// one run. "-" means that this run has no such row.
func compare(names, texts []string) string {
	cells := map[string][]string{}
	for i, text := range texts {
		for key, figures := range table(text) {
			if cells[key] == nil {
				cells[key] = slices.Repeat([]string{"-"}, len(texts))
			}
			cells[key][i] = figures
		}
	}
	var keys []string
	for k := range cells {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	fmt.Fprintf(&b, "Each cell: found after; bytes of pieces after 2 s; looks without lock; released after.\n\n")
	fmt.Fprintf(&b, "| situation | client | %s |\n|---|---|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for _, k := range keys {
		fmt.Fprintf(&b, "| %s | %s |\n", k, strings.Join(cells[k], " | "))
	}
	return b.String()
}

// table reads the rows of a run. The key is situation and client, the value the figures.
func table(text string) map[string]string {
	rows := map[string]string{}
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), "|")
		if len(f) != 8 || strings.HasPrefix(f[1], "---") {
			continue
		}
		for i := range f {
			f[i] = strings.TrimSpace(f[i])
		}
		if f[1] != "client" {
			rows[f[2]+" | "+f[1]] = strings.Join(f[3:7], "; ")
		}
	}
	return rows
}
