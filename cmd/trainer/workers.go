package main

import (
	"os"
	"strconv"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/collective"
)

// workersOf the environment: how this worker joins the others; nil where there is one.
func workersOf() (*collective.Config, error) {
	size, err := envNumber(contract.EnvWorkers, 1)
	if err != nil || size == 1 {
		return nil, err
	}
	rank, err := strconv.Atoi(os.Getenv(contract.EnvRank))
	if err != nil || rank < 0 || rank >= size {
		return nil, contract.UserErrorf("InvalidEnvironment", "%s=%q; set it to this worker's rank, 0 to %d", contract.EnvRank, os.Getenv(contract.EnvRank), size-1)
	}
	c := &collective.Config{
		Rank: rank, Size: size, Coordinator: os.Getenv(contract.EnvCoordinator),
		Listen: envOr(contract.EnvCollective, ":"+strconv.Itoa(contract.CollectivePort)),
	}
	if c.Coordinator == "" {
		return nil, contract.UserErrorf("InvalidEnvironment", "%s is not set; set it to HOST:PORT of worker 0", contract.EnvCoordinator)
	}
	if c.Key, err = collective.ReadKey(envOr(contract.EnvCollectiveKey, contract.CollectiveKeyPath)); err != nil {
		return nil, contract.UserErrorf("InvalidEnvironment", "%w; it is the run's secret, 32 random bytes in hexadecimal", err)
	}
	return c, nil
}
