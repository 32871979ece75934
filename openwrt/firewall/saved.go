// SPDX-License-Identifier: GPL-2.0-or-later

package firewall

import "strings"

// Saved is the output of iptables-save for one table, sorted by owner.
type Saved struct {
	chains []string            // our chains
	rules  []string            // our chains' rules, as "-A CHAIN ..."
	jumps  []string            // rules of other chains that jump to ours
	last   map[string]string   // the last rule of every chain that has one
	count  map[string]int      // number of jumps from each built-in chain to ours
	Policy map[string]string   // of the built-in chains
	All    map[string][]string // every chain's rules
	others int                 // chains that are neither built in nor ours
}

// ParseSave reads one table of iptables-save's output.
func ParseSave(text, table string) Saved {
	s := Saved{
		last: map[string]string{}, count: map[string]int{},
		Policy: map[string]string{}, All: map[string][]string{},
	}
	in := false
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '*':
			in = line[1:] == table
		case !in:
		case line[0] == ':':
			name, rest, _ := strings.Cut(line[1:], " ")
			if Ours(name) {
				s.chains = append(s.chains, name)
			} else if p, _, _ := strings.Cut(rest, " "); p != "-" {
				s.Policy[name] = p
			} else {
				s.others++
			}
		case strings.HasPrefix(line, "-A "):
			chain, _, _ := strings.Cut(line[3:], " ")
			s.last[chain] = line
			s.All[chain] = append(s.All[chain], line)
			switch {
			case Ours(chain):
				s.rules = append(s.rules, line)
			case Ours(JumpTarget(line)):
				s.jumps = append(s.jumps, line)
				s.count[chain]++
			}
		}
	}
	return s
}

// Ours reports whether a chain has one of our names, in this version or another.
func Ours(chain string) bool {
	return chain == chainName || strings.HasPrefix(chain, chainName+"-")
}

// JumpTarget returns the target of a rule's -j or -g, or "".
func JumpTarget(rule string) string {
	f := strings.Fields(rule)
	for i := 0; i+1 < len(f); i++ {
		if f[i] == "-j" || f[i] == "-g" {
			return f[i+1]
		}
	}
	return ""
}

// empty reports whether the table has nothing of ours.
func (s *Saved) empty() bool { return len(s.chains) == 0 && len(s.jumps) == 0 }

// unused reports whether the table is empty, and all its policies are ACCEPT.
func (s *Saved) unused() bool {
	for _, p := range s.Policy {
		if p != "ACCEPT" {
			return false
		}
	}
	return len(s.All) == 0 && len(s.chains) == 0 && s.others == 0
}

// jumpsRight reports whether each built-in chain ends with its one jump to our chain, as in
// want. If not, it returns the first chain that does not. It does not compare the conditions
// of the jumps, because iptables-save prints them in its own form.
func (s *Saved) jumpsRight(want []string) (chain string, ok bool) {
	for _, j := range want {
		chain, _, _ := strings.Cut(j[3:], " ")
		if s.count[chain] != 1 || JumpTarget(s.last[chain]) != JumpTarget(j) {
			return chain, false
		}
	}
	return "", true
}

// takeOver changes a text of Rules so that it replaces our present rules instead of adding to
// them. It deletes the old jumps and the chains that the text does not have. All of it is one
// transaction.
func (s *Saved) takeOver(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	var out []string
	declared := map[string]bool{}
	done := false
	for _, l := range lines {
		switch {
		case l[0] == ':':
			name, _, _ := strings.Cut(l[1:], " ")
			declared[name] = true
		case l[0] == '-' && !done:
			out = append(out, s.deletions(declared)...)
			done = true
		case l == "COMMIT":
			for _, c := range s.chains {
				if !declared[c] {
					out = append(out, "-X "+c)
				}
			}
		}
		out = append(out, l)
	}
	return strings.Join(out, "\n") + "\n"
}

// deletions are the lines that delete the jumps and empty undeclared chains.
func (s *Saved) deletions(declared map[string]bool) []string {
	var out []string
	for _, c := range s.chains {
		if !declared[c] {
			out = append(out, ":"+c+" - [0:0]")
		}
	}
	for _, j := range s.jumps {
		out = append(out, "-D "+strings.TrimPrefix(j, "-A "))
	}
	return out
}

// removal is the text for iptables-restore --noflush that removes everything of ours from the
// table, or "" if there is nothing.
func (s *Saved) removal(table string) string {
	if s.empty() {
		return ""
	}
	lines := append([]string{"*" + table}, s.deletions(nil)...)
	for _, c := range s.chains {
		lines = append(lines, "-X "+c)
	}
	return strings.Join(append(lines, "COMMIT"), "\n") + "\n"
}
