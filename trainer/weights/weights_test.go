package weights_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
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
	shapes, _, err := weights.Shapes(tiny)
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

// numberedNetwork are the variables of the encoder and the whole head, no two values equal.
func numberedNetwork(t *testing.T, c model.Config) store {
	t.Helper()
	c.Representation = v1alpha1.FeaturesProjection
	p, err := model.Inference(c, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, next := store{}, float32(0)
	for _, v := range p.Variables {
		x := engine.NewTensor(v.Node.Shape()...)
		for i := range x.Data {
			next++
			x.Data[i] = next
		}
		s[v.Name] = x
	}
	return s
}

func kind(change func(c *model.Config)) model.Config {
	c := tiny
	change(&c)
	return c
}

// A head's tensors are those of torch.nn.Sequential(Linear, BatchNorm1d, ReLU, Linear, BatchNorm1d), which always
// has biases in its batch norms; its layers up to the representation come back.
func TestHeadRoundTrip(t *testing.T) {
	norm := func(at string) []string {
		return []string{at + ".weight", at + ".bias", at + ".running_mean", at + ".running_var", at + ".num_batches_tracked"}
	}
	two := append(append(append([]string{"0.weight"}, norm("1")...), "3.weight"), norm("4")...)
	for name, tc := range map[string]struct {
		c     model.Config
		names []string
		set   []string // variables that are set
	}{
		"h":           {tiny, two, nil},
		"first layer": {kind(func(c *model.Config) { c.Representation = "HeadFirstLayer" }), two, []string{"projection.0.weight", "projection.1.bias", "projection.1.running", "projection.1.weight"}},
		"z, scaled": {kind(func(c *model.Config) { c.Representation = "Projection" }), two,
			[]string{"projection.0.weight", "projection.1.bias", "projection.1.running", "projection.1.weight", "projection.3.weight", "projection.4.running", "projection.4.weight"}},
		"z, shifted": {kind(func(c *model.Config) { c.Representation, c.OutputShift = "Projection", true }), two,
			[]string{"projection.0.weight", "projection.1.bias", "projection.1.running", "projection.1.weight", "projection.3.weight", "projection.4.bias", "projection.4.running", "projection.4.weight"}},
		"linear": {kind(func(c *model.Config) { c.Head, c.Representation = "Linear", "Projection" }), append([]string{"0.weight"}, norm("1")...),
			[]string{"projection.0.weight", "projection.1.running", "projection.1.weight"}},
		"none": {kind(func(c *model.Config) { c.Head, c.Representation, c.Dimension = "None", "Projection", c.Features() }), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			from := numberedNetwork(t, tc.c)
			ts, err := weights.Head(tc.c, from.get, 390)
			if err != nil {
				t.Fatal(err)
			}
			_, shapes, err := weights.Shapes(tc.c)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for i, x := range ts {
				names = append(names, x.Name)
				if x.Name != shapes[i].Name || !cmp.Equal(x.Shape, shapes[i].Shape) {
					t.Errorf("%s %v, but the shapes have %s %v", x.Name, x.Shape, shapes[i].Name, shapes[i].Shape)
				}
			}
			if d := cmp.Diff(tc.names, names); d != "" {
				t.Errorf("names (-want +got):\n%s", d)
			}
			to, want := store{}, store{}
			for _, name := range tc.set {
				want[name] = from[name]
			}
			if err := weights.SetHead(tc.c, ts, to.set); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, to); d != "" {
				t.Error(d)
			}
		})
	}
}

// What has no β is a bias of zeros.
func TestHeadWithoutShift(t *testing.T) {
	from := numberedNetwork(t, tiny)
	ts, err := weights.Head(tiny, from.get, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range ts {
		if x.Name == "4.bias" && cmp.Equal(x.Data, make([]float32, tiny.Dimension)) {
			return
		}
	}
	t.Errorf("no 4.bias of zeros in %v", ts)
}

func TestSetHeadNamesWhatIsMissing(t *testing.T) {
	c := kind(func(c *model.Config) { c.Representation = "HeadFirstLayer" })
	if err := weights.SetHead(c, nil, store{}.set); err == nil || !strings.Contains(err.Error(), `the projection head has no tensor "0.weight"`) {
		t.Errorf("got %v", err)
	}
}

// The digest sees what is before a classifier and nothing else.
func TestHashOfARepresentation(t *testing.T) {
	for representation, seen := range map[v1alpha1.Features]map[string]bool{
		"Encoder":        {"conv1.weight": true, "projection.0.weight": false, "projection.4.running": false},
		"HeadFirstLayer": {"conv1.weight": true, "projection.0.weight": true, "projection.1.running": true, "projection.3.weight": false},
		"Projection":     {"conv1.weight": true, "projection.0.weight": true, "projection.4.running": true},
	} {
		c := kind(func(c *model.Config) { c.Representation = representation })
		hash := func(s store) string {
			h, err := weights.EncoderHash(c, s.get)
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		before := hash(numberedNetwork(t, c))
		for variable, want := range seen {
			s := numberedNetwork(t, c)
			s[variable].Data[0]++
			if differs := hash(s) != before; differs != want {
				t.Errorf("%s: a change of %s changes the digest: %v", representation, variable, differs)
			}
		}
	}
}
