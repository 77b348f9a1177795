package plan

import (
	_ "embed" // the table
	"math"
	"slices"
	"strings"
	"sync"
)

// viewsCSV is what the compilers of accelerators said of the programs that make views; `make verify-accelerators` writes it.
//
//go:embed views.csv
var viewsCSV string

// compiledViews are views that a device makes, as a compiler said.
type compiledViews struct {
	family string
	views  viewsOf
	needs  Needs
}

// viewsOf so many images, two each.
type viewsOf struct {
	size, edge int // of a view and of its source
	images     int
	operations string // ViewOperations
}

// compilationsOfViews are the table, by images.
var compilationsOfViews = sync.OnceValue(func() []compiledViews { return parseViews(viewsCSV) })

func parseViews(text string) (all []compiledViews) {
	for _, r := range readTable(text) {
		whole := func(name string) int { return int(r.number(name)) }
		all = append(all, compiledViews{r.family(), viewsOf{whole("size"), whole("edge"), whole("batch") / whole("devices"), r.of("operations")}, r.needs()})
	}
	slices.SortStableFunc(all, byImages)
	return all
}

// formula is what making views needs by a count of their values: the sources, these in single precision, the weights of each axis, what
// is resized along one, the views; and their products.
func (v viewsOf) formula() [3]float64 {
	rows, size, edge := 2*float64(v.images), float64(v.size), float64(v.edge)
	source, halfway, view := 3*edge*edge, 3*size*edge, 3*size*size
	held := source + float32Bytes*(source+2*size*edge+halfway+2*view)
	products := source*size + halfway*size
	passes := 4.0 // over what is held, about
	if strings.Contains(v.operations, "blur") {
		products += 2 * view * size
		held += float32Bytes * (size*size + view)
	}
	return [3]float64{rows * held, rows * (2*products + operationsOfValue*view), rows * passes * held}
}

// operationsOfValue of a view, about: those of colours, each of which may be any step of the jitter.
const operationsOfValue = 100

// predictViews says what making views needs of a device by the rows of its family. exact: at a row of the same views, or between those
// of at least three batches, which predict those between them (a test). Without a row it is the formula.
func predictViews(rows []compiledViews, family string, v viewsOf) (n Needs, exact bool) {
	same, like := alikeViews(rows, family, v)
	if len(same) > 0 {
		exact, like = told(same, v.images), same
	}
	out := v.formula()
	if len(like) > 0 {
		low, high := aroundViews(like, v.images)
		of := low.views // which may have another size
		of.images = v.images
		formula, lowest := of.formula(), low.views.formula()
		for i, needs := range low.needs.list() {
			line := needs / lowest[i] * formula[i]
			if low.views.images != high.views.images {
				// Views are nearly in proportion to their number; what they need grows by a power of it between two batches.
				line = needs * math.Pow(high.needs.list()[i]/needs, between(low.views.images, v.images, high.views.images))
			}
			out[i] *= line / formula[i]
		}
	}
	return Needs{int64(out[0]), out[1], out[2]}, exact
}

// between is how far so many images are from few to many, by their logarithms: 0 to 1.
func between(few, images, many int) float64 {
	return math.Log(float64(images)/float64(few)) / math.Log(float64(many)/float64(few))
}

// aroundViews are the rows beside so many images; outside of all of them, and where one has as many, one twice: nothing of views is the
// same for any batch, so that beyond the rows it is in proportion.
func aroundViews(rows []compiledViews, images int) (low, high compiledViews) {
	at, found := slices.BinarySearchFunc(rows, images, func(r compiledViews, n int) int { return r.views.images - n })
	last := len(rows) - 1
	if found || at == 0 || at > last {
		at = min(at, last)
		return rows[at], rows[at]
	}
	return rows[at-1], rows[at]
}

// alikeViews are a family's rows of the same views, and else those that are most like them, of any family where this has none.
func alikeViews(rows []compiledViews, family string, v viewsOf) (same, like []compiledViews) {
	distance := func(r compiledViews) float64 {
		d := math.Abs(math.Log(float64(r.views.size)/float64(v.size))) + math.Abs(math.Log(float64(r.views.edge)/float64(v.edge)))
		if r.views.operations != v.operations {
			d++
		}
		if r.family != family {
			d += 10
		}
		return d
	}
	return nearest(rows, distance, func(compiledViews) bool { return true })
}
