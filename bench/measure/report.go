// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// Spread has the values of several runs.
type Spread struct {
	Median  float64   `json:"median"`
	Low     float64   `json:"low"`
	High    float64   `json:"high"`
	Samples []float64 `json:"samples"`
}

func spread(samples []float64) Spread {
	if len(samples) == 0 {
		return Spread{Median: math.NaN(), Low: math.NaN(), High: math.NaN()}
	}
	s := slices.Sorted(slices.Values(samples))
	m := s[len(s)/2]
	if len(s)%2 == 0 {
		m = (m + s[len(s)/2-1]) / 2
	}
	return Spread{m, s[0], s[len(s)-1], samples}
}

// Series are the values of one program or setting.
type Series struct {
	Name   string `json:"name"`
	Values Spread `json:"values"`
}

// Goal is a bound for a value, or for the ratio of two.
type Goal struct {
	Of    string  `json:"of"`
	To    string  `json:"to,omitempty"` // "": the value itself counts
	Most  bool    `json:"at_most"`      // else at least
	Bound float64 `json:"bound"`
	Ratio Spread  `json:"ratio"`
	Met   bool    `json:"met"`
}

// Result is one measurement, for several programs or settings.
type Result struct {
	Name   string   `json:"name"`
	Unit   string   `json:"unit"`
	Series []Series `json:"series"`
	Goals  []Goal   `json:"goals,omitempty"`
	Note   string   `json:"note,omitempty"`
}

// Report has all results and describes the machine.
type Report struct {
	Machine string    `json:"machine"`
	Kernel  string    `json:"kernel"`
	Go      string    `json:"go"`
	Load    string    `json:"load_average_before"`
	Busy    float64   `json:"processors_busy_before"` // share before the measurement began
	Runs    int       `json:"runs"`
	Window  string    `json:"window"`
	Base    string    `json:"base,omitempty"`
	Results []*Result `json:"results"`
}

// result returns the result of that name. It adds a new one if there is none.
func (r *Report) result(name, unit string) *Result {
	for _, x := range r.Results {
		if x.Name == name {
			return x
		}
	}
	x := &Result{Name: name, Unit: unit}
	r.Results = append(r.Results, x)
	return x
}

// add notes one value.
func (x *Result) add(name string, v float64) {
	for i := range x.Series {
		if s := &x.Series[i]; s.Name == name {
			s.Values.Samples = append(s.Values.Samples, v)
			return
		}
	}
	x.Series = append(x.Series, Series{name, Spread{Samples: []float64{v}}})
}

func (x *Result) samples(name string) []float64 {
	for i := range x.Series {
		if x.Series[i].Name == name {
			return x.Series[i].Values.Samples
		}
	}
	return nil
}

// atMost and atLeast set a goal. If to is not "", the goal is for the ratio of the two.
func (x *Result) atMost(of, to string, bound float64) {
	x.goal(Goal{Of: of, To: to, Most: true, Bound: bound})
}

func (x *Result) atLeast(of, to string, bound float64) { x.goal(Goal{Of: of, To: to, Bound: bound}) }

// compare shows a ratio without a goal.
func (x *Result) compare(of, to string) { x.goal(Goal{Of: of, To: to}) }

func (x *Result) goal(g Goal) {
	for _, old := range x.Goals {
		if old.Of == g.Of && old.To == g.To {
			return
		}
	}
	x.Goals = append(x.Goals, g)
}

// finish computes medians and ratios from the samples.
func (r *Report) finish() {
	for _, x := range r.Results {
		for i := range x.Series {
			x.Series[i].Values = spread(x.Series[i].Values.Samples)
		}
		for i := range x.Goals {
			g := &x.Goals[i]
			of, to := x.samples(g.Of), x.samples(g.To)
			var ratios []float64
			for j := range of {
				switch {
				case g.To == "":
					ratios = append(ratios, of[j])
				case j < len(to) && to[j] != 0:
					ratios = append(ratios, of[j]/to[j])
				}
			}
			g.Ratio = spread(ratios)
			g.Met = g.Most && g.Ratio.Median <= g.Bound || !g.Most && g.Ratio.Median >= g.Bound
		}
		// One of the two measurements may have failed.
		x.Goals = slices.DeleteFunc(x.Goals, func(g Goal) bool { return len(g.Ratio.Samples) == 0 })
	}
}

// print writes the table.
func (r *Report) print(w io.Writer) {
	fmt.Fprintf(w, "%s, Linux %s, %s; %d runs of %s; before them: load average %s, processors %.0f%% busy with other work\n\n",
		r.Machine, r.Kernel, r.Go, r.Runs, r.Window, r.Load, 100*r.Busy)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "what\tunit\tof\tmedian\tlow..high\tratio\tlow..high\tgoal\t")
	for _, x := range r.Results {
		title := x.Name
		for _, s := range x.Series {
			v := s.Values
			line := fmt.Sprintf("%s\t%s\t%s\t%s\t%s..%s", title, x.Unit, s.Name, number(v.Median), number(v.Low), number(v.High))
			title = ""
			shown := false
			for _, g := range x.Goals {
				if g.Of != s.Name {
					continue
				}
				if shown {
					line = "\t\t\t\t"
				}
				shown = true
				fmt.Fprintf(t, "%s\t%s\t\n", line, g.cells())
			}
			if !shown {
				fmt.Fprintf(t, "%s\t\t\t\t\n", line)
			}
		}
		if x.Note != "" {
			fmt.Fprintf(t, "  %s\t\t\t\t\t\t\t\t\n", x.Note)
		}
	}
	t.Flush()
}

func (g *Goal) cells() string {
	ratio, spread := "", ""
	if g.To != "" {
		ratio = fmt.Sprintf("%.3f x %s", g.Ratio.Median, g.To)
		spread = fmt.Sprintf("%.3f..%.3f", g.Ratio.Low, g.Ratio.High)
	}
	goal := ""
	if g.Bound != 0 {
		word, met := ">=", "missed"
		if g.Most {
			word = "<="
		}
		if g.Met {
			met = "met"
		}
		goal = strings.TrimSpace(fmt.Sprintf("%s %v %s", word, g.Bound, met))
	}
	return ratio + "\t" + spread + "\t" + goal
}

func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1000:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 0.1 || a == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.4f", v)
}

// write puts the report into a file.
func (r *Report) write(path string) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
