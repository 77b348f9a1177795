package dataset

import (
	"archive/tar"
	"bytes"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// member of a tar.
type member struct {
	name string
	data []byte
}

// tarOf members in their order, uncompressed.
func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		err := w.WriteHeader(&tar.Header{Name: m.name, Typeflag: tar.TypeReg, Size: int64(len(m.data)), Mode: 0o644})
		if err == nil {
			_, err = w.Write(m.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// grey is a PNG of one grey.
func grey(t testing.TB, v int) []byte { return pngOf(t, picture(8, 8, color.Gray{uint8(v)})) }

// samplesOf n images from the given number on, of classes cat and dog in turn.
func samplesOf(t testing.TB, from, n int) []member {
	t.Helper()
	var all []member
	for i := from; i < from+n; i++ {
		key := fmt.Sprintf("n%04d", i)
		all = append(all, member{key + ".cls", []byte([]string{"cat\n", "dog\n"}[i%2])}, member{key + ".png", grey(t, i)})
	}
	return all
}

// sharded is a folder of training shards of so many samples each.
func sharded(t *testing.T, counts ...int) string {
	t.Helper()
	dir, from := t.TempDir(), 0
	for k, n := range counts {
		write(t, filepath.Join(dir, fmt.Sprintf("train-%03d.tar", k)), tarOf(t, samplesOf(t, from, n)...))
		from += n
	}
	return dir
}

// batches of a set's first epochs, from a place on: the images' indices and all pixels.
func batchesOf(t *testing.T, s *Set, epoch, batch, workers int) []string {
	t.Helper()
	l, err := NewLoader(LoaderConfig{Data: s, Batch: 4, Size: 8, Views: 2, NewTransform: func() Transform { return plain{} }, Seed: 5, Epochs: 3, Workers: workers})
	if err != nil {
		t.Fatal(err)
	}
	stream := l.Start(t.Context(), epoch, batch)
	defer stream.Close()
	var all []string
	for {
		b, err := stream.Next()
		if err != nil {
			return all
		}
		all = append(all, fmt.Sprint(b.Epoch, b.Index, b.Images, b.Labels, b.Pixels))
		b.Release()
	}
}

// plain is a transform that depends on the image and the arguments.
type plain struct{}

func (plain) Apply(dst []float32, img Image, epoch, index, view int) {
	for i := range dst {
		dst[i] = float32(img.Pix[i%len(img.Pix)]) + float32(epoch+index+view)
	}
}

// Of the same images, shards give what an ImageFolder gives: labels, images, batches.
func TestWebDatasetIsAsImageFolder(t *testing.T) {
	dir := t.TempDir()
	var first, second []member
	for i := range 12 {
		class, name := []string{"ant", "bee", "cat"}[i/4], fmt.Sprintf("%02d", i)
		large := jpegOf(t, picture(500, 400, color.Gray{uint8(i)})) // is kept as it is stored
		write(t, filepath.Join(dir, "train", class, name+".jpg"), large)
		m := []member{{class + "/" + name + ".jpg", large}, {class + "/" + name + ".seg.png", []byte("other")}, {class + "/" + name + ".cls", []byte(class)}}
		if i < 7 {
			first = append(first, m...)
		} else {
			second = append(second, m...)
		}
	}
	write(t, filepath.Join(dir, "train-0.tar"), tarOf(t, first...))
	write(t, filepath.Join(dir, "train-1.tar"), tarOf(t, second...))
	want := mustOpen(t, dir, v1alpha1.FormatImageFolder, 0, Options{})
	for name, memory := range map[string]int64{"in memory": 0, "read again": 1} {
		t.Run(name, func(t *testing.T) {
			got := mustOpen(t, dir, v1alpha1.FormatWebDataset, 0, Options{MemoryBytes: memory, Workers: 2})
			if diff := cmp.Diff(want.Classes(), got.Classes()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(labelsOf(want), labelsOf(got)); diff != "" {
				t.Error(diff)
			}
			for i := range want.Len() {
				a, errA := want.Image(i)
				b, errB := got.Image(i)
				if errA != nil || errB != nil || a.W != b.W || !bytes.Equal(a.Encoded.Data, b.Encoded.Data) {
					t.Errorf("image %d: %v, %v", i, errA, errB)
				}
			}
			if diff := cmp.Diff(want.Order(3, 4), got.Order(3, 4)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWebDatasetLabels(t *testing.T) {
	img := grey(t, 1)
	for name, tc := range map[string]struct {
		members []member
		known   []string // the training split's classes
		classes []string
		labels  []int
	}{
		"numbers":         {[]member{{"a.png", img}, {"a.cls", []byte("2\n")}, {"b.cls", []byte("00")}, {"b.png", img}}, nil, []string{"0", "1", "2"}, []int{2, 0}},
		"names":           {[]member{{"a.png", img}, {"a.cls", []byte("dog")}, {"b.png", img}, {"b.cls", []byte("10")}}, nil, []string{"10", "dog"}, []int{1, 0}},
		"JSON":            {[]member{{"a.json", []byte(`{"label": 1, "width": 8}`)}, {"a.png", img}, {"b.png", img}, {"b.json", []byte(`{"label": "0"}`)}}, nil, []string{"0", "1"}, []int{1, 0}},
		"cls comes first": {[]member{{"a.json", []byte(`{"label": 1}`)}, {"a.png", img}, {"a.cls", []byte("0")}, {"b.cls", []byte("1")}, {"b.json", []byte(`{"label": 0}`)}, {"b.png", img}}, nil, []string{"0", "1"}, []int{0, 1}},
		"none":            {[]member{{"a.png", img}, {"b.png", img}, {"b.json", []byte(`{"width": 8}`)}}, nil, nil, []int{-1, -1}},
		"of training":     {[]member{{"a.png", img}, {"a.cls", []byte("1")}}, []string{"0", "1", "2"}, []string{"0", "1", "2"}, []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "train", "0.tar"), tarOf(t, tc.members...))
			s := mustOpen(t, dir, v1alpha1.FormatWebDataset, 0, Options{Classes: tc.known})
			if diff := cmp.Diff(tc.classes, s.Classes()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tc.labels, labelsOf(s)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// sparseTar has a file of a terabyte in which nothing is stored, as GNU tar --sparse writes it.
func sparseTar(t *testing.T) []byte {
	t.Helper()
	data := tarOf(t, member{"a.png", nil})
	h := data[:512]
	h[156] = tar.TypeGNUSparse
	copy(h[257:], "ustar  \x00")
	copy(h[483:], "20000000000\x00") // the size with its holes, octal
	copy(h[148:], "        ")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return data
}

// The uri's pattern chooses among the shards, and need not be of any folder's all.
func TestShardsOfAPattern(t *testing.T) {
	dir := sharded(t, 2, 2, 2)
	spec := v1alpha1.DatasetSpec{URI: "pvc://claim/x/train-{001..002}.tar", Format: v1alpha1.FormatWebDataset, Labels: v1alpha1.LabelsFromFormat}
	claims := t.TempDir()
	if err := os.MkdirAll(filepath.Join(claims, "claim"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, filepath.Join(claims, "claim", "x")); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), spec, Options{ClaimsDir: claims})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"n0002", "n0003", "n0004", "n0005"}, s.files); diff != "" {
		t.Error(diff)
	}
	spec.URI = "pvc://claim/x/train-{001..003}.tar"
	_, err = Open(t.Context(), spec, Options{ClaimsDir: claims})
	wantUserError(t, err, "train-003.tar", "put the shard there")
}

func TestBadShards(t *testing.T) {
	img := grey(t, 1)
	good := tarOf(t, samplesOf(t, 0, 4)...)
	for name, tc := range map[string]struct {
		shard []byte
		want  []string
	}{
		"cut":                 {good[:len(good)/2], []string{"train-000.tar", "unexpected EOF", "make or get the shard again"}},
		"cut between members": {good[:len(good)-1024], []string{"train-000.tar", "no end-of-archive mark"}},
		"cut in an image":     {good[:3*512+20], []string{"train-000.tar", "n0000.png", "unexpected EOF"}},
		"no tar":              {bytes.Repeat([]byte("text"), 1000), []string{"train-000.tar", "invalid tar header"}},
		"compressed":          {gzipped(t, good), []string{"train-000.tar is compressed", "unpack it"}},
		"nothing":             {nil, []string{"train-000.tar", "no end-of-archive mark"}},
		"a sparse file":       {sparseTar(t), []string{"train-000.tar", "a.png is stored as a sparse file"}},
		"no samples":          {tarOf(t, member{"README", nil}), []string{"train-000.tar has no samples", "remove it"}},
		"a key of another":    {tarOf(t, samplesOf(t, 9, 2)...), []string{"the key n0010 is in", "train-000.tar and in", "train-001.tar", "remove one"}},
		"a key twice":         {tarOf(t, member{"a.png", img}, member{"b.png", img}, member{"a.cls", []byte("1")}), []string{"train-000.tar has the key a twice", "one after the other"}},
		"two images":          {tarOf(t, member{"a.png", img}, member{"a.jpg", img}), []string{"a.jpg", "two images"}},
		"no label":            {tarOf(t, member{"a.png", img}), []string{"train-000.tar: the sample a has no label", "a.cls", "labels to None"}},
		"an empty label":      {tarOf(t, member{"a.png", img}, member{"a.cls", []byte(" \n")}), []string{"a.cls", "label is empty"}},
		"bad JSON":            {tarOf(t, member{"a.png", img}, member{"a.json", []byte("{")}), []string{"train-000.tar", "a.json"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "train-000.tar"), tc.shard)
			write(t, filepath.Join(dir, "train-001.tar"), tarOf(t, samplesOf(t, 10, 4)...))
			_, err := open(t, dir, v1alpha1.FormatWebDataset, 0, Options{})
			wantUserError(t, err, tc.want...)
		})
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "train-0.tar"), tarOf(t, member{"a.png", img}, member{"a.cls", []byte("99999999")}))
	_, err := open(t, dir, v1alpha1.FormatWebDataset, 0, Options{})
	wantUserError(t, err, "label 99999999", "number the classes from 0")
	_, err = open(t, sharded(t, 2), v1alpha1.FormatWebDataset, 0, Options{Classes: []string{"cat", "cow"}})
	wantUserError(t, err, "train-000.tar: the sample n0001 has the label dog, which no training image has")
}

// Bad images are skipped like an ImageFolder's, whether the others are kept or read again.
func TestBadImagesOfShards(t *testing.T) {
	good := samplesOf(t, 0, 200)
	bad := []member{{"bad.cls", []byte("cat")}, {"bad.png", []byte("no image")}, {"alone.cls", []byte("dog")}, {"third.cls", []byte("dog")}, {"third.png", nil}}
	for memory := range int64(2) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "train-0.tar"), tarOf(t, append(bad[:3:3], good...)...))
		s := mustOpen(t, dir, v1alpha1.FormatWebDataset, 0, Options{MemoryBytes: memory})
		if got := fmt.Sprint(s.Skipped()); s.Len() != 200 || len(s.Skipped()) != 2 || !strings.Contains(got, "train-0.tar/bad neither JPEG nor PNG") || !strings.Contains(got, "alone no .jpg") {
			t.Errorf("%d images, skipped %s", s.Len(), got)
		}
		if m, err := s.Image(150); err != nil || m.Pix[0] != 150 {
			t.Error(m, err)
		}
		write(t, filepath.Join(dir, "train-1.tar"), tarOf(t, bad[3:]...))
		_, err := open(t, dir, v1alpha1.FormatWebDataset, 0, Options{MemoryBytes: memory})
		wantUserError(t, err, "3 of 203 image files are bad", "train-1.tar/third")
	}
}

func TestWebDatasetLimitAndSubset(t *testing.T) {
	dir := sharded(t, 6, 6)
	if got := mustOpen(t, dir, v1alpha1.FormatWebDataset, 4, Options{}); cmp.Diff([]string{"n0000", "n0001", "n0002", "n0003"}, got.files) != "" {
		t.Errorf("limited to %v", got.files)
	}
	write(t, filepath.Join(dir, "list.txt"), []byte("n0003.JPEG\nn0010\nn0010.jpg\n"))
	s := mustOpen(t, dir, v1alpha1.FormatWebDataset, 0, Options{MemoryBytes: 1})
	indices, counts, err := s.LabelSubset(t.Context(), "list.txt", "field")
	if err != nil || cmp.Diff([][]int{{3, 10}, {1, 1}}, [][]int{indices, counts}) != "" {
		t.Errorf("%v of each class %v, %v", indices, counts, err)
	}
	if m, err := Subset(s, indices).Image(1); err != nil || m.Pix[0] != 10 {
		t.Error(m, err)
	}
	write(t, filepath.Join(dir, "list.txt"), []byte("n0003.txt\n"))
	_, _, err = s.LabelSubset(t.Context(), "list.txt", "field")
	wantUserError(t, err, "n0003.txt")
}
