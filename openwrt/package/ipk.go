// SPDX-License-Identifier: GPL-2.0-or-later

package main

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/goreleaser/nfpm/v2/ipk"
)

// ipk writes a package in opkg's format, for OpenWrt up to 24.10.
func (r *release) ipk(p *pack) ([]byte, error) {
	s, err := newStage()
	if err != nil {
		return nil, err
	}
	defer s.remove()
	info, err := s.describe(r, p)
	if err != nil {
		return nil, err
	}
	info.Version = r.packageVersion()
	info.IPK.Fields = map[string]string{
		"Require-User":    p.user,
		"SourceDateEpoch": strconv.FormatInt(r.time.Unix(), 10),
		"SourceName":      "p2pwall",
		"URL":             homepage,
	}
	var errs [3]error
	info.Scripts.PostInstall, errs[0] = s.script(ipkPostinst)
	info.Scripts.PreRemove, errs[1] = s.script(ipkPrerm)
	if p.postrm != "" {
		info.Scripts.PostRemove, errs[2] = s.script("#!/bin/sh\n" + p.postrm)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := ipk.Default.Package(info, &out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
