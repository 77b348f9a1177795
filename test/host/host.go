// Package host gives tests what is the machine's: file systems and addresses.
package host

import (
	"fmt"
	"net"
	"syscall"
	"testing"
)

// Disk is a file system of its own of so many KiB, until the test ends.
func Disk(t testing.TB, kib int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
		t.Fatalf("this test mounts a tmpfs and must run as root with CAP_SYS_ADMIN: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Remount a Disk with other flags and options, those of mount(2) and tmpfs(5).
func Remount(t testing.TB, dir string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, options); err != nil {
		t.Fatalf("this test remounts a tmpfs and must run as root with CAP_SYS_ADMIN: %v", err)
	}
}

// FreeAddress is one, HOST:PORT, at which nothing listens now.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
