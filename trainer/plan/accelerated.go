package plan

import (
	"fmt"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// Accelerated is what a run's pretraining step needs of each device of its accelerator.
type Accelerated struct {
	Chip    Chip
	Devices int
	Images  int // of the batch that a device computes at once
	Needs
	// Estimate: the compilers' table has no such network or precision, or none for so few or so many images, so that it is
	// reckoned from what is most like it.
	Estimate bool
	// Views is what it needs beside that to make views, which are the next step's; nil: the host makes them.
	Views *Views

	spec    *v1alpha1.SimCLRRunSpec
	step    stepOf
	workers int
	share   int // images of the batch that a device has
}

// Accelerate says what a resolved spec's pretraining needs of its accelerator; nil on a CPU, and where nothing is pretrained.
func Accelerate(spec *v1alpha1.SimCLRRunSpec) (*Accelerated, error) {
	workers := 1
	if spec.Workers != nil {
		workers = int(*spec.Workers)
	}
	chip, devices := chipOf(spec.Accelerator, workers)
	if each := WorkerDevices(spec.Accelerator); spec.Accelerator.Type == v1alpha1.TPU && each > 0 {
		workers = max(1, devices/each) // the hosts of the slice
	}
	if devices == 0 || spec.Pretraining.From != nil {
		return nil, nil
	}
	net, err := describe(spec)
	if err != nil {
		return nil, err
	}
	a := &Accelerated{Chip: chip, Devices: devices, spec: spec, workers: workers}
	width, err := positive("encoder.widthMultiplier", spec.Encoder.WidthMultiplier)
	if err != nil {
		return nil, err
	}
	a.step = stepOf{depth: spec.Encoder.Depth, width: width, size: net.imageSize, rows: 2 * int(spec.BatchSize), network: net, valueSize: valueSize(string(spec.Pretraining.Precision))}
	a.share = max(1, int(spec.BatchSize)/devices)
	a.Images = a.share
	if m := spec.Pretraining.MicroBatchSize; m != nil {
		a.Images = min(a.share, max(1, int(*m)*workers/devices))
	}
	a.Needs, a.Estimate = a.needs(a.Images, a.share)
	a.Views = a.views(a.Images)
	return a, nil
}

// needs of a step of so many images a device, of which so many are computed at once. In micro-batches all but their last pass is
// done once more, forward (trainer/pretrain).
func (a *Accelerated) needs(images, share int) (n Needs, estimate bool) {
	s := a.step
	s.images = images
	s.rows = 2 * share * a.Devices
	n, exact, _ := predict(compilations(), a.Chip.family, string(a.spec.Pretraining.Precision), s)
	if micro := share / images; micro > 1 {
		again := float64(micro) * 4 / 3
		n.FLOPs, n.BytesMoved = n.FLOPs*again, n.BytesMoved*again
		n.MemoryBytes += 2 * float32Bytes * 2 * int64(share) * int64(s.network.Dimension) * int64(a.Devices)
		exact = false
	}
	return n, !exact || !a.Chip.exact
}

// How far a prediction may be off: what the table has is within 15% (a test), and half of an estimate is surely needed.
const tableError, estimateError = 0.15, 0.5

// surely is how much of a predicted memory is needed.
func surely(predicted int64, estimate bool) float64 {
	off := tableError
	if estimate {
		off = estimateError
	}
	return float64(predicted) * (1 - off)
}

// Check is a user error where the step cannot fit the accelerator's memory: it names what would. Where the device's memory is not
// known, nothing is.
func (a *Accelerated) Check() error {
	if a.Chip.Usable == 0 || surely(a.MemoryBytes, a.Estimate)+a.Views.least() <= float64(a.Chip.Usable) {
		return nil
	}
	views := ""
	if a.Views != nil {
		views = fmt.Sprintf(" (%s of it to make views)", bytes(a.Views.MemoryBytes))
	}
	return contract.UserErrorf("OutOfMemory", "batchSize %d: each of %d devices computes %s of it at once and needs about %s of memory%s, of which %s has %s for programs; %s",
		a.spec.BatchSize, a.Devices, images(a.Images), bytes(a.Memory()), views, a.Chip.Name, bytes(a.Chip.Usable), a.fix())
}

// fix is what to set so that the step fits.
func (a *Accelerated) fix() string {
	images := a.most()
	if images == 0 {
		return "set encoder.widthMultiplier or dataset.imageSize lower, or " + a.elsewhere("with more memory")
	}
	text := fmt.Sprintf("set batchSize to at most %d", images*a.Devices)
	each := a.Devices / a.workers // devices of a worker
	if micro := largestPart(a.share*a.Devices/a.workers, images*a.Devices/a.workers, each); micro > 0 {
		text = fmt.Sprintf("set %s to at most %d, batchSize to at most %d", microBatchField, micro, images*a.Devices)
	}
	if a.Views != nil && a.MemoryBytes <= a.Chip.Usable {
		text += ", or suspend the run and set accelerator.augmentations to Host, where its CPUs make views fast enough"
	}
	devices := (a.share*a.Devices + images - 1) / images
	return text + ", or " + a.elsewhere(fmt.Sprintf("of at least %d such devices", devices))
}

// elsewhere names the field of the accelerator that may change while the run is suspended.
func (a *Accelerated) elsewhere(what string) string {
	if a.spec.Accelerator.Type == v1alpha1.TPU {
		return "suspend the run and set accelerator.generation and topology to a slice " + what
	}
	return "suspend the run and set accelerator.product and devicesPerWorker to GPUs " + what
}

// most images of a device that fit, by what is predicted.
func (a *Accelerated) most() int {
	low, high := 0, a.Images
	for high-low > 1 {
		middle := (low + high) / 2
		if n, _ := a.needs(middle, middle); n.MemoryBytes+a.views(middle).memory() <= a.Chip.Usable {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

func images(n int) string {
	if n == 1 {
		return "1 image"
	}
	return thousands(int64(n)) + " images"
}

// String is what `simclr-trainer plan` prints of it.
func (a *Accelerated) String() string {
	of := ""
	if a.Chip.Memory > 0 {
		of = fmt.Sprintf(", of which it has %s, %s for programs", bytes(a.Chip.Memory), bytes(a.Chip.Usable))
	}
	how := "as its compiler says of steps like it"
	if a.Estimate {
		how = "estimate: nothing like it was compiled for it"
	}
	return fmt.Sprintf("On each of %d × %s, a step of %s (%s at once) needs %s of memory%s; it computes %s and moves %s (%s).",
		a.Devices, a.Chip.Name, v1alpha1.StagePretrain, images(a.Images), bytes(a.MemoryBytes), of, operations(a.FLOPs), moved(a.BytesMoved), how) + a.viewsLine()
}

func operations(f float64) string {
	if f >= 1e12 {
		return fmt.Sprintf("%.2f TFLOP", f/1e12)
	}
	return fmt.Sprintf("%.1f GFLOP", f/1e9)
}

func moved(b float64) string { return fmt.Sprintf("%.2f GB", b/1e9) }
