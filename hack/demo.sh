#!/usr/bin/env bash
# make demo: one run from kubectl apply to its results, on a cluster that has the operator.
set -euo pipefail
cd "$(dirname "$0")/.."
source hack/environment.sh

sample=config/samples/training_v1alpha1_simclrrun.yaml
namespace=simclr-demo
limit=1200 # seconds; two minutes are usual
conditions() { $kubectl -n $namespace get "$run" -o jsonpath='{.status.conditions[?(@.status=="True")].type}'; }
say() { printf '\n==> %s\n' "$*"; }

$kubectl create namespace $namespace --dry-run=client -o yaml | $kubectl apply -f - >/dev/null
$kubectl label namespace $namespace --overwrite pod-security.kubernetes.io/enforce=restricted >/dev/null
$kubectl -n $namespace delete --wait --ignore-not-found -f $sample >/dev/null

say "kubectl apply -f $sample"
start=$SECONDS
$kubectl -n $namespace apply -f $sample
run=$($kubectl -n $namespace get -f $sample -o name)

say "kubectl get simclrruns --watch"
last='' told=''
while :; do
  table=$($kubectl -n $namespace get "$run")
  [ -n "$last" ] || head -1 <<<"$table"
  row=$(tail -1 <<<"$table")
  [ "${row% *}" = "${last% *}" ] || echo "$row" # the last column is the age: that alone is no news
  last=$row
  case " $(conditions) " in
  *" Failed "*)
    $kubectl -n $namespace describe "$run"
    die "The run failed. Its pods' logs: kubectl -n $namespace logs -l training.simclr.dev/run=${run#*/}"
    ;;
  *" Stalled "*)
    message=$($kubectl -n $namespace get "$run" -o jsonpath='{.status.message}')
    [ "$message" = "$told" ] || echo "    $message"
    told=$message
    ;;
  *" Complete "*) break ;;
  esac
  ((SECONDS - start < limit)) || die "The run has not ended in $limit s. What it waits for: kubectl -n $namespace describe $run"
  sleep 1
done

say "kubectl get simclrruns -o wide"
$kubectl -n $namespace get simclrruns -o wide
say "kubectl get $run -o jsonpath={.status.results}"
$kubectl -n $namespace get "$run" -o json | sed -n '/^        "results": {/,/^        }/p' | sed 's/^    //'
echo
echo "Trained, evaluated and finetuned in $((SECONDS - start)) s. To look around:"
echo "  $use"
echo "  kubectl -n $namespace describe scr"
echo "To remove everything: make demo-down"
