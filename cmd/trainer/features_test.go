package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/simclr-operator/simclr-operator/api/contract"
)

// Stages after pretraining use the projection head's weights where their features are behind it, also those that
// another run has trained; without them there is an error that names the field.
func TestFeaturesBehindTheProjectionHead(t *testing.T) {
	images := generated(t, 2, 8, 4)
	dir := t.TempDir()
	run := func(name, more string, args ...string) ended {
		file := write(t, filepath.Join(dir, name+".yaml"), spec+more)
		return trainer(t, append([]string{"run", "-f", file, "--dataset", images, "-o", filepath.Join(dir, name)}, args...)...)
	}
	const deep = "  projectionHead: {layers: 3}\n"
	run("first", deep+`
  pretraining: {epochs: 1}
  linearEvaluation: {features: HeadFirstLayer, epochs: 1}
  finetuning: [{name: half, labelFraction: "0.5", epochs: 1, features: HeadFirstLayer}]
`).wants(t, contract.ExitDone, "linear", "half")
	encoder := filepath.Join(dir, "first", "encoder")
	second := deep + "  pretraining: {from: {uri: pvc://claim/encoder}}\n  linearEvaluation: {method: LBFGS, features: Projection}\n"
	run("second", second, "--encoder", encoder).wants(t, contract.ExitDone, "linear")
	for _, name := range []string{"model.safetensors", "head.safetensors"} {
		if read(t, filepath.Join(encoder, name)) != read(t, filepath.Join(dir, "second", "encoder", name)) {
			t.Errorf("%s differs after it was taken over", name)
		}
	}
	run("third", strings.Replace(second, "layers: 3", "layers: 2", 1), "--encoder", encoder).
		wants(t, contract.ExitUserError, "linearEvaluation.features", "projectionHead.layers")
	h := strings.Replace(second, "features: Projection", "features: Encoder", 1)
	run("fourth", strings.Replace(h, "layers: 3", "layers: 2", 1), "--encoder", encoder).wants(t, contract.ExitDone, "linear")
	if _, err := os.Stat(filepath.Join(dir, "fourth", "encoder", "head.safetensors")); err == nil {
		t.Error("a head of another kind was taken over")
	}
	run("fifth", second, "--encoder", filepath.Join(dir, "fourth", "encoder")).
		wants(t, contract.ExitUserError, "linearEvaluation.features", "head.safetensors")
	run("sixth", "  projectionHead: {type: None}\n  pretraining: {epochs: 1}\n  linearEvaluation: {method: LBFGS, features: Projection}\n").
		wants(t, contract.ExitDone, "linear")
}
