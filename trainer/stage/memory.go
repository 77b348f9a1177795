package stage

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// limitFiles are where a container finds its own memory limit: cgroup v2, then v1.
var limitFiles = []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// availableMemory is the machine's memory, or the container's limit where that is less. 0: not known.
// Unit: bytes.
func availableMemory() int64 {
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	memory := total(raw)
	for _, path := range limitFiles {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// "max" is no number, and v1 has a huge one where there is no limit
		if n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64); err == nil && n < memory {
			memory = n
		}
	}
	return memory
}

// imageMemory is what each split of a run may keep of its images: of a quarter of the memory, because training
// needs the rest, and of this process's share of that where there are neighbours. 0: not known. Unit: bytes.
func imageMemory(s *v1alpha1.SimCLRRunSpec, neighbours int) int64 {
	splits := int64(1)
	if labelsNeeded(s) {
		splits++ // test
	}
	if s.Evaluation != nil {
		splits++
	}
	return availableMemory() / 4 / splits / int64(1+neighbours)
}

// total is MemTotal of /proc/meminfo in bytes.
func total(meminfo []byte) int64 {
	lines := bufio.NewScanner(bytes.NewReader(meminfo))
	for lines.Scan() {
		var kib int64
		if n, _ := fmt.Sscanf(lines.Text(), "MemTotal: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
