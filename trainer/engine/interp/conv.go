package interp

import "github.com/simclr-operator/simclr-operator/trainer/op"

// tap is one product of a convolution: x[xi], w[wi] and y[yi] meet, over a run of columns. Along the
// run x advances by the stride and y by one.
type tap struct{ xi, wi, yi, n, stride int }

// taps visits every product of a convolution of x by w to y: the same walk serves the forward pass
// and both derivatives.
func taps(x, w, y []int, stride, pad int, f func(tap)) {
	k := w[2]
	for n := range x[0] {
		for o := range w[0] {
			for c := range x[1] {
				for i := range y[2] {
					for a := range k {
						h := i*stride + a - pad
						if h < 0 || h >= x[2] {
							continue
						}
						for b := range k {
							first, end := columns(x[3], y[3], stride, b-pad)
							if first >= end {
								continue
							}
							f(tap{((n*x[1]+c)*x[2]+h)*x[3] + first*stride + b - pad, ((o*x[1]+c)*k+a)*k + b,
								((n*w[0]+o)*y[2]+i)*y[3] + first, end - first, stride})
						}
					}
				}
			}
		}
	}
}

// columns are the columns of y whose column of x, at j·stride + shift, lies within its width.
func columns(xw, yw, stride, shift int) (first, end int) {
	for first < yw && first*stride+shift < 0 {
		first++
	}
	end = yw
	for end > first && (end-1)*stride+shift >= xw {
		end--
	}
	return first, end
}

func conv(o op.Operator) evaluator {
	return func(out Array, in []Array) Array {
		switch o := o.(type) {
		case op.Conv2D:
			x, w := in[0], in[1]
			taps(x.Shape, w.Shape, out.Shape, o.Stride, o.Pad, func(t tap) {
				for j := range t.n {
					out.V[t.yi+j] += x.V[t.xi+j*t.stride] * w.V[t.wi]
				}
			})
		case op.Conv2DGradInput:
			w, dy := in[0], in[1]
			taps(out.Shape, w.Shape, dy.Shape, o.Stride, o.Pad, func(t tap) {
				for j := range t.n {
					out.V[t.xi+j*t.stride] += w.V[t.wi] * dy.V[t.yi+j]
				}
			})
		case op.Conv2DGradWeight:
			x, dy := in[0], in[1]
			taps(x.Shape, out.Shape, dy.Shape, o.Stride, o.Pad, func(t tap) {
				s := 0.
				for j := range t.n {
					s += x.V[t.xi+j*t.stride] * dy.V[t.yi+j]
				}
				out.V[t.wi] += s
			})
		}
		return out
	}
}
