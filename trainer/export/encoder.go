// Package export writes a pretrained encoder so that others can use it, and reads it again: safetensors
// with torchvision's names in timm's local-dir layout.
package export

import (
	"fmt"
	"slices"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
)

// Encoder is f(·) with its weights.
type Encoder struct {
	Depth    int
	Width    v1alpha1.Decimal
	Stem     string // as spec.encoder.stem
	Shortcut string // as spec.encoder.shortcut
	// SelectiveKernel as spec.encoder.selectiveKernel
	SelectiveKernel v1alpha1.Mode
	ImageSize       int // pixels it was trained on; others work too
	Features        int // dimension of h
	// Tensors by torchvision's names, but selective kernels': weights OIHW, batch norm's weight, bias, running_mean, running_var
	// (float32) and num_batches_tracked (int64). No fc.
	Tensors []safetensors.Tensor
	Head    *Head // g(·) that was trained with it; nil: not there
}

// Source is where an encoder comes from.
type Source struct {
	Run        string // the SimCLRRun's name
	ConfigHash string
	Step       int64 // training steps
}

// Files of an encoder's directory.
const (
	ModelFile    = "model.safetensors"
	HeadFile     = "head.safetensors" // where there is a projection head
	ConfigFile   = "config.json"
	CardFile     = "README.md"
	ModuleFile   = "encoder.py"
	ManifestFile = "manifest.json"
)

// Check that an encoder that was read is the one that is wanted, whose Tensors' values are not looked at,
// and that its own values are finite: one NaN would fail every later stage without a word on the cause.
// The user error names the field to change, or the tensor that differs.
func (e *Encoder) Check(want Encoder) error {
	if err := e.checkArchitecture(want); err != nil {
		return err
	}
	var have []safetensors.Tensor
	for _, t := range e.Tensors {
		// a classifier is of no use here, and many published encoders have one
		if t.Name != "fc.weight" && t.Name != "fc.bias" {
			have = append(have, t)
		}
	}
	return checkTensors(ModelFile, "spec.encoder to the encoder's depth, widthMultiplier, shortcut and selectiveKernel", have, want.Tensors)
}

// checkTensors compares names and shapes of a file's tensors, and their values with what training can give.
func checkTensors(file, fix string, have, want []safetensors.Tensor) error {
	left := make(map[string]safetensors.Tensor, len(have))
	for _, t := range have {
		left[t.Name] = t
	}
	for _, w := range want {
		t, ok := left[w.Name]
		if !ok {
			return mismatch("%s has no tensor %q; it is not the network that the spec describes", file, w.Name)
		}
		if !slices.Equal(t.Shape, w.Shape) || (t.Int64 != nil) != (w.Int64 != nil) {
			return mismatch("%s: %s has the shape %v, not %v; set %s", file, w.Name, t.Shape, w.Shape, fix)
		}
		if !finite(t.Data) {
			return mismatch("%s: %s has values that are not finite numbers; name an encoder whose training did not diverge", file, w.Name)
		}
		delete(left, w.Name)
	}
	for _, t := range have {
		if _, unknown := left[t.Name]; unknown {
			return mismatch("%s has the tensor %q, which the network of the spec lacks", file, t.Name)
		}
	}
	return nil
}

func finite(values []float32) bool {
	for _, v := range values {
		if v-v != 0 { // NaN and ±Inf
			return false
		}
	}
	return true
}

// checkArchitecture compares what config.json tells; what it leaves out is not compared.
func (e *Encoder) checkArchitecture(want Encoder) error {
	switch {
	case e.Depth != 0 && e.Depth != want.Depth:
		return mismatch("the encoder is a ResNet-%d; set encoder.depth to %d, it is %d", e.Depth, e.Depth, want.Depth)
	case e.Width != "" && !sameNumber(e.Width, want.Width):
		return mismatch("the encoder has the width %s; set encoder.widthMultiplier to %q, it is %q", e.Width, e.Width, want.Width)
	case e.Stem != "" && e.Stem != want.Stem:
		return mismatch("the encoder has the stem %s; set encoder.stem to it, it is %s", e.Stem, want.Stem)
	case e.Shortcut != "" && e.Shortcut != want.Shortcut:
		return mismatch("the encoder has %s shortcuts; set encoder.shortcut to that, it is %s", e.Shortcut, want.Shortcut)
	case e.SelectiveKernel != "" && e.SelectiveKernel != want.SelectiveKernel:
		return mismatch("the encoder's selective kernels are %s; set encoder.selectiveKernel to that, it is %s", e.SelectiveKernel, want.SelectiveKernel)
	}
	return nil
}

func mismatch(format string, args ...any) error {
	return contract.UserErrorf("EncoderMismatch", "pretraining.from: %w", fmt.Errorf(format, args...))
}

func sameNumber(a, b v1alpha1.Decimal) bool {
	x, errX := a.Float()
	y, errY := b.Float()
	return errX == nil && errY == nil && x == y
}
