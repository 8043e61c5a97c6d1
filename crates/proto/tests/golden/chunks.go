// Makes chunks.txt: series of samples, and the chunks that Prometheus makes of them. Needs the module
// github.com/prometheus/prometheus at v0.314.0; prints to stdout. The form of the lines is told in ../it/chunks.rs.
package main

import (
	"bufio"
	"fmt"
	"math"
	"math/rand"
	"os"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

const stale = uint64(0x7ff0000000000002)

var out = bufio.NewWriter(os.Stdout)

func bits(f float64) string { return fmt.Sprintf("%016x", math.Float64bits(f)) }

func list[T any](all []T, text func(T) string) string {
	if len(all) == 0 {
		return "-"
	}
	var parts []string
	for _, one := range all {
		parts = append(parts, text(one))
	}
	return strings.Join(parts, ",")
}
func spans(s []histogram.Span) string {
	return list(s, func(s histogram.Span) string { return fmt.Sprintf("%d:%d", s.Offset, s.Length) })
}
func ints(v []int64) string   { return list(v, func(v int64) string { return fmt.Sprint(v) }) }
func floats(v []float64) string { return list(v, bits) }

var hints = map[histogram.CounterResetHint]string{0: "unknown", 1: "reset", 2: "not_reset", 3: "gauge"}

func chunk(c chunkenc.Chunk) { fmt.Fprintf(out, "chunk %d %x\n", c.Encoding(), c.Bytes()) }

func xor(name string, ts []int64, vs []float64) {
	fmt.Fprintf(out, "series %s\n", name)
	c := chunkenc.NewXORChunk()
	app, _ := c.Appender()
	for i := range ts {
		fmt.Fprintf(out, "float %d %s\n", ts[i], bits(vs[i]))
		if c.NumSamples() == 120 {
			chunk(c)
			c = chunkenc.NewXORChunk()
			app, _ = c.Appender()
		}
		app.Append(0, ts[i], vs[i])
	}
	chunk(c)
}

func integer(name string, ts []int64, hs []*histogram.Histogram) {
	fmt.Fprintf(out, "series %s\n", name)
	var c chunkenc.Chunk = chunkenc.NewHistogramChunk()
	app, _ := c.Appender()
	var prev chunkenc.Appender
	for i, h := range hs {
		fmt.Fprintf(out, "integer %d %d %s %s %s %d %d %s %s %s %s %s\n", ts[i], h.Schema, hints[h.CounterResetHint], bits(h.Sum), bits(h.ZeroThreshold),
			h.Count, h.ZeroCount, ints(h.PositiveBuckets), ints(h.NegativeBuckets), spans(h.PositiveSpans), spans(h.NegativeSpans), floats(h.CustomValues))
		if c.NumSamples() == 120 {
			chunk(c)
			prev = app
			c = chunkenc.NewHistogramChunk()
			app, _ = c.Appender()
		}
		n, recoded, a, err := app.AppendHistogram(prev, 0, ts[i], h.Copy(), false)
		if err != nil || recoded {
			panic(fmt.Sprint(err, recoded))
		}
		if n != nil {
			chunk(c)
			c = n
		}
		app = a
	}
	chunk(c)
}

func float(name string, ts []int64, hs []*histogram.FloatHistogram) {
	fmt.Fprintf(out, "series %s\n", name)
	var c chunkenc.Chunk = chunkenc.NewFloatHistogramChunk()
	app, _ := c.Appender()
	var prev chunkenc.Appender
	for i, h := range hs {
		fmt.Fprintf(out, "floating %d %d %s %s %s %s %s %s %s %s %s %s\n", ts[i], h.Schema, hints[h.CounterResetHint], bits(h.Sum), bits(h.ZeroThreshold),
			bits(h.Count), bits(h.ZeroCount), floats(h.PositiveBuckets), floats(h.NegativeBuckets), spans(h.PositiveSpans), spans(h.NegativeSpans), floats(h.CustomValues))
		if c.NumSamples() == 120 {
			chunk(c)
			prev = app
			c = chunkenc.NewFloatHistogramChunk()
			app, _ = c.Appender()
		}
		n, recoded, a, err := app.AppendFloatHistogram(prev, 0, ts[i], h.Copy(), false)
		if err != nil || recoded {
			panic(fmt.Sprint(err, recoded))
		}
		if n != nil {
			chunk(c)
			c = n
		}
		app = a
	}
	chunk(c)
}

func times(r *rand.Rand, n int, start, step, jitter int64) []int64 {
	var ts []int64
	t := start
	for range n {
		ts = append(ts, t)
		t += step
		if jitter > 0 {
			t += r.Int63n(jitter)
		}
	}
	return ts
}

type shape struct {
	schema     int32
	zt         float64
	ps, ns     []histogram.Span
	custom     []float64
	gauge      bool
	resetEvery int
}

func count(s []histogram.Span) (n int) {
	for _, one := range s {
		n += int(one.Length)
	}
	return
}

func series(r *rand.Rand, n int, s shape) (hs []*histogram.Histogram) {
	p, ng := make([]int64, count(s.ps)), make([]int64, count(s.ns))
	var zero, total int64
	sum := 0.0
	for i := range n {
		if s.resetEvery > 0 && i%s.resetEvery == s.resetEvery-1 {
			zero, total, sum = 0, 0, 0
			clear(p)
			clear(ng)
		}
		for k := range p {
			d := r.Int63n(1 << uint(r.Intn(14)))
			if s.gauge && r.Intn(2) == 0 && p[k] > 0 {
				d = -r.Int63n(p[k] + 1)
			}
			p[k] += d
			total += d
		}
		for k := range ng {
			d := r.Int63n(40)
			ng[k] += d
			total += d
		}
		if s.schema != histogram.CustomBucketsSchema {
			d := r.Int63n(3)
			zero += d
			total += d
		}
		sum += r.NormFloat64() * 100
		h := &histogram.Histogram{Schema: s.schema, ZeroThreshold: s.zt, ZeroCount: uint64(zero), Count: uint64(total), Sum: sum,
			PositiveSpans: s.ps, NegativeSpans: s.ns, CustomValues: s.custom}
		if s.gauge {
			h.CounterResetHint = histogram.GaugeType
		}
		last := int64(0)
		for _, v := range p {
			h.PositiveBuckets = append(h.PositiveBuckets, v-last)
			last = v
		}
		last = 0
		for _, v := range ng {
			h.NegativeBuckets = append(h.NegativeBuckets, v-last)
			last = v
		}
		hs = append(hs, h)
	}
	return
}

func main() {
	defer out.Flush()
	r := rand.New(rand.NewSource(314))
	// Floats.
	n := 130
	v := make([]float64, n)
	for i := range v {
		v[i] = 42
	}
	xor("constant_at_a_steady_pace", times(r, n, 1700000000000, 15000, 0), v)
	v = make([]float64, n)
	c := 0.0
	for i := range v {
		c += float64(r.Intn(1000))
		v[i] = c
	}
	xor("counter_with_jitter", times(r, n, 1700000000123, 15000, 30), v)
	v = make([]float64, 60)
	for i := range v {
		v[i] = r.NormFloat64() * math.Pow(10, float64(r.Intn(40)-20))
	}
	ts := times(r, 60, -5000000, 1, 0)
	for i := range ts {
		ts[i] += int64(i*i*i) * int64(1<<uint(i%20))
	}
	for i := 1; i < len(ts); i++ {
		if ts[i] <= ts[i-1] {
			ts[i] = ts[i-1] + 1
		}
	}
	xor("random_values_at_wild_times", ts, v)
	special := []uint64{0, 1 << 63, stale, 0x7ff8000000000001, 0x7ff0000000000000, 0xfff0000000000000, 1, ^uint64(0), 0x3ff0000000000000, stale}
	v = nil
	for i := range 40 {
		v = append(v, math.Float64frombits(special[(i*7+i/10)%len(special)]))
	}
	xor("special_bits", times(r, 40, 0, 8191, 3), v)
	edge := []int64{0, 1, 8192, 8193, -8191 + 20000, -8192 + 20000, 65536, 65537, 524288, 524289, 600000, 1 << 40}
	ts = []int64{math.MinInt64 / 4}
	d := int64(100000)
	for _, e := range edge {
		d += e - 20000
		if d < 1 {
			d = 1
		}
		ts = append(ts, ts[len(ts)-1]+d)
	}
	xor("edges_of_the_widths_of_a_time", ts, make([]float64, len(ts)))
	xor("one_sample", []int64{math.MaxInt64 / 2}, []float64{1})

	sp := func(v ...int) (s []histogram.Span) {
		for i := 0; i < len(v); i += 2 {
			s = append(s, histogram.Span{Offset: int32(v[i]), Length: uint32(v[i+1])})
		}
		return
	}
	shapes := []struct {
		name string
		s    shape
		n    int
	}{
		{"counter", shape{schema: 3, zt: math.Ldexp(1, -128), ps: sp(-3, 3, 4, 2), ns: sp(0, 1)}, 125},
		{"counter_that_resets", shape{schema: 8, zt: 0.001, ps: sp(2, 2), ns: sp(-1, 2, 1, 1), resetEvery: 17}, 60},
		{"gauge", shape{schema: -4, zt: 0, ps: sp(0, 4), gauge: true}, 130},
		{"no_buckets", shape{schema: 0, zt: 1024}, 20},
		{"thresholds_beyond_a_byte", shape{schema: 0, zt: 2048, ps: sp(1, 1)}, 5},
		{"smallest_threshold_of_a_byte", shape{schema: 0, zt: math.Ldexp(1, -243), ps: sp(1, 1)}, 5},
		{"threshold_below_a_byte", shape{schema: 0, zt: math.Ldexp(1, -244), ps: sp(1, 1)}, 5},
		{"custom_buckets", shape{schema: histogram.CustomBucketsSchema, ps: sp(0, 3, 2, 2), custom: []float64{-1, 0, 0.005, 0.1, 1.0 / 3, 33554.43, 33554.431, 1e9}}, 20},
		{"empty_spans_between", shape{schema: 1, zt: 0.5, ps: sp(0, 0, 2, 2, 0, 1, 1, 0), ns: sp(5, 0)}, 10},
	}
	for _, one := range shapes {
		hs := series(r, one.n, one.s)
		ts := times(r, one.n, 1700000000000, 15000, 4)
		integer(one.name, ts, hs)
		var fs []*histogram.FloatHistogram
		for _, h := range hs {
			f := h.ToFloat(nil)
			if !one.s.gauge && one.name == "counter" {
				f.Count *= 1.5
				for k := range f.PositiveBuckets {
					f.PositiveBuckets[k] *= 1.1
				}
			}
			fs = append(fs, f)
		}
		if len(fs) > 40 {
			fs = fs[:40]
		}
		float("float_"+one.name, ts, fs)
	}
	// Hints and stale markers.
	hs := series(r, 12, shape{schema: 2, zt: 0, ps: sp(0, 2), ns: sp(3, 1)})
	gone := math.Float64frombits(stale)
	hs[3] = &histogram.Histogram{Sum: gone}
	hs[4] = &histogram.Histogram{Sum: gone}
	hs[7].CounterResetHint = histogram.CounterReset
	hs[8].CounterResetHint = histogram.NotCounterReset
	hs[11] = &histogram.Histogram{Sum: gone}
	ts = times(r, 12, 1700000000000, 15000, 4)
	integer("stale_markers_and_hints", ts, hs)
	var fs []*histogram.FloatHistogram
	for _, h := range hs {
		fs = append(fs, h.ToFloat(nil))
	}
	float("float_stale_markers_and_hints", ts, fs)
	integer("stale_first", ts[:2], []*histogram.Histogram{{Sum: gone}, hs[1]})
	float("float_stale_first", ts[:2], []*histogram.FloatHistogram{{Sum: gone}, fs[1]})
	// Counts of every width.
	hs = nil
	for i, c := range []uint64{0, 1, 4, 5, 36, 37, 300, 301, 2500, 3000, 140000, 300000, 20000000, 1 << 40, 1 << 57, 1 << 62} {
		hs = append(hs, &histogram.Histogram{Count: c, Sum: float64(i), ZeroThreshold: 0.25, ZeroCount: c / 2, PositiveSpans: sp(-100000, 1, 70000, 1), PositiveBuckets: []int64{int64(c / 4), int64(c / 8)}})
	}
	integer("counts_of_every_width", times(r, len(hs), -7, 1, 0), hs)
}
