# simclr-operator: `make help` lists what there is to do.
SHELL := /usr/bin/env bash -o pipefail
.DEFAULT_GOAL := help

K8S_BIN := $(CURDIR)/build/k8s/bin
TOOLS_BIN := $(CURDIR)/build/tools/bin
IMAGES := $(CURDIR)/build/images
# The cluster of demo, install and uninstall: local (hack/cluster, root on Debian 12) or current (of the kubeconfig,
# which pulls the images of `make push` from REGISTRY).
export CLUSTER ?= local
export REGISTRY ?=
export TAG ?= dev
# Of results and the benchmarks: CIFAR-10 as JPEG files; empty: $SIMCLR_TEST_DATA/cifar10-jpeg.tar.gz.
export DATA ?=
SEEDS ?= 3
REPS ?= 3
CASES ?=
EPOCHS_TIMED ?= 2
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
manifests: ## Regenerate the CRD, the manager's role, the chart's copies of both, and the tables of docs/api and of the chart's README.
	$(CONTROLLER_GEN) crd paths=./api/... output:crd:artifacts:config=config/crd
	$(CONTROLLER_GEN) rbac:roleName=simclr-operator paths=./controllers output:rbac:dir=config/rbac
	cp config/rbac/role.yaml charts/simclr-operator/files/role.yaml
	sed '/^  annotations:$$/a\    helm.sh/resource-policy: keep' $(CRD) > charts/simclr-operator/templates/crd.yaml
	go run ./hack/apidocs docs/api/simclrrun.md
	go run ./hack/chartdocs charts/simclr-operator

.PHONY: vet
vet: ## Run go vet.
	go vet ./...

.PHONY: lint
lint: deps ## Run golangci-lint.
	@hack/tools/build.sh $(TOOLS_BIN) golangci-lint
	@for module in . hack/bench/growth hack/cluster hack/images hack/lint-api; do \
	  (cd $$module && $(TOOLS_BIN)/golangci-lint run --config $(CURDIR)/.golangci.yml ./...) || exit 1; \
	done

.PHONY: lint-api
lint-api: ## Run kube-api-linter on the API types.
	cd hack/lint-api && go build -trimpath -o ../../bin/lint-api .
	bin/lint-api -test=false ./api/v1alpha1

.PHONY: verify
verify: deps vet lint lint-api verify-generated verify-chart ## Check formatting, vet, lint, the API's conventions, generated files and the chart.
	@test -z "$$(gofmt -l .)" || { echo "not formatted (run gofmt -w):"; gofmt -l .; exit 1; }

.PHONY: verify-generated
verify-generated:
	@hack/verify-generated.sh

.PHONY: verify-chart
verify-chart: helm
	@go run ./hack/chart $(TOOLS_BIN)/helm

.PHONY: pjrt
pjrt: ## Fetch XLA's CPU backend, which the tests of trainer/engine/xla run on (60 MB, once).
	@hack/tools/pjrt.sh $(CURDIR)/build/pjrt

.PHONY: envtest-binaries
envtest-binaries: ## Build etcd and kube-apiserver for the API-server tests.
	@hack/cluster/build.sh $(K8S_BIN) etcd kube-apiserver

.PHONY: check-cluster
check-cluster:
	@bash -euc 'source hack/environment.sh'

