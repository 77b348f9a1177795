package dataset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// PNG files of rare kinds have the pixels of Pillow's convert("RGB"), but for 16-bit grey (testdata/make.py).
func TestRarePNGsAreAsPillows(t *testing.T) {
	files, err := filepath.Glob("testdata/*.png")
	if err != nil || len(files) != 7 {
		t.Fatalf("%d files, want 7; %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(file, ".png") + ".rgb")
			if err != nil {
				t.Fatal(err)
			}
			got, err := ReadImage(file)
			if diff := cmp.Diff(Image{W: 4, H: 4, Pix: want}, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
}
