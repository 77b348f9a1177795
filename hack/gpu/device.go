package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

// exitNoGPU is the trainer's code of a device that is missing.
const exitNoGPU = contract.ExitDevice

var errNoGPU = errors.New("no NVIDIA GPU")

// findLimit is how long a driver may take to say what is there: one that hangs must not take all the time.
const findLimit = time.Minute

// findGPU finds the plugin and a device that it drives, and what nvidia-smi says of it, where that is installed. Another plugin that
// the environment names, such as XLA's for CPUs, stands in for a GPU's.
func (c *check) findGPU(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, findLimit)
	defer stop()
	standIn := os.Getenv(contract.EnvPlugin) != ""
	if !standIn {
		plugin, err := c.plugin(ctx)
		if err != nil {
			return err
		}
		if err := os.Setenv(contract.EnvPlugin, plugin); err != nil {
			return err
		}
	}
	said, err := runs.Command(ctx, c.o.Trainer, "devices", "--threads", fmt.Sprint(c.o.Threads)).CombinedOutput()
	text := strings.TrimSpace(string(said))
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == contract.ExitDevice {
		return fmt.Errorf("%w: %s", errNoGPU, lastLine(text))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s devices gave no answer within %v: does nvidia-smi? It said: %s", c.o.Trainer, findLimit, text)
	}
	if err != nil {
		return fmt.Errorf("%s devices: %w: %s", c.o.Trainer, err, text)
	}
	c.Devices = lastLine(text)
	out, err := smi(ctx, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader").Output()
	switch {
	case err == nil:
		c.GPU = strings.TrimSpace(string(out))
	case standIn:
		c.GPU = "no NVIDIA GPU: " + os.Getenv(contract.EnvPlugin) + " stands in"
	default:
		c.GPU = "unknown"
		c.Note("nvidia-smi: %v: which GPU and driver this is, and how busy it is, is not known", err)
	}
	return nil
}

// plugin is that of the JAX that is packed, which needs no Python, else of the Python that runs the step in JAX: both are compiled by
// the same XLA.
func (c *check) plugin(ctx context.Context) (string, error) {
	packed := filepath.Join(c.o.pack, "site", "jax_plugins", "xla_cuda13", "xla_cuda_plugin.so")
	if _, err := os.Stat(packed); err == nil {
		return packed, nil
	}
	const find = `import importlib.util, os; print(os.path.dirname(importlib.util.find_spec("jax_plugins.xla_cuda13").origin))`
	out, err := runs.Command(ctx, c.o.Python, "-c", find).Output()
	if err != nil {
		return "", fmt.Errorf("%s has no jax_plugins.xla_cuda13: pack the wheels (make check-gpu-prepare), or set PYTHON to one that has: %w", c.o.Python, err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "xla_cuda_plugin.so"), nil
}

func smi(ctx context.Context, args ...string) *exec.Cmd {
	return runs.Command(ctx, append([]string{"nvidia-smi"}, args...)...)
}

func lastLine(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }

// sample is the share of the moment before it in which the GPU ran a kernel, as its driver counts it (nvidia-smi(1), utilization.gpu).
type sample struct {
	at   time.Time
	busy float64 // percent
}

// watch the GPU until the context's end, or nothing where there is no nvidia-smi.
type watch struct {
	stop    context.CancelFunc
	done    chan struct{}
	mu      sync.Mutex
	samples []sample
}

func watching(ctx context.Context) *watch {
	ctx, stop := context.WithCancel(ctx)
	w := &watch{stop: stop, done: make(chan struct{})}
	cmd := smi(ctx, "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0", "-lms", "200")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		close(w.done)
		return w
	}
	go func() {
		defer close(w.done)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			w.heard(lines.Text(), time.Now())
		}
		_ = cmd.Wait() // it was ended
	}()
	return w
}

func (w *watch) heard(line string, at time.Time) {
	if percent, err := strconv.ParseFloat(strings.TrimSpace(line), 64); err == nil {
		w.mu.Lock()
		w.samples = append(w.samples, sample{at, percent})
		w.mu.Unlock()
	}
}

// busy is the mean of the samples between two moments, and how many they are. The watch ends.
func (w *watch) busy(from, to time.Time) (mean float64, n int) {
	w.stop()
	<-w.done
	for _, s := range w.samples {
		if s.at.After(from) && !s.at.After(to) {
			mean, n = mean+s.busy, n+1
		}
	}
	return mean / float64(max(n, 1)), n
}
