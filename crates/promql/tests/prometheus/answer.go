package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

type answer struct {
	// Empty: it went well.
	Error   string `json:"error,omitempty"`
	Printed string `json:"printed,omitempty"`
	Pretty  string `json:"pretty,omitempty"`

	Kind     string   `json:"kind,omitempty"`
	Scalar   bits     `json:"scalar,omitempty"`
	String   string   `json:"string,omitempty"`
	Series   []series `json:"series,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	Infos    []string `json:"infos,omitempty"`
}

// The bits of a float as 16 digits: JSON has neither NaN nor infinity.
type bits string

func bitsOf(value float64) bits { return bits(fmt.Sprintf("%016x", math.Float64bits(value))) }

type series struct {
	Labels [][2]string `json:"labels"`
	Points []point     `json:"points"`
}

// A float or a histogram.
type point struct {
	Ms        int64   `json:"ms"`
	Float     bits    `json:"float,omitempty"`
	Histogram *native `json:"histogram,omitempty"`
}

// A native histogram without empty buckets at the edges of spans and without empty spans.
type native struct {
	Hint          string   `json:"hint"`
	Schema        int32    `json:"schema"`
	ZeroThreshold bits     `json:"zero_threshold"`
	ZeroCount     bits     `json:"zero_count"`
	Count         bits     `json:"count"`
	Sum           bits     `json:"sum"`
	Positive      []bucket `json:"positive"`
	Negative      []bucket `json:"negative"`
	Custom        []bits   `json:"custom"`
}

// Its index and what it counts.
type bucket struct {
	Index int32 `json:"index"`
	Count bits  `json:"count"`
}

func told(result *promql.Result, text string) answer {
	told := answer{}
	told.Warnings, told.Infos = result.Warnings.AsStrings(text, 0, 0)
	slices.Sort(told.Warnings)
	slices.Sort(told.Infos)
	if result.Err != nil {
		told.Error = result.Err.Error()
		return told
	}
	told.Kind = string(result.Value.Type())
	switch value := result.Value.(type) {
	case promql.Scalar:
		told.Scalar = bitsOf(value.V)
	case promql.String:
		told.String = value.V
	case promql.Vector:
		for _, sample := range value {
			told.Series = append(told.Series, series{pairs(sample.Metric), []point{pointOf(sample.T, sample.F, sample.H)}})
		}
	case promql.Matrix:
		for _, row := range value {
			points := []point{}
			for _, held := range row.Floats {
				points = append(points, pointOf(held.T, held.F, nil))
			}
			for _, held := range row.Histograms {
				points = append(points, pointOf(held.T, 0, held.H))
			}
			slices.SortStableFunc(points, func(a, b point) int { return int(a.Ms - b.Ms) })
			told.Series = append(told.Series, series{pairs(row.Metric), points})
		}
	}
	return told
}

func pairs(set labels.Labels) [][2]string {
	all := [][2]string{}
	set.Range(func(label labels.Label) { all = append(all, [2]string{label.Name, label.Value}) })
	return all
}

func pointOf(ms int64, value float64, held *histogram.FloatHistogram) point {
	if held == nil {
		return point{Ms: ms, Float: bitsOf(value)}
	}
	custom := []bits{}
	for _, bound := range held.CustomValues {
		custom = append(custom, bitsOf(bound))
	}
	hints := map[histogram.CounterResetHint]string{
		histogram.UnknownCounterReset: "unknown",
		histogram.CounterReset:        "reset",
		histogram.NotCounterReset:     "not_reset",
		histogram.GaugeType:           "gauge",
	}
	return point{Ms: ms, Histogram: &native{
		Hint:          hints[held.CounterResetHint],
		Schema:        held.Schema,
		ZeroThreshold: bitsOf(held.ZeroThreshold),
		ZeroCount:     bitsOf(held.ZeroCount),
		Count:         bitsOf(held.Count),
		Sum:           bitsOf(held.Sum),
		Positive:      buckets(held.PositiveSpans, held.PositiveBuckets),
		Negative:      buckets(held.NegativeSpans, held.NegativeBuckets),
		Custom:        custom,
	}}
}

// Those that count something: what is compared is what is in a histogram, not how it is laid out.
func buckets(spans []histogram.Span, counts []float64) []bucket {
	all := []bucket{}
	index, at := int32(0), 0
	for _, span := range spans {
		index += span.Offset
		for range span.Length {
			if counts[at] != 0 {
				all = append(all, bucket{index, bitsOf(counts[at])})
			}
			index++
			at++
		}
	}
	return all
}
