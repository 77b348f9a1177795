package main

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

func newArchive() *cobra.Command {
	afterStdin := false
	c := &cobra.Command{
		Use:   "archive DIR",
		Short: "Write a directory to stdout as a tar archive, to get an encoder off a claim",
		Long: `archive writes a directory as a tar archive to its standard output, each file under the
directory's own name. The trainer's image has no shell and no tar; docs/encoder.md
gets a run's encoder off its claim with it.`,
		Example: "  simclr-trainer archive /output/<run UID>/encoder | tar -x   # makes encoder/",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return contract.UserErrorf("Usage", "name one directory: simclr-trainer archive DIR")
			}
			if afterStdin {
				if _, err := io.Copy(io.Discard, c.InOrStdin()); err != nil {
					return fmt.Errorf("waiting for the end of standard input: %w", err)
				}
			}
			return archive(c.OutOrStdout(), args[0])
		},
	}
	c.Flags().BoolVar(&afterStdin, "after-stdin", false,
		"write nothing before standard input has ended: what a container writes before kubectl is attached is lost")
	return c
}

// archive writes a directory's files. Hidden ones, links and other special files are left out.
func archive(w io.Writer, dir string) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return contract.UserErrorf("DirectoryMissing", "%s is not a directory that can be read", dir)
	}
	t := tar.NewWriter(w)
	base := filepath.Base(filepath.Clean(dir))
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), ".") {
			return err // .tmp-… is what a crash left
		}
		within, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return addFile(t, path, filepath.ToSlash(filepath.Join(base, within)))
	})
	if err != nil {
		return err
	}
	return t.Close()
}

// addFile adds a file as everybody's to read. There are no owners and times: equal files give equal
// archives.
func addFile(t *tar.Writer, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(t, io.LimitReader(f, info.Size()))
	return err
}
