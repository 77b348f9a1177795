// Package controllers_test runs the operator against a real API server. There are no other controllers
// and no kubelet: the tests do their part.
package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
	"github.com/simclr-operator/simclr-operator/controllers"
	wrap "github.com/simclr-operator/simclr-operator/controllers/testing"
)

const (
	trainerImage = "registry.example/trainer:1"
	progressPort = 18080
)

var (
	// api is the tests' client; it reads and writes the API server itself.
	api client.Client
	// shift is added to the operator's clock, so that no test waits for a back-off.
	shift atomic.Int64
)

type shiftedClock struct{ clock.RealClock }

func (shiftedClock) Now() time.Time { return time.Now().Add(time.Duration(shift.Load())) }

func (shiftedClock) Since(t time.Time) time.Duration { return shiftedClock{}.Now().Sub(t) }

func TestMain(m *testing.M) {
	code, err := withAPIServer(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// allow gives the operator a user of its own with the permissions of config/rbac and no others.
func allow(server *envtest.Environment) (*rest.Config, error) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "rbac", "role.yaml"))
	if err != nil {
		return nil, err
	}
	var role rbacv1.ClusterRole
	if err := yaml.Unmarshal(text, &role); err != nil {
		return nil, err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "operator"}},
	}
	for _, object := range []client.Object{&role, binding} {
		if err := api.Create(context.Background(), object); err != nil {
			return nil, err
		}
	}
	user, err := server.AddUser(envtest.User{Name: "operator"}, nil)
	if err != nil {
		return nil, err
	}
	return user.Config(), nil
}

func withAPIServer(m *testing.M) (code int, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 1, errors.New("KUBEBUILDER_ASSETS is not set: it names the directory of kube-apiserver and etcd (make test sets it)")
	}
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	jobSets, err := wrap.JobSetCRD(context.Background())
	if err != nil {
		return 1, err
	}
	server := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "..", "config", "crd"), jobSets},
		ErrorIfCRDPathMissing: true,
	}
	config, err := server.Start()
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := server.Stop(); err == nil {
			err = stopErr
		}
	}()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, jobset.AddToScheme} {
		if err := add(scheme); err != nil {
			return 1, err
		}
	}
	if api, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	operator, err := allow(server)
	if err != nil {
		return 1, err
	}
	mgr, err := ctrl.NewManager(operator, ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		return 1, err
	}
	poller := controllers.NewPoller(time.Second, clock.RealClock{})
	poller.Patience = 3 * time.Second
	reconciler := &controllers.Reconciler{
		Client: mgr.GetClient(), APIReader: mgr.GetAPIReader(), Recorder: mgr.GetEventRecorder("simclr-operator"),
		Clock: shiftedClock{}, Poller: poller, ProgressPort: progressPort,
		Neighbours: controllers.Neighbours{ManagerNamespace: "simclr-system", ManagerLabels: map[string]string{"app": "manager"}},
		Images: map[v1alpha1.AcceleratorType]string{
			v1alpha1.CPU: trainerImage, v1alpha1.NvidiaGPU: trainerImage, v1alpha1.TPU: trainerImage,
		},
	}
	if err := reconciler.SetupWithManager(mgr); err != nil {
		return 1, err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	code = m.Run()
	stop()
	return code, <-ended
}
