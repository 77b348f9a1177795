package plan

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// memory of a step, in bytes, by what it grows with.
type memory struct {
	fixed int64 // weights, gradients, momenta
	image int64 // of an image that is computed with others at once
	row   int64 // of any image of the batch, of all workers: its z
	own   int64 // of any image of a worker: its views, where they are kept
	sums  int64 // the gradients' sums, where there are several micro-batches
	views int64 // of an image in the loader; image or own has them, too
}

// of a step of workers with so many images each, of which so many are computed at once.
func (m memory) of(share, micro, workers int) int64 {
	n := m.fixed + m.image*int64(micro) + (m.row*int64(workers)+m.own)*int64(share)
	if micro < share {
		n += m.sums
	}
	return n
}

// fits is how many images a worker can compute at once, of its share or, where micro is set, of a micro-batch of
// this share.
func (m memory) fits(available int64, share, workers int, micro bool) int {
	row := m.row*int64(workers) + m.own
	if micro {
		return int((available - m.fixed - row*int64(share) - m.sums) / m.image)
	}
	return int((available - m.fixed) / (m.image + row))
}

// keptViews is how much memory the loader may take for batches of several micro-batches; where it would be
// more, their views are made twice, so that a step's memory does not grow with the batch. Unit: bytes.
const keptViews = 256 << 20

// loaded are the batches whose pixels the loader holds at once: made ahead, in the making, in use.
const loaded = 4

// setMemory estimates a step of a supervised stage.
func (s *Stage) setMemory(fixed, perImage int64) {
	s.need = memory{fixed: fixed, image: perImage}
	s.MemoryBytes = s.need.of(s.Batch, s.Batch, 1)
}

// setContrastiveMemory estimates a contrastive step. Of each row of z there are the network's own and NT-Xent's,
// its gradient's, normalised ones, and the similarities of the anchors that are looked at together. online
// is what kNN takes beside it.
func (s *Stage) setContrastiveMemory(n Network, precision v1alpha1.Precision, online int64) {
	const views, zs, anchors = 2, 8, 3 * 128
	activation := int64(float32Bytes)
	if precision == v1alpha1.BF16 {
		activation = bfloat16Bytes
	}
	fixed, image := n.step(s.Parameters, s.Parameters, views, activation)
	loader := loaded * float32Bytes * views * 3 * int64(n.imageSize) * int64(n.imageSize)
	s.need = memory{
		fixed: fixed + online, image: image, row: float32Bytes * views * (zs*int64(n.Dimension) + anchors), sums: float32Bytes * s.Parameters, views: loader,
	}
	s.ViewsTwice = s.MicroBatch < s.Share() && loader*int64(s.Share()) > keptViews
	if s.ViewsTwice {
		s.need.image += loader
	} else {
		s.need.own = loader
	}
	s.MemoryBytes = s.need.of(s.Share(), s.MicroBatch, s.workers())
}

func (s Stage) workers() int { return max(s.Workers, 1) }

// Share of a worker of a step's images.
func (s Stage) Share() int { return s.Batch / s.workers() }

// share in words.
func (s Stage) share() string {
	if s.workers() == 1 {
		return fmt.Sprintf("batchSize %d", s.Batch)
	}
	return fmt.Sprintf("the %d images that each of %d workers has of batchSize %d", s.Share(), s.Workers, s.Batch)
}

// MicroBatches of a worker's step.
func (s Stage) MicroBatches() int { return s.Share() / s.MicroBatch }

// absurd is more memory than any worker has; a batch size that needs it is a slip.
const absurd = 4 << 40

// CheckMemory is a user error where a stage, or a later one, needs more memory than is there: so that what
// cannot fit shows before hours of training. Unit: bytes.
func (p *Plan) CheckMemory(stage string, available int64) error {
	from := slices.IndexFunc(p.Stages, func(s Stage) bool { return s.Name == stage })
	for _, s := range p.Stages[max(from, 0):] {
		if err := s.CheckMemory(available); err != nil {
			return err
		}
	}
	return nil
}

// CheckMemory is a user error where a step needs more memory than is there; it names what would fit. Unit: bytes.
func (s Stage) CheckMemory(available int64) error {
	if s.MemoryBytes <= available {
		return nil
	}
	return s.OutOfMemory(available)
}

// OutOfMemory is the user error of a stage that has so much memory and needs more. Unit: bytes.
func (s Stage) OutOfMemory(available int64) error {
	need := "about " + bytes(s.MemoryBytes) + " of memory and " + bytes(available) + " are there"
	if s.MemoryBytes <= available {
		need = "more memory than the " + bytes(available) + " that are there"
	}
	field, size := s.batchField, s.Batch
	if s.Kind == Pretraining && s.MicroBatch < s.Share() {
		field, size = microBatchField, s.MicroBatch
	}
	fix := s.fix(available)
	if fix == "" {
		return contract.UserErrorf("OutOfMemory", "stage %s needs %s; set encoder.widthMultiplier or dataset.imageSize lower, or give the worker more (template.resources)", s.Name, need)
	}
	return contract.UserErrorf("OutOfMemory", "%s %d: a step of stage %s needs %s; %s, or give the worker more (template.resources)", field, size, s.Name, need, fix)
}

