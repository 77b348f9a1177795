package testing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	jobset "sigs.k8s.io/jobset/api/jobset/v1alpha2"
)

// JobSetCRD is the file with JobSet's CustomResourceDefinition, in the module that the operator's types are from.
func JobSetCRD(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/jobset").Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", fmt.Errorf("the module of JobSet: %w: %s", err, failed.Stderr)
	}
	if err != nil {
		return "", err
	}
	path := filepath.Join(strings.TrimSpace(string(out)), "charts", "jobset", "crds", "jobset.x-k8s.io_jobsets.yaml")
	_, err = os.Stat(path)
	return path, err
}

// JobOfSet is the Job that JobSet's controller makes of a JobSet's only template.
func JobOfSet(set *jobset.JobSet) *batchv1.Job {
	template := set.Spec.ReplicatedJobs[0]
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: set.Namespace, Name: set.Name + "-" + template.Name + "-0", UID: set.UID + "-job",
			Labels: template.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{
				*metav1.NewControllerRef(set, jobset.SchemeGroupVersion.WithKind("JobSet")),
			},
		},
		Spec: *template.Template.Spec.DeepCopy(),
	}
}
