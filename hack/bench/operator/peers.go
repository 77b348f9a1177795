package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
	"sigs.k8s.io/yaml"

	"github.com/simclr-operator/simclr-operator/hack/internal/local"
	"github.com/simclr-operator/simclr-operator/hack/internal/report"
)

// peer is a controller of others that makes Jobs: its module (hack/tools has it as a tool) and what of that it needs.
type peer struct {
	tool, module string // folder in hack/tools, which is also the user whose writes are counted; module path
	crds         string // folder in the module
	webhooks     string // file in the module
	config       string // of %d webhook port, %q certificates, %q probe address
}

// Both have their webhooks, as they are installed, at loopback; a client QPS that nothing waits for; else their defaults. They may do
// everything.
var (
	jobSetPeer = peer{
		tool: "jobset", module: "sigs.k8s.io/jobset", crds: "config/components/crd/bases", webhooks: "config/components/webhook/manifests.yaml",
		config: `apiVersion: config.jobset.x-k8s.io/v1alpha1
kind: Configuration
leaderElection: {leaderElect: false}
internalCertManagement: {enable: false}
webhook: {port: %d, host: 127.0.0.1, certDir: %q}
health: {healthProbeBindAddress: %q}
metrics: {bindAddress: "0"}
clientConnection: {qps: 5000, burst: 5000}
`,
	}
	trainerPeer = peer{
		tool: "kubeflow-trainer", module: "github.com/kubeflow/trainer/v2", crds: "manifests/base/crds", webhooks: "manifests/base/webhook/manifests.yaml",
		config: `apiVersion: config.trainer.kubeflow.org/v1alpha1
kind: Configuration
leaderElection: {leaderElect: false}
certManagement: {enable: false}
webhook: {port: %d, host: 127.0.0.1} # certificates: %s, in TMPDIR
health: {healthProbeBindAddress: %q}
metrics: {bindAddress: "0"}
controller:
  groupKindConcurrency: {TrainJob.trainer.kubeflow.org: 5, TrainingRuntime.trainer.kubeflow.org: 1, ClusterTrainingRuntime.trainer.kubeflow.org: 1}
clientConnection: {qps: 5000, burst: 5000}
`,
	}
)

func (p *peer) configuration(port int, certificates, probe string) string {
	return fmt.Sprintf(p.config, port, certificates, probe)
}

// besidePeers measures the operator, JobSet and Kubeflow Trainer, which makes JobSets, on one cluster: the same number of chains of
// Jobs of one pod.
func besidePeers(ctx context.Context, o options, r *results) error {
	return onCluster(ctx, o, "peers", shortPods, func(c *cluster) (err error) {
		const ours, sets, trains = "runs", "jobsets", "trainjobs"
		for _, namespace := range []string{ours, sets, trains} {
			if err := c.makeNamespace(ctx, namespace); err != nil {
				return err
			}
		}
		report.Say("the operator beside its peers: %d runs", o.peers)
		if r.Ours, err = c.runOperator(ctx, o.manager, ours, o.peers); err != nil {
			return err
		}
		report.Say("  %.1f Jobs/s; JobSet: the same number of Jobs", r.Ours.JobsPerSecond)
		jobSets, err := c.startPeer(ctx, &jobSetPeer)
		if err != nil {
			return err
		}
		m, err := c.runPeer(ctx, "JobSet v0.12.0", sets, o.peers, jobSetOf(sets), []string{jobSetPeer.tool}, jobSets)
		if err != nil {
			return err
		}
		r.Peers = append(r.Peers, m)
		report.Say("  %.1f Jobs/s; Kubeflow Trainer, with JobSet: the same number of Jobs", m.JobsPerSecond)
		jobSets.stop()
		c.forget(jobSets)
		return c.besideTrainer(ctx, trains, o.peers, r)
	})
}

