package runs

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	at := time.Unix(7, 0)
	for _, c := range []struct {
		line string
		want EpochEnd
		ok   bool
	}{
		{`{"time":"2026-01-02T03:04:05.6Z","level":"INFO","msg":"epoch","run":"r","stage":"pretrain","attempt":1,"rank":0,"epoch":2,"loss":5.5,"learningRate":0.75,"imagesPerSecond":25.5,"step":78}`,
			EpochEnd{2, 78, 5.5, at}, true},
		{`{"epoch": 1, "step": 39, "loss": 5.75, "seconds": 35.5, "imagesPerSecond": 281.5}`, EpochEnd{1, 39, 5.75, at}, true},
		{line: `{"level":"INFO","msg":"checkpoint","path":"p","step":78}`},
		{line: `{"level":"INFO","msg":"resumed","epoch":2,"step":78}`},
		{line: `{"knnTop1": 0.4, "linearTop1": 0.45}`},
		{line: `pretrain  training  12%  epoch 1  step 1/8  loss 6.0624`},
		{line: ``},
	} {
		if got, ok := parse([]byte(c.line), at); got != c.want || ok != c.ok {
			t.Errorf("%s: wanted %v %v, got %v %v", c.line, c.want, c.ok, got, ok)
		}
	}
}

func TestListen(t *testing.T) {
	var epochs []int32
	last := listen(strings.NewReader(strings.Repeat("warning\n", 30)+`{"epoch":1,"step":1}`+"\nerror"), func(e EpochEnd) {
		epochs = append(epochs, e.Epoch)
	})
	if want := []int32{1}; !slices.Equal(epochs, want) {
		t.Errorf("wanted the epochs %v, got %v", want, epochs)
	}
	if len(last) != 20 || last[19] != "error" {
		t.Errorf("wanted the last 20 lines, got %q", last)
	}
}

func TestImagesPerSecond(t *testing.T) {
	end := func(epoch int32, step int64, seconds float64) EpochEnd {
		return EpochEnd{epoch, step, 0, time.Unix(0, int64(seconds*1e9))}
	}
	for _, c := range []struct {
		ends []EpochEnd
		want []float64
	}{
		{nil, nil},
		{[]EpochEnd{end(1, 39, 50)}, nil}, // the first epoch is not timed
		{[]EpochEnd{end(1, 39, 50), end(2, 78, 82), end(3, 117, 98)}, []float64{312, 624}},
	} {
		if got := imagesPerSecond(c.ends, 256); !slices.Equal(got, c.want) {
			t.Errorf("%v: wanted %v, got %v", c.ends, c.want, got)
		}
	}
}
