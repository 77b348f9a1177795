// Command breakdown tells where a contrastive step's time goes, kernel by kernel, beside what this machine can do at most.
// `make bench-breakdown` starts it. The kernels and what is between them add up to the step.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/simclr-operator/simclr-operator/hack/internal/command"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/runs"
)

// kernel is a line of engine/cpu's BenchmarkBreakdown: what one kind of kernel does in a step, or what is between kernels.
type kernel struct {
	Case         string
	Kernel       string
	Calls        int
	Milliseconds float64
	GFLOPs       float64 // a second, of convolutions and matrices as if they were computed directly
	GBs          float64 // a second, of operands and results, each once
}

func main() {
	output := flag.String("output", "build/bench", "directory of breakdown.json")
	threads := flag.Int("threads", 2, "as many as the kernels have, for the machine's peak")
	cases := flag.String("cases", ".", "regular expression of the cases, such as ResNet-18.*bf16")
	steps := flag.Int("steps", 10, "steps of each case")
	flag.Parse()
	os.Exit(command.Run("breakdown", func(ctx context.Context) error { return bench(ctx, *output, *cases, *threads, *steps) }))
}

func bench(ctx context.Context, output, cases string, threads, steps int) error {
	rows, err := peak(threads)
	if err != nil {
		return err
	}
	if err := report.Table(os.Stdout, rows); err != nil {
		return err
	}
	args := []string{
		"env", "GOMP_SPINCOUNT=3000", // as simclr-trainer sets for itself
		"go", "test", "./trainer/engine/cpu", "-run", "^$", "-bench", "Breakdown/" + cases, "-benchtime", fmt.Sprint(steps, "x"), "-timeout", "30m",
	}
	kernels, err := measure(runs.Command(ctx, args...))
	if err != nil {
		return err
	}
	if err := tables(os.Stdout, kernels); err != nil {
		return err
	}
	for _, k := range kernels {
		rows = append(rows, report.Row{Case: k.Case + ": " + k.Kernel, Unit: "ms", Ours: k.Milliseconds, Better: report.Lower})
	}
	return report.WriteJSON(filepath.Join(output, "breakdown.json"), rows)
}

// measure runs the benchmark, whose lines of JSON are ours and all others the user's.
func measure(cmd *exec.Cmd) ([]kernel, error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	kernels, err := read(out, os.Stderr)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return nil, err
	}
	if len(kernels) == 0 {
		return nil, errors.New("the benchmark has no such case")
	}
	return kernels, nil
}

func read(r io.Reader, others io.Writer) (kernels []kernel, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		// the first line of a case follows the benchmark's name
		_, line, ok := bytes.Cut(lines.Bytes(), []byte("{"))
		if !ok {
			fmt.Fprintln(others, lines.Text())
			continue
		}
		var k kernel
		if err := json.Unmarshal(append([]byte("{"), line...), &k); err != nil {
			return nil, fmt.Errorf("%s: %w", lines.Text(), err)
		}
		kernels = append(kernels, k)
	}
	return kernels, lines.Err()
}

// tables of each case, in Markdown, as docs/performance.md has them.
func tables(w io.Writer, kernels []kernel) error {
	before := ""
	for _, k := range kernels {
		if k.Case != before {
			fmt.Fprintf(w, "\n| %s | ms | share | calls | GFLOP/s | GB/s |\n|---|---|---|---|---|---|\n", k.Case)
			before = k.Case
		}
		share := 100 * k.Milliseconds / whole(kernels, k.Case)
		if _, err := fmt.Fprintf(w, "| %s | %.1f | %.1f%% | %s | %s | %s |\n", k.Kernel, k.Milliseconds, share, count(k.Calls), rate(k.GFLOPs), rate(k.GBs)); err != nil {
			return err
		}
	}
	return nil
}

// whole step of a case, in milliseconds: its last line's.
func whole(kernels []kernel, name string) (ms float64) {
	for _, k := range kernels {
		if k.Case == name {
			ms = k.Milliseconds
		}
	}
	return ms
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func rate(r float64) string {
	if r == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", r)
}
