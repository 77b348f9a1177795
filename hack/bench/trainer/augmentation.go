package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

// augmentation alone is compared by a program of its own.
func augmentation(ctx context.Context, b *bench) ([]report.Row, error) {
	out, err := runs.Command(ctx, b.o.augment, "-python", b.o.Python, "-output", b.o.output, "-repetitions", fmt.Sprint(b.o.repetitions)).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", b.o.augment, err, out)
	}
	var rows []report.Row
	err = report.ReadJSON(filepath.Join(b.o.output, "augment.json"), &rows)
	return rows, err
}
