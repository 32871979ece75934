// SPDX-License-Identifier: GPL-2.0-or-later

package luci

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Object answers the methods of the ubus object p2pwall. The int is the status code of
// ubus.
type Object func(method string, args map[string]any) (any, int)

// Plugin runs the package's rpcd script as rpcd does. It replaces what only OpenWrt has:
// the shell functions of jshn, and the program at its path.
type Plugin struct {
	script  string
	methods map[string]map[string]any // what `list` says
}

// jshnStub has the functions of jshn that the script uses. Call writes the arguments into
// a file of shell variables, so that the stub need not parse JSON.
const jshnStub = `json_init() { json_out=; }
json_add_string() { json_out="\"$1\":\"$2\""; }
json_dump() { echo "{$json_out}"; }
json_load() { . "$P2PWALL_ARGS"; }
json_get_var() {
	if eval "[ -n \"\${arg_$2+x}\" ]"; then eval "$1=\$arg_$2"; else eval "$1=\$3"; fi
}
`

// NewPlugin prepares the script at path for a daemon with that program and configuration.
// It writes its files to dir.
func NewPlugin(path, dir, program, config string) (*Plugin, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	jshn, wrapper := filepath.Join(dir, "jshn.sh"), filepath.Join(dir, "p2pwall-here")
	s := string(text)
	for from, to := range map[string]string{"/usr/share/libubox/jshn.sh": jshn, "/usr/sbin/p2pwall": wrapper} {
		if !strings.Contains(s, from) {
			return nil, fmt.Errorf("%s does not mention %s", path, from)
		}
		s = strings.ReplaceAll(s, from, to)
	}
	p := &Plugin{script: filepath.Join(dir, "rpcd-p2pwall")}
	call := fmt.Sprintf("#!/bin/sh\ncmd=$1; shift\nexec '%s' \"$cmd\" -c '%s' \"$@\"\n", program, config)
	for file, text := range map[string]string{jshn: jshnStub, wrapper: call, p.script: s} {
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			return nil, err
		}
	}
	out, err := exec.Command("/bin/sh", p.script, "list").Output()
	if err != nil {
		return nil, fmt.Errorf("%s list: %w", path, err)
	}
	return p, json.Unmarshal(out, &p.methods)
}

// Call is an Object.
func (p *Plugin) Call(method string, args map[string]any) (any, int) {
	signature, ok := p.methods[method]
	if !ok {
		return nil, ubusInvalidMethod
	}
	// rpcd passes on only arguments of the signature, with the right type.
	var vars strings.Builder
	for k, v := range args {
		if fmt.Sprintf("%T", signature[k]) != fmt.Sprintf("%T", v) {
			return nil, ubusInvalidValue
		}
		switch v := v.(type) {
		case string:
			fmt.Fprintf(&vars, "arg_%s='%s'\n", k, strings.ReplaceAll(v, "'", `'\''`))
		case float64:
			fmt.Fprintf(&vars, "arg_%s='%.0f'\n", k, v)
		case bool:
			fmt.Fprintf(&vars, "arg_%s=%t\n", k, v)
		}
	}
	f, err := os.CreateTemp(filepath.Dir(p.script), "args")
	if err != nil {
		return nil, ubusUnknownProblem
	}
	defer os.Remove(f.Name())
	_, _ = f.WriteString(vars.String())
	_ = f.Close()
	input, _ := json.Marshal(args)
	cmd := exec.Command("/bin/sh", p.script, "call", method)
	cmd.Env = append(os.Environ(), "P2PWALL_ARGS="+f.Name())
	cmd.Stdin = strings.NewReader(string(input) + "\n")
	out, err := cmd.Output()
	if err != nil {
		return nil, ubusUnknownProblem
	}
	if len(out) == 0 {
		return nil, ubusNoData
	}
	var reply map[string]any
	if json.Unmarshal(out, &reply) != nil {
		return nil, ubusInvalidValue
	}
	return reply, ubusOK
}
