// Command operator measures what the operator costs: the Jobs that it makes a second beside a plain client that makes the
// same, how long a stage waits for the next, writes to the API server, memory and CPU, at 100 to 3,000 runs of three stages
// that are submitted at once; beside the plain client also with pods so short that the machine is never idle. The control
// plane is real, in processes and a directory of its own; the nodes are kwok's.
// `make bench-operator` starts it. Targets are of the ratio where there is a peer, else of ours.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/hack/internal/command"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
)

type options struct {
	bin, tools, manager, output, directory string
	runs, saturated, peers                 int
	growth                                 string
	pods                                   podTimes // but where the machine is never idle
}

// results are build/bench/operator-runs.json: everything that was measured.
type results struct {
	report.Machine
	Conditions string     `json:"conditions"`
	Pods       string     `json:"pods"`    // but of Saturated, Ours and Peers, which have shortPods
	Seconds    float64    `json:"seconds"` // of everything
	Beside     comparison `json:"beside"`
	Saturated  comparison `json:"saturated"`
	Operator   []measured `json:"operator"` // on clusters of their own, and of Beside, by runs, ascending
	Ours       measured   `json:"ours"`     // the operator on the peers' cluster
	Peers      []measured `json:"peers"`
}

// comparison of the operator with the plain client on one cluster.
type comparison struct {
	Plain measured `json:"plain"`
	Ours  measured `json:"ours"`
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "build/k8s/bin", "directory of etcd, kube-apiserver, kube-controller-manager and kube-scheduler")
	flag.StringVar(&o.tools, "tools", "build/tools/bin", "directory of kwok")
	flag.StringVar(&o.manager, "manager", "bin/manager", "the operator")
	flag.StringVar(&o.output, "output", "build/bench", "directory of operator.json and operator-runs.json")
	flag.StringVar(&o.directory, "directory", "", "of the control plane's data and logs, kept; default: a temporary one")
	flag.IntVar(&o.runs, "runs", 1000, "runs that are measured beside the plain client; 0: none")
	flag.DurationVar(&o.pods.shortest, "shortest", 40*time.Second, "pod, of those runs and of -growth's")
	flag.DurationVar(&o.pods.longest, "longest", 90*time.Second, "pod, of those runs and of -growth's")
	flag.IntVar(&o.saturated, "saturated", 100, "runs that are measured beside the plain client with pods of 2 to 5 s; 0: none")
	flag.StringVar(&o.growth, "growth", "100,300,3000", "runs at which the operator's cost is measured alone")
	flag.IntVar(&o.peers, "peers", 100, "runs whose Jobs JobSet and Kubeflow Trainer make too; 0: none")
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	os.Exit(command.Run("operator", func(ctx context.Context) error { return run(ctx, o) }))
}

func run(ctx context.Context, o options) error {
	sizes, err := parseSizes(o.growth)
	if err != nil {
		return err
	}
	if o.directory == "" {
		if o.directory, err = os.MkdirTemp("", "bench-operator-"); err != nil {
			return err
		}
		defer os.RemoveAll(o.directory)
	}
	if o.manager, err = filepath.Abs(o.manager); err != nil {
		return err
	}
	began := time.Now()
	r := results{Conditions: conditions, Pods: o.pods.String()}
	if r.Machine, err = report.ThisMachine(1); err != nil {
		return err
	}
	like, err := sampleJobs(ctx, o)
	if err != nil {
		return err
	}
	if o.runs > 0 {
		if r.Beside, err = besideTheCeiling(ctx, o, "beside", o.pods, o.runs, like); err != nil {
			return err
		}
		r.Operator = []measured{r.Beside.Ours}
	}
	if o.saturated > 0 {
		if r.Saturated, err = besideTheCeiling(ctx, o, "saturated", shortPods, o.saturated, like); err != nil {
			return err
		}
	}
	if o.peers > 0 {
		if err := besidePeers(ctx, o, &r); err != nil {
			return err
		}
	}
	for _, n := range sizes {
		if n == o.runs {
			continue // as they were beside the plain client
		}
		m, err := alone(ctx, o, n)
		if err != nil {
			return err
		}
		r.Operator = append(r.Operator, m)
	}
	r.Seconds = time.Since(began).Seconds()
	return r.write(o.output)
}

// Namespaces of what is compared.
const plain, ours = "plain", "runs"

// jobOf a key, as the plain client makes it.
type jobOf = func(key string) (client.Object, error)

// sampleJobs has the operator make the Jobs of one run, with short pods, for the plain client to copy.
func sampleJobs(ctx context.Context, o options) (like jobOf, err error) {
	err = onCluster(ctx, o, "sample", shortPods, func(c *cluster) error {
		like, err = c.sample(ctx, o.manager, plain)
		return err
	})
	return like, err
}

// besideTheCeiling measures the plain client and the operator on one cluster.
func besideTheCeiling(ctx context.Context, o options, name string, pods podTimes, runs int, like jobOf) (r comparison, err error) {
	err = onCluster(ctx, o, name, pods, func(c *cluster) error {
		for _, namespace := range []string{plain, ours} {
			if err := c.makeNamespace(ctx, namespace); err != nil {
				return err
			}
		}
		report.Say("%s: a plain client: the Jobs of %d runs", pods, runs)
		if r.Plain, err = c.runChains(ctx, plain, chainsOf(runs), jobKey, like); err != nil {
			return err
		}
		if err := c.clear(ctx, plain); err != nil {
			return err
		}
		report.Say("  %.1f Jobs/s; the operator: %d runs", r.Plain.JobsPerSecond, runs)
		r.Ours, err = c.runOperator(ctx, o.manager, ours, runs)
		report.Say("  %.1f Jobs/s", r.Ours.JobsPerSecond)
		return err
	})
	return r, err
}

// alone measures the operator on a cluster of its own.
func alone(ctx context.Context, o options, n int) (m measured, err error) {
	err = onCluster(ctx, o, fmt.Sprint("runs-", n), o.pods, func(c *cluster) error {
		if err := c.makeNamespace(ctx, "runs"); err != nil {
			return err
		}
		report.Say("the operator: %d runs", n)
		m, err = c.runOperator(ctx, o.manager, "runs", n)
		report.Say("  %.1f Jobs/s", m.JobsPerSecond)
		return err
	})
	return m, err
}

func onCluster(ctx context.Context, o options, name string, pods podTimes, measure func(*cluster) error) error {
	dir := filepath.Join(o.directory, name)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	c, err := startCluster(ctx, dir, o.bin, o.tools, pods)
	if err != nil {
		return err
	}
	defer c.stop()
	return measure(c)
}

func parseSizes(list string) ([]int, error) {
	var sizes []int
	for field := range strings.SplitSeq(list, ",") {
		if field == "" {
			continue
		}
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-growth %q: numbers of runs, separated by commas", list)
		}
		sizes = append(sizes, n)
	}
	return sizes, nil
}
