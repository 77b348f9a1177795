// Command yardstick runs simclr-trainer beside an equivalent PyTorch program, simclr_torch.py, on the same data: first
// short rounds in turn for the speed, then one whole run of each for the accuracies. `make bench-yardstick` starts it.
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
	"runtime"
	"strings"
	"syscall"

	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

type options struct {
	sample, data, output      string
	trainer, python           string
	repetitions, timed, limit int
	epochs, threads           int
}

func main() {
	var o options
	flag.StringVar(&o.sample, "f", "config/samples/cifar10-yardstick.yaml", "the run")
	flag.StringVar(&o.data, "data", "", "directory of train/<class>/ and test/<class>/")
	flag.StringVar(&o.output, "output", "build/bench", "directory of yardstick.json, yardstick-machine.json, and yardstick/")
	flag.StringVar(&o.trainer, "trainer", "bin/simclr-trainer", "our program")
	flag.StringVar(&o.python, "python", "build/bench/venv/bin/python", "the Python that has PyTorch")
	flag.IntVar(&o.repetitions, "repetitions", 3, "rounds of each program")
	flag.IntVar(&o.timed, "epochs-timed", 2, "epochs of a round, after one that is not timed")
	flag.IntVar(&o.limit, "limit", 0, "images, to try it out; 0: the run's")
	flag.IntVar(&o.epochs, "epochs", 0, "epochs of the whole run, to try it out; 0: the run's")
	flag.IntVar(&o.threads, "threads", 2, "compute threads; PyTorch has as many loader workers besides")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := bench(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "yardstick:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, o options) error {
	run, err := load(o)
	if err != nil {
		return err
	}
	programs := [2]program{ours(o), peer(o)}
	m, err := thisMachine(ctx, o)
	if err != nil {
		return err
	}
	for r := range o.repetitions {
		for i, p := range programs {
			rates, err := p.round(ctx, run, o.timed)
			if err != nil {
				return err
			}
			m.ImagesPerSecond[i] = append(m.ImagesPerSecond[i], rates...)
			say("round %d of %d: %s %.0f images/s", r+1, o.repetitions, p.name, rates)
		}
	}
	var whole [2]result
	for i, p := range programs {
		if whole[i], err = p.whole(ctx, run); err != nil {
			return err
		}
	}
	m.Peer = whole[1].Versions
	cases := compare(m.ImagesPerSecond, whole, *run.Spec.Pretraining.Epochs)
	if err := writeJSON(filepath.Join(o.output, "yardstick-machine.json"), m); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(o.output, "yardstick.json"), cases); err != nil {
		return err
	}
	return table(os.Stdout, m, cases)
}

// load reads the run and makes it as small as it is to be.
func load(o options) (v1alpha1.SimCLRRun, error) {
	var run v1alpha1.SimCLRRun
	if o.data == "" {
		return run, errors.New("name the directory of the images with -data")
	}
	if o.repetitions < 1 || o.timed < 1 {
		return run, errors.New("-repetitions and -epochs-timed are at least 1")
	}
	data, err := os.ReadFile(o.sample)
	if err != nil {
		return run, err
	}
	if err := yaml.UnmarshalStrict(data, &run); err != nil {
		return run, fmt.Errorf("%s: %w", o.sample, err)
	}
	if o.limit > 0 {
		run.Spec.Dataset.Limit = new(int32(o.limit))
	}
	if o.epochs > 0 {
		run.Spec.Pretraining.Epochs = new(int32(o.epochs))
	}
	return run, nil
}

// machine is what was measured, and on what.
type machine struct {
	CPU         string            `json:"cpu"`
	CPUs        int               `json:"cpus"`
	Threads     int               `json:"threads"`
	LoadAverage string            `json:"loadAverage"` // before the first round
	Ours        string            `json:"ours"`        // simclr-trainer devices
	Peer        map[string]string `json:"peer"`        // versions
	// ImagesPerSecond of every timed epoch: ours, and the peer's.
	ImagesPerSecond [2][]float64 `json:"imagesPerSecond"`
}

func thisMachine(ctx context.Context, o options) (machine, error) {
	devices, err := command(ctx, o.trainer, "devices", "--threads", fmt.Sprint(o.threads)).Output()
	if err != nil {
		return machine{}, fmt.Errorf("%s devices: %w (make build)", o.trainer, err)
	}
	m := machine{CPUs: runtime.NumCPU(), Threads: o.threads, Ours: strings.Join(strings.Fields(string(devices)), " ")}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m, err
	}
	m.CPU = modelName(string(info))
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return m, err
	}
	m.LoadAverage = strings.Join(strings.Fields(string(load))[:3], " ")
	return m, nil
}

// modelName of the first CPU of /proc/cpuinfo.
func modelName(info string) string {
	for line := range strings.Lines(info) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
