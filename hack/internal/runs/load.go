package runs

import (
	"context"
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Load reads a run and makes it as small as it is to be: of so many images and epochs, where they are not 0.
func Load(file string, limit, epochs int) (v1alpha1.SimCLRRun, error) {
	var run v1alpha1.SimCLRRun
	data, err := os.ReadFile(file)
	if err != nil {
		return run, err
	}
	if err := yaml.UnmarshalStrict(data, &run); err != nil {
		return run, fmt.Errorf("%s: %w", file, err)
	}
	if limit > 0 {
		run.Spec.Dataset.Limit = new(int32(limit))
	}
	if epochs > 0 {
		run.Spec.Pretraining.Epochs = new(int32(epochs))
	}
	return run, nil
}

// Devices is what our program says that it runs on.
func (c Config) Devices(ctx context.Context) (string, error) {
	devices, err := Command(ctx, c.Trainer, "devices", "--threads", fmt.Sprint(c.Threads)).Output()
	if err != nil {
		return "", fmt.Errorf("%s devices: %w (make build)", c.Trainer, err)
	}
	return strings.Join(strings.Fields(string(devices)), " "), nil
}
