// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// row is the result of one machine's run. A number that was not measured is 0.
type row struct {
	Arch     string `json:"arch"`
	OK       bool   `json:"ok"`
	Off      bool   `json:"off"`             // the wall was switched off
	Error    string `json:"error,omitempty"` // why the run did not reach its end
	Kernel   string `json:"kernel"`
	MemoryMB int    `json:"memory_mb"`
	Package  string `json:"package"`
	Version  string `json:"version"`
	// FlashKB is the size of the package's files in a squashfs with xz.
	FlashKB  int64              `json:"flash_kb"`
	BinaryKB int64              `json:"binary_kb"`
	Backends map[string]backend `json:"backends"`
	Forward  map[string]forward `json:"forward,omitempty"`  // by firewall
	Everyday map[string]visit   `json:"everyday,omitempty"` // by kind and firewall
	Passed   int                `json:"passed"`
	Failed   []string           `json:"failed,omitempty"`
	Skipped  []string           `json:"skipped,omitempty"`
	Seconds  int                `json:"seconds"`
}

// backend has the measurements with one of the kernel's two packet filters.
type backend struct {
	StartMS   int `json:"start_ms"` // from the init script's start to the first verdict
	RSSIdleKB int `json:"rss_idle_kb"`
	RSSLoadKB int `json:"rss_load_kb"`
	RSSEndKB  int `json:"rss_after_kb"`
	// OwnEndKB is the part of RSSEndKB that is not the program's file. The kernel takes
	// pages of a file back when memory is short.
	OwnEndKB int `json:"own_after_kb"`
	// CPU time per packet of p2pwall, and of the C program on the same machine with
	// the same rules.
	WallNS    int     `json:"cpu_ns_wall"`
	CNS       int     `json:"cpu_ns_c"`
	Ratio     float64 `json:"cpu_ratio"`
	Scenarios string  `json:"scenarios"`
}

// forward has the times that bulk traffic takes through the router, with and without the
// wall: for a datagram of 1400 bytes, and for 1400 bytes of a connection. They are medians
// in nanoseconds.
type forward struct {
	UDPOff int `json:"udp_ns_off"`
	UDPOn  int `json:"udp_ns_on"`
	TCPOff int `json:"tcp_ns_off"`
	TCPOn  int `json:"tcp_ns_on"`
}

// visit has the times that a connection or a page takes with and without the wall, in
// nanoseconds, what the program takes of it, and how many packets it is shown.
type visit struct {
	Off    int `json:"ns_off"`
	On     int `json:"ns_on"`
	CPU    int `json:"cpu_ns"`
	Queued int `json:"queued"`
}

// kinds are those of the stage everyday, and their usual names.
var kinds = []struct{ name, title string }{
	{"http", "HTTP, 16 KiB"}, {"https", "HTTPS, 16 KiB"}, {"page", "page of 40 connections and 20 names"},
}

// firewalls are the settings of the stage forward, and their usual names.
var firewalls = []struct{ name, title string }{
	{"nft", "fw4"}, {"offload", "fw4, flow offload"}, {"iptables", "fw3"},
}

// median returns the median of a fact's numbers, 0 if it has none.
func median(fact string) int {
	var n []int
	for f := range strings.FieldsSeq(fact) {
		if v, err := strconv.Atoi(f); err == nil {
			n = append(n, v)
		}
	}
	if len(n) == 0 {
		return 0
	}
	slices.Sort(n)
	return n[len(n)/2]
}

func (b *bed) row(m *machine, o *outcome, img *image, why error) row {
	number := func(fact string) int {
		n, _ := strconv.Atoi(o.Facts[fact])
		return n
	}
	r := row{
		Arch: m.Arch, Off: b.off, Kernel: o.Facts["kernel"], MemoryMB: b.memory(m),
		Package: img.pkg, Version: o.Facts["version"],
		FlashKB: (img.flash + 1023) / 1024, BinaryKB: (img.binary + 1023) / 1024,
		Backends: map[string]backend{}, Seconds: int(o.Took.Seconds()),
	}
	for _, x := range o.Results {
		switch x.Verdict {
		case "pass":
			r.Passed++
		case "fail":
			r.Failed = append(r.Failed, x.Name)
		case "skip":
			r.Skipped = append(r.Skipped, x.Name)
		}
	}
	for _, name := range []string{"nft", "iptables"} {
		x := backend{
			StartMS:   number("start_ms_" + name),
			RSSIdleKB: number("rss_idle_" + name),
			RSSLoadKB: number("rss_load_" + name),
			RSSEndKB:  number("rss_after_" + name),
			OwnEndKB:  number("own_after_" + name),
			WallNS:    number("cpu_ns_" + name + "-wall"),
			CNS:       number("cpu_ns_" + name + "-c"),
			Scenarios: o.Facts["scenarios_"+name],
		}
		if x.CNS > 0 {
			x.Ratio = float64(x.WallNS) / float64(x.CNS)
		}
		r.Backends[name] = x
	}
	for _, f := range firewalls {
		x := forward{
			UDPOff: median(o.Facts["udp_ns_off_"+f.name]), UDPOn: median(o.Facts["udp_ns_on_"+f.name]),
			TCPOff: median(o.Facts["tcp_ns_off_"+f.name]), TCPOn: median(o.Facts["tcp_ns_on_"+f.name]),
		}
		if x.UDPOn > 0 && x.TCPOn > 0 {
			if r.Forward == nil {
				r.Forward = map[string]forward{}
			}
			r.Forward[f.name] = x
		}
	}
	for _, f := range firewalls {
		for _, k := range kinds {
			of := func(what string) int { return median(o.Facts[k.name+"_"+what+"_"+f.name]) }
			if x := (visit{of("off"), of("on"), of("cpu"), of("queued")}); x.Off > 0 && x.On > 0 {
				if r.Everyday == nil {
					r.Everyday = map[string]visit{}
				}
				r.Everyday[k.name+" "+f.name] = x
			}
		}
	}
	if why != nil {
		r.Error = why.Error()
	}
	r.OK = why == nil && o.Code == 0 && len(r.Failed) == 0 && r.Passed > 0
	return r
}

