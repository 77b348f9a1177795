package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// pretraining of the yardstick with another batch and micro-batch; 0: none.
func pretraining(t *testing.T, batch, micro int32) Stage {
	t.Helper()
	r := yardstick()
	if r.Spec.BatchSize = batch; micro > 0 {
		r.Spec.Pretraining.MicroBatchSize = new(micro)
	}
	p, err := New(r, cifar())
	if err != nil {
		t.Fatal(err)
	}
	s, _ := p.Stage("pretrain")
	return s
}

// advised is the number that an error says after some words.
func advised(t *testing.T, err error, words string) int32 {
	t.Helper()
	var n int32
	if err == nil {
		t.Fatal("no error")
	}
	_, after, found := strings.Cut(err.Error(), words)
	if _, scanned := fmt.Sscan(after, &n); !found || scanned != nil {
		t.Fatalf("%q has no number after %q", err, words)
	}
	return n
}

// What is advised fits, and the next larger does not.
func TestMicroBatchThatFits(t *testing.T) {
	for available, want := range map[int64]int32{256 << 20: 64, 150 << 20: 32, 512 << 20: 128} {
		err := pretraining(t, 256, 0).CheckMemory(available)
		n := advised(t, err, "batchSize 256: a step of stage pretrain needs about 708 MiB of memory and "+bytes(available)+" are there; set pretraining.microBatchSize to ")
		if n != want {
			t.Errorf("%s: micro-batches of %d are advised, want %d", bytes(available), n, want)
		}
		if err := pretraining(t, 256, n).CheckMemory(available); err != nil {
			t.Errorf("%s: %v", bytes(available), err)
		}
		smaller := advised(t, pretraining(t, 256, 2*n).CheckMemory(available), "set pretraining.microBatchSize to ")
		if smaller != n {
			t.Errorf("%s: of %d, micro-batches of %d are advised", bytes(available), 2*n, smaller)
		}
	}
	if err := pretraining(t, 256, 0).CheckMemory(8 << 30); err != nil {
		t.Error(err)
	}
}

