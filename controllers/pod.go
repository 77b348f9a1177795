package controllers

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/simclr-operator/simclr-operator/api/contract"
	"github.com/simclr-operator/simclr-operator/api/v1alpha1"
)

const (
	// podUser is the user, the group and the file-system group of trainer pods.
	podUser = 65532
	// gracePeriodSeconds is the time to save a checkpoint at SIGTERM.
	gracePeriodSeconds = 120
)

// podTemplate is a stage's pod. s.config says all of it but the attempt and the nodes to avoid.
func (r *Reconciler) podTemplate(s *scope, stage string, number int32, l ledger) (corev1.PodTemplateSpec, error) {
	where, err := place(s.config.Spec.Accelerator)
	if err != nil {
		return corev1.PodTemplateSpec{}, blockf(reasonInvalidSpec, "%v", err)
	}
	t := &s.config.Spec.Template
	labels := maps.Clone(t.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, attemptLabels(s, stage, number))
	selector := maps.Clone(where.nodeSelector)
	if selector == nil {
		selector = map[string]string{}
	}
	maps.Copy(selector, t.NodeSelector)
	volumes, mounts := podVolumes(s, stage)
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: t.Annotations},
		Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: new(int64(gracePeriodSeconds)),
			ServiceAccountName:            t.ServiceAccountName,
			AutomountServiceAccountToken:  new(false),
			EnableServiceLinks:            new(false),
			PriorityClassName:             t.PriorityClassName,
			ImagePullSecrets:              t.ImagePullSecrets,
			NodeSelector:                  selector,
			Affinity:                      avoidNodes(t.Affinity, l.avoid),
			Tolerations:                   slices.Concat(where.tolerations, t.Tolerations),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot:        new(true),
				RunAsUser:           new(int64(podUser)),
				RunAsGroup:          new(int64(podUser)),
				FSGroup:             new(int64(podUser)),
				FSGroupChangePolicy: new(corev1.FSGroupChangeOnRootMismatch),
				SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Volumes:    volumes,
			Containers: []corev1.Container{r.container(s, stage, number, mounts)},
		},
	}, nil
}

func (r *Reconciler) container(s *scope, stage string, number int32, mounts []corev1.VolumeMount) corev1.Container {
	ports := []corev1.ContainerPort{{Name: "http", ContainerPort: contract.HTTPPort}}
	if s.workersOf(stage) > 1 {
		ports = append(ports, corev1.ContainerPort{Name: "collective", ContainerPort: contract.CollectivePort})
	}
	return corev1.Container{
		Name:                     ContainerName,
		Image:                    s.config.Status.Image,
		ImagePullPolicy:          r.ImagePullPolicy,
		Command:                  []string{"simclr-trainer", "stage", "--run", contract.RunFile, "--stage", stage},
		Env:                      r.environment(s, stage, number),
		Ports:                    ports,
		Resources:                *s.config.Spec.Template.Resources,
		VolumeMounts:             mounts,
		TerminationMessagePath:   contract.TerminationLog,
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
}

// environment is the contract's, which the user's cannot change, and the user's.
func (r *Reconciler) environment(s *scope, stage string, number int32) []corev1.EnvVar {
	threads := strconv.Itoa(int(s.config.Status.Threads))
	env := []corev1.EnvVar{
		{Name: contract.EnvAttempt, Value: strconv.Itoa(int(number))},
		{Name: contract.EnvThreads, Value: threads},
		{Name: contract.EnvOutput, Value: path.Join(contract.OutputDir, string(s.run.UID))},
		{Name: contract.EnvDeadline, Value: strconv.Itoa(int(s.progressDeadline()))},
		{Name: "OMP_NUM_THREADS", Value: threads},
		{Name: "OMP_DYNAMIC", Value: "false"},
	}
	if workers := s.workersOf(stage); workers > 1 {
		env = append(env, groupEnvironment(s.run.Name, stage, number, workers)...)
		if s.config.Spec.Accelerator.Type == v1alpha1.TPU {
			env = append(env, sliceEnvironment(JobName(s.run.Name, stage, number), workers)...)
		}
	}
	if r.DatasetMirror != "" {
		env = append(env, corev1.EnvVar{Name: contract.EnvDatasetMirror, Value: r.DatasetMirror})
	}
	for _, e := range s.config.Spec.Template.Env {
		if !strings.HasPrefix(e.Name, "SIMCLR_") || e.Name == contract.EnvDatasetMirror {
			env = slices.DeleteFunc(env, func(ours corev1.EnvVar) bool { return ours.Name == e.Name })
			env = append(env, e)
		}
	}
	return env
}

func podVolumes(s *scope, stage string) ([]corev1.Volume, []corev1.VolumeMount) {
	volumes := []corev1.Volume{
		{Name: "run", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: ConfigMapName(s.run.Name, s.run.Status.ConfigHash)},
		}}},
		{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		claimVolume("output", s.run.Status.OutputClaim, false),
	}
	mounts := []corev1.VolumeMount{
		{Name: "run", MountPath: path.Dir(contract.RunFile), ReadOnly: true},
		{Name: "tmp", MountPath: "/tmp"},
		{Name: "output", MountPath: contract.OutputDir},
	}
	if s.workersOf(stage) > 1 {
		volume, mount := keyVolume(s.run.Name)
		volumes, mounts = append(volumes, volume), append(mounts, mount)
	}
	if s.sharesMemory(stage) {
		volume, mount := sharedMemory()
		volumes, mounts = append(volumes, volume), append(mounts, mount)
	}
	secrets, at := secretVolumes(&s.config.Spec)
	volumes, mounts = append(volumes, secrets...), append(mounts, at...)
	for i, claim := range s.claims {
		name := "output"
		if claim != s.run.Status.OutputClaim {
			name = fmt.Sprintf("data-%d", i)
			volumes = append(volumes, claimVolume(name, claim, true))
		}
		mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: path.Join(contract.DataDir, claim), ReadOnly: true})
	}
	return volumes, mounts
}

// claimVolume is read-only as a volume too, so that the kubelet does not change the owner of data.
func claimVolume(name, claim string, readOnly bool) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim, ReadOnly: readOnly},
	}}
}

// avoidNodes adds to the user's affinity that nodes whose device failed are not used. Terms are
// alternatives, so each of them is narrowed.
func avoidNodes(affinity *corev1.Affinity, nodes []string) *corev1.Affinity {
	if len(nodes) == 0 {
		return affinity
	}
	result := affinity.DeepCopy()
	if result == nil {
		result = &corev1.Affinity{}
	}
	if result.NodeAffinity == nil {
		result.NodeAffinity = &corev1.NodeAffinity{}
	}
	required := &result.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
	if *required == nil {
		*required = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{}}}
	}
	for i := range (*required).NodeSelectorTerms {
		term := &(*required).NodeSelectorTerms[i]
		for _, node := range nodes {
			term.MatchFields = append(term.MatchFields, corev1.NodeSelectorRequirement{
				Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpNotIn, Values: []string{node},
			})
		}
	}
	return result
}
