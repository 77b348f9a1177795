// Package runs starts simclr-trainer and the PyTorch program that does the same, on the same images: whole runs for their
// accuracies, and short ones for their speed.
package runs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
)

const (
	script       = "hack/bench/yardstick/simclr_torch.py"
	requirements = "hack/bench/requirements.txt"
)

// Config says where what is needed lies.
type Config struct {
	Data      string // directory of train/<class>/ and test/<class>/
	Directory string // of the runs
	Trainer   string // our program
	Python    string // the Python that has PyTorch
	Threads   int    // compute threads; PyTorch has as many loader workers besides
}

// Flags of what a command's user may say of it.
func (c *Config) Flags() {
	flag.StringVar(&c.Data, "data", "", "directory of train/<class>/ and test/<class>/")
	flag.StringVar(&c.Trainer, "trainer", "bin/simclr-trainer", "our program")
	flag.StringVar(&c.Python, "python", "build/bench/venv/bin/python", "the Python that has PyTorch")
	flag.IntVar(&c.Threads, "threads", 2, "compute threads; PyTorch has as many loader workers besides")
}

// CheckData is an error where Flags were given no images.
func (c *Config) CheckData() error {
	if c.Data == "" {
		return errors.New("name the directory of the images with -data")
	}
	return nil
}

// A Program is one of the two that are compared.
type Program struct {
	Name string
	// Heard is told of each epoch's end; nil: nobody is.
	Heard func(EpochEnd)
	dir   string // of its whole run
	// code are the files that decide what it does: a whole run of other code is not reused.
	code []string
	// args of a run, whose results are written to dir, which exists.
	args func(run v1alpha1.SimCLRRun, dir string) ([]string, error)
	// read the results of a run.
	read func(dir string) (Result, error)
}

// Result of a whole run.
type Result struct {
	Key      string            `json:"key"`
	Loss     float64           `json:"loss"` // mean of the last epoch
	KNN      float64           `json:"knnTop1"`
	Linear   float64           `json:"linearTop1"`
	Epochs   float64           `json:"epochsSeconds"` // from the start to the last epoch's end
	Seconds  float64           `json:"seconds"`
	MaxRSS   int64             `json:"maxRSSBytes"`
	Versions map[string]string `json:"versions,omitempty"`
}

// Ours is simclr-trainer, which is given the run as a file.
func Ours(c Config) Program {
	return Program{
		Name: "simclr-trainer",
		dir:  filepath.Join(c.Directory, "simclr-trainer"),
		code: []string{c.Trainer},
		args: func(run v1alpha1.SimCLRRun, dir string) ([]string, error) {
			data, err := yaml.Marshal(run)
			if err != nil {
				return nil, err
			}
			file := dir + ".yaml"
			return []string{
				c.Trainer, "run", "-f", file, "--dataset", c.Data, "--output", dir,
				"--threads", strconv.Itoa(c.Threads), "--log", "/dev/stderr",
			}, os.WriteFile(file, data, 0o644)
		},
		read: func(dir string) (Result, error) {
			var r v1alpha1.Results
			if err := report.ReadJSON(filepath.Join(dir, "results.json"), &r); err != nil {
				return Result{}, err
			}
			var values [3]float64
			for i, text := range []string{r.PretrainingLoss, r.KNNTop1, r.LinearTop1} {
				v, err := strconv.ParseFloat(text, 64)
				if err != nil {
					return Result{}, fmt.Errorf("%s/results.json: %w", dir, err)
				}
				values[i] = v
			}
			return Result{Loss: values[0], KNN: values[1], Linear: values[2]}, nil
		},
	}
}

