#!/usr/bin/env bash
# Generates again and says what that changes against the files as they are, committed or not. The new files stay.
set -euo pipefail
cd "$(dirname "$0")/.."

generated=(
  api/v1alpha1/zz_generated.deepcopy.go
  config/crd/training.simclr.dev_simclrruns.yaml
  config/rbac/role.yaml
  charts/simclr-operator/files/role.yaml
  charts/simclr-operator/templates/crd.yaml
  docs/api/simclrrun.md
  charts/simclr-operator/README.md
)
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
cp --parents "${generated[@]}" "$before"

make --no-print-directory generate manifests

changed=0
for file in "${generated[@]}"; do
  diff -u --label "$file before" --label "$file generated" "$before/$file" "$file" || changed=1
done
[ $changed = 0 ] || { echo "generated files were out of date: they are now as above"; exit 1; }
