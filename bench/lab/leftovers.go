// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"os"
	"os/exec"
	"strings"
)

// Leftovers lists rules, sets (without their elements and counters) and queues in the
// router's namespace.
func (l *Lab) Leftovers() (found []string) {
	for _, tool := range []string{"iptables-save", "ip6tables-save", "iptables-legacy-save", "ip6tables-legacy-save"} {
		if _, err := exec.LookPath(tool); err != nil {
			continue
		}
		out, err := l.Router.Run(tool)
		if err != nil {
			continue // this kernel does not support it
		}
		for _, line := range strings.Split(out, "\n") {
			own := strings.HasPrefix(line, ":") && strings.Contains(line, " - [")
			if own || strings.HasPrefix(line, "-A") {
				found = append(found, tool+": "+line)
			}
		}
	}
	grep := func(word, tool string, arg ...string) {
		if _, err := exec.LookPath(tool); err != nil {
			return
		}
		out, err := l.Router.Run(tool, arg...)
		if err == nil && strings.Contains(out, word) {
			found = append(found, tool+": "+out)
		}
	}
	grep("p2pwall", "nft", "-s", "-t", "list", "ruleset")
	grep("p2pwall", "ipset", "list", "-n")
	queues := ""
	l.Router.Do(func() error {
		b, err := os.ReadFile("/proc/thread-self/net/netfilter/nfnetlink_queue")
		queues = string(b)
		return err
	})
	if strings.TrimSpace(queues) != "" {
		found = append(found, "queue: "+queues)
	}
	return found
}