.PHONY: cluster-up
cluster-up: check-cluster deps images ## Start the local cluster, or what of it does not run, and load the images.
	@[ "$(CLUSTER)" = local ] || { echo "cluster-up starts the local cluster: unset CLUSTER"; exit 1; }
	@hack/cluster/build.sh $(K8S_BIN) etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl coredns
	@go -C hack/cluster build -trimpath -o $(K8S_BIN)/cluster .
	@$(K8S_BIN)/cluster up --bin $(K8S_BIN) --kubeconfig build/k8s/kubeconfig
	@$(K8S_BIN)/cluster load $(IMAGES)/*.tar

.PHONY: cluster-down
cluster-down: ## Stop the local cluster and remove every trace of it.
	@go -C hack/cluster build -trimpath -o $(K8S_BIN)/cluster .
	@$(K8S_BIN)/cluster down --kubeconfig build/k8s/kubeconfig

.PHONY: images
images: deps $(if $(ACCELERATORS),images-accelerators) ## Build the container images into build/images, without Docker; with ACCELERATORS="cuda tpu" those of images-accelerators, too; TWICE=1: compare digests.
	@go -C hack/images run . build $(if $(TWICE),--twice) --output $(IMAGES) --tag $(TAG) pause manager simclr-trainer

.PHONY: images-accelerators
images-accelerators: deps ## Build the trainer's images for GPUs and TPUs into build/images-accelerators, and start them: ACCELERATORS="cuda tpu" (7 GB of disk, from PyPI's wheels); TWICE=1: compare digests.
	@hack/deps.sh python3-pip
	@go -C hack/images run . build --start $(if $(TWICE),--twice) --output $(CURDIR)/build/images-accelerators --tag $(TAG) $(addprefix simclr-trainer-,$(or $(ACCELERATORS),cuda tpu))

.PHONY: push
push: deps ## Build the container images and push them to REGISTRY; with ACCELERATORS="cuda tpu" the trainer's for GPUs and TPUs, too.
	@[ -n "$(REGISTRY)" ] || { echo "make push REGISTRY=ghcr.io/you [TAG=$(TAG)]"; exit 1; }
	@[ -z "$(ACCELERATORS)" ] || hack/deps.sh python3-pip
	@go -C hack/images run . push --registry $(REGISTRY) --tag $(TAG) manager simclr-trainer $(addprefix simclr-trainer-,$(ACCELERATORS))

.PHONY: helm
helm:
	@hack/tools/build.sh $(TOOLS_BIN) helm

.PHONY: prometheus
prometheus:
	@hack/tools/prometheus.sh $(TOOLS_BIN)

.PHONY: install
install: check-cluster helm ## Install the operator into the cluster, or upgrade it.
	@hack/install.sh $(HELM_FLAGS)

.PHONY: install-jobset
install-jobset: check-cluster helm ## Install JobSet, which runs of several workers need, into the local cluster (builds it, 3 minutes).
	@hack/jobset.sh $(IMAGES)

.PHONY: uninstall
uninstall: check-cluster helm ## Uninstall the operator; the CRD and the runs stay.
	@bash -euc 'source hack/environment.sh; $$helm uninstall simclr-operator --namespace simclr-system --wait'

.PHONY: demo
demo: ## Everything at once: cluster, images, operator, and one run from apply to results.
	@bash -euc 'source hack/environment.sh'
	@[ "$(CLUSTER)" = current ] || $(MAKE) --no-print-directory cluster-up
	@$(MAKE) --no-print-directory install
	@hack/demo.sh

.PHONY: demo-down
demo-down: cluster-down ## Remove the local cluster and every trace of it; with CLUSTER=current see uninstall.

.PHONY: test
test: test-unit test-e2e ## Run all tests but the slow ones: test-unit, then test-e2e.

.PHONY: test-unit
test-unit: deps envtest-binaries prometheus pjrt ## Run the unit and API-server tests (root: some mount a tmpfs).
	go test -timeout 20m ./...
	go -C hack/images test ./...

.PHONY: test-e2e
test-e2e: build prometheus image-xla-cpu ## Run the tests on a real node (root on Debian 12; removes the cluster where it was not up before).
	@hack/e2e.sh -timeout 25m -short ./test/e2e ./test/chaos ./test/permissions

.PHONY: image-xla-cpu
image-xla-cpu: deps pjrt ## Build the trainer's image with XLA's CPU backend, which tests run beside accelerators that are not there.
	@go -C hack/images run . build --output $(IMAGES) --tag $(TAG) simclr-trainer-xla-cpu

.PHONY: test-chaos
test-chaos: build kueue ## Do to runs all that clusters do to them, docs/reliability.md (root on Debian 12; at most 80 minutes).
	@hack/e2e.sh -timeout 80m -v ./test/chaos ./test/kueue

.PHONY: kueue
kueue: deps ## Build the image of Kueue, for test-kueue (five minutes, once).
	@go -C hack/images run . build --output $(IMAGES) --tag $(TAG) kueue

.PHONY: test-kueue
test-kueue: build kueue ## Run the tests with the real Kueue on a real node, docs/kueue.md (root on Debian 12).
	@hack/e2e.sh -timeout 25m -v ./test/kueue

.PHONY: test-slow
test-slow: build pjrt ## Run the slow tests: the yardstick run's accuracies.
	go test -tags slow -count 1 -timeout 60m ./test/slow

FUZZ ?= 1000000x
# What fuzzing looks for new paths in. go test -fuzz counts those of all packages, the clouds' SDKs too, and reading the counters
# then takes most of its time; built without it, a million executions take minutes.
FUZZED := image/... archive/tar github.com/simclr-operator/simclr-operator/...
.PHONY: fuzz
fuzz: deps ## Fuzz everything that reads what others wrote (half an hour): FUZZ=1000000x, or a time such as 60s.
	@mkdir -p build/fuzz
	@grep -rlE '^func Fuzz' --include=*_test.go . | sort | while read -r file; do \
	  go test -c $(FUZZED:%=-gcflags=%=-d=libfuzzer) -o build/fuzz/fuzz.test ./$$(dirname $$file) || exit 1; \
	  for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9]+)\(.*/\1/p' $$file); do \
	    echo "== $$target"; \
	    (cd $$(dirname $$file) && $(CURDIR)/build/fuzz/fuzz.test -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZ) \
	      -test.fuzzminimizetime 1x -test.timeout 0 -test.fuzzcachedir $(CURDIR)/build/fuzz/$$(dirname $$file)) || exit 1; \
	  done; \
	done

.PHONY: results
results: build ## The tables of docs/results.md (an hour): SEEDS=3, DATA=CIFAR-10 as JPEG files (train/, test/).
	@hack/deps.sh dataset-fashion-mnist
	@mkdir -p build/results
	@cifar10=$$(hack/bench/cifar10.sh) && go run ./hack/results --fashion-mnist /usr/share/datasets/fashion-mnist \
	  --cifar10 "$$cifar10" --seeds $(SEEDS) | tee build/results/tables.md