// What a later stage needs shows before the first; what an earlier one needed does not matter any more. Later
// stages have batches of what pretraining computes at once.
func TestMemoryOfAllStagesToCome(t *testing.T) {
	for name, tc := range map[string]struct {
		micro *int32
		batch *int32 // of finetuning
		stage string
		want  string
	}{
		"at once":                 {nil, nil, "pretrain", "stage pretrain needs"},
		"after pretraining":       {nil, nil, "one-percent", ""},
		"in micro-batches":        {new(int32(16)), nil, "pretrain", ""},
		"with a later batch":      {new(int32(16)), new(int32(1000)), "pretrain", "finetuning[one-percent].batchSize 1000: a step of stage one-percent needs"},
		"and when that has begun": {new(int32(16)), new(int32(1000)), "one-percent", "stage one-percent needs"},
	} {
		r := yardstick()
		r.Spec.Pretraining.MicroBatchSize, r.Spec.Finetuning[0].BatchSize, r.Spec.Finetuning[0].LabelFraction = tc.micro, tc.batch, "0.5"
		if tc.batch == nil {
			r.Spec.Finetuning[0].LabelFraction = "0.01"
		}
		p, err := New(r, cifar())
		if err != nil {
			t.Fatal(err)
		}
		err = p.CheckMemory(tc.stage, 300<<20)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
}

// What an accelerator's compiler says decides what is advised: of a step that needs twice what there is, half, but for what does not
// grow with the batch. Where it says nothing, half.
func TestBatchThatFitsADevice(t *testing.T) {
	s := pretraining(t, 256, 0)
	for name, tc := range map[string]struct {
		needs, has int64
		want       int32
	}{
		"not known":       {0, 0, 128},
		"half is there":   {32 << 30, 16 << 30, 64},
		"most is there":   {17 << 30, 16 << 30, 128},
		"little is there": {160 << 30, 16 << 30, 8},
	} {
		if n := advised(t, s.DeviceOutOfMemory(errors.New("RESOURCE_EXHAUSTED"), tc.needs, tc.has), "set pretraining.microBatchSize to "); n != tc.want {
			t.Errorf("%s: micro-batches of %d are advised, want %d", name, n, tc.want)
		}
	}
}

// A micro-batch that is advised is one that the worker's devices can share: else the run that is changed so is refused for it.
func TestMicroBatchThatDevicesShare(t *testing.T) {
	r := yardstick()
	r.Spec.BatchSize = 1536
	r.Spec.Accelerator = v1alpha1.AcceleratorSpec{Type: v1alpha1.NvidiaGPU, DevicesPerWorker: new(int32(3))}
	p, err := New(r, cifar())
	if err != nil {
		t.Fatal(err)
	}
	s, _ := p.Stage("pretrain")
	for name, tc := range map[string]struct {
		err  error
		want int32
	}{
		"of the devices' memory": {s.DeviceOutOfMemory(errors.New("RESOURCE_EXHAUSTED"), 5<<30, 1<<30), 192},
		"of the host's":          {p.CheckHostMemory("pretrain", s.hostMemory()/3), 384},
	} {
		n := advised(t, tc.err, "set pretraining.microBatchSize to ")
		if n != tc.want {
			t.Errorf("%s: micro-batches of %d are advised, want %d", name, n, tc.want)
		}
		r.Spec.Pretraining.MicroBatchSize = &n
		if _, err := New(r, cifar()); err != nil {
			t.Errorf("%s: what is advised is refused: %v", name, err)
		}
	}
}

// On an accelerator the host has the views; what is advised fits.
func TestViewsThatFitTheHost(t *testing.T) {
	host := func(batch, micro int32, available int64) error {
		r := yardstick()
		if r.Spec.BatchSize = batch; micro > 0 {
			r.Spec.Pretraining.MicroBatchSize = new(micro)
		}
		r.Spec.LinearEvaluation.Mode = v1alpha1.Disabled
		p, err := New(r, cifar())
		if err != nil {
			t.Fatal(err)
		}
		return p.CheckHostMemory("pretrain", available)
	}
	const image = 4 * 2 * 3 * 32 * 32 * 4 // two views of 32 pixels, four times in the loader
	if err := host(8192, 0, 8192*image); err != nil {
		t.Error(err)
	}
	n := advised(t, host(8192, 0, 8192*image-1), "batchSize 8192: the views of a step of stage pretrain need about 768 MiB of the host's memory and 768 MiB are there; set pretraining.microBatchSize to ")
	if err := host(8192, n, 8192*image-1); err != nil || n != 4096 {
		t.Errorf("micro-batches of %d are advised: %v", n, err)
	}
	n = advised(t, host(8191, 0, 8000*image), "set batchSize to at most ") // a prime
	if err := host(n, 0, 8000*image); err != nil || n != 8000 {
		t.Errorf("a batch of %d is advised: %v", n, err)
	}
	if err := host(2048, 0, 100<<20); err == nil {
		t.Error("2048 images' views fit 100 MiB")
	}
}

// Where no micro-batch divides the batch, a smaller batch is advised.
func TestBatchThatFits(t *testing.T) {
	const available = 256 << 20
	n := advised(t, pretraining(t, 257, 0).CheckMemory(available), "set batchSize to at most ")
	for batch, fits := range map[int32]bool{n: true, n + 1: false} {
		if err := pretraining(t, batch, 0).CheckMemory(available); (err == nil) != fits {
			t.Errorf("batch size %d: %v", batch, err)
		}
	}
	if err := pretraining(t, 256, 0).CheckMemory(1 << 20); err == nil || !strings.Contains(err.Error(), "widthMultiplier") {
		t.Errorf("where nothing fits: %v", err)
	}
}

// A step that failed although the estimate is lower: half of it.
func TestMoreMemoryThanEstimated(t *testing.T) {
	for name, tc := range map[string]struct {
		s    Stage
		want string
	}{
		"a batch":         {pretraining(t, 256, 0), "batchSize 256: a step of stage pretrain needs more memory than the 708 MiB that are there; set pretraining.microBatchSize to 128,"},
		"micro-batches":   {pretraining(t, 256, 64), "pretraining.microBatchSize 64: a step of stage pretrain needs more memory than the "},
		"of micro-batch":  {pretraining(t, 256, 64), "set pretraining.microBatchSize to 32,"},
		"the least":       {pretraining(t, 256, 2), "set batchSize to at most 128,"},
		"a batch of odds": {pretraining(t, 251, 0), "set batchSize to at most 125,"},
	} {
		if err := tc.s.OutOfMemory(tc.s.MemoryBytes); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", name, err, tc.want)
		}
	}
	p, err := New(yardstick(), cifar())
	if err != nil {
		t.Fatal(err)
	}
	s, _ := p.Stage("one-percent")
	if err := s.CheckMemory(100 << 20); err == nil || !strings.Contains(err.Error(), "set finetuning[one-percent].batchSize to at most ") {
		t.Errorf("of finetuning: %v", err)
	}
}

