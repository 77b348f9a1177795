package main

import (
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1"
)

// report writes an image's reference, digest and sizes, and those of its layers: as they are pulled, and unpacked.
func report(w io.Writer, ref name.Reference, img v1.Image) error {
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	var lines string
	var pulled, unpacked int64
	for i, l := range layers {
		d, err := l.Digest()
		if err != nil {
			return err
		}
		size, err := l.Size()
		if err != nil {
			return err
		}
		own, ok := l.(sizedLayer)
		if !ok {
			return fmt.Errorf("layer %s was not made here: its size is unknown", d)
		}
		pulled, unpacked = pulled+size, unpacked+own.unpacked
		lines += fmt.Sprintf("  %s %8.1f MB %8.1f MB  %s\n", d.Hex[:12], megabytes(size), megabytes(own.unpacked), config.History[i].CreatedBy)
	}
	_, err = fmt.Fprintf(w, "%s@%s %.1f MB, unpacked %.1f MB\n%s", ref, digest, megabytes(pulled), megabytes(unpacked), lines)
	return err
}

func megabytes(n int64) float64 { return float64(n) / 1e6 }
