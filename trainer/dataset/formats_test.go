package dataset

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"math"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/trainer/plan"
)

func TestIDX(t *testing.T) {
	pixels := make([]byte, 4*2*3)
	for i := range pixels {
		pixels[i] = byte(10 * i)
	}
	for name, pack := range map[string]func([]byte) ([]byte, string){
		"plain": func(b []byte) ([]byte, string) { return b, "" },
		"gz":    func(b []byte) ([]byte, string) { return gzipped(t, b), ".gz" },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			images, end := pack(idxOf(pixels, 4, 2, 3))
			labels, _ := pack(idxOf([]byte{1, 0, 1, 0}, 4))
			write(t, filepath.Join(dir, "t10k-images-idx3-ubyte"+end), images)
			write(t, filepath.Join(dir, "t10k-labels-idx1-ubyte"+end), labels)
			trainLabels, _ := pack(idxOf([]byte{2, 0}, 2))
			write(t, filepath.Join(dir, "train-labels-idx1-ubyte"+end), trainLabels)
			s := mustOpen(t, dir, v1alpha1.FormatIDX, 0, Options{Split: Test})
			if diff := cmp.Diff([]int{1, 0, 1, 0}, labelsOf(s)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{"0", "1", "2"}, s.Classes()); diff != "" {
				t.Error(diff)
			}
			got, err := s.Image(1)
			want := Image{W: 3, H: 2, Pix: []uint8{60, 60, 60, 70, 70, 70, 80, 80, 80, 90, 90, 90, 100, 100, 100, 110, 110, 110}}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
}

func TestCIFAR(t *testing.T) {
	train, test := records(3, 0, 3, 0, 3, 0), records(9)
	files := map[string][]byte{"data_batch_1.bin": train[:2*cifarRecord], "data_batch_2.bin": train[2*cifarRecord:], "test_batch.bin": test}
	for name, lay := range map[string]func(dir string){
		"files": func(dir string) {
			for n, b := range files {
				write(t, filepath.Join(dir, n), b)
			}
		},
		"folder": func(dir string) {
			for n, b := range files {
				write(t, filepath.Join(dir, "cifar-10-batches-bin", n), b)
			}
		},
		"archive": func(dir string) {
			in := map[string][]byte{"cifar-10-batches-bin/readme.html": []byte("x")}
			for n, b := range files {
				in["cifar-10-batches-bin/"+n] = b
			}
			write(t, filepath.Join(dir, cifarArchiveName), tarball(t, in))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			lay(dir)
			s := mustOpen(t, dir, v1alpha1.FormatCIFAR, 0, Options{})
			if diff := cmp.Diff([]int{3, 0, 3, 0, 3, 0}, labelsOf(s)); diff != "" {
				t.Error(diff)
			}
			m, _ := s.Image(5)
			if diff := cmp.Diff([]uint8{5, 100, 200}, m.Pix[len(m.Pix)-3:]); diff != "" || m.W != 32 || m.H != 32 {
				t.Error(m.W, m.H, diff)
			}
			if n := plan.LongestSide(v1alpha1.DatasetSpec{Format: v1alpha1.FormatCIFAR}); n != m.W {
				t.Errorf("the plan takes images of %d pixels", n)
			}
			if diff := cmp.Diff("truck", s.Classes()[mustOpen(t, dir, v1alpha1.FormatCIFAR, 0, Options{Split: Test}).Label(0)]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// folder has a training split of so many images of each class, all JPEG but the first, a colour PNG.
func folder(t *testing.T, counts map[string]int) string {
	t.Helper()
	dir := t.TempDir()
	fill(t, filepath.Join(dir, "train"), counts)
	return dir
}

func fill(t *testing.T, root string, counts map[string]int) {
	t.Helper()
	for class, n := range counts {
		for i := range n {
			name := filepath.Join(root, class, string(rune('a'+i/26))+string(rune('a'+i%26)))
			if i == 0 {
				write(t, name+".PNG", pngOf(t, picture(3, 2, color.NRGBA{200, 100, 50, 255})))
			} else {
				write(t, name+".jpg", jpegOf(t, picture(8, 8, color.Gray{uint8(i)})))
			}
		}
	}
}

func TestImageFolder(t *testing.T) {
	dir := folder(t, map[string]int{"cat": 3, "ant": 2})
	write(t, filepath.Join(dir, "train", "cat", "notes.txt"), []byte("x"))
	write(t, filepath.Join(dir, "train", ".hidden", "x.jpg"), []byte("x"))
	fill(t, filepath.Join(dir, "val"), map[string]int{"cat": 1})
	s := mustOpen(t, dir, v1alpha1.FormatImageFolder, 0, Options{Workers: 3})
	if diff := cmp.Diff([]int{0, 0, 1, 1, 1}, labelsOf(s)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{2, 3}, ClassCounts(s)); diff != "" {
		t.Error(diff)
	}
	colour, _ := s.Image(0)
	if diff := cmp.Diff(Image{W: 3, H: 2, Pix: bytes.Repeat([]uint8{200, 100, 50}, 6)}, colour); diff != "" {
		t.Error(diff)
	}
	test := mustOpen(t, dir, v1alpha1.FormatImageFolder, 1, Options{Split: Test})
	if test.Len() != 1 || test.Label(0) != 1 {
		t.Errorf("val: labels %v, want those of train", labelsOf(test))
	}
	if err := CheckSplits(s, test, "spec.dataset"); err != nil {
		t.Error(err)
	}
}

func TestUnlabelled(t *testing.T) {
	dir := t.TempDir()
	fill(t, filepath.Join(dir, "x"), map[string]int{"flat": 4})
	s := mustOpen(t, filepath.Join(dir, "x", "flat"), v1alpha1.FormatImages, 3, Options{})
	if diff := cmp.Diff([]int{-1, -1, -1}, labelsOf(s)); diff != "" || s.Classes() != nil || ClassCounts(s) != nil {
		t.Error(diff, s.Classes())
	}
	spec := v1alpha1.DatasetSpec{URI: "pvc://x/../flat", Format: v1alpha1.FormatImages}
	if _, err := Open(context.Background(), spec, Options{ClaimsDir: dir}); err != nil {
		t.Errorf("on a claim: %v", err)
	}
	spec = v1alpha1.DatasetSpec{URI: "file://" + folder(t, map[string]int{"one": 2, "two": 1}), Format: v1alpha1.FormatImageFolder, Labels: v1alpha1.LabelsNone}
	s, err := Open(context.Background(), spec, Options{})
	if err != nil || s.Len() != 3 || s.Label(2) != -1 || len(s.Classes()) != 0 {
		t.Errorf("labels None: %v, %v", err, s)
	}
	wantUserError(t, CheckLabels(s, "spec.dataset"), "spec.dataset has no labels", "evaluation.dataset")
}

func TestLimitTakesTheSameOfEachClass(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "data_batch_1.bin"), records(0, 0, 0, 1, 1, 2, 2, 2, 3, 4, 5, 6, 7, 8, 9))
	s := mustOpen(t, dir, v1alpha1.FormatCIFAR, 10, Options{})
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, labelsOf(s)); diff != "" {
		t.Error(diff)
	}
	if m, _ := s.Image(1); m.Pix[0] != 3 {
		t.Errorf("class 1 is image %d, want its first, 3", m.Pix[0])
	}
	_, err := open(t, dir, v1alpha1.FormatCIFAR, 16, Options{})
	wantUserError(t, err, "spec.dataset.limit is 16", "only 15")
	_, err = open(t, dir, v1alpha1.FormatCIFAR, 9, Options{})
	wantUserError(t, err, "spec.dataset.limit is 9", "10 classes")
}

func TestOneClass(t *testing.T) {
	s := mustOpen(t, folder(t, map[string]int{"only": 2}), v1alpha1.FormatImageFolder, 0, Options{})
	wantUserError(t, CheckLabels(s, "spec.dataset"), "one class", "only")
}

// Grey, palette, transparent and 16-bit pictures become RGB.
func TestColourModels(t *testing.T) {
	grey := image.NewGray(image.Rect(0, 0, 1, 1))
	grey.Pix[0] = 7
	deep := image.NewNRGBA64(image.Rect(0, 0, 1, 1))
	deep.SetNRGBA64(0, 0, color.NRGBA64{R: 0x0a00, G: 0x1400, B: 0x1e00, A: 0xffff})
	palette := image.NewPaletted(image.Rect(0, 0, 1, 1), color.Palette{color.NRGBA{1, 2, 3, 255}})
	for name, tc := range map[string]struct {
		picture image.Image
		want    []uint8
	}{
		"grey":        {grey, []uint8{7, 7, 7}},
		"16 bit":      {deep, []uint8{10, 20, 30}},
		"palette":     {palette, []uint8{1, 2, 3}},
		"transparent": {picture(1, 1, color.NRGBA{9, 8, 7, 100}), []uint8{9, 8, 7}},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := decode(pngOf(t, tc.picture))
			if diff := cmp.Diff(tc.want, m.Pix); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
	m, err := decode(jpegOf(t, picture(16, 16, color.NRGBA{200, 60, 90, 255})))
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range m.Pix {
		if want := []float64{200, 60, 90}[i%3]; math.Abs(float64(v)-want) > 3 {
			t.Fatalf("JPEG: value %d is %d, want %g", i, v, want)
		}
	}
}

func TestBadInput(t *testing.T) {
	good := idxOf(make([]byte, 8), 2, 2, 2)
	archive := tarball(t, map[string][]byte{"data_batch_1.bin": records(1, 2)})
	idx, cifar, imageFolder := v1alpha1.FormatIDX, v1alpha1.FormatCIFAR, v1alpha1.FormatImageFolder
	const images, labels = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
	for name, tc := range map[string]struct {
		format v1alpha1.DatasetFormat
		files  map[string][]byte
		want   []string
	}{
		"IDX missing":                {idx, nil, []string{images, "correct format or uri"}},
		"IDX header cut":             {idx, map[string][]byte{images: good[:9]}, []string{images, "header"}},
		"IDX data cut":               {idx, map[string][]byte{images: good[:20]}, []string{"wanted 8 bytes of data, got 4"}},
		"IDX data too long":          {idx, map[string][]byte{images: append(append([]byte{}, good...), 1)}, []string{"wanted 8 bytes of data, got more"}},
		"IDX of no image":            {idx, map[string][]byte{images: idxOf(nil, 0, 2, 2)}, []string{"dimension 0"}},
		"IDX absurd":                 {idx, map[string][]byte{images: idxOf(nil, 4e9, 4000, 4000)}, []string{"MiB of memory", "may take 2048"}},
		"IDX absurd side":            {idx, map[string][]byte{images: idxOf(nil, 1, 1e9, 1)}, []string{"dimension 1 of 1000000000"}},
		"IDX promises too much":      {idx, map[string][]byte{images: idxOf(nil, 2e6, 28, 28)}, []string{"wanted 1568000000 bytes of data, got 0"}},
		"not IDX":                    {idx, map[string][]byte{images: bytes.Repeat([]byte{9}, 99)}, []string{"begins with 00000803", "09090909"}},
		"IDX gz cut":                 {idx, map[string][]byte{images + ".gz": gzipped(t, good)[:30]}, []string{"unexpected EOF"}},
		"IDX not gz":                 {idx, map[string][]byte{images + ".gz": good}, []string{"gzip: invalid header"}},
		"IDX labels of other number": {idx, map[string][]byte{images: good, labels: idxOf([]byte{1, 2, 3}, 3)}, []string{"3 labels", "2 images"}},
		"IDX not a file":             {idx, map[string][]byte{images + "/x": {1}}, []string{images, "not a regular file"}},
		"CIFAR not a file":           {cifar, map[string][]byte{"data_batch_1.bin/x": {1}}, []string{"data_batch_1.bin", "not a regular file"}},
		"CIFAR missing":              {cifar, nil, []string{"data_batch", cifarArchiveName}},
		"CIFAR cut":                  {cifar, map[string][]byte{"data_batch_1.bin": records(1)[:3000]}, []string{"data_batch_1.bin", "wanted records of 3073 bytes, got 3000"}},
		"CIFAR empty":                {cifar, map[string][]byte{"data_batch_1.bin": {}}, []string{"got 0 bytes"}},
		"CIFAR label":                {cifar, map[string][]byte{"data_batch_1.bin": records(1, 10)}, []string{"image 1", "label 10"}},
		"archive cut":                {cifar, map[string][]byte{cifarArchiveName: archive[:len(archive)-6]}, []string{cifarArchiveName, "unexpected EOF", "get the archive again"}},
		"archive leads out":          {cifar, map[string][]byte{cifarArchiveName: tarball(t, map[string][]byte{"../data_batch_1.bin": records(1)})}, []string{`"../data_batch_1.bin" leads out`}},
		"archive absolute":           {cifar, map[string][]byte{cifarArchiveName: tarball(t, map[string][]byte{"/etc/data_batch_1.bin": records(1)})}, []string{"leads out"}},
		"folder without train":       {imageFolder, nil, []string{"train does not exist"}},
		"folder without classes":     {imageFolder, map[string][]byte{"train/a.jpg": {1}}, []string{"no folder of a class", "set spec.dataset.format to Images"}},
		"empty class":                {imageFolder, map[string][]byte{"train/cat/a.txt": {1}}, []string{"cat", "no .jpg, .jpeg or .png"}},
		"only a bad image":           {imageFolder, map[string][]byte{"train/cat/a.jpg": {1}}, []string{"1 of 1 image files are bad", "cat/a.jpg (neither JPEG nor PNG)"}},
		"no images":                  {v1alpha1.FormatImages, map[string][]byte{"train/a/b.jpg": {1}}, []string{"has no .jpg", "ImageFolder"}},
		"unknown format":             {"Parquet", nil, []string{"spec.dataset.format", "Parquet"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for n, b := range tc.files {
				write(t, filepath.Join(dir, n), b)
			}
			_, err := open(t, dir, tc.format, 0, Options{})
			wantUserError(t, err, tc.want...)
		})
	}
}

func TestBadURI(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	for name, tc := range map[string]struct {
		uri  string
		want string
	}{
		"none":          {"", "spec.dataset.uri"},
		"scheme":        {"ftp://bucket/x", `"ftp" is not supported`},
		"no claim":      {"pvc:///x", "names no claim"},
		"claim of dots": {"pvc://../x", "names no claim"},
		"relative":      {"file://x/y", "three slashes"},
		"missing":       {"pvc://none/../../x", filepath.Join("none", "x")},
		"a file":        {"file://" + file, "is not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(context.Background(), v1alpha1.DatasetSpec{URI: tc.uri, Format: v1alpha1.FormatImages}, Options{ClaimsDir: t.TempDir()})
			wantUserError(t, err, tc.want)
		})
	}
	_, err := Open(context.Background(), v1alpha1.DatasetSpec{Name: "imagenet"}, Options{})
	wantUserError(t, err, "spec.dataset.name", "cifar-10 or fashion-mnist")
}

func TestTestSplitOfOtherClasses(t *testing.T) {
	dir := folder(t, map[string]int{"cat": 1, "dog": 1})
	fill(t, filepath.Join(dir, "test"), map[string]int{"cow": 1})
	_, err := open(t, dir, v1alpha1.FormatImageFolder, 0, Options{Split: Test})
	wantUserError(t, err, "cow", "does not have")
	_, err = open(t, dir, v1alpha1.FormatImages, 0, Options{Split: Test})
	wantUserError(t, err, "no test split")
}
