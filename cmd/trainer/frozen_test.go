package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// logs are the records of a stage's log, one JSON object a line.
func (e ended) logs(t *testing.T) []map[string]any {
	t.Helper()
	var records []map[string]any
	for _, line := range strings.Split(strings.TrimSpace(e.stderr), "\n") {
		var r map[string]any
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Errorf("%q is not JSON: %v", line, err)
		}
		records = append(records, r)
	}
	return records
}

// digest that a stage logs of the encoder that it has evaluated and left as it was.
func (e ended) digest(t *testing.T) string {
	t.Helper()
	for _, r := range e.logs(t) {
		if r["msg"] == "the encoder is as it was" {
			return r["sha256"].(string)
		}
	}
	t.Fatalf("%v\nno digest of the encoder", e)
	return ""
}

// The encoder that linear evaluation has trained a classifier on is at the end, in every parameter and
// running statistic, the one that pretraining has left.
func TestLinearEvaluationLeavesTheEncoder(t *testing.T) {
	for method, more := range map[string]string{"SGD": ", epochs: 2", "LBFGS": ""} {
		t.Run(method, func(t *testing.T) {
			p := newPod(t, "  pretraining: {epochs: 1}\n  linearEvaluation: {method: "+method+more+"}\n")
			before, _ := p.stage("pretrain", "1", nil)
			before.wants(t, contract.ExitDone)
			exported := filepath.Join(p.output, "encoder", "model.safetensors")
			file := read(t, exported)
			after, _ := p.stage("linear-eval", "1", nil)
			after.wants(t, contract.ExitDone)
			if before.digest(t) != after.digest(t) {
				t.Errorf("the encoder's digest is %s after pretraining and %s after linear evaluation", before.digest(t), after.digest(t))
			}
			if read(t, exported) != file {
				t.Error("encoder/model.safetensors has changed")
			}
			if method == "SGD" {
				sameEncoder(t, exported, filepath.Join(p.output, lastState(t, p.output, "linear-eval")))
			}
		})
	}
}

// sameEncoder compares an exported encoder with the one in a checkpoint.
func sameEncoder(t *testing.T, exported, checkpoint string) {
	t.Helper()
	trained := tensors(t, checkpoint)
	if w := trained["fc.weight"]; !slices.ContainsFunc(w, func(v float32) bool { return v != 0 }) {
		t.Error("the classifier has not learned anything")
	}
	compared, of := 0, tensors(t, exported)
	for name, want := range of {
		layer, mean := strings.CutSuffix(name, ".running_mean")
		switch {
		case mean:
			name, want = layer+".running", append(append([]float32{}, want...), of[layer+".running_var"]...)
		case strings.HasSuffix(name, ".running_var"), strings.HasSuffix(name, ".num_batches_tracked"):
			continue
		}
		compared++
		if !slices.Equal(trained[name], want) {
			t.Errorf("%s has changed", name)
		}
	}
	if compared != 20+20*3 {
		t.Errorf("compared %d variables, want ResNet-18's 20 convolutions and of 20 batch norms weight, bias and statistics", compared)
	}
}

func tensors(t *testing.T, path string) map[string][]float32 {
	t.Helper()
	raw := read(t, path)
	ts, _, err := safetensors.Read(strings.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string][]float32{}
	for _, v := range ts {
		byName[v.Name] = v.Data
	}
	return byName
}
