// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/p2pwall/p2pwall/cmd/p2pwall-replay/replay"
	"github.com/p2pwall/p2pwall/detect"
	"github.com/p2pwall/p2pwall/nfq"
	"github.com/p2pwall/p2pwall/state"
)

func main() {
	dir := flag.String("dir", "bench/corpus/captures", "`directory` with captures, manifest.tsv and flows.tsv")
	verbose := flag.Bool("v", false, "list the flows of the positives")
	flag.Parse()
	os.Exit(run(*dir, *verbose, os.Stdout, os.Stderr))
}

func text(a nfq.AddrPort) string { return netip.AddrPortFrom(a.Addr.Netip(), a.Port).String() }

// row is one line of the table.
type row struct {
	class, label string
	flows, mse   int
	hits         [detect.MaxProtocols]int
	cut          int // flows that are cut when their LAN host is locked
}

// corpus has the class and the labels of the captures, and the flows that were seen.
type corpus struct {
	class  map[string]string // by file
	labels map[string]string // by file and flow
	seen   map[string]bool   // by file and flow: whether it had payload
}

func run(dir string, verbose bool, stdout, stderr io.Writer) int {
	c, files, err := load(dir)
	if err != nil {
		fmt.Fprintf(stderr, "corpus: %v\n", err)
		return 2
	}
	rows := map[[2]string]*row{}
	var total row
	var wrong, cuts, notes []string
	for _, file := range files {
		path := filepath.Join(dir, file)
		class, negative := c.class[file], c.negative(file)
		var all *lock
		if negative {
			all = newLock()
		}
		flows, err := flowsOf(path, all)
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s: %v", file, err))
		}
		for _, x := range flows {
			name := x.name(file)
			c.seen[name] = x.payload
			if !x.payload {
				continue
			}
			label := c.label(file, name)
			r := rows[[2]string{class, label}]
			if r == nil {
				r = &row{class: class, label: label}
				rows[[2]string{class, label}] = r
			}
			r.count(x)
			hit := ""
			for i, p := range detect.All {
				if x.hits[i] != "" {
					hit += " " + p.Title + " (" + x.hits[i] + ")"
				}
			}
			switch {
			case negative:
				total.count(x)
				if hit != "" {
					wrong = append(wrong, fmt.Sprintf("%s: %v, %s:%s", file, x, label, hit))
				}
				switch f := &x.locked; {
				case hit != "": // reported already
				case f.cut && f.shape == "":
					wrong = append(wrong, fmt.Sprintf("%s: %v, %s: a lock cuts it", file, x, label))
				case f.cut:
					cuts = append(cuts, fmt.Sprintf("%s: %v, %s: %s", file, x, label, f.shape))
				}
			case verbose:
				if hit == "" {
					hit = " -"
				}
				notes = append(notes, fmt.Sprintf("%s: %v, %s:%s", file, x, label, hit))
			}
		}
		if negative {
			wrong = append(wrong, engine(path, file)...)
		}
	}
	labels, apart := c.reconcile()
	if verbose {
		notes = append(notes, apart...)
	}
	table(stdout, rows, &total)
	for _, n := range notes {
		fmt.Fprintln(stdout, "note:", n)
	}
	for _, w := range wrong {
		fmt.Fprintln(stdout, "FALSE POSITIVE:", w)
	}
	for _, s := range cuts {
		fmt.Fprintln(stdout, "cut if locked:", s)
	}
	fmt.Fprintln(stdout, labels)
	fmt.Fprintf(stdout, "%d captures, %d negative flows with payload, %d false positives, %d flows that a lock cuts by their shape\n",
		len(files), total.flows, len(wrong), len(cuts))
	if len(wrong) > 0 {
		return 1
	}
	return 0
}

// everything is a configuration that blocks every known protocol.
func everything() state.Config {
	cfg := state.DefaultConfig()
	for i := range detect.All {
		cfg.Protocols[i].Mode = state.Block
	}
	return cfg
}

// engine replays a negative capture and returns what the engine found in it.
func engine(path, file string) []string {
	r, _ := replay.Run(path, replay.Options{Engine: everything()}) // damage was reported already
	if r == nil {
		return nil
	}
	var out []string
	for _, x := range r.Clients {
		out = append(out, fmt.Sprintf("%s: the engine takes %s for %s (%s to %s)", file, x.Address, x.Title, x.Reason, x.Peer))
	}
	return out
}

func (r *row) count(x *flow) {
	r.flows++
	for i := range detect.All {
		if x.hits[i] != "" {
			r.hits[i]++
		}
	}
	if x.mse {
		r.mse++
	}
	if x.locked.cut {
		r.cut++
	}
}

func table(w io.Writer, rows map[[2]string]*row, total *row) {
	list := make([]*row, 0, len(rows))
	for _, r := range rows {
		list = append(list, r)
	}
	sort.Slice(list, func(i, j int) bool {
		a, b := list[i], list[j]
		if a.class != b.class {
			return a.class > b.class // positives first
		}
		return a.label < b.label
	})
	total.class, total.label = "neg, hardneg", "all"
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "class\tlabel\tflows\t")
	for _, p := range detect.All {
		fmt.Fprintf(t, "%s\trecall\t", p.Name)
	}
	fmt.Fprintln(t, "mse\tcut if locked\t")
	for _, r := range append(list, total) {
		fmt.Fprintf(t, "%s\t%s\t%d\t", r.class, r.label, r.flows)
		for i := range detect.All {
			fmt.Fprintf(t, "%d\t%s\t", r.hits[i], percent(r.hits[i], r.flows))
		}
		fmt.Fprintf(t, "%d\t%d\t\n", r.mse, r.cut)
	}
	t.Flush()
}

func percent(n, of int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%d %%", 100*n/of)
}

// load reads the two lists and the names of the captures.
func load(dir string) (*corpus, []string, error) {
	c := &corpus{class: map[string]string{}, labels: map[string]string{}, seen: map[string]bool{}}
	err := lines(filepath.Join(dir, "manifest.tsv"), 4, func(f []string) { c.class[f[0]] = f[3] })
	if err == nil {
		err = lines(filepath.Join(dir, "flows.tsv"), 5, func(f []string) { c.labels[flowName(f[0], f[1], f[2], f[3])] = f[4] })
	}
	if err != nil {
		return nil, nil, err
	}
	var files []string
	for file := range c.class {
		switch filepath.Ext(strings.TrimSuffix(file, ".gz")) {
		case ".pcap", ".pcapng":
			files = append(files, file)
		}
	}
	sort.Strings(files)
	if len(files) == 0 {
		return nil, nil, fmt.Errorf("%s: no captures", dir)
	}
	return c, files, nil
}

// lines calls f with the fields of each line. It skips the first line.
func lines(path string, least int, f func([]string)) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	for i, l := range all[1:] {
		fields := strings.Split(l, "\t")
		if len(fields) < least {
			return fmt.Errorf("%s:%d: %d fields, %d are needed", path, i+2, len(fields), least)
		}
		f(fields)
	}
	return nil
}
