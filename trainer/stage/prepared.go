package stage

import (
	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/augment"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
	"github.com/simclr-operator/simclr-operator/trainer/engine"
	"github.com/simclr-operator/simclr-operator/trainer/engine/xla"
)

// maker is an engine that makes views on its devices.
type maker interface {
	Views(c augment.Config, edge, rows int) (*xla.Views, error)
}

// makeViews on the accelerator, where the batches are prepared for that.
func (m *microBatches) makeViews(e engine.Engine) (err error) {
	if m.loader.Edge() == 0 {
		return nil
	}
	by, ok := e.(maker)
	if !ok {
		return contract.UserErrorf("NoEngine", "accelerator.augmentations is Accelerator, and the engine %s makes no views; set it to Host", e.Name())
	}
	m.made, err = by.Views(m.config, m.loader.Edge(), m.loader.Rows())
	return err
}

// tensor of a batch's views: in the host's memory, or, where the accelerator makes them, on its devices.
func (m *microBatches) tensor(b *dataset.Batch) (engine.Tensor, error) {
	if m.made == nil {
		return pixels(b, m.config.Size), nil
	}
	return m.made.Make(b.Sources, b.Parameters)
}

// placed copies a batch's views to where a step reads them, or makes them there.
func (m *microBatches) placed(place func(engine.Tensor) (engine.Tensor, error)) func(*dataset.Batch) (engine.Tensor, error) {
	return func(b *dataset.Batch) (engine.Tensor, error) {
		views, err := m.tensor(b)
		if err != nil || views.Remote != nil {
			return views, err
		}
		return place(views)
	}
}

// prepared says that the accelerator makes the views of pretraining, and of what edge their sources are; 0: the host makes them.
func (d *data) prepared(c augment.Config) (edge int, err error) {
	if d.spec.Accelerator.Augmentations != v1alpha1.AugmentationsAccelerator {
		return 0, nil
	}
	largest, err := d.largest()
	return c.Edge(largest), err
}

// largest side of the images, in pixels, of formats whose images are all of one size; else 0.
func (d *data) largest() (int, error) {
	switch s := d.spec.Dataset; {
	case s.Name != "", s.Format == v1alpha1.FormatCIFAR, s.Format == v1alpha1.FormatIDX:
		img, err := d.train.Image(0)
		return max(img.W, img.H), err
	}
	return 0, nil
}
