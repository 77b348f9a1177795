// Command augment times trainer/augment beside torchvision's transforms on one core: two views of each image, of
// decoded images of 32 pixels, and of JPEG files of 500 × 375. Rates are of the CPU's time, not the clock's.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/simclr-operator/simclr-operator/hack/bench/photo"
	"github.com/simclr-operator/simclr-operator/trainer/augment"
)

type options struct {
	python, program, output string
	files, repetitions      int
	seconds                 float64
}

// A row of augment.json, as of yardstick.json.
type row struct {
	Case   string  `json:"case"`
	Unit   string  `json:"unit"`
	Ours   float64 `json:"ours"`
	Peer   float64 `json:"peer"`
	Ratio  float64 `json:"ratio"` // ours/peer
	Target float64 `json:"target"`
	Better string  `json:"better"`
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

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	rows, err := compare(ctx, o)
	stop()
	if err == nil {
		err = write(filepath.Join(o.output, "augment.json"), rows)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "augment:", err)
		os.Exit(1)
	}
}

func compare(ctx context.Context, o options) ([]row, error) {
	if o.files < 1 || o.repetitions < 1 || o.seconds <= 0 {
		return nil, errors.New("-files and -repetitions are at least 1, -seconds more than 0")
	}
	var rows []row
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
func (b bench) compare(ctx context.Context, o options) (row, error) {
	dir, err := os.MkdirTemp("", "augment-")
	if err != nil {
		return row{}, err
	}
	defer os.RemoveAll(dir)
	files, err := writePhotos(dir, o.files, b.w, b.h)
	if err != nil {
		return row{}, err
	}
	var ours []float64
	peers := map[string][]float64{}
	for range o.repetitions {
		rate, err := b.ours(files, o.seconds)
		if err != nil {
			return row{}, err
		}
		ours = append(ours, rate)
		if err := b.peer(ctx, o, dir, peers); err != nil {
			return row{}, err
		}
	}
	r := row{Case: b.name, Unit: "source images/s a core", Ours: median(ours), Target: target, Better: "higher"}
	for way, rates := range peers {
		fmt.Fprintf(os.Stderr, "%s: torchvision %s %.0f images/s\n", b.name, way, rates)
		r.Peer = max(r.Peer, median(rates))
	}
	r.Ratio = r.Ours / r.Peer
	fmt.Fprintf(os.Stderr, "%s: ours %.0f images/s\n", b.name, ours)
	return r, nil
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

// median of at least one value: of an even number, the mean of the middle two.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// write the rows for programs, and for people.
func write(path string, rows []row) error {
	data, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	fmt.Printf("%-50s %12s %12s %8s %8s\n", "source images/s a core", "ours", "torchvision", "ratio", "target")
	for _, r := range rows {
		fmt.Printf("%-50s %12.0f %12.0f %8.1f %8.1f\n", r.Case, r.Ours, r.Peer, r.Ratio, r.Target)
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}