func (c *cluster) besideTrainer(ctx context.Context, namespace string, runs int, r *results) error {
	jobSets, err := c.startPeer(ctx, &jobSetPeer) // fresh, for its memory
	if err != nil {
		return err
	}
	trainer, err := c.startPeer(ctx, &trainerPeer)
	if err != nil {
		return err
	}
	if err := c.makeRuntime(ctx); err != nil {
		return err
	}
	m, err := c.runPeer(ctx, "Kubeflow Trainer v2.1.0 with JobSet", namespace, runs, trainJobOf(namespace),
		[]string{trainerPeer.tool, jobSetPeer.tool}, trainer, jobSets)
	report.Say("  %.1f Jobs/s", m.JobsPerSecond)
	r.Peers = append(r.Peers, m)
	return err
}

// startPeer until it is ready.
func (c *cluster) startPeer(ctx context.Context, p *peer) (*process, error) {
	text, err := exec.CommandContext(ctx, "go", "-C", filepath.Join("hack/tools", p.tool), "list", "-m", "-f", "{{.Dir}}", p.module).Output()
	if err != nil {
		return nil, fmt.Errorf("where %s is: %w", p.module, err)
	}
	module := strings.TrimSpace(string(text))
	dir, err := os.MkdirTemp(c.dir, p.tool+"-")
	if err != nil {
		return nil, err
	}
	crds := envtest.CRDInstallOptions{Paths: []string{filepath.Join(module, p.crds)}, ErrorIfPathMissing: true}
	if _, err := envtest.InstallCRDs(c.config, crds); err != nil {
		return nil, err
	}
	certificates := filepath.Join(dir, "k8s-webhook-server", "serving-certs") // controller-runtime's default below TMPDIR
	port, err := c.installWebhooks(filepath.Join(module, p.webhooks), p.tool, certificates)
	if err != nil {
		return nil, err
	}
	return c.startReady(ctx, p, dir, port, certificates)
}

func (c *cluster) startReady(ctx context.Context, p *peer, dir string, port int, certificates string) (*process, error) {
	if _, err := c.user(ctx, p.tool, "cluster-admin"); err != nil {
		return nil, err
	}
	kubeconfig, err := c.kubeconfig(p.tool)
	if err != nil {
		return nil, err
	}
	probe, err := local.FreeAddress()
	if err != nil {
		return nil, err
	}
	config, err := c.write(p.tool+".yaml", p.configuration(port, certificates, probe))
	if err != nil {
		return nil, err
	}
	err = c.run(p.tool, []string{"KUBECONFIG=" + kubeconfig, "TMPDIR=" + dir}, filepath.Join(c.tools, p.tool), "--config="+config)
	if err != nil {
		return nil, err
	}
	started := c.processes[len(c.processes)-1]
	return started, c.eventually(ctx, 2*time.Minute, p.tool+" is ready", func() (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+probe+"/readyz", nil)
		if err != nil {
			return false, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, nil //nolint:nilerr // it does not listen yet
		}
		return response.StatusCode == http.StatusOK, response.Body.Close()
	})
}

// installWebhooks of a manifest, which are served at loopback, at the port that is returned.
func (c *cluster) installWebhooks(manifest, prefix, certificates string) (int, error) {
	text, err := os.ReadFile(manifest)
	if err != nil {
		return 0, err
	}
	o := envtest.WebhookInstallOptions{LocalServingHost: "127.0.0.1"}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		switch {
		case strings.Contains(document, "kind: MutatingWebhookConfiguration"):
			var hooks admissionregistrationv1.MutatingWebhookConfiguration
			if err := yaml.Unmarshal([]byte(document), &hooks); err != nil {
				return 0, err
			}
			hooks.Name = prefix
			for i := range hooks.Webhooks {
				hooks.Webhooks[i].ObjectSelector = selectorOf(hooks.Webhooks[i].Rules)
			}
			o.MutatingWebhooks = append(o.MutatingWebhooks, &hooks)
		case strings.Contains(document, "kind: ValidatingWebhookConfiguration"):
			var hooks admissionregistrationv1.ValidatingWebhookConfiguration
			if err := yaml.Unmarshal([]byte(document), &hooks); err != nil {
				return 0, err
			}
			hooks.Name = prefix
			for i := range hooks.Webhooks {
				hooks.Webhooks[i].ObjectSelector = selectorOf(hooks.Webhooks[i].Rules)
			}
			o.ValidatingWebhooks = append(o.ValidatingWebhooks, &hooks)
		}
	}
	if err := o.Install(c.config); err != nil {
		return 0, err
	}
	if err := os.CopyFS(certificates, os.DirFS(o.LocalServingCertDir)); err != nil { // envtest has them in a directory of its own
		return 0, err
	}
	return o.LocalServingPort, o.Cleanup()
}

