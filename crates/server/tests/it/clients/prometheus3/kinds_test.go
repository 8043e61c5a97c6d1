package prometheus3

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
)

// A sample holds a float, an integer histogram or a histogram of floats.
type sample struct {
	at        int64
	float     float64
	integers  *histogram.Histogram
	fractions *histogram.FloatHistogram
}

// The samples of each metric, a second apart, in the order of their times.
type held map[string][]sample

// Something of every kind that a sender can have.
func everything(start int64) held {
	return held{
		"floats":           floats(start, 500),
		"integers":         integers(start, 400),
		"fractions":        fractions(start, 300),
		"gauges":           gauges(start, 150),
		"customs":          customs(start, 200),
		"custom_fractions": customFractions(start, 150),
		"mixed":            mixed(start, 90),
	}
}

func second(start int64, number int) int64 { return start + int64(number)*1000 }

// A negative zero is not among them: this sender takes it for the default of its message and leaves it out.
func floats(start int64, count int) []sample {
	odd := []float64{
		math.Inf(1), math.Inf(-1), math.SmallestNonzeroFloat64, math.MaxFloat64,
		math.Float64frombits(value.NormalNaN), math.Float64frombits(value.StaleNaN), math.Float64frombits(0xfff8_0000_dead_beef),
	}
	var all []sample
	for n := range count {
		float := math.Sqrt(float64(n))
		if n%10 == 7 {
			float = odd[n/10%len(odd)]
		}
		all = append(all, sample{at: second(start, n), float: float})
	}
	return all
}

// A counter that starts anew at 150, has more buckets from 200 on, and ends with a stale marker.
func integers(start int64, count int) []sample {
	var all []sample
	for n := range count - 1 {
		grown := int64(n)
		if n >= 150 {
			grown -= 150
		}
		one := &histogram.Histogram{
			Schema: 3, ZeroThreshold: 1e-128, ZeroCount: uint64(grown), Count: uint64(10 + 5*grown), Sum: float64(grown) / 3,
			PositiveSpans:   []histogram.Span{{Offset: -2, Length: 2}, {Offset: 3, Length: 1}},
			PositiveBuckets: []int64{4 + grown, -1, -3},
			NegativeSpans:   []histogram.Span{{Offset: 0, Length: 1}},
			NegativeBuckets: []int64{3 + grown},
		}
		if n >= 200 {
			one.PositiveSpans = []histogram.Span{{Offset: -2, Length: 3}, {Offset: 2, Length: 1}}
			one.PositiveBuckets = []int64{4 + grown, -1, -2, -1}
			one.Count += uint64(1 + grown)
		}
		all = append(all, sample{at: second(start, n), integers: one})
	}
	stale := &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}
	return append(all, sample{at: second(start, count-1), integers: stale})
}

func fractions(start int64, count int) []sample {
	var all []sample
	for n := range count {
		grown := float64(n%130) * 0.1
		all = append(all, sample{at: second(start, n), fractions: &histogram.FloatHistogram{
			Schema: -1, ZeroThreshold: 0.001, ZeroCount: grown / 7, Count: 3*grown + grown/7, Sum: -1 - grown,
			PositiveSpans:   []histogram.Span{{Offset: 1, Length: 1}, {Offset: 1, Length: 1}},
			PositiveBuckets: []float64{grown, grown / 2},
			NegativeSpans:   []histogram.Span{{Offset: 5, Length: 2}},
			NegativeBuckets: []float64{grown, grown / 2},
		}})
	}
	return all
}

// Up and down, and said to be a gauge.
func gauges(start int64, count int) []sample {
	var all []sample
	for n := range count {
		now := int64(n * 7919 % 100)
		all = append(all, sample{at: second(start, n), integers: &histogram.Histogram{
			CounterResetHint: histogram.GaugeType, Schema: 0, Count: uint64(2*now + 1), Sum: float64(now),
			PositiveSpans:   []histogram.Span{{Offset: 0, Length: 2}},
			PositiveBuckets: []int64{now, 1},
		}})
	}
	return all
}

// Buckets with bounds of their own, which are others from 90 on.
func customs(start int64, count int) []sample {
	var all []sample
	for n := range count {
		bounds := []float64{0.1, 0.5, 2, 10}
		if n >= 90 {
			bounds = []float64{0.25, 1, 5}
		}
		all = append(all, sample{at: second(start, n), integers: &histogram.Histogram{
			Schema: histogram.CustomBucketsSchema, Count: uint64(3*n + 5), Sum: float64(n) * 1.1, CustomValues: bounds,
			PositiveSpans:   []histogram.Span{{Offset: 0, Length: 1}, {Offset: 1, Length: 2}},
			PositiveBuckets: []int64{int64(n), 2, 1},
		}})
	}
	return all
}

func customFractions(start int64, count int) []sample {
	var all []sample
	for n := range count {
		grown := float64(n) / 3
		all = append(all, sample{at: second(start, n), fractions: &histogram.FloatHistogram{
			Schema: histogram.CustomBucketsSchema, Count: 2*grown + 0.5, Sum: grown, CustomValues: []float64{-1, 0, 1},
			PositiveSpans:   []histogram.Span{{Offset: 1, Length: 3}},
			PositiveBuckets: []float64{grown, grown, 0.5},
		}})
	}
	return all
}

func mixed(start int64, count int) []sample {
	kinds := [][]sample{floats(start, count), integers(start, count), fractions(start, count)}
	var all []sample
	for n := range count {
		all = append(all, kinds[n/4%3][n])
	}
	return all
}
