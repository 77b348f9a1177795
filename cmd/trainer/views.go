package main

import (
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/trainer/augment"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// viewsFlags are the flags of views.
type viewsFlags struct {
	file, image, output string
	count               int
	seed                int64
}

// mostViews of a picture: more are too many to look at.
const mostViews = 1000

func newViews() *cobra.Command {
	f := viewsFlags{}
	c := &cobra.Command{
		Use:   "views -f FILE --image IMAGE -o PICTURE",
		Short: "Draw the views of an image that a SimCLRRun would train on",
		Long: `views writes a picture, PNG, of an image and its augmented views, to be looked at before
hours of training. On the left is the image; beside it is a pair of views in each
column: what the run would contrast in its first, second, third … epoch, if the image
were the first of its dataset. The same run, image and seed give the same picture.`,
		Example: `  simclr-trainer views -f run.yaml --image dog.jpg -o views.png
  simclr-trainer views -f run.yaml --image dog.jpg --count 32 --seed 1 -o views.png`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return drawViews(c.OutOrStdout(), f, c.Flags().Changed("seed"))
		},
	}
	fileFlag(c, &f.file)
	c.Flags().StringVar(&f.image, "image", "", "the image, JPEG or PNG (required)")
	c.Flags().StringVarP(&f.output, "output", "o", "", "file of the picture, PNG (required)")
	c.Flags().IntVar(&f.count, "count", 8, "pairs of views")
	c.Flags().Int64Var(&f.seed, "seed", 0, "seed (default: the run's)")
	_ = c.MarkFlagFilename("image", "jpg", "jpeg", "png") // completion only
	return c
}

func (f viewsFlags) check() error {
	switch {
	case f.image == "":
		return contract.UserErrorf("Usage", "name the image with --image")
	case f.output == "":
		return contract.UserErrorf("Usage", "name the picture's file with --output")
	case f.count < 1 || f.count > mostViews:
		return contract.UserErrorf("Usage", "--count %d; set it from 1 to %d", f.count, mostViews)
	case f.seed < 0:
		return contract.UserErrorf("Usage", "--seed %d; set it to at least 0", f.seed)
	}
	return needFile(f.file)
}

func drawViews(out io.Writer, f viewsFlags, seeded bool) error {
	if err := f.check(); err != nil {
		return err
	}
	run, err := load(f.file)
	if err != nil {
		return err
	}
	if !seeded {
		f.seed = *run.Spec.Pretraining.Seed
	}
	c, err := augment.FromSpec(int(*run.Spec.Dataset.ImageSize), run.Spec.Augmentations)
	if err != nil {
		return err
	}
	img, err := dataset.ReadImage(f.image)
	if err != nil {
		return err
	}
	picture, err := augment.Picture(c, uint64(f.seed), img, f.count)
	if err != nil {
		return err
	}
	file, err := os.Create(f.output)
	if err != nil {
		return contract.UserErrorf("Usage", "--output: %w", err)
	}
	if err := errors.Join(png.Encode(file, picture), file.Close()); err != nil {
		return contract.UserErrorf("Usage", "--output: %w", err)
	}
	_, err = fmt.Fprintf(out, "%s: %s, and %d pairs of its views of %d × %d pixels\n", f.output, f.image, f.count, c.Size, c.Size)
	return err
}
