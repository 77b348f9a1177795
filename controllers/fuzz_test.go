package controllers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/api/validation"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

// What a hostile image says when it ends is refused, or fits into a status.
func FuzzTermination(f *testing.F) {
	f.Add(wrap.Message(contract.TerminationMessage{Stage: "pretrain", Results: &v1alpha1.Results{KNNTop1: "40.10"}}), int32(0))
	f.Add(wrap.Message(contract.TerminationMessage{Stage: "pretrain", ExitCode: 10, Reason: "UserError", Message: "x\x00y\n", Warnings: []string{"w"}}), int32(10))
	f.Add(`{"schemaVersion":1,"stage":"pretrain","results":{"finetune":[{"name":"x","top1":"1e9"}]}}`, int32(0))
	f.Fuzz(func(t *testing.T, raw string, exit int32) {
		m, err := parseTermination(raw, "pretrain", exit)
		if err != nil {
			return
		}
		for _, text := range append([]string{m.Reason, m.Message}, m.Warnings...) {
			if len(text) > maxText || !utf8.ValidString(text) {
				t.Errorf("text of %d bytes: %q", len(text), text)
			}
		}
		if m.Stage != "pretrain" || m.ExitCode != exit || m.Step < 0 || len(m.Warnings) > contract.MaxWarnings {
			t.Errorf("message %+v", m)
		}
	})
}

// What a hostile image says while it runs is refused, or fits into a status.
func FuzzProgress(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":1,"stage":"pretrain","attempt":1,"phase":"Training","step":3,"totalSteps":9,"loss":5.2,"etaSeconds":60}`))
	f.Add([]byte(`{"schemaVersion":1,"stage":"pretrain","attempt":1,"etaSeconds":1e308,"loss":-1e308,"warnings":["\u0000"],"resumedFrom":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p contract.Progress
		if json.Unmarshal(raw, &p) != nil || checkProgress(&p, Target{Stage: "pretrain", Attempt: 1}) != nil {
			return
		}
		s := newScope(&v1alpha1.SimCLRRun{}, time.Unix(0, 0))
		s.running = &attempt{stage: "pretrain", pods: []corev1.Pod{{}}}
		s.noteProgress(s.stage("pretrain"), &p)
		s.stalled(s.stage("pretrain"), &p)
		s.summarize()
		status := s.run.Status
		if st := status.Stages[0].Progress; st.Percent < 0 || st.Percent > 100 || len(st.Loss) > 32 || len(status.ETA) > 32 || len(status.Progress) > maxProgress || len(status.Message) > maxText {
			t.Errorf("status %+v, %+v", status, st)
		}
		if _, err := json.Marshal(status); err != nil {
			t.Error(err)
		}
	})
}

// A spec that the API server takes is resolved and rendered, or refused with a reason.
func FuzzSpec(f *testing.F) {
	for _, pattern := range []string{"*.yaml", "findings/*.yaml"} {
		files, err := filepath.Glob(filepath.Join("..", "config", "samples", pattern))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		run, err := validation.Load(text)
		if err != nil {
			return
		}
		run.Name, run.Namespace, run.UID = "run", "ns", "uid"
		s := newScope(run, time.Unix(0, 0))
		r := &Reconciler{Images: map[v1alpha1.AcceleratorType]string{v1alpha1.CPU: "image"}}
		resolved, err := v1alpha1.Resolve(run)
		if err != nil {
			return
		}
		if s.config, err = fixed(resolved, "image", 1); err != nil {
			return
		}
		written, err := marshalConfig(s.config)
		if err != nil {
			t.Fatal(err)
		}
		read, err := parseConfig(written)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := marshalConfig(read); err != nil || again != written {
			t.Errorf("run.yaml is not read as it was written: %v", err)
		}
		for _, stage := range s.config.Spec.StageNames() {
			if _, err := r.podTemplate(s, stage, 1, ledger{}); err != nil {
				t.Errorf("stage %s: %v", stage, err)
			}
		}
	})
}
