package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

func envOr(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// envNumber is a number of at least 1 from the environment.
func envNumber(name string, otherwise int) (int, error) {
	v := os.Getenv(name)
	if v == "" {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil || n < 1 {
		return 0, contract.UserErrorf("InvalidEnvironment", "%s=%q; set it to a number of at least 1", name, v)
	}
	return int(n), nil
}

// defaultThreads are the CPUs that Go may use, which is the cgroup's limit where there is one.
func defaultThreads() int { return runtime.GOMAXPROCS(0) }

// cacheDir is where known datasets are downloaded to: the user's cache, or the temporary directory
// where there is none, as in a pod. It makes the former: call it where something is downloaded.
func cacheDir() string {
	base, err := os.UserCacheDir()
	if err != nil || os.MkdirAll(filepath.Join(base, "simclr"), 0o755) != nil {
		base = os.TempDir()
	}
	return filepath.Join(base, "simclr", "datasets")
}
