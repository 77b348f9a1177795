# simclr-operator: `make help` lists what there is to do.
SHELL := /usr/bin/env bash -o pipefail
.DEFAULT_GOAL := help

K8S_BIN := $(CURDIR)/build/k8s/bin
CONTROLLER_GEN := go run sigs.k8s.io/controller-tools/cmd/controller-gen@v0.23.0
CRD := config/crd/training.simclr.dev_simclrruns.yaml
export KUBEBUILDER_ASSETS := $(K8S_BIN)
export GOFLAGS := -buildvcs=false

.PHONY: help
help: ## This list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: deps
deps: ## Install the Debian packages that are missing (root).
	@hack/deps.sh

.PHONY: build
build: deps ## Build bin/manager and bin/simclr-trainer.
	CGO_ENABLED=0 go build -trimpath -o bin/manager ./cmd/manager
	go build -trimpath -o bin/simclr-trainer ./cmd/trainer

.PHONY: generate
generate: ## Regenerate deepcopy functions.
	$(CONTROLLER_GEN) object paths=./api/...

.PHONY: manifests
manifests: ## Regenerate the CRD, the manager's role, and the chart's copies of both.
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:artifacts:config=config/crd
	$(CONTROLLER_GEN) rbac:roleName=simclr-operator paths=./controllers output:rbac:dir=config/rbac
	cp config/rbac/role.yaml charts/simclr-operator/files/role.yaml
	sed '/^  annotations:$$/a\    helm.sh/resource-policy: keep' $(CRD) > charts/simclr-operator/templates/crd.yaml

.PHONY: vet
vet: ## Run go vet.
	go vet ./...

.PHONY: lint-api
lint-api: ## Run kube-api-linter on the API types.
	cd hack/lint-api && go build -trimpath -o ../../bin/lint-api .
	bin/lint-api -test=false ./api/v1alpha1

.PHONY: verify
verify: deps vet lint-api generate manifests ## Check formatting, vet, the API's conventions, and that generated files are up to date.
	@test -z "$$(gofmt -l .)" || { echo "not formatted (run gofmt -w):"; gofmt -l .; exit 1; }
	@git diff --exit-code -- api config charts || { echo "generated files are out of date: commit the above"; exit 1; }

.PHONY: envtest-binaries
envtest-binaries: ## Build etcd and kube-apiserver for the API-server tests.
	@hack/cluster/build.sh $(K8S_BIN) etcd kube-apiserver

.PHONY: test
test: deps envtest-binaries ## Run the unit and API-server tests (root: some mount a tmpfs).
	go test -timeout 20m ./...
