package augment

/*
#cgo CXXFLAGS: -O3 -std=c++17
#cgo LDFLAGS: -lm
#cgo noescape resize
#cgo nocallback resize
#cgo noescape color
#cgo nocallback color
#cgo noescape blur
#cgo nocallback blur
#include "kernels.h"
*/
import "C"

import "unsafe"

// level of the instruction sets that the kernels use: the machine's best. It changes no value.
var level = C.best_level()

// floats are a slice's, for C; none is kept there.
func floats(s []float32) *C.float { return (*C.float)(unsafe.SliceData(s)) }
