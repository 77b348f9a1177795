//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/test/scenario"
)

// The whole life of a run: every stage, live progress, results that a run without a cluster has too, the encoder off the
// claim by the words of docs/encoder.md, and deletion.
func TestWholeLife(t *testing.T) {
	s := start(t, func(r *v1alpha1.SimCLRRun) { r.Spec.Pretraining.Epochs = new(int32(16)) }) // of several polls, on any machine
	seen := s.watchSteps("pretrain")
	run := s.Completes()
	if len(seen()) < 3 {
		t.Errorf("steps seen in status.stages: %v, want at least 3", seen())
	}
	for _, st := range run.Status.Stages {
		if st.State != v1alpha1.StageComplete || st.Attempts != 1 || st.Results == nil {
			t.Errorf("stage %+v", st)
		}
	}
	if run.Status.Restarts != 0 || run.Status.Progress != "100%" {
		t.Errorf("status %+v", run.Status)
	}
	s.sameWithoutCluster(run)
	s.encoderOffTheClaim(run)

	s.Must(scenario.API.Delete(t.Context(), run))
	s.IsGone(&corev1.PersistentVolumeClaim{}, run.Status.OutputClaim)
	if pods := s.Pods(); len(pods) > 0 {
		t.Errorf("pods are left: %v", pods)
	}
}

// watchSteps notes the distinct steps that the status tells of a stage, until the test ends.
func (s *trial) watchSteps(stage string) func() []int64 {
	s.Helper()
	var steps []int64
	s.Eventually("three increasing steps", scenario.Patience, func() string {
		if p := s.Stage(stage).Progress; p != nil && p.Step > 0 && !slices.Contains(steps, p.Step) {
			if len(steps) > 0 && p.Step < steps[len(steps)-1] {
				s.Errorf("step %d after %v", p.Step, steps)
			}
			steps = append(steps, p.Step)
		}
		if len(steps) < 3 && s.Stage(stage).State != v1alpha1.StageComplete {
			return "fewer than three"
		}
		return ""
	})
	return func() []int64 { return steps }
}

// sameWithoutCluster runs the same file with no cluster: the same image's program, libraries, and threads.
func (s *trial) sameWithoutCluster(run *v1alpha1.SimCLRRun) {
	s.Helper()
	dir := s.TempDir()
	file := filepath.Join(dir, "run.yaml")
	kind := metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "SimCLRRun"}
	raw, err := yaml.Marshal(&v1alpha1.SimCLRRun{TypeMeta: kind, ObjectMeta: metav1.ObjectMeta{Name: run.Name}, Spec: run.Spec})
	s.Must(err)
	s.Must(os.WriteFile(file, raw, 0o644))
	cmd := exec.Command(scenario.Trainer, "run", "-f", file, "--output", filepath.Join(dir, "out"), "--cache", filepath.Join(dir, "cache"),
		"--dataset-mirror", scenario.Mirror, "--threads", strconv.Itoa(int(run.Status.Threads)))
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("%v\n%s", err, out)
	}
	raw, err = os.ReadFile(filepath.Join(dir, "out", "results.json"))
	s.Must(err)
	var want v1alpha1.Results
	s.Must(json.Unmarshal(raw, &want))
	if diff := cmp.Diff(&want, run.Status.Results); diff != "" {
		s.Errorf("status.results (-without a cluster +in status):\n%s", diff)
	}
	if got := sumOf(s.T, filepath.Join(dir, "out", "encoder", "model.safetensors")); got != run.Status.Encoder.SHA256 {
		s.Errorf("the encoder's digest is %s without a cluster and %s in status", got, run.Status.Encoder.SHA256)
	}
}

// encoderOffTheClaim runs the commands of docs/encoder.md as they stand there.
func (s *trial) encoderOffTheClaim(run *v1alpha1.SimCLRRun) {
	s.Helper()
	doc, err := os.ReadFile(filepath.Join(scenario.Root, "docs/encoder.md"))
	s.Must(err)
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(doc, -1)
	if len(blocks) != 1 {
		s.Fatalf("docs/encoder.md has %d blocks of sh, want 1", len(blocks))
	}
	dir := s.TempDir()
	script := "set -eu\nkubectl config set-context --current --namespace " + run.Namespace + " >/dev/null\n" +
		"run=" + run.Name + "\n" + regexp.MustCompile(`(?m)^run=.*\n`).ReplaceAllString(string(blocks[0][1]), "")
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = dir
	config, err := os.ReadFile(os.Getenv("KUBECONFIG"))
	s.Must(err)
	own := filepath.Join(dir, "kubeconfig") // its current namespace changes
	s.Must(os.WriteFile(own, config, 0o600))
	cmd.Env = append(os.Environ(), "KUBECONFIG="+own)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.Fatalf("docs/encoder.md: %v\n%s", err, out)
	}
	if got := sumOf(s.T, filepath.Join(dir, "encoder", "model.safetensors")); got != run.Status.Encoder.SHA256 {
		s.Errorf("the encoder off the claim has digest %s, status says %s", got, run.Status.Encoder.SHA256)
	}
}

func sumOf(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// A claim with retention Retain outlives its run; pods that train stop with it.
func TestDeletionWhileTraining(t *testing.T) {
	s := start(t, func(r *v1alpha1.SimCLRRun) { r.Spec.Output.Claim.Retention = v1alpha1.ClaimRetain })
	s.Trains("pretrain", 1)
	run := s.Get()
	s.Must(scenario.API.Delete(t.Context(), run))
	s.Eventually("end of the pods", scenario.Patience, func() string {
		if pods := s.Pods(); len(pods) > 0 {
			return pods[0].Name
		}
		return ""
	})
	var claim corev1.PersistentVolumeClaim
	s.Must(scenario.API.Get(t.Context(), s.Key(run.Status.OutputClaim), &claim))
	if claim.DeletionTimestamp != nil || metav1.GetControllerOf(&claim) != nil {
		t.Errorf("claim %+v", claim.ObjectMeta)
	}
}
