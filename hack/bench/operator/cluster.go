package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"

	"github.com/simclr-operator/simclr-operator/hack/internal/local"
)

//go:embed stages.yaml
var stages string

// What of the cluster is not as it is by default, told with the results: nothing may wait for a client's own limit.
const (
	qps         = 5000
	jobSyncs    = 20
	nodes       = 10
	podsPerNode = 2000
	conditions  = "etcd without fsync; kube-controller-manager (Jobs and garbage collection, 20 Jobs at once) and kube-scheduler " +
		"(without the volume plugins: kwok's nodes have no volumes) with QPS and burst 5000, as members of system:masters; " +
		"10 kwok nodes for 2,000 pods each"
)

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: None, verbs: [get, list, watch]}
  - {level: Metadata, users: [%s]}
  - {level: None}
`

const schedulerConfig = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
clientConnection: {kubeconfig: %q, qps: %d, burst: %d}
profiles:
  - schedulerName: default-scheduler
    plugins:
      multiPoint:
        disabled: [{name: VolumeBinding}, {name: VolumeRestrictions}, {name: VolumeZone}, {name: NodeVolumeLimits}]
`

// Users of the API server whose writes are counted.
const (
	userManager = "simclr-operator"
	userClient  = "client"
	userJobSet  = "jobset"
	userTrainer = "kubeflow-trainer"
)

// podTimes are within what bounds pods run.
type podTimes struct{ shortest, longest time.Duration }

// shortPods keep the control plane at its limit all the time, so that what a Job costs is all that tells.
var shortPods = podTimes{2 * time.Second, 5 * time.Second}

func (p podTimes) String() string {
	return fmt.Sprintf("pods of %g to %g s", p.shortest.Seconds(), p.longest.Seconds())
}

// cluster is a control plane with kwok's nodes, in a directory and at ports of its own.
type cluster struct {
	dir, bin, tools string
	pods            podTimes
	server          *envtest.Environment
	config          *rest.Config
	api             client.Client
	processes       []*process
}

