package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// numbers is a dataset of n images of one pixel.
type numbers struct {
	n, classes int
	bad        int // this image fails; 0: none
}

func (d numbers) Len() int        { return d.n }
func (d numbers) Label(i int) int { return i * i % d.classes }
func (d numbers) Classes() []string {
	return numbered(d.classes)
}
func (d numbers) Image(i int) (Image, error) {
	if d.bad > 0 && i == d.bad {
		return Image{}, errBad
	}
	return Image{W: 1, H: 1, Pix: []uint8{uint8(i), uint8(i), uint8(i)}}, nil
}

var errBad = errors.New("bad image")

// stamp writes what it was called with.
type stamp struct{}

func (stamp) Apply(dst []float32, img Image, epoch, index, view int) {
	dst[0], dst[1], dst[2] = float32(epoch), float32(index), float32(view)
	if uint8(index) != img.Pix[0] {
		panic(fmt.Sprintf("image %d for index %d", img.Pix[0], index))
	}
}

func (stamp) Prepare(source []uint8, parameters []float32, _ Image, epoch, index, view int) {
	source[0], source[1], source[2] = uint8(epoch), uint8(index), uint8(view)
	parameters[0] = float32(index)
}

func config(n, batch int) LoaderConfig {
	return LoaderConfig{Data: numbers{n: n, classes: 7}, Batch: batch, Size: 1, Views: 2, NewTransform: func() Transform { return stamp{} }, Seed: 5, Workers: 2}
}