// CheckHostMemory is CheckMemory of a run on an accelerator, whose step is in the accelerator's memory: of a step's views, and of
// features, which are in the host's. Unit: bytes.
func (p *Plan) CheckHostMemory(stage string, available int64) error {
	from := slices.IndexFunc(p.Stages, func(s Stage) bool { return s.Name == stage })
	for _, s := range p.Stages[max(from, 0):] {
		if need := s.hostMemory(); need > available {
			return s.hostOutOfMemory(need, available)
		}
	}
	return nil
}

func (s Stage) hostOutOfMemory(need, available int64) error {
	if s.Kind == LinearLBFGS {
		return s.OutOfMemory(available)
	}
	most := int(available / s.need.views)
	fix := fmt.Sprintf("set batchSize to at most %d", max(most*s.workers(), 1))
	if size := s.largestPart(most); size > 0 {
		fix = fmt.Sprintf("set %s to %d", microBatchField, size)
	}
	return contract.UserErrorf("OutOfMemory", "batchSize %d: the views of a step of stage %s need about %s of the host's memory and %s are there; %s, or give the worker more (template.resources)",
		s.Batch, s.Name, bytes(need), bytes(available), fix)
}

// hostMemory is what a stage whose steps an accelerator computes needs of the host's, in bytes: the views that the loader holds, or the
// features; 0: not estimated.
func (s Stage) hostMemory() int64 {
	switch {
	case s.Kind == LinearLBFGS:
		return s.MemoryBytes
	case s.Kind != Pretraining:
		return 0
	case s.ViewsTwice:
		return s.need.views * int64(s.MicroBatch)
	}
	return s.need.views * int64(s.Share())
}

// largestPart is the largest micro-batch of the worker's share that has at most so many images and that its devices can share; 0:
// there is none.
func (s Stage) largestPart(most int) int {
	return largestPart(s.Share(), min(most, s.MicroBatch-1), max(s.devices, 1))
}

// largestPart of a worker's images that divides them, has at most so many and gives as many to each of its devices; 0: there is
// none.
func largestPart(share, most, devices int) int {
	for size := most; size >= leastMicroBatch; size-- {
		if share%size == 0 && size%devices == 0 {
			return size
		}
	}
	return 0
}

// DeviceOutOfMemory is the user error of a stage whose step does not fit the memory of its accelerator, of which the compiler
// or runtime says what it lacks. Where it is known what the step needs and what there is, what is advised is by that; else half of
// what failed may fit. Unit: bytes.
func (s Stage) DeviceOutOfMemory(err error, needs, has int64) error {
	available, lacks := s.MemoryBytes, ""
	if needs > has && has > 0 {
		available = int64(float64(s.MemoryBytes) / float64(needs) * float64(has))
		lacks = fmt.Sprintf(", of which a device has %s for programs and it needs %s", bytes(has), bytes(needs))
	}
	fix := s.fix(available)
	if fix == "" {
		fix = "set encoder.widthMultiplier or dataset.imageSize lower"
	}
	return contract.UserErrorf("OutOfMemory", "a step of stage %s does not fit the accelerator's memory%s: %s, or accelerator.devicesPerWorker higher (%w)", s.Name, lacks, fix, err)
}

const microBatchField = "pretraining.microBatchSize"

// fix is what to set so that a step fits: a micro-batch where there can be one, else the batch. By the
// estimate; half of what failed where that is too low. "" where nothing would do.
func (s Stage) fix(available int64) string {
	if s.need.image == 0 {
		return ""
	}
	tooLow := s.MemoryBytes <= available
	if s.Kind == Pretraining {
		most := s.need.fits(available, s.Share(), s.workers(), true)
		if tooLow {
			most = s.MicroBatch / 2
		}
		if size := s.largestPart(most); size > 0 {
			return fmt.Sprintf("set %s to %d", microBatchField, size)
		}
	}
	most := s.need.fits(available, s.Share(), s.workers(), false) * s.workers()
	if tooLow {
		most = s.Batch / 2
	}
	if most < 2*s.workers() {
		return ""
	}
	return fmt.Sprintf("set %s to at most %d", s.batchField, most)
}

// leastMicroBatch is the API's: batch norm needs several values of each channel.
const leastMicroBatch = 2

// choices says what a pretraining step needs in micro-batches of halved sizes, and of the one that is set.
func (s Stage) choices() string {
	if s.Kind != Pretraining || s.Batch == 0 {
		return ""
	}
	sizes := []int{s.MicroBatch}
	for size := s.Share(); len(sizes) < 6 && size >= leastMicroBatch; size /= 2 {
		sizes = append(sizes, size)
		if size%2 != 0 {
			break
		}
	}
	slices.Sort(sizes)
	var parts []string
	for _, size := range slices.Backward(slices.Compact(sizes)) {
		need := bytes(s.need.of(s.Share(), size, s.workers()))
		what := fmt.Sprintf("%s in micro-batches of %d", need, size)
		if size == s.Share() {
			what = need + " at once"
		}
		if size == s.MicroBatch {
			what += " (as set)"
		}
		parts = append(parts, what)
	}
	each := ""
	if s.workers() > 1 {
		each = fmt.Sprintf(" on each of %d workers", s.Workers)
	}
	return fmt.Sprintf("A step of %s needs about %s%s (%s).", s.Name, strings.Join(parts, ", "), each, microBatchField)
}

// bytes for a person.
func bytes(n int64) string {
	switch {
	case n >= 10<<40:
		return fmt.Sprintf("%.0f TiB", float64(n)/(1<<40))
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.0f MiB", math.Ceil(float64(n)/(1<<20)))
}