// table returns the run's results as a Markdown table.
func table(rows []row) string {
	var t strings.Builder
	t.WriteString("| machine | RAM MB | backend | RSS idle / load / after MB (own) | CPU per packet, wall / C us | ratio | start to first verdict ms | flash KB | scenarios | result |\n")
	t.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	mb := func(kb int) string {
		if kb == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f", float64(kb)/1024)
	}
	us := func(ns int) string {
		if ns == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f", float64(ns)/1000)
	}
	or := func(s string) string {
		if s == "" || s == "0" || s == "0.00" {
			return "-"
		}
		return s
	}
	for _, r := range rows {
		verdict := "ok"
		if !r.OK {
			verdict = "FAILED"
		}
		for _, name := range []string{"nft", "iptables"} {
			x := r.Backends[name]
			fmt.Fprintf(&t, "| %s | %d | %s | %s / %s / %s (%s) | %s / %s | %s | %s | %s | %s | %s |\n",
				r.Arch, r.MemoryMB, name, mb(x.RSSIdleKB), mb(x.RSSLoadKB), mb(x.RSSEndKB), mb(x.OwnEndKB),
				us(x.WallNS), us(x.CNS), or(fmt.Sprintf("%.2f", x.Ratio)), or(strconv.Itoa(x.StartMS)),
				or(strconv.FormatInt(r.FlashKB, 10)), or(x.Scenarios), verdict)
		}
	}
	t.WriteString(forwardTable(rows))
	t.WriteString(everydayTable(rows))
	for _, r := range rows {
		if r.Error != "" {
			fmt.Fprintf(&t, "\n%s: %s\n", r.Arch, r.Error)
		}
		if len(r.Failed) > 0 {
			fmt.Fprintf(&t, "\n%s failed: %s\n", r.Arch, strings.Join(r.Failed, ", "))
		}
		if len(r.Skipped) > 0 {
			fmt.Fprintf(&t, "\n%s skipped: %s\n", r.Arch, strings.Join(r.Skipped, ", "))
		}
	}
	return t.String()
}

// forwardTable returns the table of the stage forward, "" if the stage did not run.
func forwardTable(rows []row) string {
	var t strings.Builder
	for _, r := range rows {
		for _, f := range firewalls {
			x, ok := r.Forward[f.name]
			if !ok {
				continue
			}
			if t.Len() == 0 {
				t.WriteString("\n| machine | firewall | bulk UDP, wall off / on us | throughput, of off | bulk TCP, wall off / on us | throughput, of off |\n")
				t.WriteString("|---|---|---|---|---|---|\n")
			}
			us := func(ns int) float64 { return float64(ns) / 1000 }
			fmt.Fprintf(&t, "| %s | %s | %.2f / %.2f | %.4f | %.2f / %.2f | %.4f |\n", r.Arch, f.title,
				us(x.UDPOff), us(x.UDPOn), us(x.UDPOff)/us(x.UDPOn), us(x.TCPOff), us(x.TCPOn), us(x.TCPOff)/us(x.TCPOn))
		}
	}
	return t.String()
}

// everydayTable returns the table of the stage everyday, "" if the stage did not run.
func everydayTable(rows []row) string {
	var t strings.Builder
	for _, r := range rows {
		for _, f := range firewalls {
			for _, k := range kinds {
				x, ok := r.Everyday[k.name+" "+f.name]
				if !ok {
					continue
				}
				if t.Len() == 0 {
					t.WriteString("\n| machine | firewall | what | wall off / on us | rate, of off | CPU of the program us | packets queued |\n")
					t.WriteString("|---|---|---|---|---|---|---|\n")
				}
				us := func(ns int) float64 { return float64(ns) / 1000 }
				fmt.Fprintf(&t, "| %s | %s | %s | %.0f / %.0f | %.3f | %.0f | %d |\n", r.Arch, f.title, k.title,
					us(x.Off), us(x.On), us(x.Off)/us(x.On), us(x.CPU), x.Queued)
			}
		}
	}
	return t.String()
}

// report prints the table and writes it beside the logs, as text and as JSON. The file
// keeps the earlier results of machines that were not in this run. Those with the wall
// switched off have a file of their own.
func (b *bed) report(rows []row, off bool) error {
	if len(rows) == 0 {
		return nil
	}
	passed, failed := 0, 0
	for _, r := range rows {
		passed += r.Passed
		failed += len(r.Failed)
	}
	name := filepath.Join(b.out, "router")
	if off {
		name += "-off"
	}
	rows, err := merged(rows, name+".json")
	if err != nil {
		return err
	}
	text := table(rows)
	fmt.Print("\n", text)
	fmt.Printf("\n%d passed, %d failed\n", passed, failed)
	data, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".json", append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(name+".md", []byte(text), 0o644)
}

// merged adds the file's rows of other machines to rows, in the order of machines.
func merged(rows []row, path string) ([]row, error) {
	var before []row
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &before)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var all []row
	for _, m := range machines {
		own := func(r row) bool { return r.Arch == m.Arch }
		if i := slices.IndexFunc(rows, own); i >= 0 {
			all = append(all, rows[i])
		} else if i := slices.IndexFunc(before, own); i >= 0 {
			all = append(all, before[i])
		}
	}
	return all, nil
}
