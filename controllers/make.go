package controllers

import (
	"context"
	"encoding/json"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// make creates an object that the cache does not have, which costs the API server less than applying it; where there is one after
// all, it is applied.
func (r *Reconciler) make(ctx context.Context, wanted runtime.ApplyConfiguration, object client.Object) error {
	err := r.create(ctx, wanted, object)
	if apierrors.IsAlreadyExists(err) {
		return r.Apply(ctx, wanted, client.FieldOwner(FieldManager), client.ForceOwnership)
	}
	return err
}

// create an object; into is one of its type.
func (r *Reconciler) create(ctx context.Context, wanted runtime.ApplyConfiguration, into client.Object) error {
	text, err := json.Marshal(wanted)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return err
	}
	return r.Create(ctx, into, client.FieldOwner(FieldManager))
}

// configs are the configurations of runs that go on, so that not every look at a run reads its ConfigMap's YAML, which is what most
// of the manager's time went to.
type configs struct {
	mu   sync.Mutex
	read map[types.NamespacedName]readConfig
}

type readConfig struct {
	hash string
	run  *v1alpha1.SimCLRRun
}

// get the configuration that a text of a hash has; the caller may change it.
func (c *configs) get(run types.NamespacedName, hash, text string) (*v1alpha1.SimCLRRun, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.read[run]; known.hash == hash && hash != "" {
		return known.run.DeepCopy(), nil
	}
	config, err := parseConfig(text)
	if err != nil {
		return nil, err
	}
	if c.read == nil {
		c.read = map[types.NamespacedName]readConfig{}
	}
	c.read[run] = readConfig{hash, config}
	return config.DeepCopy(), nil
}

func (c *configs) forget(run types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.read, run)
}
