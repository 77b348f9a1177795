# Sourced from the repository's root by install.sh, demo.sh and e2e.sh: which cluster, by CLUSTER=local|current, and which
# images. It says at once what is missing. After it: kubectl, helm, use, values, and mirror where the cluster is local.
cluster=${CLUSTER:-local}
tag=${TAG:-dev}
helm=build/tools/bin/helm

die() {
  echo "$*" >&2
  exit 1
}

case $cluster in
local)
  problem=''
  if [ "$(uname -s)" != Linux ]; then
    problem="Linux (this is $(uname -s))"
  elif [ "$(. /etc/os-release && echo "$ID $VERSION_ID")" != "debian 12" ]; then
    problem="Debian 12 (this is $(. /etc/os-release && echo "$PRETTY_NAME"))"
  elif [ "$(id -u)" -ne 0 ]; then
    problem="root, because it starts containerd and a kubelet"
  fi
  [ -z "$problem" ] || die "The local cluster needs $problem. What can be done without it:
  make push demo CLUSTER=current REGISTRY=ghcr.io/you    the cluster of the current kubeconfig
  make build && bin/simclr-trainer run -f config/samples/training_v1alpha1_simclrrun.yaml --output out
                                                         no cluster"
  export KUBECONFIG=$PWD/build/k8s/kubeconfig
  kubectl=build/k8s/bin/kubectl
  use="export KUBECONFIG=$KUBECONFIG PATH=$PWD/build/k8s/bin:\$PATH"
  registry=simclr.local
  mirror=http://10.231.0.1:18080
  values=(--set datasetMirror=$mirror --set progressIntervalSeconds=5)
  ;;
current)
  [ -n "${REGISTRY:-}" ] || die "CLUSTER=current needs REGISTRY=, where that cluster pulls the images from:
  make push demo CLUSTER=current REGISTRY=ghcr.io/you"
  command -v kubectl >/dev/null || die "kubectl is not on the PATH"
  kubectl get --raw /version >/dev/null || die "the cluster of the current kubeconfig does not answer"
  kubectl=kubectl
  use="kubectl config current-context"
  registry=$REGISTRY
  values=(--set imagePullPolicy=Always)
  [ -z "${DATASET_MIRROR:-}" ] || values+=(--set "datasetMirror=$DATASET_MIRROR")
  ;;
*) die "CLUSTER=$cluster: it is local or current" ;;
esac
values+=(--set "image.manager=$registry/manager:$tag" --set "image.trainer=$registry/simclr-trainer:$tag")
