// Manager is the operator: it runs the SimCLRRun controller.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
)

const leaderElectionID = "simclr-operator.training.simclr.dev"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "check" {
		if err := check(ctrl.SetupSignalHandler(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "manager check:", err)
			os.Exit(1)
		}
		return
	}
	o, err := parseOptions(os.Args[1:], os.Getenv)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "manager:", err)
		os.Exit(2)
	}
	logger := logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: o.logLevel}))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	if err := run(o); err != nil {
		logger.Error(err, "the manager ends")
		os.Exit(1)
	}
}

// garbagePercent is GOGC unless the environment has one. Most memory is the cache's and stays, so that the collector's usual
// pace would have the process hold as much again in garbage; collecting three times as often takes little time beside it.
const garbagePercent = 30

func run(o *options) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	mgr, err := newManager(config, managerOptions(o), o)
	if err != nil {
		return err
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}

// newManager has the reconciler and the probes.
func newManager(config *rest.Config, managed ctrl.Options, o *options) (ctrl.Manager, error) {
	config = rest.CopyConfig(config)
	config.Wrap(controllers.CountWrites)
	mgr, err := ctrl.NewManager(config, managed)
	if err != nil {
		return nil, err
	}
	reconciler := &controllers.Reconciler{
		Client:          mgr.GetClient(),
		APIReader:       mgr.GetAPIReader(),
		Recorder:        mgr.GetEventRecorder(controllers.FieldManager),
		Clock:           clock.RealClock{},
		Poller:          controllers.NewPoller(o.progressInterval, clock.RealClock{}),
		Images:          o.images(),
		ImagePullPolicy: corev1.PullPolicy(o.trainerPullPolicy),
		DatasetMirror:   o.datasetMirror,
		Neighbours:      o.neighbours,
	}
	if err := reconciler.SetupWithManager(mgr); err != nil {
		return nil, err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, err
	}
	return mgr, mgr.AddReadyzCheck("ping", healthz.Ping)
}

func managerOptions(o *options) ctrl.Options {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	utilruntime.Must(jobset.AddToScheme(scheme))

	metrics := metricsserver.Options{BindAddress: o.metricsAddress, SecureServing: o.metricsSecure}
	if o.metricsSecure {
		metrics.FilterProvider = onlyScrapers
	}
	return ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metrics,
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              leaderElectionID,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(20 * time.Second),
		Cache:                         cacheOptions(o),
	}
}

// cacheOptions keep only what belongs to runs in memory, in the namespaces that are watched. A kind is not named, since one that the
// cluster does not have, such as JobSet, would be an error.
func cacheOptions(o *options) cache.Options {
	ofRuns, err := labels.Parse(controllers.LabelRun)
	utilruntime.Must(err)
	options := cache.Options{
		DefaultTransform:     controllers.Trim,
		DefaultLabelSelector: ofRuns,
		ByObject: map[client.Object]cache.ByObject{
			&v1alpha1.SimCLRRun{}: {Label: labels.Everything()},
		},
	}
	for _, namespace := range o.namespaces {
		if options.DefaultNamespaces == nil {
			options.DefaultNamespaces = map[string]cache.Config{}
		}
		options.DefaultNamespaces[namespace] = cache.Config{}
	}
	return options
}
