package main

/*
#cgo CFLAGS: -O3 -fopenmp
#cgo LDFLAGS: -fopenmp
#include "peak.h"
*/
import "C"

import (
	"errors"

	"github.com/simclr-operator/simclr-operator/hack/internal/report"
)

// peak is what this machine's cores can do at most, to hold kernels against: multiply-adds whose operands are all in
// registers, in float32 and where there is AVX512_BF16 in bfloat16, and reading memory.
func peak(threads int) ([]report.Row, error) {
	n := C.int(threads)
	fp32 := float64(C.fp32_flops(n))
	if fp32 == 0 {
		return nil, errors.New("it knows AVX-512 and AVX2 with FMA, of which this CPU has neither")
	}
	rows := []report.Row{{Case: "peak: fp32", Unit: "GFLOP/s", Ours: fp32 / 1e9, Better: report.Higher}}
	if bf16 := float64(C.bf16_flops(n)); bf16 > 0 {
		rows = append(rows, report.Row{Case: "peak: bf16", Unit: "GFLOP/s", Ours: bf16 / 1e9, Better: report.Higher})
	}
	return append(rows, report.Row{Case: "peak: reading memory", Unit: "GB/s", Ours: float64(C.read_bytes(n)) / 1e9, Better: report.Higher}), nil
}
