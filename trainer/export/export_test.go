package export

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

func small() Encoder {
	return Encoder{
		Depth: 18, Width: "0.25", Stem: "CIFAR", Shortcut: "Torchvision", SelectiveKernel: "Disabled", ImageSize: 32, Features: 128,
		Tensors: []safetensors.Tensor{
			{Name: "conv1.weight", Shape: []int{1, 3, 1, 1}, Data: []float32{1, 2, 3}},
			{Name: "bn1.running_mean", Shape: []int{1}, Data: []float32{0.5}},
			{Name: "bn1.num_batches_tracked", Shape: []int{}, Int64: []int64{390}},
		},
	}
}

var source = Source{Run: "yardstick", ConfigHash: "abc", Step: 390}

func write(t *testing.T, e Encoder) (dir, sum string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "encoder")
	sum, err := Write(dir, e, source)
	if err != nil {
		t.Fatal(err)
	}
	return dir, sum
}

func file(t *testing.T, dir, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestReadGivesWhatWasWritten(t *testing.T) {
	dir, _ := write(t, small())
	got, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := small()
	want.Tensors = []safetensors.Tensor{want.Tensors[2], want.Tensors[0], want.Tensors[1]} // int64 first in the file
	if d := cmp.Diff(&want, got); d != "" {
		t.Error(d)
	}
	if err := got.Check(small()); err != nil {
		t.Error(err)
	}
}

func TestWritesAreEqual(t *testing.T) {
	a, sumA := write(t, small())
	b, sumB := write(t, small())
	for _, name := range []string{ModelFile, ConfigFile, CardFile, ModuleFile, ManifestFile} {
		if file(t, a, name) != file(t, b, name) {
			t.Errorf("two writes of %s differ", name)
		}
	}
	if sumA != sumB || len(sumA) != 64 {
		t.Errorf("SHA-256 %s and %s", sumA, sumB)
	}
	if !strings.Contains(file(t, a, ManifestFile), sumA) {
		t.Error("the manifest lacks the model's SHA-256")
	}
	if _, err := Write(a, small(), source); err != nil {
		t.Errorf("writing again: %v", err)
	}
}

// timm's defaults are ImageNet's mean and deviation and bilinear; with them these weights are worse.
func TestConfigIsTimmsLayout(t *testing.T) {
	dir, _ := write(t, small())
	var got map[string]any
	if err := json.Unmarshal([]byte(file(t, dir, ConfigFile)), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"architecture": "simclr_resnet18", "num_classes": 0., "num_features": 128., "global_pool": "avg",
		"pretrained_cfg": map[string]any{
			"input_size": []any{3., 32., 32.}, "interpolation": "bicubic", "crop_pct": 1., "num_classes": 0.,
			"mean": []any{0., 0., 0.}, "std": []any{1., 1., 1.}, "first_conv": "conv1", "classifier": "fc",
		},
		"simclr": map[string]any{"depth": 18., "width_multiplier": "0.25", "stem": "CIFAR", "shortcut": "Torchvision", "selective_kernel": "Disabled"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// timm and torchvision have the network under config.json's architecture, or have none of that name.
func TestCardAndArchitecture(t *testing.T) {
	const loads = "so that both load it strictly"
	for name, tc := range map[string]struct {
		change       func(*Encoder)
		architecture string
		want         []string
	}{
		"torchvision's": {func(e *Encoder) { e.Depth, e.Width, e.Stem = 50, "1", "ImageNet" }, "resnet50",
			[]string{"ResNet-50 (1×)", loads, "torchvision.models.resnet50()", "7×7 convolution"}},
		"bottlenecks' shortcuts are one": {func(e *Encoder) { e.Depth, e.Width, e.Stem, e.Shortcut = 152, "1.0", "ImageNet", "GoogleResearch" }, "resnet152",
			[]string{loads, "torchvision.models.resnet152()"}},
		"Google's shortcuts": {func(e *Encoder) { e.Depth, e.Width, e.Stem, e.Shortcut = 34, "1", "ImageNet", "GoogleResearch" }, "simclr_resnet34",
			[]string{"not torchvision's or timm's resnet34: the first group has a projection shortcut."}},
		"SimCLRv2's": {func(e *Encoder) { e.Depth, e.Width, e.Stem, e.SelectiveKernel = 50, "1", "ImageNet", "Enabled" }, "simclr_resnet50",
			[]string{"not torchvision's or timm's resnet50: its bottlenecks have selective kernels", "Their constructors do not load it", "ImageNet: three 3×3 convolutions", "| Selective kernels | Enabled |", "timm's for what torchvision lacks"}},
		"CIFAR's stem, narrow": {func(*Encoder) {}, "simclr_resnet18",
			[]string{"ResNet-18 (0.25×)", "without max pooling; every channel count", "multiplied by 0.25", "yardstick, abc", "torch.rand(1, 3, 32, 32))  # (1, 128)"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := small()
			tc.change(&e)
			dir, _ := write(t, e)
			card := file(t, dir, CardFile)
			for _, want := range tc.want {
				if !strings.Contains(card, want) {
					t.Errorf("the card lacks %q:\n%s", want, card)
				}
			}
			for _, left := range []string{"{depth}", "{load}", "%!"} {
				if strings.Contains(card, left) {
					t.Errorf("the card has %q", left)
				}
			}
			if want := `"architecture": "` + tc.architecture + `"`; !strings.Contains(file(t, dir, ConfigFile), want) {
				t.Errorf("config.json lacks %s", want)
			}
		})
	}
}

func wantUserError(t *testing.T, err error, contains string) {
	t.Helper()
	var e *contract.Error
	if !errors.As(err, &e) || e.Code != contract.ExitUserError || !strings.Contains(err.Error(), contains) || !strings.Contains(err.Error(), "pretraining.from") {
		t.Errorf("got %v, want a user error of pretraining.from with %q", err, contains)
	}
}

func TestReadRefuses(t *testing.T) {
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	put := func(name, content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := func(fs ...func(*testing.T, string)) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			for _, f := range fs {
				f(t, dir)
			}
		}
	}
	for name, tc := range map[string]struct {
		change func(*testing.T, string)
		want   string
	}{
		"no model":             {remove(ModelFile), "has no model.safetensors"},
		"no config":            {remove(ConfigFile), "has no config.json"},
		"a damaged model":      {put(ModelFile, "x"), "model.safetensors is damaged"},
		"a damaged config":     {put(ConfigFile, "{}"), "config.json is damaged"},
		"a damaged manifest":   {put(ManifestFile, "#"), "manifest.json"},
		"nonsense, unverified": {all(remove(ManifestFile), put(ModelFile, "x")), "not a safetensors file"},
		"no JSON, unverified":  {all(remove(ManifestFile), put(ConfigFile, "x")), "config.json"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := write(t, small())
			tc.change(t, dir)
			_, err := Read(dir)
			wantUserError(t, err, tc.want)
		})
	}
}

func TestCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(have, want *Encoder)
		error  string
	}{
		"the same":           {func(_, _ *Encoder) {}, ""},
		"the width as 0.250": {func(_, w *Encoder) { w.Width = "0.250" }, ""},
		"another image size": {func(_, w *Encoder) { w.ImageSize = 64 }, ""},
		"a classifier more": {func(h, _ *Encoder) {
			h.Tensors = append(h.Tensors, safetensors.Tensor{Name: "fc.weight", Shape: []int{0}})
		}, ""},
		"no config of ours": {func(h, _ *Encoder) { h.Depth, h.Width, h.Stem, h.Shortcut, h.SelectiveKernel = 0, "", "", "", "" }, ""},
		"depth":             {func(_, w *Encoder) { w.Depth = 34 }, "set encoder.depth to 18"},
		"width":             {func(_, w *Encoder) { w.Width = "1" }, `set encoder.widthMultiplier to "0.25"`},
		"shortcut":          {func(_, w *Encoder) { w.Shortcut = "GoogleResearch" }, "set encoder.shortcut"},
		"selective kernels": {func(_, w *Encoder) { w.SelectiveKernel = "Enabled" }, "set encoder.selectiveKernel"},
		"stem":              {func(_, w *Encoder) { w.Stem = "ImageNet" }, "set encoder.stem"},
		"a shape":           {func(_, w *Encoder) { w.Tensors[0].Shape = []int{2, 3, 1, 1} }, "conv1.weight has the shape [1 3 1 1], not [2 3 1 1]"},
		"a type":            {func(_, w *Encoder) { w.Tensors[1].Int64 = []int64{1} }, "bn1.running_mean"},
		"a NaN":             {func(h, _ *Encoder) { h.Tensors[1].Data[0] = float32(math.NaN()) }, "bn1.running_mean has values that are not finite"},
		"an infinity":       {func(h, _ *Encoder) { h.Tensors[0].Data[1] = float32(math.Inf(-1)) }, "conv1.weight has values that are not finite"},
		"a missing tensor":  {func(h, _ *Encoder) { h.Tensors = h.Tensors[1:] }, `no tensor "conv1.weight"`},
		"one too many":      {func(_, w *Encoder) { w.Tensors = w.Tensors[1:] }, `has the tensor "conv1.weight"`},
	} {
		t.Run(name, func(t *testing.T) {
			have, want := small(), small()
			tc.change(&have, &want)
			if err := have.Check(want); tc.error == "" {
				if err != nil {
					t.Error(err)
				}
			} else {
				wantUserError(t, err, tc.error)
			}
		})
	}
}

// What a crash left of an earlier export goes; files of others stay.
func TestWriteCleansUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "encoder")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{".tmp-model.safetensors-1", ".tmp-manifest.json-2", ".tmp-thesis", "notes"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Write(dir, small(), source); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if d := cmp.Diff([]string{".tmp-thesis", CardFile, ConfigFile, ModuleFile, ManifestFile, ModelFile, "notes"}, got); d != "" {
		t.Error(d)
	}
}
