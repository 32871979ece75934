// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// errHangs is the error of a machine that prints nothing any more.
var errHangs = errors.New("the machine hangs")

// outcome is what a machine reported on its console.
type outcome struct {
	Facts map[string]string
	// Results in the machine's order: "pass", "fail" or "skip".
	Results []result
	Code    int // the machine's exit code, -1 when it gave none
	Took    time.Duration
}

type result struct {
	Name, Verdict, Note string
}

// mark begins every line of the console that is for the test bed.
const mark = "@@ "

// take reads one line of the console. It reports whether the line was the last.
func (o *outcome) take(line string) bool {
	_, line, ok := strings.Cut(line, mark)
	if !ok {
		return false
	}
	kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	name, note, _ := strings.Cut(rest, " ")
	switch kind {
	case "fact":
		o.Facts[name] = note
	case "pass", "fail", "skip":
		o.Results = append(o.Results, result{name, kind, note})
	case "end":
		code, err := strconv.Atoi(name)
		if err != nil {
			code = -1
		}
		o.Code = code
		return true
	}
	return false
}

// boot runs a machine until it ends, is silent for too long, or its time is up. It
// writes the console to the file log.
func (b *bed) boot(m *machine, name, kernel string, img *image, log string) (*outcome, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	args := append(slices.Concat(m.QEMU[1:], m.clock()),
		"-m", strconv.Itoa(b.memory(m)), "-display", "none", "-serial", "stdio", "-monitor", "none",
		"-no-reboot", "-nic", "none", "-kernel", filepath.Join(kernel, "vmlinuz"), "-initrd", img.initrd,
		"-drive", "if=none,id=root,format=raw,readonly=on,file="+img.root, "-device", m.Disk+",drive=root",
		"-append", "console="+m.Console+" panic=-1 quiet loglevel=4")
	if len(m.Outside) > 0 {
		root, err := b.outside()
		if err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp("", "p2pw-router-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		listener, err := net.Listen("unix", filepath.Join(dir, "channel"))
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		args = append(args, "-device", "virtio-serial-pci,addr=0x13", "-chardev", "socket,id=tools,path="+filepath.Join(dir, "channel"),
			"-device", "virtserialport,chardev=tools,name=tools")
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r := &remote{root: root, dir: dir, conn: conn, log: out}
			if err := r.serve(); err != nil {
				fmt.Fprintln(os.Stderr, "router: tools outside the machine:", err)
			}
		}()
	}
	qemu := exec.Command(m.QEMU[0], args...)
	qemu.Stderr = out
	console, err := qemu.StdoutPipe()
	if err != nil {
		return nil, err
	}
	o := &outcome{Facts: map[string]string{}, Code: -1}
	begin := time.Now()
	if err := qemu.Start(); err != nil {
		return nil, err
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(console)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			lines <- s.Text()
		}
	}()
	why := b.watch(lines, o, func(line string) {
		fmt.Fprintf(out, "%6.1f %s\n", time.Since(begin).Seconds(), line)
		if b.verbose || strings.Contains(line, mark) {
			b.say("%s: %s", name, line)
		}
	})
	_ = qemu.Process.Kill() // fails if it has ended by itself
	for range lines {       // let the reader end
	}
	_ = qemu.Wait()
	o.Took = time.Since(begin)
	return o, why
}

// watch reads the console until the machine's last line. It returns an error if the
// machine ends before that, is silent for too long, or its time is up.
func (b *bed) watch(lines <-chan string, o *outcome, each func(string)) error {
	total := time.After(b.timeout)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				return errors.New("the machine ended without a result")
			}
			each(line)
			if o.take(line) {
				return nil
			}
		case <-time.After(b.silence):
			return fmt.Errorf("%w: nothing on its console for %v", errHangs, b.silence)
		case <-total:
			return fmt.Errorf("the machine did not come to an end within %v", b.timeout)
		}
	}
}
