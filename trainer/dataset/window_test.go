package dataset

import (
	"context"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// windows of so many bytes.
func windows(t *testing.T, bytes int64) {
	t.Helper()
	before := windowBytes
	t.Cleanup(func() { windowBytes = before })
	windowBytes = bytes
}

// An epoch's order has every image once, few shards at a time, in another order each epoch; it is the same whatever the
// memory and the workers.
func TestOrderOfWindows(t *testing.T) {
	dir := sharded(t, 10, 10, 10, 10, 10, 10)
	s := mustOpen(t, dir, v1alpha1.FormatWebDataset, 0, Options{})
	windows(t, 2*s.runs[0].bytes+20)
	order := s.Order(1, 2)
	for w := range 3 {
		shards := map[int]bool{}
		for _, i := range order[20*w : 20*w+20] {
			shards[i/10] = true
		}
		if len(shards) != 2 || slices.IsSorted(order[20*w:20*w+20]) {
			t.Errorf("window %d: %v", w, order[20*w:20*w+20])
		}
	}
	if sorted := slices.Sorted(slices.Values(order)); len(slices.Compact(sorted)) != 60 || sorted[59] != 59 {
		t.Errorf("no permutation: %v", order)
	}
	if slices.Equal(order, s.Order(1, 3)) || slices.Equal(order, s.Order(2, 2)) {
		t.Error("epochs or seeds have the same order")
	}
	if diff := cmp.Diff(order, mustOpen(t, dir, v1alpha1.FormatWebDataset, 0, Options{MemoryBytes: 1, Workers: 3}).Order(1, 2)); diff != "" {
		t.Error(diff)
	}
	want := batchesOf(t, s, 0, 0, 1)
	if first := fmt.Sprint(0, 0, s.Order(5, 0)[:4]); len(want) != 45 || !strings.HasPrefix(want[0], first) {
		t.Fatalf("%d batches, the first is %.30s; want %s", len(want), want[0], first)
	}
	for _, at := range []int{0, 7, 15, 31, 44} { // resumed from every one
		again := mustOpen(t, dir, v1alpha1.FormatWebDataset, 0, Options{MemoryBytes: 1, Workers: 2})
		if diff := cmp.Diff(want[at:], batchesOf(t, again, at/15, at%15, 3)); diff != "" {
			t.Errorf("from %d on: %s", at, diff)
		}
	}
}

// The order of shards is part of what a checkpoint relies on: it may never change.
func TestOrderOfWindowsIsFixed(t *testing.T) {
	windows(t, 2)
	s := &Set{runs: []run{{0, 3, 1}, {3, 5, 1}, {5, 8, 1}, {8, 10, 1}}}
	if diff := cmp.Diff([]int{7, 9, 8, 5, 6, 3, 2, 1, 0, 4}, s.Order(0, 0)); diff != "" {
		t.Error(diff)
	}
}

// far is a directory that is reached over a network: it counts what is read.
type far struct {
	directory
	mu    sync.Mutex
	opens map[string]int
	fails int
}

func (f *far) open(ctx context.Context, name string, offset int64) (io.ReadCloser, int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opens[name]++
	if f.fails--; f.fails == 0 {
		return nil, 0, context.DeadlineExceeded
	}
	return f.directory.open(ctx, name, offset)
}

// noisy shards of n images of 48 KiB each: 12 images a shard.
func noisy(t *testing.T, shards int) string {
	t.Helper()
	dir := t.TempDir()
	for k := range shards {
		var all []member
		for i := range 12 {
			all = append(all, member{fmt.Sprintf("%d-%d.png", k, i), noise(t, uint64(12*k+i))})
		}
		write(t, filepath.Join(dir, fmt.Sprintf("train-%03d.tar", k)), tarOf(t, all...))
	}
	return dir
}

// Over a network each shard is read once an epoch, and memory stays within what images may take, however many shards
// there are.
func TestMemoryOfManyShards(t *testing.T) {
	const shards, memory = 50, 8 << 20
	from := &far{directory: directory(noisy(t, shards)), opens: map[string]int{}}
	windows(t, 2<<20)
	s, err := openWebDataset(t.Context(), from, "", 0, true, Options{MemoryBytes: memory, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	all := int64(0)
	for _, r := range s.runs {
		all += r.bytes
	}
	if all < 3*memory {
		t.Fatalf("%d bytes of images are too few for the test", all)
	}
	base, most := heap(), uint64(0)
	for epoch := range uint64(2) {
		for n, i := range s.Order(1, epoch) {
			if _, err := s.Image(i); err != nil {
				t.Fatal(err)
			}
			if n%16 == 0 {
				most = max(most, heap())
			}
		}
	}
	if most > base+memory+memory/8 {
		t.Errorf("%d bytes more were in use, of %d", most-base, int64(memory))
	}
	for name, n := range from.opens {
		if n > 1+2 { // once less where an epoch begins with what the one before it ended with
			t.Errorf("%s was read %d times at the start and in two epochs", name, n)
		}
	}
}

// Several workers read shards that come and go, and get what is kept in memory elsewhere.
func TestWorkersShareShards(t *testing.T) {
	dir := noisy(t, 8)
	windows(t, 700_000)
	from := &far{directory: directory(dir), opens: map[string]int{}}
	s, err := openWebDataset(t.Context(), from, "", 0, true, Options{MemoryBytes: 3 << 20, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := batchesOf(t, mustOpen(t, dir, v1alpha1.FormatWebDataset, 0, Options{}), 0, 0, 1)
	if diff := cmp.Diff(want, batchesOf(t, s, 0, 0, 4)); diff != "" || s.single == nil {
		t.Error(diff)
	}
	if n := from.opens["train-003.tar"]; n > 1+3 {
		t.Errorf("a shard was read %d times at the start and in three epochs", n)
	}
}

// A shard that could not be read is tried again by the next one who asks.
func TestShardCacheForgetsFailures(t *testing.T) {
	from := &far{directory: directory(noisy(t, 1)), opens: map[string]int{}, fails: 1}
	c := &shardCache{from: from, ctx: t.Context(), most: 1 << 20, shards: map[string]*cachedShard{}}
	if _, err := c.read("train-000.tar", 4096, 0, 1024); err == nil {
		t.Fatal("no error")
	}
	data, err := c.read("train-000.tar", 4096, 1024, 512)
	if err != nil || len(data) != 512 || c.bytes != 4096 {
		t.Errorf("%d bytes, %v; %d are kept", len(data), err, c.bytes)
	}
}

// noise is a PNG of 48 KiB that can not be compressed.
func noise(t *testing.T, seed uint64) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, 128, 128))
	random := rand.New(Source(seed))
	for i := range m.Pix {
		if m.Pix[i] = uint8(random.Uint32()); i%4 == 3 {
			m.Pix[i] = 255
		}
	}
	return pngOf(t, m)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
