package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

const certificates = "/etc/ssl/certs/ca-certificates.crt"

// baseFiles are what a program without a distribution below it needs: its user, certificates, names, and /tmp.
func baseFiles() (files, error) {
	if _, err := os.Stat(certificates); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing: apt-get install ca-certificates", certificates)
	}
	return files{
		certificates:         {from: certificates, mode: 0o644},
		"/etc/passwd":        {content: []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n"), mode: 0o644},
		"/etc/group":         {content: []byte("root:x:0:\nnonroot:x:65532:\n"), mode: 0o644},
		"/etc/nsswitch.conf": {content: []byte("hosts: files dns\n"), mode: 0o644},
		"/tmp":               {mode: fs.ModeDir | fs.ModeSticky | 0o777},
	}, nil
}
