package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// options are the manager's flags. Images have environment variables too, for image automation that
// rewrites those.
type options struct {
	trainerImage, trainerImageCUDA, trainerImageTPU string
	trainerPullPolicy                               string
	datasetMirror                                   string
	progressInterval                                time.Duration
	namespaces                                      []string

	leaderElect                  bool
	metricsAddress, probeAddress string
	metricsSecure                bool
	logLevel                     slog.Level
}

func parseOptions(args []string, env func(string) string) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("manager", flag.ContinueOnError)
	f.StringVar(&o.trainerImage, "trainer-image", env("SIMCLR_TRAINER_IMAGE"),
		"image of the trainer for CPUs; required ($SIMCLR_TRAINER_IMAGE)")
	f.StringVar(&o.trainerImageCUDA, "trainer-image-cuda", env("SIMCLR_TRAINER_IMAGE_CUDA"),
		"image of the trainer for NVIDIA GPUs; default: the CPU one ($SIMCLR_TRAINER_IMAGE_CUDA)")
	f.StringVar(&o.trainerImageTPU, "trainer-image-tpu", env("SIMCLR_TRAINER_IMAGE_TPU"),
		"image of the trainer for TPUs; default: the CPU one ($SIMCLR_TRAINER_IMAGE_TPU)")
	f.StringVar(&o.trainerPullPolicy, "trainer-image-pull-policy", "",
		"Always, IfNotPresent or Never; default: Kubernetes' for the tag")
	f.StringVar(&o.datasetMirror, "dataset-mirror", "",
		"base URL to download known datasets from, as <mirror>/<name>/<file>; default: where they are published")
	f.DurationVar(&o.progressInterval, "progress-interval", 30*time.Second,
		"least time between two updates of a run's progress in its status, from 1s")
	f.Func("namespaces", "namespaces to watch, separated by commas; default: all", func(list string) error {
		o.namespaces = strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
		return nil
	})
	f.BoolVar(&o.leaderElect, "leader-elect", false, "elect a leader: needed with more than one replica")
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "address of /metrics; 0 serves none")
	f.BoolVar(&o.metricsSecure, "metrics-secure", true,
		"serve /metrics over TLS to those who may get the nonResourceURL /metrics; false: plain HTTP to anybody")
	f.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	f.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "DEBUG, INFO, WARN or ERROR")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	return o, nil
}

func (o *options) validate() error {
	if o.trainerImage == "" {
		return errors.New("--trainer-image is required")
	}
	if o.progressInterval < time.Second {
		return fmt.Errorf("--progress-interval %s is less than 1s", o.progressInterval)
	}
	if !slices.Contains([]string{"", "Always", "IfNotPresent", "Never"}, o.trainerPullPolicy) {
		return fmt.Errorf("--trainer-image-pull-policy %q is none of Always, IfNotPresent, Never", o.trainerPullPolicy)
	}
	if o.datasetMirror != "" {
		u, err := url.Parse(o.datasetMirror)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("--dataset-mirror %q is not an http or https URL", o.datasetMirror)
		}
	}
	return nil
}

func (o *options) images() map[v1alpha1.AcceleratorType]string {
	images := map[v1alpha1.AcceleratorType]string{
		v1alpha1.CPU: o.trainerImage, v1alpha1.NvidiaGPU: o.trainerImageCUDA, v1alpha1.TPU: o.trainerImageTPU,
	}
	for kind, image := range images {
		if image == "" {
			images[kind] = o.trainerImage
		}
	}
	return images
}
