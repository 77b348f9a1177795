package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"

	"github.com/simclr-operator/simclr-operator/hack/internal/local"
)

// finetuningStage of every run: three stages.
const finetuningStage = "few-labels"

// manager is the operator, with the permissions of config/rbac and its default flags.
type manager struct {
	*process
	metrics string // address
}

func (c *cluster) startManager(ctx context.Context, binary string) (*manager, error) {
	text, err := os.ReadFile("config/rbac/role.yaml")
	if err != nil {
		return nil, err
	}
	var role rbacv1.ClusterRole
	if err := yaml.Unmarshal(text, &role); err != nil {
		return nil, err
	}
	if err := c.api.Create(ctx, &role); client.IgnoreAlreadyExists(err) != nil {
		return nil, err
	}
	if _, err := c.user(ctx, userManager, role.Name); err != nil {
		return nil, err
	}
	kubeconfig, err := c.kubeconfig(userManager)
	if err != nil {
		return nil, err
	}
	address, err := local.FreeAddress()
	if err != nil {
		return nil, err
	}
	m := &manager{metrics: address}
	m.process, err = startProcess(filepath.Join(c.dir, "manager.log"), "manager", []string{"KUBECONFIG=" + kubeconfig},
		binary, "--trainer-image=registry.example/simclr-trainer:1", "--metrics-bind-address="+address, "--metrics-secure=false",
		"--health-probe-bind-address=0", "--manager-namespace=simclr-system", "--manager-labels=app.kubernetes.io/name=simclr-operator")
	if err != nil {
		return nil, err
	}
	return m, c.eventually(ctx, time.Minute, "the manager answers", func() (bool, error) {
		_, err := scrape(ctx, address)
		return err == nil, m.alive()
	})
}

// newRun has the demo's numbers.
func newRun(namespace, name string) *v1alpha1.SimCLRRun {
	width := v1alpha1.Decimal("0.25")
	run := &v1alpha1.SimCLRRun{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	run.Spec.Dataset.Name = "fashion-mnist"
	run.Spec.Encoder.Depth, run.Spec.Encoder.WidthMultiplier = 18, width
	run.Spec.BatchSize = 256
	run.Spec.Finetuning = []v1alpha1.FinetuningSpec{{Name: finetuningStage, LabelFraction: "0.01"}}
	return run
}

// chainsOf are the names of the Jobs of n runs, r0, r1, …
func chainsOf(n int) [][]string {
	chains := make([][]string, n)
	for i := range chains {
		chains[i] = chainOf(fmt.Sprint("r", i))
	}
	return chains
}

func chainOf(run string) []string {
	var chain []string
	for _, stage := range []string{v1alpha1.StagePretrain, v1alpha1.StageLinearEval, finetuningStage} {
		chain = append(chain, controllers.JobName(run, stage, 1))
	}
	return chain
}

// runOperator submits n runs at once, of the names r0, r1, …, and measures the manager until all are complete.
func (c *cluster) runOperator(ctx context.Context, binary, namespace string, n int) (m measured, err error) {
	mgr, err := c.startManager(ctx, binary)
	if err != nil {
		return m, err
	}
	defer mgr.stop()
	c.processes = append(c.processes, mgr.process)
	defer func() { c.processes = c.processes[:len(c.processes)-1] }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	chains := chainsOf(n)
	o, err := observe(ctx, c.config, namespace, jobKey, nil)
	if err != nil {
		return m, err
	}
	began, before := time.Now(), allSeconds()
	if err := c.submit(ctx, namespace, n); err != nil {
		return m, err
	}
	var started map[string]*dto.MetricFamily // the manager's metrics once a pod of every run has run
	if err := c.waitForJobs(ctx, o, jobsOf(chains), func() (err error) {
		if started == nil && o.ran() >= n {
			started, err = scrape(ctx, mgr.metrics)
		}
		return err
	}); err != nil {
		return m, err
	}
	if err := c.waitForRuns(ctx, namespace, n); err != nil {
		return m, err
	}
	m = newMeasured(o, chains, began)
	m.AllCPUSeconds = allSeconds() - before
	if err := c.account(ctx, &m, mgr, began, started[reconcileTime]); err != nil {
		return m, err
	}
	m.Unreachable, err = c.countEvents(ctx, namespace, "ProgressUnreachable")
	return m, err
}

func (c *cluster) submit(ctx context.Context, namespace string, n int) error {
	api, err := c.clientOf(ctx, userClient)
	if err != nil {
		return err
	}
	errs := make(chan error, n)
	slots := make(chan struct{}, atOnce)
	for i := range n {
		slots <- struct{}{}
		go func() {
			errs <- api.Create(ctx, newRun(namespace, fmt.Sprint("r", i)))
			<-slots
		}()
	}
	for range n {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) waitForRuns(ctx context.Context, namespace string, n int) error {
	return c.eventually(ctx, 5*time.Minute, fmt.Sprint(n, " runs are complete"), func() (bool, error) {
		var runs v1alpha1.SimCLRRunList
		if err := c.api.List(ctx, &runs, client.InNamespace(namespace)); err != nil {
			return false, err
		}
		complete := 0
		for i := range runs.Items {
			conditions := runs.Items[i].Status.Conditions
			if meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionFailed) {
				return false, fmt.Errorf("run %s: %s", runs.Items[i].Name, runs.Items[i].Status.Message)
			}
			if meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionComplete) {
				complete++
			}
		}
		return complete == n, nil
	})
}

