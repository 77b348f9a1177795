// Command peak measures what this machine's cores can do at most, to hold kernels against: multiply-adds whose operands
// are all in registers, in float32 and where there is AVX512_BF16 in bfloat16, and reading memory.
package main

/*
#cgo CFLAGS: -O3 -fopenmp
#cgo LDFLAGS: -fopenmp
#include "peak.h"
*/
import "C"

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	threads := flag.Int("threads", 2, "as many as the kernels have")
	flag.Parse()
	if err := measure(C.int(*threads)); err != nil {
		fmt.Fprintln(os.Stderr, "peak:", err)
		os.Exit(1)
	}
}

func measure(threads C.int) error {
	fp32 := float64(C.fp32_flops(threads))
	if fp32 == 0 {
		return errors.New("it knows AVX-512 and AVX2 with FMA, of which this CPU has neither")
	}
	fmt.Printf("%d threads: fp32 %.0f GFLOP/s", threads, fp32/1e9)
	if bf16 := float64(C.bf16_flops(threads)); bf16 > 0 {
		fmt.Printf(", bf16 %.0f GFLOP/s", bf16/1e9)
	}
	fmt.Printf(", reading memory %.1f GB/s\n", float64(C.read_bytes(threads))/1e9)
	return nil
}