// A step's memory is a micro-batch's, whatever the batch, but for z; the views of a large batch are made
// twice instead of being kept.
func TestMemoryOfMicroBatches(t *testing.T) {
	whole, small, large := pretraining(t, 64, 0), pretraining(t, 64, 16), pretraining(t, 8192, 16)
	if ratio := float64(small.MemoryBytes) / float64(whole.MemoryBytes); ratio > 0.4 {
		t.Errorf("a quarter at once takes %.2f of the memory", ratio)
	}
	if whole.ViewsTwice || small.ViewsTwice || !large.ViewsTwice {
		t.Errorf("made twice: at once %v, of 64 images %v, of 8192 %v", whole.ViewsTwice, small.ViewsTwice, large.ViewsTwice)
	}
	if whole.MicroBatches() != 1 || small.MicroBatches() != 4 || large.MicroBatches() != 512 {
		t.Errorf("%d, %d and %d micro-batches", whole.MicroBatches(), small.MicroBatches(), large.MicroBatches())
	}
	grown, zs := large.MemoryBytes-small.MemoryBytes, int64(8192-64)*2*float32Bytes*(8*128+3*128)
	if grown > zs {
		t.Errorf("128 times the batch takes %s more, of which z has %s", bytes(grown), bytes(zs))
	}
}

// Before its end, kNN takes memory beside the training.
func TestMemoryOfOnlineKNN(t *testing.T) {
	memory := func(change func(*v1alpha1.SimCLRRunSpec)) int64 {
		r := yardstick()
		change(&r.Spec)
		p, err := New(r, cifar())
		if err != nil {
			t.Fatal(err)
		}
		return p.Stages[0].MemoryBytes
	}
	every := func(n int32) func(*v1alpha1.SimCLRRunSpec) {
		return func(s *v1alpha1.SimCLRRunSpec) { s.KNN.EveryEpochs, s.KNN.OnlineImages = new(n), 1000 }
	}
	none := memory(every(0))
	if at := memory(every(10)); at != none {
		t.Errorf("with an evaluation at the end alone %s, without any %s", bytes(at), bytes(none))
	}
	if at := memory(every(5)); at < none+64<<20 {
		t.Errorf("with evaluations %s, without %s", bytes(at), bytes(none))
	}
	if at := memory(func(s *v1alpha1.SimCLRRunSpec) { every(5)(s); s.KNN.Mode = v1alpha1.Disabled }); at != none {
		t.Errorf("disabled it takes %s, without %s", bytes(at), bytes(none))
	}
}

func TestChoices(t *testing.T) {
	for name, tc := range map[string]struct {
		s    Stage
		want string
	}{
		"at once": {pretraining(t, 256, 0), "A step of pretrain needs about 708 MiB at once (as set), 376 MiB in micro-batches of 128, 209 MiB in micro-batches of 64, 125 MiB in micro-batches of 32, 83 MiB in micro-batches of 16 (pretraining.microBatchSize)."},
		"as set":  {pretraining(t, 36, 6), "A step of pretrain needs about 110 MiB at once, 65 MiB in micro-batches of 18, 42 MiB in micro-batches of 9, 34 MiB in micro-batches of 6 (as set) (pretraining.microBatchSize)."},
		"odd":     {pretraining(t, 255, 0), "A step of pretrain needs about 706 MiB at once (as set) (pretraining.microBatchSize)."},
	} {
		if d := cmp.Diff(tc.want, tc.s.choices()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