// selectorOf webhooks about pods is what JobSet's kustomization adds to them: pods of JobSets alone.
func selectorOf(rules []admissionregistrationv1.RuleWithOperations) *metav1.LabelSelector {
	if !slices.ContainsFunc(rules, func(r admissionregistrationv1.RuleWithOperations) bool { return slices.Contains(r.Resources, "pods") }) {
		return nil
	}
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: jobset.JobSetNameKey, Operator: metav1.LabelSelectorOpExists},
	}}
}

// makeRuntime is the one that Kubeflow Trainer has for PyTorch, without its image's name.
func (c *cluster) makeRuntime(ctx context.Context) error {
	runtime := object("trainer.kubeflow.org/v1alpha1", "ClusterTrainingRuntime", "", "torch-distributed", map[string]any{
		"mlPolicy": map[string]any{"numNodes": int64(1), "torch": map[string]any{"numProcPerNode": "auto"}},
		"template": map[string]any{"spec": map[string]any{"replicatedJobs": []any{map[string]any{
			"name": "node",
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
				"spec":     map[string]any{"template": map[string]any{"spec": podOfPeer()}},
			},
		}}}},
	})
	runtime.SetLabels(map[string]string{"trainer.kubeflow.org/framework": "torch"})
	return c.api.Create(ctx, runtime)
}

func podOfPeer() map[string]any {
	return map[string]any{"containers": []any{map[string]any{"name": "node", "image": "registry.example/trainer:1"}}}
}

func object(version, kind, namespace, name string, spec map[string]any) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": version, "kind": kind, "spec": spec}}
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

func jobSetOf(namespace string) func(string) (client.Object, error) {
	return func(key string) (client.Object, error) {
		pod := podOfPeer()
		pod["restartPolicy"] = "Never"
		job := map[string]any{"backoffLimit": int64(0), "template": map[string]any{"spec": pod}}
		return object("jobset.x-k8s.io/v1alpha2", "JobSet", namespace, key, map[string]any{
			"replicatedJobs": []any{map[string]any{"name": "node", "template": map[string]any{"spec": job}}},
		}), nil
	}
}

func trainJobOf(namespace string) func(string) (client.Object, error) {
	return func(key string) (client.Object, error) {
		return object("trainer.kubeflow.org/v1alpha1", "TrainJob", namespace, key, map[string]any{
			"runtimeRef": map[string]any{"name": "torch-distributed"},
		}), nil
	}
}

// setKey is the name of the JobSet, and so of the TrainJob, that a Job or a pod belongs to.
func setKey(o metav1.Object) string { return o.GetLabels()[jobset.JobSetNameKey] }

// runPeer has a client make the chains' first objects at once, and each next one when the Job of the former is complete.
func (c *cluster) runPeer(ctx context.Context, name, namespace string, n int, made func(string) (client.Object, error),
	users []string, programs ...*process) (measured, error) {
	began := time.Now()
	m, err := c.runChains(ctx, namespace, chainsOf(n), setKey, made)
	if err != nil {
		return m, err
	}
	m.Name = name
	time.Sleep(5 * time.Second) // what they still write
	for _, p := range programs {
		u, err := p.usage()
		if err != nil {
			return m, err
		}
		m.PeakMiB += u.peakMiB
		m.CPUSeconds += u.seconds
	}
	m.Writes, err = countWrites(c.auditLog(), began, users...)
	return m, err
}
