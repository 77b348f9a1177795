package scenario

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

// Patience is how long a run of the tests' size may take on two shared cores.
const Patience = 4 * time.Minute

// Small is a run that trains for about twenty seconds on two cores: seconds enough to be seen, stopped and killed within
// an epoch, and every stage on real images.
const Small = `
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

// PretrainOnly ends after the encoder is there. It trains long enough to be disturbed on a fast machine.
func PretrainOnly(r *v1alpha1.SimCLRRun) {
	r.Spec.Pretraining.Epochs = new(int32(12))
	r.Spec.KNN.Mode, r.Spec.LinearEvaluation = v1alpha1.Disabled, v1alpha1.LinearEvaluationSpec{Mode: v1alpha1.Disabled}
	r.Spec.Finetuning = nil
}

// Scenario is one run in a namespace of its own, whose pods must keep the restricted Pod Security Standard.
type Scenario struct {
	*testing.T
	Run *v1alpha1.SimCLRRun
}

// Start creates a run like Small, changed, in a new namespace that goes with the test.
func Start(t *testing.T, changes ...func(*v1alpha1.SimCLRRun)) *Scenario {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "e2e-", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}
	s := &Scenario{T: t, Run: &v1alpha1.SimCLRRun{}}
	s.Must(API.Create(t.Context(), ns))
	t.Cleanup(func() {
		if t.Failed() {
			s.explain(ns.Name)
		}
		s.Must(API.Delete(context.WithoutCancel(t.Context()), ns))
	})
	s.Must(yaml.UnmarshalStrict([]byte(Small), s.Run))
	s.Run.Namespace = ns.Name
	for _, change := range changes {
		change(s.Run)
	}
	s.Must(API.Create(t.Context(), s.Run))
	return s
}

// explain prints what a person would look at.
func (s *Scenario) explain(namespace string) {
	for _, args := range []string{"describe simclrruns", "get pods,jobs,pvc -o wide", "get jobsets", "get events", "logs -l training.simclr.dev/run --tail 20"} {
		out, _ := s.Kubectl(append([]string{"-n", namespace}, strings.Fields(args)...)...).CombinedOutput()
		s.Logf("kubectl %s\n%s", args, out)
	}
}

// Kubectl is a command of the cluster under test.
func (s *Scenario) Kubectl(args ...string) *exec.Cmd {
	return exec.CommandContext(context.WithoutCancel(s.Context()), "kubectl", args...)
}

// Must ends the test at an error.
func (s *Scenario) Must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// Key of an object in the run's namespace.
func (s *Scenario) Key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: s.Run.Namespace, Name: name}
}

// Get is the run as it is now.
func (s *Scenario) Get() *v1alpha1.SimCLRRun {
	s.Helper()
	var fresh v1alpha1.SimCLRRun
	s.Must(API.Get(s.Context(), s.Key(s.Run.Name), &fresh))
	return &fresh
}

// Edit patches the run.
func (s *Scenario) Edit(change func(*v1alpha1.SimCLRRun)) {
	s.Helper()
	before := s.Get()
	after := before.DeepCopy()
	change(after)
	s.Must(API.Patch(s.Context(), after, client.MergeFrom(before)))
}

// Eventually waits until check returns "", and fails with what it returned last.
func (s *Scenario) Eventually(what string, limit time.Duration, check func() string) {
	s.Helper()
	deadline := time.Now().Add(limit)
	for missing := check(); missing != ""; missing = check() {
		if time.Now().After(deadline) {
			s.Fatalf("%s: not within %s: %s", what, limit, missing)
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// Condition waits for a condition whose message has the words. A run that fails meanwhile ends the wait.
func (s *Scenario) Condition(kind string, status metav1.ConditionStatus, reason string, limit time.Duration, words ...string) {
	s.Helper()
	s.Eventually(kind+" "+reason, limit, func() string {
		conditions := s.Get().Status.Conditions
		c := meta.FindStatusCondition(conditions, kind)
		if c != nil && c.Status == status && c.Reason == reason && ContainsAll(c.Message, words) {
			return ""
		}
		if failed := meta.FindStatusCondition(conditions, v1alpha1.ConditionFailed); failed != nil && failed.Status == metav1.ConditionTrue {
			s.Fatalf("%s %s with %q: the run has failed: %s %s", kind, reason, words, failed.Reason, failed.Message)
		}
		return fmt.Sprintf("%+v, want words %q", conditions, words)
	})
}

// ContainsAll says whether a text has all words.
func ContainsAll(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// Completes waits for the run's end.
func (s *Scenario) Completes() *v1alpha1.SimCLRRun {
	s.Helper()
	s.Condition(v1alpha1.ConditionComplete, metav1.ConditionTrue, "AllStagesComplete", Patience)
	return s.Get()
}

// Trains waits until the stage's pod has done some steps.
func (s *Scenario) Trains(stage string, steps int64) {
	s.Helper()
	s.Eventually(fmt.Sprintf("step %d of %s", steps, stage), Patience, func() string {
		st := s.Stage(stage)
		if st.Progress == nil || st.Progress.Step < steps {
			return fmt.Sprintf("%+v", st)
		}
		return ""
	})
}

// Checkpointed waits until the status tells of a checkpoint, and gives its step.
func (s *Scenario) Checkpointed(stage string) int64 {
	s.Helper()
	step := int64(0)
	s.Eventually("a checkpoint", Patience, func() string {
		st := s.Stage(stage)
		if st.Checkpoint == nil || st.Checkpoint.Step == 0 {
			return "none"
		}
		step = st.Checkpoint.Step
		return ""
	})
	return step
}

// Stage is a stage's status; the zero value before there is one.
func (s *Scenario) Stage(name string) v1alpha1.StageStatus {
	s.Helper()
	for _, st := range s.Get().Status.Stages {
		if st.Name == name {
			return st
		}
	}
	return v1alpha1.StageStatus{}
}

// Pods of the run that have not ended.
func (s *Scenario) Pods() []corev1.Pod {
	s.Helper()
	var list corev1.PodList
	s.Must(API.List(s.Context(), &list, client.InNamespace(s.Run.Namespace), client.MatchingLabels{controllers.LabelRun: s.Run.Name}))
	var live []corev1.Pod
	for _, p := range list.Items {
		if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			live = append(live, p)
		}
	}
	return live
}

// IsGone waits until an object does not exist any more.
func (s *Scenario) IsGone(object client.Object, name string) {
	s.Helper()
	s.Eventually("end of "+name, time.Minute, func() string {
		if err := API.Get(s.Context(), s.Key(name), object); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("it is there (%v)", err)
		}
		return ""
	})
}

// Suspended sets spec.suspend.
func Suspended(yes bool) func(*v1alpha1.SimCLRRun) {
	return func(r *v1alpha1.SimCLRRun) { r.Spec.Suspend = new(yes) }
}