// account adds what the manager took.
func (c *cluster) account(ctx context.Context, m *measured, mgr *manager, began time.Time, started *dto.MetricFamily) error {
	time.Sleep(2 * time.Second) // what it still writes: the recorder's events
	u, err := mgr.usage()
	if err != nil {
		return err
	}
	m.PeakMiB, m.CPUSeconds = u.peakMiB, u.seconds
	if m.Writes, err = countWrites(c.auditLog(), began, userManager); err != nil {
		return err
	}
	families, err := scrape(ctx, mgr.metrics)
	if err != nil {
		return err
	}
	m.Reconciles = sum(families["controller_runtime_reconcile_total"], "", "")
	m.Reads = sum(families["rest_client_requests_total"], "method", "GET")
	if m.ReconcileP99, err = histogramQuantile(0.99, families[reconcileTime]); err != nil {
		return err
	}
	m.ActiveP99, err = histogramQuantile(0.99, since(started, families[reconcileTime]))
	return err
}

// countEvents of a reason in a namespace.
func (c *cluster) countEvents(ctx context.Context, namespace, reason string) (int, error) {
	var events corev1.EventList
	err := c.api.List(ctx, &events, client.InNamespace(namespace), client.MatchingFields{"reason": reason})
	return len(events.Items), err
}

const reconcileTime = "controller_runtime_reconcile_time_seconds"

func quantity(n int64) *resource.Quantity { return resource.NewQuantity(n, resource.DecimalSI) }

// sample is one run by the operator, whose Jobs the plain client copies.
func (c *cluster) sample(ctx context.Context, binary, to string) (func(key string) (client.Object, error), error) {
	const namespace, name = "sample", "samplerun"
	if err := c.makeNamespace(ctx, namespace); err != nil {
		return nil, err
	}
	mgr, err := c.startManager(ctx, binary)
	if err != nil {
		return nil, err
	}
	defer mgr.stop()
	if err := c.api.Create(ctx, newRun(namespace, name)); err != nil {
		return nil, err
	}
	if err := c.waitForRuns(ctx, namespace, 1); err != nil {
		return nil, fmt.Errorf("the sample run: %w; logs are in %s", err, c.dir)
	}
	copies, err := c.jobsLike(ctx, namespace, name, to)
	if err != nil {
		return nil, err
	}
	return copies, c.api.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
}
