package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const startTimeout = 2 * time.Minute

// waitForAPI returns once the API server answers that it is ready.
func waitForAPI(ctx context.Context, client kubernetes.Interface, processes []process) error {
	return poll(ctx, "the API server to be ready", processes, func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

// waitForContainerd returns once containerd answers on its socket.
func waitForContainerd(ctx context.Context, processes []process) error {
	return poll(ctx, "containerd to answer", processes, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", containerdSocket)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// waitForNode returns once the node is Ready and pods can be made in the default namespace.
func waitForNode(ctx context.Context, client kubernetes.Interface, processes []process) error {
	return poll(ctx, "the node to be Ready", processes, func(ctx context.Context) error {
		node, err := client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
				return fmt.Errorf("node: %s", c.Message)
			}
		}
		if len(node.Status.Conditions) == 0 {
			return errors.New("node: no status yet")
		}
		_, err = client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// poll calls done until it has no error; an error at the end names a process that died and its last words.
func poll(ctx context.Context, what string, processes []process, done func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var last error
	for {
		if last = done(ctx); last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w\n%s", what, last, dead(processes))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func dead(processes []process) string {
	var b strings.Builder
	for _, p := range processes {
		if _, ok := p.observe(); !ok && exists(p.pidFile()) {
			fmt.Fprintf(&b, "%s has ended (%s):\n%s\n", p.name, p.logFile(), p.lastWords())
		}
	}
	if b.Len() == 0 {
		return "all processes run; their logs are in " + logDir
	}
	return b.String()
}

const provisionerName = "simclr.dev/local-directory"

// createStorageClass makes the default storage class. Claims bind when a pod needs them, as on most real clusters.
func createStorageClass(ctx context.Context, client kubernetes.Interface) error {
	mode, reclaim := storagev1.VolumeBindingWaitForFirstConsumer, corev1.PersistentVolumeReclaimDelete
	_, err := client.StorageV1().StorageClasses().Create(ctx, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        "local-directory",
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner:       provisionerName,
		VolumeBindingMode: &mode,
		ReclaimPolicy:     &reclaim,
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
