package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// atOnce is how many requests of this program are under way.
const atOnce = 16

// chainClient is the plain client: it makes the first object of every chain at once, and each next one when the Job of the
// former is complete. It is what no operator can be faster than.
type chainClient struct {
	api  client.Client
	make func(key string) (client.Object, error)
	next map[string]string // after a key

	mu     sync.Mutex
	failed error
}

func (c *chainClient) create(ctx context.Context, key string) {
	object, err := c.make(key)
	if err == nil {
		err = c.api.Create(ctx, object)
	}
	if err != nil && ctx.Err() == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.failed = fmt.Errorf("creating %s: %w", key, err)
	}
}

func (c *chainClient) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// runChains makes all chains in a namespace and measures them. key is that of an object's Job.
func (c *cluster) runChains(ctx context.Context, namespace string, chains [][]string, key func(metav1.Object) string,
	object func(key string) (client.Object, error)) (m measured, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	api, err := c.clientOf(ctx, userClient)
	if err != nil {
		return m, err
	}
	plain := &chainClient{api: api, make: object, next: map[string]string{}}
	queue := make(chan string, len(chains)*len(chains[0]))
	for _, chain := range chains {
		for i := 1; i < len(chain); i++ {
			plain.next[chain[i-1]] = chain[i]
		}
	}
	o, err := observe(ctx, c.config, namespace, key, func(key string) {
		if next := plain.next[key]; next != "" {
			queue <- next
		}
	})
	if err != nil {
		return m, err
	}
	began, before := time.Now(), allSeconds()
	for _, chain := range chains {
		queue <- chain[0]
	}
	for range atOnce {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case key := <-queue:
					plain.create(ctx, key)
				}
			}
		}()
	}
	if err := c.waitForJobs(ctx, o, jobsOf(chains), plain.err); err != nil {
		return m, err
	}
	m = newMeasured(o, chains, began)
	m.AllCPUSeconds = allSeconds() - before
	return m, nil
}

// waitForJobs until so many are complete, as long as they become more.
func (c *cluster) waitForJobs(ctx context.Context, o *observer, want int, failed func() error) error {
	before, since := 0, time.Now()
	return c.eventually(ctx, 30*time.Minute, fmt.Sprint(want, " Jobs are complete"), func() (bool, error) {
		done := o.count()
		if done > before {
			before, since = done, time.Now()
		}
		if limit := 2*time.Minute + c.pods.longest; time.Since(since) > limit {
			return false, fmt.Errorf("no Job became complete for %s after %d", limit, done)
		}
		return done == want, failed()
	})
}

func jobsOf(chains [][]string) int { return len(chains) * len(chains[0]) }

// clientOf is a client of a user that may do everything, and is held to the API server's fairness as any other.
func (c *cluster) clientOf(ctx context.Context, name string) (client.Client, error) {
	config, err := c.user(ctx, name, "cluster-admin")
	if err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: scheme()})
}

// user with a ClusterRole.
func (c *cluster) user(ctx context.Context, name, role string) (*rest.Config, error) {
	user, err := c.server.AddUser(envtest.User{Name: name}, nil)
	if err != nil {
		return nil, err
	}
	err = c.api.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	})
	config := rest.CopyConfig(user.Config())
	config.QPS = -1
	return config, client.IgnoreAlreadyExists(err)
}

func (c *cluster) makeNamespace(ctx context.Context, name string) error {
	return c.api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

// jobsLike are the operator's own Jobs of a sample run, for another run of the same: nothing but the names differs.
func (c *cluster) jobsLike(ctx context.Context, namespace, sample, to string) (func(key string) (client.Object, error), error) {
	var jobs batchv1.JobList
	if err := c.api.List(ctx, &jobs, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	texts := map[string]string{} // by what follows the run's name
	for i := range jobs.Items {
		job := plainJob(&jobs.Items[i])
		job.Namespace = to
		text, err := json.Marshal(job)
		if err != nil {
			return nil, err
		}
		texts[strings.TrimPrefix(job.Name, sample)] = string(text)
	}
	return func(key string) (client.Object, error) {
		run, rest, _ := strings.Cut(key, "-")
		text, found := texts["-"+rest]
		if !found {
			return nil, fmt.Errorf("the sample run has no Job like %s", key)
		}
		var job batchv1.Job
		err := json.Unmarshal([]byte(strings.ReplaceAll(text, sample, run)), &job)
		return &job, err
	}, nil
}

// plainJob is a Job as it was before the API server had it.
func plainJob(job *batchv1.Job) *batchv1.Job {
	plain := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: job.Name, Labels: job.Labels, Annotations: job.Annotations}, Spec: job.Spec}
	plain.Spec.Selector = nil
	for _, labels := range []map[string]string{plain.Labels, plain.Spec.Template.Labels} {
		for _, name := range []string{"controller-uid", "job-name", batchv1.ControllerUidLabel, batchv1.JobNameLabel} {
			delete(labels, name)
		}
	}
	return plain
}

// clear a namespace of Jobs and pods, and wait until they are gone.
func (c *cluster) clear(ctx context.Context, namespace string) error {
	in := client.InNamespace(namespace)
	err := c.api.DeleteAllOf(ctx, &batchv1.Job{}, in, client.PropagationPolicy(metav1.DeletePropagationOrphan))
	if err != nil {
		return err
	}
	return c.eventually(ctx, 5*time.Minute, namespace+" is empty", func() (bool, error) {
		if err := c.api.DeleteAllOf(ctx, &corev1.Pod{}, in, client.GracePeriodSeconds(0)); err != nil {
			return false, err
		}
		var pods corev1.PodList
		err := c.api.List(ctx, &pods, in, client.Limit(1))
		return err == nil && len(pods.Items) == 0, err
	})
}
