package plan

import (
	_ "embed" // the table
	"encoding/csv"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// compiledCSV is what the compilers of accelerators said of steps; `make verify-accelerators` writes it.
//
//go:embed accelerators.csv
var compiledCSV string

// compiled is a step of a device as a compiler said.
type compiled struct {
	family    string
	step      stepOf
	precision string
	needs     Needs
}

// stepOf is a step of a network by a device among others.
type stepOf struct {
	depth     int32
	width     float64
	size      int
	images    int // of the batch that a device computes at once
	rows      int // views of the batch of all devices
	network   Network
	valueSize int64 // bytes of an activation
}

// Needs of a device in a step.
type Needs struct {
	MemoryBytes int64 // that it holds at once
	FLOPs       float64
	BytesMoved  float64 // to and from its memory
}

// compilations are the table.
var compilations = sync.OnceValue(func() []compiled { return parseCompiled(compiledCSV) })

// parseCompiled reads the table, and sorts it by images.
func parseCompiled(text string) []compiled {
	var all []compiled
	for _, r := range readTable(text) {
		depth, size, batch := int32(r.number("depth")), int(r.number("size")), int(r.number("batch"))
		precision := r.of("precision")
		s := stepOf{depth: depth, width: r.number("width"), size: size, images: batch / int(r.number("devices")), rows: 2 * batch, valueSize: valueSize(precision)}
		s.network = architecture{depth: depth, width: s.width, imageNet: size > 64, imageSize: size}.network()
		s.network.Dimension = 128
		s.network.HeadParameters = s.network.hiddenLayer() + int64(s.network.Features+1)*128
		all = append(all, compiled{r.family(), s, precision, r.needs()})
	}
	slices.SortStableFunc(all, byImages)
	return all
}

// figures are a row of a table of what compilers said.
type figures struct {
	column map[string]int
	row    []string
}

// readTable gives a table's rows of our programs, but for those of a compiler that failed, which has left no figures.
func readTable(text string) (all []figures) {
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) == 0 {
		panic("plan: a table of what compilers said is none") // it is built in, and a test reads it
	}
	column := map[string]int{}
	for i, name := range records[0] {
		column[name] = i
	}
	for _, r := range records[1:] {
		if f := (figures{column, r}); f.of("program") == "ours" && f.number("temporaryBytes") != 0 {
			all = append(all, f)
		}
	}
	return all
}

func (f figures) of(name string) string { return f.row[f.column[name]] }

// number of a column; 0: a compiler that failed left none.
func (f figures) number(name string) float64 {
	n, _ := strconv.ParseFloat(f.of(name), 64) // "" is of one that failed
	return n
}

// family of devices: cuda or a TPU generation.
func (f figures) family() string {
	if f.of("platform") == "cuda" {
		return "cuda"
	}
	generation, _, _ := strings.Cut(f.of("topology"), ":")
	return generation
}

func (f figures) needs() Needs {
	return Needs{
		MemoryBytes: int64(f.number("argumentBytes") + f.number("outputBytes") + f.number("temporaryBytes") - f.number("aliasBytes")),
		FLOPs:       f.number("flops"), BytesMoved: f.number("bytesMoved"),
	}
}

func valueSize(precision string) int64 {
	if precision == "BF16" {
		return bfloat16Bytes
	}
	return float32Bytes
}

// formula is what a step needs by a count of its values: fixed is the parameters' part, rest the images'. What compilers make of it
// differs by what is the same for any batch, such as weights in other layouts, and by a factor of the images' part.
func (s stepOf) formula() (fixed, rest [3]float64) {
	n, images := s.network, float64(s.images)
	parameters := float64(n.EncoderParameters + n.HeadParameters)
	values := 2 * images * float64(n.kept) * float64(s.valueSize)
	pixels := 2 * images * 3 * float64(s.size*s.size) * float32Bytes
	similarities := 2 * images * float64(s.rows)
	fixed = [3]float64{16 * parameters, 0, 40 * parameters}
	rest = [3]float64{
		values + pixels + float32Bytes*min(similarities, similarityRows*float64(s.rows)),
		2*3*2*images*float64(n.MultiplyAdds) + 2*3*similarities*float64(n.Dimension),
		6*values + pixels + 2*float32Bytes*similarities,
	}
	return fixed, rest
}

