// SPDX-License-Identifier: GPL-2.0-or-later

package control

import (
	"bytes"
	"slices"

	"github.com/p2pwall/p2pwall/openwrt/check"
)

func (s *Service) check(w *jsonWriter, _ *Request) error {
	// A check tries things out in the kernel, so only one may run at a time.
	s.checking.Lock()
	defer s.checking.Unlock()
	w.findings(s.Check())
	return nil
}

func (w *jsonWriter) findings(all []check.Finding) {
	w.key("findings")
	w.open('[')
	for _, f := range all {
		w.open('{')
		w.str("level", f.Level.String())
		w.saying("what", f.What, "code", f.Code, "args", f.Args)
		w.saying("remedy", f.Remedy, "fix", f.Fix, "fix_args", f.FixArgs)
		w.close('}')
	}
	w.close(']')
}

// saying writes a sentence. If the sentence has a code, saying writes the code and its
// arguments as well.
func (w *jsonWriter) saying(name, text, codeName, code, argsName string, args []string) {
	w.str(name, text)
	if code == "" {
		return
	}
	w.str(codeName, code)
	w.list(argsName, args)
}

// CheckReply returns the reply to a check when no daemon runs that could give it.
func CheckReply(all []check.Finding) []byte {
	var w jsonWriter
	w.open('{')
	w.findings(all)
	w.close('}')
	return w.b
}

// AppendFaults adds the faults of the configuration file to a reply. The daemon cannot
// see that file. A reply that is an error stays as it is.
func AppendFaults(reply []byte, faults []string) []byte {
	if len(faults) == 0 || !bytes.HasSuffix(reply, []byte("}")) || bytes.HasPrefix(reply, []byte(`{"error":`)) {
		return reply
	}
	w := jsonWriter{b: bytes.TrimSuffix(slices.Clone(reply), []byte("}")), more: true}
	w.list("faults", faults)
	w.close('}')
	return w.b
}
