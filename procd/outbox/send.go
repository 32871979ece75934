// SPDX-License-Identifier: GPL-2.0-or-later

package outbox

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/p2pwall/p2pwall/openwrt/config"
	"github.com/p2pwall/p2pwall/openwrt/program"
)

// errUncertain says that a message was sent, but not confirmed in time. It is not sent
// again: the receiver could get it twice.
var errUncertain = errors.New("it was sent, and not answered in time: it may have been lost")

var errNoProgram = errors.New("there is no program to send with: install curl, GNU wget or uclient-fetch")

// deliver sends a letter. It takes at most a few seconds longer than patience.
func (o *Outbox) deliver(r *receiver, l *letter, patience time.Duration) error {
	switch {
	case r.Kind == config.NotifyMail:
		_, err := o.run(patience, []string{mail(r, l)}, "sendmail", "-t", "-i")
		return err
	case program.Have("curl"):
		return o.curl(r, l, patience)
	case o.isGNU("wget"):
		return o.wget(r, l, patience)
	case !program.Have("uclient-fetch"):
		return errNoProgram
	case r.Token+r.User != "":
		return errors.New("uclient-fetch would show token and password to all who list the processes: install curl")
	}
	return o.uclient(r, l, patience)
}

// run runs a program, and kills it when the outbox ends.
func (o *Outbox) run(patience time.Duration, inputs []string, name string, args ...string) (string, error) {
	p := program.StartFor(patience+2*time.Second, inputs, name, args...)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-o.done:
			p.Kill()
		case <-ended:
		}
	}()
	return p.Wait()
}

// isGNU reports whether a program is GNU's version. Other versions have the same name and
// fewer options.
func (o *Outbox) isGNU(name string) bool {
	said, err := o.run(10*time.Second, []string{""}, name, "--version")
	return err == nil && strings.HasPrefix(said, "GNU ")
}

// content returns the body of a POST and its content type.
func (l *letter) content(r *receiver) (body, kind string) {
	if r.Kind == config.NotifyWebhook {
		return l.json, "application/json"
	}
	return l.text, "text/plain; charset=utf-8"
}

func (l *letter) headers(r *receiver) []string {
	_, kind := l.content(r)
	h := []string{"Content-Type: " + kind}
	if r.Kind == config.NotifyNtfy {
		h = append(h, "Title: "+l.title)
	}
	if r.Token != "" {
		h = append(h, "Authorization: Bearer "+r.Token)
	}
	return h
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }

// curl sends a letter with curl. All options go to its standard input: every user of the
// router can read a program's arguments.
func (o *Outbox) curl(r *receiver, l *letter, patience time.Duration) error {
	body, _ := l.content(r)
	var b strings.Builder
	set := func(option, value string) {
		b.WriteString(option + " = \"")
		for i := range len(value) {
			if value[i] == '"' || value[i] == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(value[i])
		}
		b.WriteString("\"\n")
	}
	b.WriteString("silent\nshow-error\ngloboff\n")
	set("proto", "=http,https")
	set("connect-timeout", seconds(patience/3))
	set("max-time", seconds(patience))
	set("user-agent", "p2pwall")
	set("output", "/dev/null")
	set("write-out", "%{http_code} %{size_upload}")
	for _, h := range l.headers(r) {
		set("header", h)
	}
	if r.User != "" {
		set("user", r.User+":"+r.Secret)
	}
	set("data-raw", body)
	set("url", r.URL)
	out, err := o.run(patience, []string{b.String()}, "curl", "-q", "-K", "-")
	code, sent, _ := strings.Cut(out, " ")
	if err != nil {
		sent, _, _ = strings.Cut(sent, ".") // before curl 7.72 this number has decimals
		if n, e := strconv.Atoi(sent); e == nil && n >= len(body) && strings.Contains(err.Error(), "(28)") {
			return errUncertain
		}
		return err
	}
	if len(code) != 3 || code[0] != '2' {
		return fmt.Errorf("the server answered with status %q", code)
	}
	return nil
}

// wget sends a letter with GNU wget. It reads its options and the URL from files, so that
// they are not in its arguments.
func (o *Outbox) wget(r *receiver, l *letter, patience time.Duration) error {
	body, _ := l.content(r)
	options := "user_agent = p2pwall\nmax_redirect = 0\ntries = 1\noutput_document = /dev/null\ntimeout = " + seconds(patience) + "\n"
	for _, h := range l.headers(r) {
		options += "header = " + h + "\n"
	}
	if r.User != "" {
		options += "auth_no_challenge = on\nhttp_user = " + r.User + "\nhttp_password = " + r.Secret + "\n"
	}
	options += "post_data = " + body + "\n"
	_, err := o.run(patience, []string{options, r.URL + "\n"}, "wget", "--config=/proc/self/fd/0", "-nv", "-i", "/proc/self/fd/3")
	if err != nil && strings.Contains(err.Error(), "Read error") && strings.Contains(err.Error(), "timed out") {
		return errUncertain
	}
	return err
}

// uclient sends a letter with OpenWrt's uclient-fetch. The URL is in its arguments.
// Before OpenWrt 24.10 it has no option for headers.
func (o *Outbox) uclient(r *receiver, l *letter, patience time.Duration) error {
	body, _ := l.content(r)
	args := []string{"-q", "-O", "/dev/null", "-T", seconds(patience), "--post-file=/proc/self/fd/0"}
	plain := append(args[:len(args):len(args)], r.URL)
	for _, h := range l.headers(r) {
		args = append(args, "--header="+h)
	}
	_, err := o.run(patience, []string{body}, "uclient-fetch", append(args, r.URL)...)
	if err != nil && strings.Contains(err.Error(), "unrecognized option") {
		_, err = o.run(patience, []string{body}, "uclient-fetch", plain...)
	}
	return err
}

// mail returns the letter as a mail for sendmail.
func mail(r *receiver, l *letter) string {
	from := ""
	if r.From != "" {
		from = "From: " + r.From + "\n"
	}
	return from + "To: " + r.To + "\nSubject: " + l.title + "\nAuto-Submitted: auto-generated\n" +
		"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" + l.text + "\n"
}
