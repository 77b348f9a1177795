package pretrain

// The rows of a batch of views are all first views, then all second: of a micro-batch, of a worker's
// micro-batches, of all workers. Positives are found by that order.

// byView orders the rows of parts, of the same length, so: the first views of all, then the second. One
// part's are.
func byView(parts [][]float32) []float32 {
	if len(parts) == 1 {
		return parts[0]
	}
	half := len(parts[0]) / 2
	all := make([]float32, 0, 2*half*len(parts))
	for view := range 2 {
		for _, p := range parts {
			all = append(all, p[view*half:(view+1)*half]...)
		}
	}
	return all
}

// part is one of so many parts that byView has ordered.
func part(all []float32, at, of int) []float32 {
	if of == 1 {
		return all
	}
	half := len(all) / 2
	n := half / of
	first := at * n
	return append(append(make([]float32, 0, 2*n), all[first:first+n]...), all[half+first:half+first+n]...)
}
