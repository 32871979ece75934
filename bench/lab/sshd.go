// SPDX-License-Identifier: GPL-2.0-or-later

package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// StartSSHD starts OpenSSH's server on the internet side and returns when it listens. It
// returns the path of a key file. A login with this key runs command. dir is the folder
// for the server's files.
func (l *Lab) StartSSHD(dir, command string, at ...netip.AddrPort) (key string, err error) {
	host, key := filepath.Join(dir, "host_key"), filepath.Join(dir, "key")
	for _, f := range []string{host, key} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f).CombinedOutput(); err != nil {
			return "", fmt.Errorf("ssh-keygen: %w: %s", err, out)
		}
	}
	path, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil {
		return "", err
	}
	// The service's start script would make this folder.
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		return "", err
	}
	// When ssh starts bash as the first shell, bash reads ~/.bashrc. That file is the
	// user's and may take minutes: pyenv's waits for a lock.
	conf := fmt.Sprintf("SetEnv SHLVL=1\nHostKey %s\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n"+
		"AuthorizedKeysFile %s.pub\nForceCommand %s\n", host, key, command)
	for _, a := range at {
		conf += fmt.Sprintf("ListenAddress %s\n", a)
	}
	file := filepath.Join(dir, "sshd_config")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		return "", err
	}
	cmd := l.Inet.Command(path, "-D", "-e", "-f", file)
	var said Output
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return "", err
	}
	l.OnClose(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	const patience = time.Minute
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		c, err := l.Inet.Dial(context.Background(), "tcp", netip.AddrPort{}, at[len(at)-1])
		if err == nil {
			return key, c.Close()
		}
		if time.Now().After(end) {
			return "", fmt.Errorf("sshd: %w\n%s", err, said.String())
		}
	}
}
