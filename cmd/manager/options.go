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

	"k8s.io/apimachinery/pkg/labels"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
)

// options are the manager's flags. Images have environment variables too, for image automation that
// rewrites those.
type options struct {
	trainerImage, trainerImageCUDA, trainerImageTPU string
	trainerPullPolicy                               string
	datasetMirror                                   string
	progressInterval                                time.Duration
	namespaces                                      []string
	neighbours                                      controllers.Neighbours

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
	f.Func("namespaces", "namespaces to watch, separated by commas; default: all", names(&o.namespaces))
	f.StringVar(&o.neighbours.ManagerNamespace, "manager-namespace", "",
		"namespace of this manager's pods: a NetworkPolicy of each run lets them in; default: none is made")
	f.Func("manager-labels", "labels of this manager's pods, as key=value,…; needed with --manager-namespace", func(list string) (err error) {
		o.neighbours.ManagerLabels, err = labels.ConvertSelectorToLabelsMap(list)
		return err
	})
	f.Func("monitoring-namespaces", "namespaces whose pods the NetworkPolicy lets get /metrics of trainers, separated by commas; default: none",
		names(&o.neighbours.MonitoringNamespaces))
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

// names are a flag's list.
func names(into *[]string) func(string) error {
	return func(list string) error {
		*into = strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
		return nil
	}
}

func (o *options) validate() error {
	if o.trainerImage == "" {
		return errors.New("--trainer-image is required")
	}
	if o.progressInterval < time.Second {
		return fmt.Errorf("--progress-interval %s is less than 1s", o.progressInterval)
	}
	if o.neighbours.ManagerNamespace != "" && len(o.neighbours.ManagerLabels) == 0 {
		return errors.New("--manager-namespace needs --manager-labels")
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