// startCluster starts one with the binaries of etcd, kube-apiserver, … in bin, and kwok in tools.
func startCluster(ctx context.Context, dir, bin, tools string, pods podTimes) (*cluster, error) {
	c := &cluster{dir: dir, bin: bin, tools: tools, pods: pods}
	if err := c.start(ctx); err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

func (c *cluster) start(ctx context.Context) error {
	if err := c.startServer(); err != nil {
		return err
	}
	var err error
	if c.api, err = client.New(c.config, client.Options{Scheme: scheme()}); err != nil {
		return err
	}
	for _, start := range []func() error{c.startControllers, c.startScheduler, c.startKwok} {
		if err := start(); err != nil {
			return err
		}
	}
	return c.makeNodes(ctx)
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	return s
}

func (c *cluster) auditLog() string { return filepath.Join(c.dir, "audit.log") }

func (c *cluster) startServer() error {
	policy, err := c.write("audit.yaml", fmt.Sprintf(auditPolicy, userManager+", "+userClient+", "+userJobSet+", "+userTrainer))
	if err != nil {
		return err
	}
	c.server = &envtest.Environment{
		BinaryAssetsDirectory: c.bin,
		CRDDirectoryPaths:     []string{"config/crd"}, ErrorIfCRDPathMissing: true,
	}
	c.server.ControlPlane.Etcd = &envtest.Etcd{DataDir: filepath.Join(c.dir, "etcd")}
	if err := os.MkdirAll(c.server.ControlPlane.Etcd.DataDir, 0o700); err != nil {
		return err
	}
	c.server.ControlPlane.Etcd.Configure().Set("quota-backend-bytes", "8589934592").Set("unsafe-no-fsync", "true")
	c.server.ControlPlane.GetAPIServer().Configure().
		Set("disable-admission-plugins", "ServiceAccount,TaintNodesByCondition"). // nobody makes accounts, or takes the taint off
		Set("audit-policy-file", policy).Set("audit-log-path", c.auditLog())
	config, err := c.server.Start()
	if err != nil {
		return err
	}
	c.config = rest.CopyConfig(config)
	c.config.QPS = -1
	return nil
}

func (c *cluster) startControllers() error {
	kubeconfig, err := c.kubeconfig("kube-controller-manager", "system:masters")
	if err != nil {
		return err
	}
	return c.run("kube-controller-manager", nil, filepath.Join(c.bin, "kube-controller-manager"),
		"--kubeconfig="+kubeconfig, "--leader-elect=false", "--secure-port=0",
		"--controllers=job-controller,garbage-collector-controller", fmt.Sprint("--concurrent-job-syncs=", jobSyncs),
		fmt.Sprint("--kube-api-qps=", qps), fmt.Sprint("--kube-api-burst=", qps))
}

func (c *cluster) startScheduler() error {
	kubeconfig, err := c.kubeconfig("kube-scheduler", "system:masters")
	if err != nil {
		return err
	}
	config, err := c.write("scheduler.yaml", fmt.Sprintf(schedulerConfig, kubeconfig, qps, qps))
	if err != nil {
		return err
	}
	return c.run("kube-scheduler", nil, filepath.Join(c.bin, "kube-scheduler"), "--config="+config, "--secure-port=0")
}

func (c *cluster) startKwok() error {
	kubeconfig, err := c.kubeconfig("kwok", "system:masters")
	if err != nil {
		return err
	}
	times := strings.NewReplacer("SHORTEST", fmt.Sprint(c.pods.shortest.Milliseconds()), "LONGEST", fmt.Sprint(c.pods.longest.Milliseconds()))
	config, err := c.write("stages.yaml", times.Replace(stages))
	if err != nil {
		return err
	}
	address, err := local.FreeAddress()
	if err != nil {
		return err
	}
	return c.run("kwok", nil, filepath.Join(c.tools, "kwok"), "--kubeconfig="+kubeconfig, "--config="+config,
		"--manage-all-nodes=true", "--server-address="+address, "--cidr=10.232.0.0/16", "--node-lease-duration-seconds=0")
}

func (c *cluster) makeNodes(ctx context.Context) error {
	for i := range nodes {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("kwok-", i)}}
		room := corev1.ResourceList{
			corev1.ResourceCPU: *quantity(podsPerNode), corev1.ResourceMemory: *quantity(podsPerNode << 33), corev1.ResourcePods: *quantity(podsPerNode),
		}
		node.Status = corev1.NodeStatus{Capacity: room, Allocatable: room}
		if err := c.api.Create(ctx, node); err != nil {
			return err
		}
	}
	return c.eventually(ctx, time.Minute, "nodes are Ready", func() (bool, error) {
		var list corev1.NodeList
		if err := c.api.List(ctx, &list); err != nil {
			return false, err
		}
		for i := range list.Items {
			if !nodeReady(&list.Items[i]) {
				return false, nil
			}
		}
		return true, nil
	})
}

func nodeReady(node *corev1.Node) bool {
	for _, cond := range node.Status.Conditions {
		if cond.Type == corev1.NodeReady {
			return cond.Status == corev1.ConditionTrue
		}
	}
	return false
}

// eventually waits until check is true, as long as every process runs.
func (c *cluster) eventually(ctx context.Context, limit time.Duration, what string, check func() (bool, error)) error {
	for deadline := time.Now().Add(limit); ; {
		done, err := check()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if done {
			return nil
		}
		if err := c.alive(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s in vain until %s; logs are in %s", limit, what, c.dir)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (c *cluster) alive() error {
	for _, p := range c.processes {
		if err := p.alive(); err != nil {
			return err
		}
	}
	return nil
}

// kubeconfig of a new user.
func (c *cluster) kubeconfig(name string, groups ...string) (string, error) {
	user, err := c.server.AddUser(envtest.User{Name: name, Groups: groups}, nil)
	if err != nil {
		return "", err
	}
	text, err := user.KubeConfig()
	if err != nil {
		return "", err
	}
	return c.write(name+".kubeconfig", string(text))
}

func (c *cluster) write(name, text string) (string, error) {
	path := filepath.Join(c.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// run starts a process that lives as long as the cluster.
func (c *cluster) run(name string, env []string, args ...string) error {
	p, err := startProcess(filepath.Join(c.dir, name+".log"), name, env, args...)
	if err != nil {
		return err
	}
	c.processes = append(c.processes, p)
	return nil
}

// forget a process that was stopped.
func (c *cluster) forget(p *process) {
	c.processes = slices.DeleteFunc(c.processes, func(other *process) bool { return other == p })
}

func (c *cluster) stop() {
	for _, p := range slices.Backward(c.processes) {
		p.stop()
	}
	if c.config != nil {
		_ = c.server.Stop()
	}
}