// similarityRows are the anchors whose similarities a device holds at once (trainer/engine/xla/emit).
const similarityRows = 512

func (n Needs) list() [3]float64 { return [3]float64{float64(n.MemoryBytes), n.FLOPs, n.BytesMoved} }

// predict what a step needs of a device by the rows of its family. exact: at a row of the same network and precision, or between those
// of at least three batches, which predict those between them (a test).
func predict(rows []compiled, family, precision string, s stepOf) (n Needs, exact, ok bool) {
	same, like := alike(rows, family, precision, s)
	if len(same) == 0 {
		if same = like; len(same) == 0 {
			return n, false, false
		}
	} else {
		exact = told(same, s.images)
	}
	low, high := around(same, s.images)
	of := low.step // the rows' network, which may be another
	of.images, of.rows = s.images, s.rows
	fixed, rest := s.formula()
	fixedOf, restOf := of.formula()
	_, restLow := low.step.formula()
	_, restHigh := high.step.formula()
	var out [3]float64
	for i, needs := range low.needs.list() {
		line := fixedOf[i] + max(0, needs-fixedOf[i])/restLow[i]*restOf[i] // one row: the images' part is in proportion
		if low.step.images != high.step.images {
			line = needs + max(0, high.needs.list()[i]-needs)/(restHigh[i]-restLow[i])*(restOf[i]-restLow[i])
		}
		out[i] = fixed[i] + max(0, line-fixedOf[i])/restOf[i]*rest[i]
	}
	return Needs{int64(out[0]), out[1], out[2]}, exact, true
}

// row of a table, of so many images a device.
type row interface{ images() int }

func (c compiled) images() int      { return c.step.images }
func (c compiledViews) images() int { return c.views.images }

func byImages[R row](a, b R) int { return a.images() - b.images() }

// batches of rows by their images, as they are once.
func batches[R row](rows []R) (images []int) {
	for _, r := range rows {
		images = append(images, r.images())
	}
	return slices.Compact(images)
}

// told says whether rows of the same tell what so many images need: one is of as many, or they are between those of at least three.
func told[R row](rows []R, images int) bool {
	at := batches(rows)
	return slices.Contains(at, images) || len(at) >= 3 && images > at[0] && images < at[len(at)-1]
}

// around are two of a network's rows, by their images, that a line is drawn through to so many: those beside them, or the outermost
// two. Where all rows have as many, it is one of them twice.
func around(rows []compiled, images int) (low, high compiled) {
	rows = slices.CompactFunc(slices.Clone(rows), func(a, b compiled) bool { return a.step.images == b.step.images })
	if len(rows) == 1 {
		return rows[0], rows[0]
	}
	at, _ := slices.BinarySearchFunc(rows, images, func(r compiled, n int) int { return r.step.images - n })
	at = min(max(at, 1), len(rows)-1)
	return rows[at-1], rows[at]
}

// alike are a family's rows of the same network, by their images, and else those of the network that is most like it, of any family
// where this has none.
func alike(rows []compiled, family, precision string, s stepOf) (same, like []compiled) {
	distance := func(r compiled) float64 {
		d := math.Abs(math.Log(float64(r.step.network.kept)/float64(s.network.kept))) + math.Abs(math.Log(float64(r.step.network.EncoderParameters)/float64(s.network.EncoderParameters)))
		if (r.step.depth >= 50) != (s.depth >= 50) {
			d++
		}
		if r.family != family {
			d += 10
		}
		if r.precision != precision {
			d += 2
		}
		return d
	}
	return nearest(rows, distance, func(r compiled) bool { return r.step.depth == s.depth && r.step.size == s.size })
}

// nearest are the rows at no distance that are the same, and of the others those at the least.
func nearest[R any](rows []R, distance func(R) float64, is func(R) bool) (same, like []R) {
	least := math.Inf(1)
	for _, r := range rows {
		switch d := distance(r); {
		case d == 0 && is(r):
			same = append(same, r)
		case d < least:
			least, like = d, []R{r}
		case d == least:
			like = append(like, r)
		}
	}
	return same, like
}