.PHONY: findings
findings: build ## The paper's findings in small, the tables of docs/results.md (an hour): SEEDS=3, DATA=.
	@mkdir -p build/results
	@cifar10=$$(hack/bench/cifar10.sh) && go run ./hack/results --only findings --cifar10 "$$cifar10" --seeds $(SEEDS) \
	  | tee build/results/findings.md

PYTORCH := hack/tools/venv.sh hack/bench build/bench/venv "PyTorch and the CUDA libraries that its wheel wants, 5 GB"

.PHONY: bench-yardstick
bench-yardstick: build ## Speed and accuracies beside a PyTorch program (half an hour, 5 GB): REPS=3, EPOCHS_TIMED=2, DATA=.
	@$(PYTORCH)
	@data=$$(hack/bench/cifar10.sh) && go run ./hack/bench/yardstick -data "$$data" -repetitions $(REPS) \
	  -epochs-timed $(EPOCHS_TIMED)

.PHONY: bench-trainer
bench-trainer: build ## Speed and memory beside PyTorch, in turns (at most 35 minutes, 5 GB): CASES=a,b (all), REPS=3, DATA=.
	@$(PYTORCH)
	@mkdir -p build/bench && go build -trimpath -o build/bench/ ./hack/bench/trainer/step ./hack/bench/augment
	@data=$$(hack/bench/cifar10.sh) && go run ./hack/bench/trainer -data "$$data" -cases "$(CASES)" -repetitions $(REPS)

BATCHES ?= 128,64
.PHONY: bench-workers
bench-workers: build ## Two workers of a core each beside one with both, and beside PyTorch (at most ten minutes, 5 GB): REPS=3, BATCHES=128,64.
	@$(PYTORCH)
	@mkdir -p build/bench && go build -trimpath -o build/bench/ ./hack/bench/trainer/step
	@go run ./hack/bench/workers -repetitions $(REPS) -batches $(BATCHES)

.PHONY: bench-fidelity
bench-fidelity: build ## Accuracies beside PyTorch's on the same data (an hour, 5 GB): SEEDS=3, DATA=.
	@$(PYTORCH)
	@data=$$(hack/bench/cifar10.sh) && go run ./hack/bench/fidelity -data "$$data" -seeds $(SEEDS)

.PHONY: bench-breakdown
bench-breakdown: deps ## Where a step's time goes, kernel by kernel, and the machine's peak (five minutes).
	@mkdir -p build/bench
	@go run ./hack/bench/breakdown

.PHONY: verify-accelerators
verify-accelerators: ## Compile the step for GPUs and TPUs that are not here, beside the same step in JAX (35 minutes at first; 5 GB; FULL=1: hours).
	@hack/tools/venv.sh hack/accelerators build/accelerators/venv "JAX and the compilers for TPUs and GPUs, 5 GB"
	@mkdir -p build/accelerators && go build -o build/accelerators/emit ./hack/accelerators/emit
	@build/accelerators/venv/bin/python hack/accelerators/verify.py --emit build/accelerators/emit --cache build/accelerators/cache \
	  --output build/bench --table trainer/plan/accelerators.csv --views trainer/plan/views.csv $(if $(FULL),--full) $(if $(KEPT),--kept) --only "$(CASES)"

.PHONY: check-gpu-prepare
check-gpu-prepare: deps ## Pack all that check-gpu needs on a machine without a network into build/check-gpu (5 GB): PYTHON_VERSION=3.12 (3.13, 3.14) of that machine; WHEELS=none: it has JAX, 60 MB; DATA=.
	@data=$$(hack/bench/cifar10.sh) && hack/gpu/pack.sh build/check-gpu "$$data"

GPU_FLAGS ?=
.PHONY: check-gpu
check-gpu: ## Check the trainer on an NVIDIA GPU, beside JAX, from build/check-gpu alone (ten minutes): GPU_FLAGS="-checks parity -limit 5m".
	@build/check-gpu/check.sh $(GPU_FLAGS)

RUNS ?= 1000
GROWTH ?= 100,300,3000
SATURATED ?= 100
PEERS ?= 100
.PHONY: bench-operator
bench-operator: deps ## What the operator costs, beside a plain client, JobSet and Kubeflow Trainer, on kwok's nodes: RUNS=1000, SATURATED=100, PEERS=100, GROWTH=100,300,3000.
	@hack/cluster/build.sh $(K8S_BIN) etcd kube-apiserver kube-controller-manager kube-scheduler
	@hack/tools/build.sh $(TOOLS_BIN) kwok jobset kubeflow-trainer
	@mkdir -p build/bench && CGO_ENABLED=0 go build -trimpath -o bin/manager ./cmd/manager
	@go run ./hack/bench/operator -runs $(RUNS) -saturated $(SATURATED) -growth "$(GROWTH)" -peers $(PEERS)
	@case "$(GROWTH)" in *,*) \
	  go -C hack/bench/growth run . -in $(CURDIR)/build/bench/operator-runs.json -out $(CURDIR)/build/bench/operator-growth.svg;; esac
