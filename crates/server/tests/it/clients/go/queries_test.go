package clients

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

func TestAnInstantQueryAnswersEachTypeOfValue(t *testing.T) {
	ctx, at := patience(t), model.TimeFromUnix(end.Unix())
	vector := quiet[model.Value](t)(prometheus.Query(ctx, "up", end))
	same[model.Value](t, vector, model.Vector{
		{Metric: up("a"), Value: 1, Timestamp: at},
		{Metric: up("b"), Value: 1, Timestamp: at},
	})
	scalar := quiet[model.Value](t)(prometheus.Query(ctx, "-1 / 0", end))
	same[model.Value](t, scalar, &model.Scalar{Value: model.SampleValue(math.Inf(-1)), Timestamp: at})
	matrix := quiet[model.Value](t)(prometheus.Query(ctx, `up{instance="b"}[16s]`, end))
	same[model.Value](t, matrix, model.Matrix{{
		Metric: up("b"),
		Values: []model.SamplePair{{Timestamp: at - 15_000, Value: 1}, {Timestamp: at, Value: 1}},
	}})
	// The client knows no strings.
	if _, _, err := prometheus.Query(ctx, `"text"`, end); err == nil || !strings.Contains(err.Error(), "unexpected value type") {
		t.Error(err)
	}
}

func TestARangeQueryAnswersEachStep(t *testing.T) {
	steps := v1.Range{Start: start, End: end, Step: apart}
	matrix := quiet[model.Value](t)(prometheus.QueryRange(patience(t), "sum(up)", steps)).(model.Matrix)
	if len(matrix) != 1 || len(matrix[0].Values) != samples {
		t.Fatal(matrix)
	}
	for number, pair := range matrix[0].Values {
		at := model.TimeFromUnix(start.Add(time.Duration(number) * apart).Unix())
		same(t, pair, model.SamplePair{Timestamp: at, Value: 2})
	}
	half := v1.Range{Start: start, End: end, Step: 500 * time.Millisecond}
	matrix = quiet[model.Value](t)(prometheus.QueryRange(patience(t), `up{instance="a"}`, half)).(model.Matrix)
	if len(matrix) != 1 || len(matrix[0].Values) != 30*(samples-1)+1 {
		t.Fatal(matrix)
	}
}

// What is in the histogram of exponential buckets, and in that of custom ones.
func exponential() *model.SampleHistogram {
	return &model.SampleHistogram{Count: 6, Sum: 4.5, Buckets: model.HistogramBuckets{
		{Boundaries: 3, Lower: -0.001, Upper: 0.001, Count: 1},
		{Boundaries: 0, Lower: 0.5, Upper: 1, Count: 2},
		{Boundaries: 0, Lower: 1, Upper: 2, Count: 3},
	}}
}

func custom() *model.SampleHistogram {
	return &model.SampleHistogram{Count: 4, Sum: 2.25, Buckets: model.HistogramBuckets{
		{Boundaries: 3, Lower: model.FloatString(math.Inf(-1)), Upper: 0.5, Count: 3},
		{Boundaries: 0, Lower: 2, Upper: model.FloatString(math.Inf(1)), Count: 1},
	}}
}

func TestNativeHistogramsComeWithTheirBuckets(t *testing.T) {
	ctx, at := patience(t), model.TimeFromUnix(end.Unix())
	for query, want := range map[string]*model.SampleHistogram{"latency_seconds": exponential(), "latency_custom": custom()} {
		metric := model.Metric{"__name__": model.LabelValue(query), "job": "node"}
		vector := quiet[model.Value](t)(prometheus.Query(ctx, query, end))
		same[model.Value](t, vector, model.Vector{{Metric: metric, Timestamp: at, Histogram: want}})
		pair := []model.SampleHistogramPair{{Timestamp: at, Histogram: want}}
		steps := v1.Range{Start: end, End: end, Step: apart}
		matrix := quiet[model.Value](t)(prometheus.QueryRange(ctx, query, steps))
		same[model.Value](t, matrix, model.Matrix{{Metric: metric, Histograms: pair}})
	}
	quantile := quiet[model.Value](t)(prometheus.Query(ctx, "histogram_count(latency_seconds)", end)).(model.Vector)
	same(t, quantile[0].Value, 6)
}

