//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
)

// patience is how long a run of the tests' size may take on two shared cores.
const patience = 4 * time.Minute

// small is a run that trains for about twenty seconds on two cores: seconds enough to be seen, stopped and killed within
// an epoch, and every stage on real images.
const small = `
apiVersion: training.simclr.dev/v1alpha1
kind: SimCLRRun
metadata: {name: small}
spec:
  dataset: {name: fashion-mnist, limit: 2000}
  encoder: {widthMultiplier: "0.125"}
  batchSize: 100
  pretraining: {epochs: 4}
  linearEvaluation: {method: LBFGS, maxIterations: 50}
  finetuning:
    - {name: five-percent, labelFraction: "0.05", epochs: 3}
  checkpoint: {intervalSeconds: 2}
  output: {claim: {size: 1Gi, retention: Delete}}
`

// pretrainOnly ends after the encoder is there.
func pretrainOnly(r *v1alpha1.SimCLRRun) {
	r.Spec.KNN.Mode, r.Spec.LinearEvaluation = v1alpha1.Disabled, v1alpha1.LinearEvaluationSpec{Mode: v1alpha1.Disabled}
	r.Spec.Finetuning = nil
}

// scenario is one run in a namespace of its own, whose pods must keep the restricted Pod Security Standard.
type scenario struct {
	*testing.T
	run *v1alpha1.SimCLRRun
}

func start(t *testing.T, changes ...func(*v1alpha1.SimCLRRun)) *scenario {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "e2e-", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	s := &scenario{T: t, run: &v1alpha1.SimCLRRun{}}
	s.must(api.Create(t.Context(), ns))
	t.Cleanup(func() {
		if t.Failed() {
			s.explain(ns.Name)
		}
		s.must(api.Delete(context.WithoutCancel(t.Context()), ns))
	})
	s.must(yaml.UnmarshalStrict([]byte(small), s.run))
	s.run.Namespace = ns.Name
	for _, change := range changes {
		change(s.run)
	}
	s.must(api.Create(t.Context(), s.run))
	return s
}

// explain prints what a person would look at.
func (s *scenario) explain(namespace string) {
	for _, args := range []string{"describe simclrruns", "get pods,jobs,pvc -o wide", "get events", "logs -l training.simclr.dev/run --tail 20"} {
		out, _ := s.kubectl(append([]string{"-n", namespace}, strings.Fields(args)...)...).CombinedOutput()
		s.Logf("kubectl %s\n%s", args, out)
	}
}

func (s *scenario) kubectl(args ...string) *exec.Cmd {
	return exec.CommandContext(context.WithoutCancel(s.Context()), "kubectl", args...)
}

func (s *scenario) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scenario) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: s.run.Namespace, Name: name}
}

// get is the run as it is now.
func (s *scenario) get() *v1alpha1.SimCLRRun {
	s.Helper()
	var fresh v1alpha1.SimCLRRun
	s.must(api.Get(s.Context(), s.key(s.run.Name), &fresh))
	return &fresh
}

func (s *scenario) edit(change func(*v1alpha1.SimCLRRun)) {
	s.Helper()
	before := s.get()
	after := before.DeepCopy()
	change(after)
	s.must(api.Patch(s.Context(), after, client.MergeFrom(before)))
}

// eventually waits until check returns "", and fails with what it returned last.
func (s *scenario) eventually(what string, limit time.Duration, check func() string) {
	s.Helper()
	deadline := time.Now().Add(limit)
	for missing := check(); missing != ""; missing = check() {
		if time.Now().After(deadline) {
			s.Fatalf("%s: not within %s: %s", what, limit, missing)
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// condition waits for a condition whose message has the words. A run that fails meanwhile ends the wait.
func (s *scenario) condition(kind string, status metav1.ConditionStatus, reason string, limit time.Duration, words ...string) {
	s.Helper()
	s.eventually(kind+" "+reason, limit, func() string {
		conditions := s.get().Status.Conditions
		c := meta.FindStatusCondition(conditions, kind)
		if c != nil && c.Status == status && c.Reason == reason && containsAll(c.Message, words) {
			return ""
		}
		if failed := meta.FindStatusCondition(conditions, v1alpha1.ConditionFailed); failed != nil && failed.Status == metav1.ConditionTrue {
			s.Fatalf("%s %s with %q: the run has failed: %s %s", kind, reason, words, failed.Reason, failed.Message)
		}
		return fmt.Sprintf("%+v, want words %q", conditions, words)
	})
}

func containsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

func (s *scenario) completes() *v1alpha1.SimCLRRun {
	s.Helper()
	s.condition(v1alpha1.ConditionComplete, metav1.ConditionTrue, "AllStagesComplete", patience)
	return s.get()
}

// trains waits until the stage's pod has done some steps.
func (s *scenario) trains(stage string, steps int64) {
	s.Helper()
	s.eventually(fmt.Sprintf("step %d of %s", steps, stage), patience, func() string {
		st := s.stage(stage)
		if st.Progress == nil || st.Progress.Step < steps {
			return fmt.Sprintf("%+v", st)
		}
		return ""
	})
}

func (s *scenario) stage(name string) v1alpha1.StageStatus {
	s.Helper()
	for _, st := range s.get().Status.Stages {
		if st.Name == name {
			return st
		}
	}
	return v1alpha1.StageStatus{}
}

// pods of the run that have not ended.
func (s *scenario) pods() []corev1.Pod {
	s.Helper()
	var list corev1.PodList
	s.must(api.List(s.Context(), &list, client.InNamespace(s.run.Namespace), client.MatchingLabels{controllers.LabelRun: s.run.Name}))
	var live []corev1.Pod
	for _, p := range list.Items {
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			live = append(live, p)
		}
	}
	return live
}

// isGone waits until an object does not exist any more.
func (s *scenario) isGone(object client.Object, name string) {
	s.Helper()
	s.eventually("end of "+name, time.Minute, func() string {
		if err := api.Get(s.Context(), s.key(name), object); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("it is there (%v)", err)
		}
		return ""
	})
}

func suspended(yes bool) func(*v1alpha1.SimCLRRun) {
	return func(r *v1alpha1.SimCLRRun) { r.Spec.Suspend = new(yes) }
}