// Peer is the PyTorch program, which is given the run's numbers as flags, besides others that say how it computes. The
// rest of the run, such as the stem and the crop's filter, it has in its code.
func Peer(c Config, flags ...string) Program {
	return Program{
		Name: "pytorch",
		dir:  filepath.Join(c.Directory, "pytorch"),
		code: []string{script, requirements},
		args: func(run v1alpha1.SimCLRRun, dir string) ([]string, error) {
			s, p := run.Spec, run.Spec.Pretraining
			return append([]string{
				c.Python, script, "--data", c.Data, "--out", filepath.Join(dir, "results.json"),
				"--limit", fmt.Sprint(*s.Dataset.Limit), "--batch", fmt.Sprint(s.BatchSize),
				"--width", string(s.Encoder.WidthMultiplier), "--strength", string(*s.Augmentations.ColorDistortion.Strength),
				"--epochs", fmt.Sprint(*p.Epochs), "--warmup", fmt.Sprint(*p.WarmupEpochs), "--lr", string(*p.LearningRate),
				"--wd", string(*p.WeightDecay), "--temp", string(*p.Temperature), "--seed", fmt.Sprint(*p.Seed),
				"--threads", fmt.Sprint(c.Threads), "--workers", fmt.Sprint(c.Threads),
			}, flags...), nil
		},
		read: func(dir string) (Result, error) {
			var r struct {
				Torch, Torchvision, CPUCapability string
				Threads                           int
				Epochs                            []EpochEnd
				KNNTop1, LinearTop1               float64
			}
			if err := report.ReadJSON(filepath.Join(dir, "results.json"), &r); err != nil {
				return Result{}, err
			}
			if len(r.Epochs) == 0 {
				return Result{}, fmt.Errorf("%s/results.json has no epochs", dir)
			}
			return Result{
				Loss: r.Epochs[len(r.Epochs)-1].Loss, KNN: 100 * r.KNNTop1, Linear: 100 * r.LinearTop1,
				Versions: map[string]string{
					"torch": r.Torch, "torchvision": r.Torchvision, "cpuCapability": r.CPUCapability, "threads": strconv.Itoa(r.Threads),
				},
			}, nil
		},
	}
}

// Round measures the images/s of the epochs after the first one; what would come after them is not waited for.
func (p Program) Round(ctx context.Context, run v1alpha1.SimCLRRun, timed int) ([]float64, error) {
	dir := p.dir + "-round"
	if err := empty(dir); err != nil {
		return nil, err
	}
	epochs := int32(timed + 1)
	run.Spec.Pretraining.Epochs = &epochs
	args, err := p.args(run, dir)
	if err != nil {
		return nil, err
	}
	var ends []EpochEnd
	_, err = execute(ctx, args, func(e EpochEnd) bool {
		ends = append(ends, e)
		p.heard(e)
		return e.Epoch < epochs
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	rates := imagesPerSecond(ends, run.Spec.BatchSize)
	if len(rates) != timed {
		return nil, fmt.Errorf("%s: wanted the ends of %d epochs, got those of %d", p.Name, epochs, len(ends))
	}
	return rates, nil
}

// Whole does the whole run, or finds that this program has done it.
func (p Program) Whole(ctx context.Context, run v1alpha1.SimCLRRun) (Result, error) {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return Result{}, err
	}
	args, err := p.args(run, p.dir)
	if err != nil {
		return Result{}, err
	}
	key, err := p.key(run, args)
	if err != nil {
		return Result{}, err
	}
	var r Result
	file := p.dir + ".json"
	if report.ReadJSON(file, &r) == nil && r.Key == key {
		report.Say("%s: the whole run is done; delete %s to do it again", p.Name, file)
		return r, nil
	}
	// Half a run has half a time, so an interrupted one begins anew.
	if err := empty(p.dir); err != nil {
		return Result{}, err
	}
	use, err := execute(ctx, args, func(e EpochEnd) bool {
		report.Say("%s: epoch %d of %d, loss %.4f", p.Name, e.Epoch, *run.Spec.Pretraining.Epochs, e.Loss)
		p.heard(e)
		return true
	})
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", p.Name, err)
	}
	if r, err = p.read(p.dir); err != nil {
		return Result{}, err
	}
	r.Key, r.Epochs, r.Seconds, r.MaxRSS = key, use.epochs.Seconds(), use.wall.Seconds(), use.maxRSS
	return r, report.WriteJSON(file, r)
}

func (p Program) heard(e EpochEnd) {
	if p.Heard != nil {
		p.Heard(e)
	}
}

// empty makes a directory empty.
func empty(dir string) error { return errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)) }

// key of a whole run: the same code, run and command line.
func (p Program) key(run v1alpha1.SimCLRRun, args []string) (string, error) {
	h := sha256.New()
	for _, name := range p.code {
		data, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		h.Write(data)
	}
	data, err := yaml.Marshal(run)
	if err != nil {
		return "", err
	}
	h.Write(data)
	h.Write([]byte(strings.Join(args, "\x00")))
	return hex.EncodeToString(h.Sum(nil)), nil
}
