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

// parseCompiled reads the table's rows of our program. A compiler that failed has left no figures.
func parseCompiled(text string) []compiled {
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(records) == 0 {
		panic("plan: accelerators.csv is no table") // it is built in, and a test reads it
	}
	column := map[string]int{}
	for i, name := range records[0] {
		column[name] = i
	}
	var all []compiled
	for _, r := range records[1:] {
		number := func(name string) float64 {
			f, _ := strconv.ParseFloat(r[column[name]], 64) // "" is of a compiler that failed
			return f
		}
		if r[column["program"]] != "ours" || number("temporaryBytes") == 0 {
			continue
		}
		family, _, _ := strings.Cut(r[column["topology"]], ":")
		if r[column["platform"]] == "cuda" {
			family = "cuda"
		}
		depth, size, batch := int32(number("depth")), int(number("size")), int(number("batch"))
		precision := r[column["precision"]]
		s := stepOf{depth: depth, width: number("width"), size: size, images: batch / int(number("devices")), rows: 2 * batch, valueSize: valueSize(precision)}
		s.network = architecture{depth: depth, width: s.width, imageNet: size > 64, imageSize: size}.network()
		s.network.Dimension = 128
		s.network.HeadParameters = s.network.hiddenLayer() + int64(s.network.Features+1)*128
		all = append(all, compiled{family, s, precision, Needs{
			MemoryBytes: int64(number("argumentBytes") + number("outputBytes") + number("temporaryBytes") - number("aliasBytes")),
			FLOPs:       number("flops"), BytesMoved: number("bytesMoved"),
		}})
	}
	return all
}

func valueSize(precision string) int64 {
	if precision == "BF16" {
		return bfloat16Bytes
	}
	return float32Bytes
}

// formula is what a step needs by a count of its values: what compilers make of it differs by a factor that hardly changes with
// the batch.
func (s stepOf) formula() [3]float64 {
	n, images := s.network, float64(s.images)
	parameters := float64(n.EncoderParameters + n.HeadParameters)
	values := 2 * images * float64(n.kept) * float64(s.valueSize)
	pixels := 2 * images * 3 * float64(s.size*s.size) * float32Bytes
	similarities := 2 * images * float64(s.rows)
	return [3]float64{
		16*parameters + values + pixels + float32Bytes*min(similarities, similarityRows*float64(s.rows)),
		2*3*2*images*float64(n.MultiplyAdds) + 2*3*similarities*float64(n.Dimension),
		40*parameters + 6*values + pixels + 2*float32Bytes*similarities,
	}
}

// similarityRows are the anchors whose similarities a device holds at once (trainer/engine/xla/emit).
const similarityRows = 512

func (n Needs) list() [3]float64 { return [3]float64{float64(n.MemoryBytes), n.FLOPs, n.BytesMoved} }

// predict what a step needs of a device by the rows of its family. exact: between two rows of the same network and precision, or at one.
func predict(rows []compiled, family, precision string, s stepOf) (n Needs, exact, ok bool) {
	same, like := alike(rows, family, precision, s)
	if len(same) == 0 {
		if same = like; len(same) == 0 {
			return n, false, false
		}
	} else {
		exact = s.images >= same[0].step.images && s.images <= same[len(same)-1].step.images
	}
	low, high := same[0], same[len(same)-1]
	for _, r := range same {
		if r.step.images <= s.images {
			low = r
		}
		if r.step.images >= s.images && high.step.images > r.step.images {
			high = r
		}
	}
	if low.step.images > s.images {
		low = high
	}
	part := 0.0
	if a, b := low.step.images, high.step.images; b > a && s.images > a {
		part = min(1, math.Log(float64(s.images)/float64(a))/math.Log(float64(b)/float64(a)))
	}
	var out [3]float64
	own, a, b := s.formula(), low.step.formula(), high.step.formula()
	for i := range out {
		factor := (1-part)*low.needs.list()[i]/a[i] + part*high.needs.list()[i]/b[i]
		out[i] = own[i] * factor
	}
	return Needs{int64(out[0]), out[1], out[2]}, exact, true
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
	least := math.Inf(1)
	for _, r := range rows {
		switch d := distance(r); {
		case d == 0 && r.step.depth == s.depth && r.step.size == s.size:
			same = append(same, r)
		case d < least:
			least, like = d, []compiled{r}
		case d == least:
			like = append(like, r)
		}
	}
	byImages := func(a, b compiled) int { return a.step.images - b.step.images }
	slices.SortStableFunc(same, byImages)
	slices.SortStableFunc(like, byImages)
	return same, like
}
