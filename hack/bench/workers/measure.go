package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/simclr-operator/simclr-operator/hack/internal/report"
	"github.com/simclr-operator/simclr-operator/hack/internal/steps"
)

// cores are the first that this process may use.
func cores(n int) ([]int, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	var all []int
	for line := range strings.Lines(string(status)) {
		text, ok := strings.CutPrefix(line, "Cpus_allowed_list:")
		for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
			var first, last int
			switch fields, _ := fmt.Sscanf(part, "%d-%d", &first, &last); {
			case !ok || fields == 0:
				continue
			case fields == 1:
				last = first
			}
			for c := first; c <= last && len(all) < n; c++ {
				all = append(all, c)
			}
		}
	}
	if len(all) < n {
		return nil, fmt.Errorf("%d workers need a core each, and there are %d", n, len(all))
	}
	return all, nil
}

// list of cores as taskset takes it.
func list(cores []int) string {
	texts := make([]string, len(cores))
	for i, c := range cores {
		texts[i] = strconv.Itoa(c)
	}
	return strings.Join(texts, ",")
}

// stepsATurn of each program.
const stepsATurn = 3

// The ways to do a step that take turns.
const (
	one    = iota // worker with all cores
	global        // two workers, batch norm over both; gradients are summed while the backward pass makes others
	after         // the same, gradients are summed after it
	own           // two workers, batch norm of each one's own images
	peer          // PyTorch, batch norm of each one's own images
	ways
)

// measure a network: all programs in turns.
func (b *bench) measure(ctx context.Context, n network) ([]report.Row, error) {
	ours := []string{b.step}
	var crews [ways]*crew
	defer func() {
		for _, c := range crews {
			if c != nil {
				c.stop()
			}
		}
	}()
	for way, start := range [ways]func() (*crew, error){
		one:    func() (*crew, error) { return b.start(ctx, "1 worker", 1, ours, n) },
		global: func() (*crew, error) { return b.start(ctx, "2 workers, Global", size, ours, n) },
		after: func() (*crew, error) {
			return b.start(ctx, "2 workers, Global, sums after the backward pass", size, ours, n, "--overlap=false")
		},
		own: func() (*crew, error) {
			return b.start(ctx, "2 workers, Worker", size, ours, n, "--statistics", "Worker")
		},
		peer: func() (*crew, error) { return b.fastest(ctx, n) },
	} {
		var err error
		if crews[way], err = start(); err != nil {
			return nil, err
		}
	}
	for range b.repetitions {
		for _, c := range crews {
			if err := c.turn(stepsATurn, n.images); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range crews {
		b.Note("%s: %s: images/s of every step %.1f", n.name, c.name, c.rates)
	}
	return rows(n, crews), nil
}

// fastest of PyTorch's ways to do the step, still running. One that is not ready in time, as torch.compile may be, is left out.
func (b *bench) fastest(ctx context.Context, n network) (best *crew, err error) {
	for name, more := range map[string][]string{"eager": nil, "compiled": {"--compile"}} {
		began := time.Now()
		c, failed := b.start(ctx, "PyTorch, "+name, size, []string{b.python, steps.Script}, n, more...)
		if failed == nil {
			failed = c.turn(stepsATurn, n.images)
		}
		if failed != nil {
			err = failed
			b.Note("%s: PyTorch, %s is left out: %v", n.name, name, failed)
			continue
		}
		b.Note("%s: %s: %.1f images/s, ready and tried after %.0f s", n.name, c.name, report.Median(c.rates), time.Since(began).Seconds())
		if best != nil && report.Median(best.rates) >= report.Median(c.rates) {
			c.stop()
			continue
		}
		if best != nil {
			best.stop()
		}
		best = c
	}
	if best == nil {
		return nil, err
	}
	best.rates = nil
	return best, nil
}

// rows of a network.
func rows(n network, c [ways]*crew) []report.Row {
	const whole = 0.95
	row := func(what string, ours, beside int, target *float64) report.Row {
		return report.NewRow(n.name+": "+what, "images/s", report.Median(c[ours].rates), report.Median(c[beside].rates), target, report.Higher)
	}
	exchange := func(what string, of func(*crew) []float64, beside int) report.Row {
		milliseconds := func(way int) float64 { return 1e3 * report.Median(of(c[way])) }
		return report.Row{Case: n.name + ": a step " + what, Unit: "ms", Ours: milliseconds(global), Peer: new(milliseconds(beside)), Better: report.Lower}
	}
	return []report.Row{
		row("2 workers of a core each beside 1 with both, batch norm Global", global, one, new(whole)),
		row("2 workers of a core each beside 1 with both, batch norm Worker", own, one, new(whole)),
		row("2 workers beside PyTorch DistributedDataParallel over gloo, batch norm Worker", own, peer, new(1.0)),
		row("2 workers, gradients summed beside the backward pass, or after it", global, after, nil),
		row("2 workers, batch norm Global beside Worker", global, own, nil),
		exchange("waits for the sums of gradients, beside where they are summed after the backward pass", func(c *crew) []float64 { return c.waits }, after),
		exchange("exchanges batch norm's statistics and sums, Global beside Worker", func(c *crew) []float64 { return c.norm }, own),
		exchange("gathers z, beside batch norm Worker", func(c *crew) []float64 { return c.gather }, own),
	}
}
