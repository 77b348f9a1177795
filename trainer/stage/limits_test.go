package stage

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTotal(t *testing.T) {
	for text, want := range map[string]int64{
		"MemTotal:       65843020 kB\nMemFree:         1234 kB\n": 65843020 << 10,
		"MemFree: 1234 kB\nMemTotal: 1 kB\n":                      1 << 10,
		"MemFree: 1234 kB\n":                                      0,
		"":                                                        0,
	} {
		if got := total([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// A container's limit counts where it is less than the machine's memory.
func TestAvailableMemory(t *testing.T) {
	kept := limitFiles
	defer func() { limitFiles = kept }()
	limitFiles = nil
	machine := availableMemory()
	if machine <= 0 {
		t.Fatal("the machine has no memory")
	}
	for name, tc := range map[string]struct {
		text string
		want int64
	}{
		"a limit":                   {"104857600\n", 100 << 20},
		"cgroup v2 without a limit": {"max\n", machine},
		"cgroup v1 without a limit": {"9223372036854771712\n", machine},
		"nonsense":                  {"much\n", machine},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "memory.max")
			if err := os.WriteFile(path, []byte(tc.text), 0o644); err != nil {
				t.Fatal(err)
			}
			limitFiles = []string{filepath.Join(t.TempDir(), "none"), path}
			if got := availableMemory(); got != tc.want {
				t.Errorf("%d, want %d", got, tc.want)
			}
		})
	}
}
