#!/usr/bin/env bash
# The tests' Kueue in the local cluster: kueue.sh up | down. Its chart is of the same module as the program, and its image is
# build/images/kueue.tar (make kueue).
set -euo pipefail
cd "$(dirname "$0")/.."
source hack/environment.sh
[ "$cluster" = local ] || die "the tests' Kueue is for the local cluster. Unset CLUSTER."
chart=$(cd hack/tools/kueue && go list -m -f '{{.Dir}}' sigs.k8s.io/kueue)/charts/kueue

case ${1:-} in
up)
  $helm upgrade --install kueue "$chart" --namespace kueue-system --create-namespace --values hack/kueue-values.yaml \
    --set controllerManager.manager.image.repository=$registry/kueue --set controllerManager.manager.image.tag="$tag" >/dev/null
  # The chart has these whether or not the server behind them is on; namespaces cannot be deleted while nobody answers.
  $kubectl delete apiservice v1beta1.visibility.kueue.x-k8s.io v1beta2.visibility.kueue.x-k8s.io --ignore-not-found >/dev/null
  # A pod that is made after the certificate is has it at once; the kubelet brings it to one that is there within two minutes.
  $kubectl -n kueue-system wait secret/kueue-webhook-server-cert --for 'jsonpath={.data.tls\.crt}' --timeout 2m >/dev/null
  $kubectl -n kueue-system delete pods --all --grace-period 1 >/dev/null
  if ! $kubectl -n kueue-system rollout status deployment/kueue-controller-manager --timeout 4m; then
    $kubectl -n kueue-system describe pods >&2
    $kubectl -n kueue-system logs deployment/kueue-controller-manager --tail 40 >&2
    exit 1
  fi
  # Its webhooks refuse every Job until it has given them its certificate.
  for _ in $(seq 120); do
    $kubectl create job probe --image none --dry-run=server >/dev/null 2>&1 && exit
    sleep 0.5
  done
  $kubectl create job probe --image none --dry-run=server
  ;;
down)
  # Kueue's finalizers go only while it runs.
  $kubectl delete workloads.kueue.x-k8s.io,localqueues.kueue.x-k8s.io --all --all-namespaces --ignore-not-found --timeout 1m >/dev/null
  $kubectl delete clusterqueues.kueue.x-k8s.io,resourceflavors.kueue.x-k8s.io --all --ignore-not-found --timeout 1m >/dev/null
  $helm uninstall kueue --namespace kueue-system --ignore-not-found --wait >/dev/null
  $kubectl delete namespace kueue-system --ignore-not-found >/dev/null
  ;;
*) die "kueue.sh up | down" ;;
esac
