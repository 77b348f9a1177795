package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// enter makes a root of a directory that is read-only but for /tmp, with the machine's devices, and runs a program there as the
// images' user, with the network of a pod that reaches nothing.
const enter = `set -e
root=$1 path=$2; shift 2
mount --bind "$root" "$root"
mount -t tmpfs none "$root/tmp"
for d in dev proc sys; do mkdir -p "$root/$d"; mount --rbind "/$d" "$root/$d"; done
mount -o remount,bind,ro "$root"
exec env -i "$@" "$(command -v chroot)" --userspec 65532:65532 --groups= "$root" "$path" devices`

// deviceMissing is the trainer's exit code where no device is here (docs/trainer-contract.md).
const deviceMissing = 12

// start runs a trainer's image as a pod would: by its own user, with a read-only root. Its devices may be missing here; else it has
// to say what it trains on.
func start(ctx context.Context, w io.Writer, img v1.Image) error {
	if os.Geteuid() != 0 {
		return errors.New("starting an image needs root")
	}
	c, err := img.ConfigFile()
	if err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "simclr-root-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	if err := errors.Join(os.Chmod(root, 0o755), extractImage(img, root)); err != nil {
		return err
	}
	args := append([]string{"--mount", "--net", "--fork", "sh", "-c", enter, "enter", root, c.Config.Entrypoint[0]}, c.Config.Env...)
	cmd := exec.CommandContext(ctx, "unshare", args...)
	text, err := cmd.CombinedOutput()
	fmt.Fprintf(w, "  started as user %s, its root read-only: exit code %d\n    %s\n", c.Config.User, cmd.ProcessState.ExitCode(),
		strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n    "))
	if code := cmd.ProcessState.ExitCode(); code == deviceMissing || err == nil {
		return nil
	}
	return fmt.Errorf("it does not start: %w", err)
}

// extractImage writes an image's files below a directory.
func extractImage(img v1.Image, root string) error {
	content := mutate.Extract(img)
	defer content.Close()
	for r := tar.NewReader(content); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(h.Name) {
			return fmt.Errorf("%s is not below the root", h.Name)
		}
		if err := writeEntry(r, h, filepath.Join(root, h.Name)); err != nil { //nolint:gosec // it is local
			return err
		}
	}
}

func writeEntry(r io.Reader, h *tar.Header, to string) error {
	if h.Typeflag == tar.TypeDir {
		return os.MkdirAll(to, 0o755)
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fs.FileMode(h.Mode).Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, r)
	return errors.Join(err, out.Close())
}