func mustLoader(t *testing.T, c LoaderConfig) *Loader {
	t.Helper()
	l, err := NewLoader(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// read n batches, or all where n is 0, as copies.
func read(t *testing.T, l *Loader, epoch, batch, n int) []Batch {
	t.Helper()
	s := l.Start(context.Background(), epoch, batch)
	defer s.Close()
	var all []Batch
	for n == 0 || len(all) < n {
		b, err := s.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Batch{Epoch: b.Epoch, Index: b.Index, Part: b.Part, Pixels: slices.Clone(b.Pixels), Sources: slices.Clone(b.Sources), Parameters: slices.Clone(b.Parameters), Labels: b.Labels, Images: b.Images, Seconds: b.Seconds})
		b.Release()
	}
	return all
}

var batches = cmp.AllowUnexported(Batch{})

func TestLoaderIsDeterministic(t *testing.T) {
	want := read(t, mustLoader(t, config(100, 40)), 0, 0, 6)
	for name, change := range map[string]func(c *LoaderConfig){
		"one worker":    func(c *LoaderConfig) { c.Workers = 1 },
		"many workers":  func(c *LoaderConfig) { c.Workers = 9 },
		"more prefetch": func(c *LoaderConfig) { c.Prefetch = 7 },
	} {
		t.Run(name, func(t *testing.T) {
			c := config(100, 40)
			change(&c)
			if diff := cmp.Diff(want, read(t, mustLoader(t, c), 0, 0, 6), batches, cmp.AllowUnexported(Loader{})); diff != "" {
				t.Error(diff)
			}
		})
	}
	c := config(100, 40)
	c.Seed++
	if other := read(t, mustLoader(t, c), 0, 0, 1); slices.Equal(other[0].Images, want[0].Images) {
		t.Error("another seed has the same order")
	}
	if slices.Equal(want[0].Images, want[2].Images) {
		t.Error("another epoch has the same order")
	}
}

func TestLoaderResumes(t *testing.T) {
	want := read(t, mustLoader(t, config(100, 16)), 0, 0, 20)
	for _, at := range []int{1, 5, 6, 13} {
		l := mustLoader(t, config(100, 16))
		got := read(t, l, at/l.Batches(), at%l.Batches(), 20-at)
		if diff := cmp.Diff(want[at:], got, batches); diff != "" {
			t.Errorf("from batch %d: %s", at, diff)
		}
	}
}

// A batch in parts has the images and views of the whole, each part laid out like a batch of its own; again
// all but the last come twice.
func TestLoaderGivesBatchesInParts(t *testing.T) {
	const parts = 3
	whole := read(t, mustLoader(t, config(100, 30)), 2, 1, 4)
	for _, again := range []bool{false, true} {
		c := config(100, 30)
		c.Parts, c.Again = parts, again
		order := []int{0, 1, 2}
		if again {
			order = []int{0, 1, 2, 0, 1}
		}
		got := read(t, mustLoader(t, c), 2, 1, 4*len(order))
		for i, b := range got {
			of, part := whole[i/len(order)], order[i%len(order)]
			want := Batch{Epoch: of.Epoch, Index: of.Index, Part: part, Labels: of.Labels[10*part : 10*part+10], Images: of.Images[10*part : 10*part+10]}
			for view := range 2 {
				first := 3 * (30*view + 10*part)
				want.Pixels = append(want.Pixels, of.Pixels[first:first+30]...)
			}
			if diff := cmp.Diff(want, b, batches); diff != "" {
				t.Errorf("again %v, number %d: %s", again, i, diff)
			}
		}
	}
	c := config(100, 32)
	c.Parts = parts
	if _, err := NewLoader(c); err == nil || !strings.Contains(err.Error(), "pretraining.microBatchSize") {
		t.Errorf("got %v", err)
	}
}

// Dealt out, each part of each worker has the first views of a whole batch's that it had, and of all workers' parts together
// there are the same views.
func TestLoaderDealsSecondViewsOut(t *testing.T) {
	const parts, world = 3, 2
	whole := read(t, mustLoader(t, config(100, 60)), 2, 0, 1)[0]
	want, got := map[[3]float32]int{}, map[[3]float32]int{}
	count := func(all map[[3]float32]int, pixels []float32) {
		for ; len(pixels) > 0; pixels = pixels[3:] {
			all[[3]float32(pixels)]++
		}
	}
	count(want, whole.Pixels)
	for rank := range world {
		c := config(100, 30)
		c.Parts, c.Dealt, c.Rank, c.World = parts, true, rank, world
		for part, b := range read(t, mustLoader(t, c), 2, 0, parts) {
			count(got, b.Pixels)
			group := rank*parts + part
			if d := cmp.Diff(whole.Images[10*group:10*group+10], b.Images); d != "" {
				t.Errorf("rank %d, part %d, first views: %s", rank, part, d)
			}
			for i, image := range b.Seconds {
				if image != whole.Images[group+i*parts*world] {
					t.Errorf("rank %d, part %d: second view %d is of image %d", rank, part, i, image)
				}
			}
			for row := range 20 {
				image := append(slices.Clone(b.Images), b.Seconds...)[row]
				if d := cmp.Diff([]float32{2, float32(image), float32(row / 10)}, b.Pixels[3*row:3*row+3]); d != "" {
					t.Errorf("rank %d, part %d, row %d: %s", rank, part, row, d)
				}
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	one, alone := config(100, 30), config(100, 30)
	one.Dealt = true
	if d := cmp.Diff(read(t, mustLoader(t, alone), 0, 0, 3), read(t, mustLoader(t, one), 0, 0, 3), batches); d != "" {
		t.Errorf("one part: %s", d)
	}
}

// First views of all images, then second views; labels beside them.
func TestBatchLayout(t *testing.T) {
	b := read(t, mustLoader(t, config(50, 20)), 3, 1, 1)[0]
	if b.Epoch != 3 || b.Index != 1 || len(b.Images) != 20 || len(b.Pixels) != 2*20*3 {
		t.Fatalf("batch %d of epoch %d: %d images, %d values", b.Index, b.Epoch, len(b.Images), len(b.Pixels))
	}
	for row := range 40 {
		want := []float32{3, float32(b.Images[row%20]), float32(row / 20)}
		if diff := cmp.Diff(want, b.Pixels[3*row:3*row+3]); diff != "" {
			t.Errorf("row %d: %s", row, diff)
		}
	}
	for i, image := range b.Images {
		if b.Labels[i] != image*image%7 {
			t.Errorf("image %d has label %d", image, b.Labels[i])
		}
	}
}

// The workers' parts of an epoch are disjoint, and together what one worker has.
func TestRanksShareAnEpoch(t *testing.T) {
	one := read(t, mustLoader(t, func() LoaderConfig { c := config(103, 24); c.Epochs = 1; return c }()), 0, 0, 0)
	if len(one) != 4 {
		t.Fatalf("%d batches, want 4: the rest is dropped", len(one))
	}
	var want, got []int
	for _, b := range one {
		want = append(want, b.Images...)
	}
	parts := make([][]Batch, 3)
	for rank := range parts {
		c := config(103, 8)
		c.Rank, c.World, c.Epochs = rank, 3, 1
		parts[rank] = read(t, mustLoader(t, c), 0, 0, 0)
	}
	for i := range parts[0] {
		for rank := range parts {
			got = append(got, parts[rank][i].Images...)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 96 {
		t.Errorf("%d different images, want 96", len(slices.Compact(got)))
	}
}

func TestSequential(t *testing.T) {
	c := config(50, 20)
	c.Sequential, c.Views = true, 1
	l := mustLoader(t, c)
	all := read(t, l, 0, 0, 0)
	if len(all) != 3 || l.Batches() != 3 || len(all[2].Images) != 10 || all[2].Images[9] != 49 || all[1].Pixels[1] != 20 {
		t.Errorf("%d batches, the last of %v", len(all), all[len(all)-1].Images)
	}
}

func TestLoaderErrors(t *testing.T) {
	c := config(100, 20)
	c.Data = numbers{n: 100, classes: 7, bad: 50}
	s := mustLoader(t, c).Start(context.Background(), 0, 0)
	defer s.Close()
	var err error
	for n := 0; err == nil && n < 5; n++ {
		_, err = s.Next()
	}
	if !errors.Is(err, errBad) {
		t.Errorf("got %v, want %v", err, errBad)
	}
	_, err = NewLoader(config(19, 20))
	wantUserError(t, err, "19 images are fewer than a batch of 20", "spec.batchSize")
	_, err = NewLoader(config(0, 20))
	wantUserError(t, err, "no images")
	_, err = NewLoader(config(10, 0))
	wantUserError(t, err, "spec.batchSize")
}

// Cancelling, or closing without reading, leaves no goroutine.
func TestLoaderStops(t *testing.T) {
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancelCause(context.Background())
	s := mustLoader(t, config(100, 20)).Start(ctx, 0, 0)
	if _, err := s.Next(); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("SIGTERM")
	cancel(stop)
	if _, err := s.Next(); !errors.Is(err, stop) {
		t.Errorf("got %v, want the context's cause", err)
	}
	s.Close()
	mustLoader(t, config(100, 20)).Start(context.Background(), 0, 0).Close()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestReleasedMemoryIsUsedAgain(t *testing.T) {
	s := mustLoader(t, config(40, 20)).Start(context.Background(), 0, 0)
	defer s.Close()
	seen := map[*float32]bool{}
	for range 50 {
		b, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		seen[&b.Pixels[0]] = true
		b.Release()
		b.Release() // harmless
	}
	if len(seen) > 4 {
		t.Errorf("%d buffers for 50 batches", len(seen))
	}
}

// preparing writes what it was called with, too.
type preparing struct{ stamp }

func (preparing) Prepare(source []uint8, parameters []float32, img Image, epoch, index, view int) {
	source[0], source[len(source)-1] = img.Pix[0], uint8(view)
	parameters[0], parameters[1] = float32(epoch), float32(index)
}

// Prepared views come in the order of views, also where second views are of other images; their memory is used again.
func TestPreparedViews(t *testing.T) {
	for name, dealt := range map[string]bool{"of the same images": false, "dealt out": true} {
		t.Run(name, func(t *testing.T) {
			c := config(50, 12)
			c.Parts, c.Dealt, c.Edge, c.Parameters = 3, dealt, 2, 2
			c.NewTransform = func() Transform { return preparing{} }
			l := mustLoader(t, c)
			s := l.Start(t.Context(), 2, 1)
			defer s.Close()
			for range 20 {
				b, err := s.Next()
				if err != nil {
					t.Fatal(err)
				}
				if len(b.Sources) != 12*l.Rows() || len(b.Parameters) != 2*l.Rows() || l.Rows() != 8 || b.Pixels != nil {
					t.Fatalf("%d bytes and %d parameters of %d views, %d pixels", len(b.Sources), len(b.Parameters), l.Rows(), len(b.Pixels))
				}
				both := slices.Concat(b.Images, b.Images)
				if dealt {
					both = slices.Concat(b.Images, b.Seconds)
				}
				for row, image := range both {
					got := []int{int(b.Sources[12*row]), int(b.Sources[12*row+11]), int(b.Parameters[2*row]), int(b.Parameters[2*row+1])}
					if d := cmp.Diff([]int{image, row / 4, b.Epoch, image}, got); d != "" {
						t.Errorf("view %d: %s", row, d)
					}
				}
				b.Release()
			}
		})
	}
}