func TestOptionsReachTheServer(t *testing.T) {
	ctx := patience(t)
	later := end.Add(time.Minute)
	for lookback, want := range map[time.Duration]int{30 * time.Second: 0, 90 * time.Second: 2} {
		found := quiet[model.Value](t)(prometheus.Query(ctx, "up", later, v1.WithLookbackDelta(lookback)))
		same(t, len(found.(model.Vector)), want)
	}
	limited, warnings, err := prometheus.Query(ctx, "up", end, v1.WithLimit(1))
	same(t, warnings, v1.Warnings{"results truncated due to limit"})
	same(t, len(ok[model.Value](t)(limited, err).(model.Vector)), 1)
	steps := v1.Range{Start: start, End: end, Step: apart}
	limited, warnings, err = prometheus.QueryRange(ctx, "up", steps, v1.WithLimit(1))
	same(t, warnings, v1.Warnings{"results truncated due to limit"})
	same(t, len(ok[model.Value](t)(limited, err).(model.Matrix)), 1)
	// The client asks for statistics and throws them away.
	quiet[model.Value](t)(prometheus.Query(ctx, "up", end, v1.WithStats(v1.AllStatsValue), v1.WithTimeout(90*time.Second)))
	quiet[model.Value](t)(prometheus.QueryRange(ctx, "up", steps, v1.WithStats(v1.AllStatsValue), v1.WithTimeout(time.Minute)))
}

func TestWarningsComeWithTheirAnswer(t *testing.T) {
	vector, warnings, err := prometheus.Query(patience(t), "histogram_quantile(2, latency_seconds)", end)
	same(t, ok[model.Value](t)(vector, err).(model.Vector)[0].Value, model.SampleValue(math.Inf(1)))
	if len(warnings) != 1 || !strings.Contains(warnings[0], "quantile value should be between 0 and 1, got 2") {
		t.Error(warnings)
	}
}

func TestErrorsHaveTheTypesOfTheClient(t *testing.T) {
	ctx := patience(t)
	steps := v1.Range{Start: start, End: end, Step: apart}
	long := v1.Range{Start: end.Add(-24 * time.Hour), End: end, Step: time.Second}
	_, _, parse := prometheus.Query(ctx, "sum(up", end)
	_, _, many := prometheus.Query(ctx, "up * on (job) up", end)
	_, _, manySteps := prometheus.QueryRange(ctx, "up", long)
	_, _, backwards := prometheus.QueryRange(ctx, "up", v1.Range{Start: end, End: start, Step: apart})
	_, _, selector := prometheus.Series(ctx, []string{"{}"}, start, end)
	_, _, none := prometheus.Series(ctx, nil, start, end)
	_, _, kind := prometheus.QueryRange(ctx, "up[1m]", steps)
	_, exemplars := prometheus.QueryExemplars(ctx, "up{", start, end)
	_, format := prometheus.FormatQuery(ctx, "up{")
	_, _, large := prometheus.Query(ctx, "sum(sum_over_time(up[400d:50ms]))", end)
	for _, one := range []struct {
		err  error
		kind v1.ErrorType
		says string
	}{
		{parse, v1.ErrBadData, "unclosed left parenthesis"},
		{many, v1.ErrExec, "found duplicate series for the match group"},
		{manySteps, v1.ErrBadData, "points per timeseries"},
		{backwards, v1.ErrBadData, "end timestamp must not be before start time"},
		{selector, v1.ErrBadData, "match[] must contain at least one non-empty matcher"},
		{none, v1.ErrBadData, "no match[] parameter provided"},
		{kind, v1.ErrBadData, `invalid expression type "range vector" for range query`},
		{exemplars, v1.ErrBadData, "unexpected end of input inside braces"},
		{format, v1.ErrBadData, "unexpected end of input inside braces"},
		{large, v1.ErrExec, "query processing would load too many samples into memory"},
	} {
		var told *v1.Error
		if !errors.As(one.err, &told) || told.Type != one.kind || !strings.Contains(told.Msg+told.Detail, one.says) {
			t.Errorf("want: %s %s, got: %#v", one.kind, one.says, one.err)
		}
	}
}
