package weights_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
	"github.com/simclr-operator/simclr-operator/trainer/weights"
)

var tiny = model.Config{Depth: 18, Width: 0.05, Shortcut: "Torchvision", Initialization: "PyTorch", ImageSize: 8, Dimension: 8}

// store is an executable's variables.
type store map[string]engine.Tensor

func (s store) get(name string) (engine.Tensor, error) {
	v := s[name]
	return engine.Tensor{Shape: v.Shape, Data: append([]float32{}, v.Data...)}, nil
}

func (s store) set(name string, v engine.Tensor) error {
	s[name] = engine.Tensor{Shape: append([]int{}, v.Shape...), Data: append([]float32{}, v.Data...)}
	return nil
}

// numbered are an encoder's variables, no two values equal.
func numbered(t *testing.T) (s store, ps []model.Parameter, stats []model.Statistics) {
	t.Helper()
	ps, stats, err := model.Encoder(tiny)
	if err != nil {
		t.Fatal(err)
	}
	s, next := store{}, float32(0)
	add := func(name string, shape ...int) {
		v := engine.NewTensor(shape...)
		for i := range v.Data {
			next++
			v.Data[i] = next
		}
		s[name] = v
	}
	for _, p := range ps {
		add(p.Name, p.Shape...)
	}
	for _, st := range stats {
		add(model.RunningName(st.Name), 2, st.Channels)
	}
	return s, ps, stats
}

// An exported encoder, taken over again, is the same in every value.
func TestEncoderRoundTrip(t *testing.T) {
	from, _, _ := numbered(t)
	ts, err := weights.Encoder(tiny, from.get, 390)
	if err != nil {
		t.Fatal(err)
	}
	to := store{}
	if err := weights.SetEncoder(tiny, ts, to.set); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(from, to); d != "" {
		t.Error(d)
	}
	for _, x := range ts {
		if strings.HasSuffix(x.Name, ".num_batches_tracked") && (len(x.Int64) != 1 || x.Int64[0] != 390) {
			t.Errorf("%s is %v", x.Name, x.Int64)
		}
	}
	shapes, err := weights.Shapes(tiny)
	if err != nil {
		t.Fatal(err)
	}
	if len(shapes) != len(ts) {
		t.Fatalf("%d shapes of %d tensors", len(shapes), len(ts))
	}
	for i, want := range shapes {
		if got := ts[i]; got.Name != want.Name || !cmp.Equal(got.Shape, want.Shape) {
			t.Errorf("%s %v, want %s %v", got.Name, got.Shape, want.Name, want.Shape)
		}
	}
}

func TestSetEncoderNamesWhatIsMissing(t *testing.T) {
	from, _, _ := numbered(t)
	ts, err := weights.Encoder(tiny, from.get, 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"conv1.weight": `no tensor "conv1.weight"`, "bn1.bias": `no tensor "bn1.bias"`,
		"bn1.running_mean": `for "bn1"`, "layer4.1.bn2.running_var": `for "layer4.1.bn2"`,
	} {
		var left []safetensors.Tensor
		for _, x := range ts {
			if x.Name != name {
				left = append(left, x)
			}
		}
		if err := weights.SetEncoder(tiny, left, store{}.set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// A checkpoint's variables come back, momenta too, in whatever order; one that it lacks is an error.
func TestSnapshotAndRestore(t *testing.T) {
	from, _, _ := numbered(t)
	from["momentum:conv1.weight"] = engine.Tensor{Shape: []int{2}, Data: []float32{-1, -2}}
	var vars []engine.Variable
	for name := range from {
		vars = append(vars, engine.Variable{Name: name})
	}
	ts, err := weights.Snapshot(vars, from.get)
	if err != nil {
		t.Fatal(err)
	}
	to := store{}
	if err := weights.Restore(vars, ts, to.set); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(from, to); d != "" {
		t.Error(d)
	}
	vars = append(vars, engine.Variable{Name: "momentum:fc.weight"})
	if err := weights.Restore(vars, ts, to.set); err == nil || !strings.Contains(err.Error(), `no "momentum:fc.weight"`) {
		t.Errorf("got %v", err)
	}
}

// Copy takes parameters and running statistics, not momenta; Initialize sets all of both.
func TestCopyAndInitialize(t *testing.T) {
	from, ps, stats := numbered(t)
	from["momentum:conv1.weight"] = engine.Scalar(1)
	to, first := store{}, store{}
	if err := weights.Copy(ps, stats, from.get, to.set); err != nil {
		t.Fatal(err)
	}
	delete(from, "momentum:conv1.weight")
	if d := cmp.Diff(from, to); d != "" {
		t.Error(d)
	}
	if err := weights.Initialize(ps, stats, 1, first.set); err != nil {
		t.Fatal(err)
	}
	if len(first) != len(from) {
		t.Errorf("%d of %d variables are set", len(first), len(from))
	}
	want := engine.Tensor{Shape: []int{2, 3}, Data: []float32{0, 0, 0, 1, 1, 1}} // 64 channels by 0.05
	if d := cmp.Diff(want, first[model.RunningName("bn1")]); d != "" {
		t.Errorf("running statistics: %s", d)
	}
}
