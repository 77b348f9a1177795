package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"syscall"

	"github.com/simclr-operator/simclr-operator/trainer/augment"
	"github.com/simclr-operator/simclr-operator/trainer/dataset"
)

// ours is the rate of one goroutine.
func (b bench) ours(files [][]byte, seconds float64) (float64, error) {
	p, err := augment.New(b.config, 1)
	if err != nil {
		return 0, err
	}
	images := make([]dataset.Image, len(files))
	for i, data := range files {
		images[i] = dataset.Image{W: b.w, H: b.h, Encoded: &dataset.Encoded{Data: data}}
		if b.decoded {
			var pixels []uint8
			if images[i], err = images[i].Decoded(dataset.Part{W: b.w, H: b.h, Shrink: 1}, &pixels); err != nil {
				return 0, err
			}
		}
	}
	dst := make([]float32, 3*b.config.Size*b.config.Size)
	var pixels []uint8
	n, start := 0, cpuTime()
	for cpuTime()-start < seconds {
		for range 100 {
			img, err := images[n%len(images)].Decoded(p.Needs(b.w, b.h, 0, n, 0, 1), &pixels)
			if err != nil {
				return 0, err
			}
			p.Apply(dst, img, 0, n, 0)
			p.Apply(dst, img, 0, n, 1)
			n++
		}
	}
	return float64(n) / (cpuTime() - start), nil
}

// cpuTime of this process, in seconds.
func cpuTime() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// peer adds the rates of torchvision's ways.
func (b bench) peer(ctx context.Context, o options, dir string, rates map[string][]float64) error {
	args := []string{o.program, "--files", dir, "--size", fmt.Sprint(b.config.Size), "--strength", fmt.Sprint(b.strength), "--seconds", fmt.Sprint(o.seconds)}
	if b.decoded {
		args = append(args, "--decoded")
	}
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, o.python, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", o.program, err, stderr.String())
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var l struct {
			Way             string
			ImagesPerSecond float64
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("%s said %q: %w", o.program, lines.Text(), err)
		}
		rates[l.Way] = append(rates[l.Way], l.ImagesPerSecond)
	}
	if len(rates) == 0 {
		return fmt.Errorf("%s said nothing", o.program)
	}
	return nil
}
