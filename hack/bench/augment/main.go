// Command augment times trainer/augment beside torchvision's transforms on one core: two views of each image, of
// decoded images of 32 pixels, and of JPEG files of 500 × 375. Rates are of the CPU's time, not the clock's.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/simclr-operator/simclr-operator/hack/bench/photo"
	"github.com/simclr-operator/simclr-operator/hack/internal/command"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/trainer/augment"
)

type options struct {
	python, program, output string
	files, repetitions      int
	seconds                 float64
}

// target is how many times torchvision's images/s a core.
const target = 5

// bench is one case.
type bench struct {
	name     string
	w, h     int // of the images
	decoded  bool
	strength float64
	config   augment.Config
}

func benches() []bench {
	return []bench{
		{"augmentation alone, 32 px", 32, 32, true, 0.5, augment.Default(32, 0.5, false)},
		{"augmentation alone, 224 px from JPEG of 500×375", 500, 375, false, 1, augment.Default(224, 1, true)},
	}
}

func main() {
	var o options
	flag.StringVar(&o.python, "python", "build/bench/venv/bin/python", "the Python that has torchvision")
	flag.StringVar(&o.program, "program", "hack/bench/augment/torchvision_views.py", "the peer")
	flag.StringVar(&o.output, "output", "build/bench", "directory of augment.json")
	flag.IntVar(&o.files, "files", 32, "images of each case")
	flag.IntVar(&o.repetitions, "repetitions", 3, "rounds of each program")
	flag.Float64Var(&o.seconds, "seconds", 2, "of CPU time of each way in a round")
	flag.Parse()

	os.Exit(command.Run("augment", func(ctx context.Context) error {
		rows, err := compare(ctx, o)
		if err != nil {
			return err
		}
		return errors.Join(report.WriteJSON(filepath.Join(o.output, "augment.json"), rows), report.Table(os.Stdout, rows))
	}))
}

func compare(ctx context.Context, o options) ([]report.Row, error) {
	if o.files < 1 || o.repetitions < 1 || o.seconds <= 0 {
		return nil, errors.New("-files and -repetitions are at least 1, -seconds more than 0")
	}
	var rows []report.Row
	for _, b := range benches() {
		r, err := b.compare(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.name, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// compare in turn, and take the medians, of the peer those of its fastest way.
func (b bench) compare(ctx context.Context, o options) (report.Row, error) {
	dir, err := os.MkdirTemp("", "augment-")
	if err != nil {
		return report.Row{}, err
	}
	defer os.RemoveAll(dir)
	files, err := writePhotos(dir, o.files, b.w, b.h)
	if err != nil {
		return report.Row{}, err
	}
	var ours []float64
	peers := map[string][]float64{}
	for range o.repetitions {
		rate, err := b.ours(files, o.seconds)
		if err != nil {
			return report.Row{}, err
		}
		ours = append(ours, rate)
		if err := b.peer(ctx, o, dir, peers); err != nil {
			return report.Row{}, err
		}
	}
	fastest := 0.
	for way, rates := range peers {
		report.Say("%s: torchvision %s %.0f images/s", b.name, way, rates)
		fastest = max(fastest, report.Median(rates))
	}
	report.Say("%s: ours %.0f images/s", b.name, ours)
	return report.NewRow(b.name, "source images/s a core", report.Median(ours), fastest, new(float64(target)), report.Higher), nil
}

// writePhotos makes JPEG files, and gives what they hold.
func writePhotos(dir string, n, w, h int) ([][]byte, error) {
	var files [][]byte
	for i := range n {
		data, err := photo.JPEG(photo.New(w, h, uint64(i)))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.jpg", i)), data, 0o644); err != nil {
			return nil, err
		}
		files = append(files, data)
	}
	return files, nil
}
