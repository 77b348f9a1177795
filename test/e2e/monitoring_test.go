//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// A real Prometheus scrapes the manager and the trainers as the chart's monitors say, while runs train, fail, stall,
// wait, restart and cannot be heard: each alert's expression and each query of the dashboard has data, and alerts fire.
func TestMonitoring(t *testing.T) {
	m := chartMonitoring(t)
	p := startPrometheus(t, m)
	p.awaits(`up{job="manager"} == 1`)
	seen := p.watch(m.queries(t))

	quota := start(t, scenario.PretrainOnly, scenario.Suspended(true))
	create(t, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "none", Namespace: quota.Run.Namespace},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/jobs.batch": resource.MustParse("0")}},
	})
	quota.Edit(scenario.Suspended(false))
	start(t, scenario.PretrainOnly, func(r *v1alpha1.SimCLRRun) { r.Spec.Template.NodeSelector = map[string]string{"no": "node"} })
	fails := start(t, scenario.PretrainOnly, func(r *v1alpha1.SimCLRRun) { r.Spec.Dataset.Limit, r.Spec.BatchSize = nil, 50000 })
	fails.fails("UserError")
	p.awaits(`simclr_operator_runs{phase="Failed", run_namespace="` + fails.Run.Namespace + `"} == 1`)
	if summary := p.fires("SimCLRRunFailed"); !strings.Contains(summary, fails.Run.Namespace+"/"+fails.Run.Name) {
		t.Errorf("SimCLRRunFailed tells %q, want the run's name", summary)
	}

	trains := start(t, func(r *v1alpha1.SimCLRRun) {
		r.Spec.KNN.EveryEpochs = new(int32(1))
		r.Spec.Pretraining.Epochs = new(int32(12))
		r.Spec.Finetuning = nil
	})
	trains.Trains("pretrain", 10)
	trains.KillTrainer()
	trains.Eventually("the second attempt", scenario.Patience, func() string {
		if st := trains.Stage("pretrain"); st.Attempts != 2 || st.Progress == nil || st.Progress.Step == 0 {
			return "not yet"
		}
		return ""
	})
	// A trainer that stands still for a while does not tell its progress; it goes on afterwards.
	trains.Frozen(func() { p.awaits(`simclr_operator_run_attention{state="Unreachable"} == 1`) })
	trains.Completes()
	seen.ends(t, 20*time.Second)
}

// queries of the dashboard, and the alerts' expressions without their thresholds, by where they are.
func (m *monitoring) queries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	threshold := regexp.MustCompile(`^(.*) > [0-9.]+$`)
	for _, group := range m.rules.Spec.Groups {
		for _, rule := range group.Rules {
			expression := rule.Expr.String()
			if inner, absent := strings.CutPrefix(expression, "absent("); absent {
				expression = strings.TrimSuffix(inner, ")")
			} else if parts := threshold.FindStringSubmatch(expression); parts != nil {
				expression = parts[1]
			} else {
				t.Fatalf("%s has no threshold that the test can take away: %s", rule.Alert, expression)
			}
			all["alert "+rule.Alert] = expression
		}
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name string }
		}
	}
	if err := json.Unmarshal([]byte(m.dashboard.Data["simclr-operator.json"]), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			all["panel "+panel.Title+": "+target.Expr] = strings.NewReplacer("$namespace", ".*", "$run", ".*", "$__rate_interval", "4m").Replace(target.Expr)
		}
	}
	return all
}

// watch is a look-out for data of queries, each at any time while it lasts: a trainer's series end with it.
type watch struct {
	mu      sync.Mutex
	missing map[string]string // what was answered last, by where the query is
	done    chan struct{}
}

func (p prometheus) watch(queries map[string]string) *watch {
	w := &watch{missing: map[string]string{}, done: make(chan struct{})}
	for where := range queries {
		w.missing[where] = "not asked"
	}
	ctx := p.Context()
	go func() {
		defer close(w.done)
		for ctx.Err() == nil {
			left := 0
			for where, expression := range queries {
				left += w.look(p, where, expression)
			}
			if left == 0 {
				return
			}
			time.Sleep(500 * time.Millisecond)
		}
	}()
	return w
}

// look asks one query, where it is still missing, and is 1 where it still is then.
func (w *watch) look(p prometheus, where, expression string) int {
	w.mu.Lock()
	_, missing := w.missing[where]
	w.mu.Unlock()
	if !missing {
		return 0
	}
	values, problem := p.query(expression)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(values) > 0 {
		delete(w.missing, where)
		return 0
	}
	w.missing[where] = expression + " " + problem
	return 1
}

// ends fails with the queries that had no data at any time until now or a little later.
func (w *watch) ends(t *testing.T, later time.Duration) {
	t.Helper()
	select {
	case <-w.done:
	case <-time.After(later):
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, where := range slices.Sorted(maps.Keys(w.missing)) {
		t.Errorf("no data at any time: %s: %s", where, w.missing[where])
	}
}

// awaits data of one query.
func (p prometheus) awaits(query string) {
	p.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
		values, problem := p.query(query)
		if len(values) > 0 {
			return
		}
		if time.Now().After(deadline) {
			p.Fatalf("no data of %s within a minute %s", query, problem)
		}
	}
}

// fires waits for an alert and gives its summary.
func (p prometheus) fires(alert string) string {
	p.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(500 * time.Millisecond) {
		if summary, firing := p.firing()[alert]; firing {
			return summary
		}
		if time.Now().After(deadline) {
			p.Fatalf("%s does not fire; these do: %v", alert, p.firing())
		}
	}
}

// create an object that goes with the test.
func create(t *testing.T, object client.Object) {
	t.Helper()
	if err := scenario.API.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.IgnoreNotFound(scenario.API.Delete(context.WithoutCancel(t.Context()), object)) })
}
