package stage

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/export"
	"github.com/simclr-operator/simclr-operator/trainer/model"
	"github.com/simclr-operator/simclr-operator/trainer/safetensors"
	"github.com/simclr-operator/simclr-operator/trainer/weights"
)

// trained are the weights that pretraining leaves for the stages after it.
type trained struct {
	encoder []safetensors.Tensor // by torchvision's names
	head    []safetensors.Tensor // as weights.Head names them; none where z is h, or where none was taken over
}

// trained are the run's weights, which the pretrain stage has exported.
func (r *runner) trained() (w trained, err error) {
	e, err := export.Read(filepath.Join(r.Output, contract.EncoderDir))
	if err != nil {
		return w, err
	}
	w.encoder = e.Tensors
	if e.Head != nil {
		w.head = e.Head.Tensors
	}
	return w, nil
}

// represented is the network up to some features.
func (r *runner) represented(f v1alpha1.Features) model.Config {
	c := r.model
	c.Representation = f
	return c
}

// exported is the encoder of this run, and its projection head, with their tensors.
func (r *runner) exported(w trained) export.Encoder {
	s, h := r.spec.Encoder, r.spec.ProjectionHead
	e := export.Encoder{
		Depth: int(s.Depth), Width: s.WidthMultiplier, Stem: s.Stem, Shortcut: s.Shortcut, SelectiveKernel: s.SelectiveKernel,
		ImageSize: r.model.ImageSize, Features: r.model.Features(), Tensors: w.encoder,
	}
	if w.head != nil || h.Type == v1alpha1.HeadNone {
		e.Head = &export.Head{Type: h.Type, Layers: int(h.Layers), Dimension: int(h.Dimension), OutputNormalization: h.OutputNormalization, Tensors: w.head}
	}
	return e
}

// takeOver copies an encoder that exists.
func (r *runner) takeOver(ctx context.Context) (*v1alpha1.Results, error) {
	dir, err := r.sourceDir()
	if err != nil {
		return nil, err
	}
	e, err := export.Read(dir)
	if err != nil {
		return nil, err
	}
	var w, shapes trained
	if shapes.encoder, shapes.head, err = weights.Shapes(r.model); err != nil {
		return nil, err
	}
	want := r.exported(shapes)
	if err := e.Check(want); err != nil {
		return nil, err
	}
	if w.head, err = r.takeOverHead(e, want.Head); err != nil {
		return nil, err
	}
	for _, t := range e.Tensors {
		if !strings.HasPrefix(t.Name, "fc.") { // a published encoder's classifier
			w.encoder = append(w.encoder, t)
		}
	}
	results := &v1alpha1.Results{}
	return results, r.finish(ctx, results, w, export.Source{Run: r.Run.Name, ConfigHash: r.hash})
}

// takeOverHead gives the tensors of the projection head that came with an encoder. Where no stage needs it, one
// that is not there, or another one than the spec's, is left behind.
func (r *runner) takeOverHead(e *export.Encoder, want *export.Head) ([]safetensors.Tensor, error) {
	if want.Type == v1alpha1.HeadNone {
		return nil, nil
	}
	field := r.headField()
	err := e.CheckHead(*want, field)
	switch {
	case err == nil:
		return e.Head.Tensors, nil
	case field != "":
		return nil, err
	case e.Head != nil:
		r.Log.Info("the projection head is not the spec's, and no stage needs one: it is left behind", "has", e.Head.Type, "layers", e.Head.Layers, "dimension", e.Head.Dimension)
	}
	return nil, nil
}

// headField is the first field whose features need the projection head's weights; "" where none does.
func (r *runner) headField() string {
	l := r.spec.LinearEvaluation
	if l.Mode == v1alpha1.Enabled && l.Features != v1alpha1.FeaturesEncoder {
		return "linearEvaluation.features"
	}
	for _, f := range r.spec.Finetuning {
		if f.From == v1alpha1.FromPretrained && f.Features != v1alpha1.FeaturesEncoder {
			return "finetuning[" + f.Name + "].features"
		}
	}
	return ""
}

// sourceDir is the directory of pretraining.from.
func (r *runner) sourceDir() (string, error) {
	if r.Encoder != "" {
		return r.Encoder, nil
	}
	from := r.spec.Pretraining.From
	if from.URI == "" {
		return "", contract.UserErrorf("EncoderMissing", "pretraining.from.run %q is only known in a cluster; name the other run's encoder/ directory with --encoder", from.Run)
	}
	path, ok := strings.CutPrefix(from.URI, "pvc://")
	if !ok {
		return "", contract.UserErrorf("InvalidSpec", "pretraining.from.uri %q; set it to pvc://CLAIM/PATH", from.URI)
	}
	return filepath.Join(contract.DataDir, filepath.Clean("/"+path)), nil
}
