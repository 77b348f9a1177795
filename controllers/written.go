package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

// behindLimit is how long a cache may lag behind a write before it is believed again: after etcd is restored from a backup,
// versions are lower than those that were written.
const behindLimit = 5 * time.Second

// written remembers the version of each run as it was last written, so that one that the cache still has as it was before is
// left alone until the watch brings what was written: a reconcile of it could only end in a conflict, and try again later.
type written struct {
	mu   sync.Mutex
	last map[types.NamespacedName]version
}

type version struct {
	number string // metadata.resourceVersion
	uid    types.UID
	at     time.Time
}

func (w *written) note(run *v1alpha1.SimCLRRun, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last == nil {
		w.last = map[types.NamespacedName]version{}
	}
	w.last[client.ObjectKeyFromObject(run)] = version{run.ResourceVersion, run.UID, now}
}

// behind says whether a run is older than what was written of it.
func (w *written) behind(run *v1alpha1.SimCLRRun, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := client.ObjectKeyFromObject(run)
	last, found := w.last[key]
	if !found {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(run.ResourceVersion, last.number)
	if err == nil && order < 0 && last.uid == run.UID && now.Sub(last.at) < behindLimit {
		return true
	}
	delete(w.last, key)
	return false
}

func (w *written) forget(key types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.last, key)
}
