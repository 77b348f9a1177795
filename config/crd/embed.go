// Package crd has the generated CustomResourceDefinition, for programs that check runs without a cluster.
package crd

import _ "embed" // of the file beside this one

// SimCLRRuns is the CustomResourceDefinition of simclrruns.training.simclr.dev, as YAML.
//
//go:embed training.simclr.dev_simclrruns.yaml
var SimCLRRuns []byte
