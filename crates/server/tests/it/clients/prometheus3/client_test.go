package prometheus3

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang/snappy"
	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage/remote"
)

// Sends one request of remote write 2.0 and returns what the answer's headers say of it.
func store(t *testing.T, symbols writev2.SymbolsTable, series ...writev2.TimeSeries) (remote.WriteResponseStats, error) {
	t.Helper()
	client, err := remote.NewWriteClient("test", &remote.ClientConfig{
		URL: at("api/v1/write"), Timeout: model.Duration(time.Minute), WriteProtoMsg: remoteapi.WriteV2MessageType,
	})
	if err != nil {
		t.Fatal(err)
	}
	request := writev2.Request{Symbols: symbols.Symbols(), Timeseries: series}
	body, err := request.OptimizedMarshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	return client.Store(context.Background(), snappy.Encode(nil, body), 0)
}

// One metric of a job: its floats and its histograms, which 2.0 keeps apart.
func message(symbols *writev2.SymbolsTable, job, name string, samples []sample) []writev2.TimeSeries {
	refs := symbols.SymbolizeLabels(labels.FromStrings(labels.MetricName, name, "job", job), nil)
	floats, histograms := writev2.TimeSeries{LabelsRefs: refs}, writev2.TimeSeries{LabelsRefs: refs}
	for _, one := range samples {
		switch {
		case one.integers != nil:
			histograms.Histograms = append(histograms.Histograms, writev2.FromIntHistogram(0, one.at, one.integers))
		case one.fractions != nil:
			histograms.Histograms = append(histograms.Histograms, writev2.FromFloatHistogram(0, one.at, one.fractions))
		default:
			floats.Samples = append(floats.Samples, writev2.Sample{Value: one.float, Timestamp: one.at})
		}
	}
	switch {
	case len(histograms.Histograms) == 0:
		return []writev2.TimeSeries{floats}
	case len(floats.Samples) == 0:
		return []writev2.TimeSeries{histograms}
	}
	return []writev2.TimeSeries{floats, histograms}
}

func TestWhatTheWriteClientSentTheReadClientGetsInBothForms(t *testing.T) {
	start := time.Now().Add(-time.Hour).UnixMilli()
	want := everything(start)
	for name, samples := range want {
		symbols := writev2.NewSymbolTable()
		var counts remote.WriteResponseStats
		for _, one := range samples {
			if one.integers != nil || one.fractions != nil {
				counts.Histograms++
			} else {
				counts.Samples++
			}
		}
		counts.Confirmed = true
		if written, err := store(t, symbols, message(&symbols, "client", name, samples)...); err != nil || written != counts {
			t.Fatalf("%s: %v, %+v", name, err, written)
		}
	}
	for _, place := range []string{"head", "blocks"} {
		if place == "blocks" {
			flush(t)
		}
		for _, form := range []prompb.ReadRequest_ResponseType{streamed, samples} {
			t.Run(place+" "+form.String(), func(t *testing.T) {
				got := read(t, form, "client", start, start+3_600_000)
				same(t, got, want)
				resetsAreTold(t, got)
				// In the middle of chunks, and between two samples.
				for _, ends := range [][2]int64{{75_000, 205_000}, {75_001, 75_999}, {149_000, 150_000}, {-1000, 0}, {-2000, -1}} {
					first, last := start+ends[0], start+ends[1]
					same(t, read(t, form, "client", first, last), want.within(first, last))
				}
			})
		}
	}
}

// No histogram may be said to follow the one before without a reset when there is one: rates would be wrong.
func resetsAreTold(t *testing.T, got held) {
	t.Helper()
	float := func(one sample) *histogram.FloatHistogram {
		if one.integers != nil {
			return one.integers.ToFloat(nil)
		}
		return one.fractions
	}
	told := 0
	for name, samples := range got {
		for number := 1; number < len(samples); number++ {
			before, now := float(samples[number-1]), float(samples[number])
			if before == nil || now == nil || now.CounterResetHint != histogram.NotCounterReset {
				continue
			}
			told++
			now.CounterResetHint = histogram.UnknownCounterReset
			if now.DetectReset(before) {
				t.Errorf("%s, %d is said not to be a reset: %v after %v", name, number, now, before)
			}
		}
	}
	t.Logf("%d histograms are said not to be a reset", told)
}

func TestTheCountsOfAnAnswerAreThoseOfWhatIsStored(t *testing.T) {
	now := time.Now().UnixMilli()
	symbols := writev2.NewSymbolTable()
	refs := symbols.SymbolizeLabels(labels.FromStrings(labels.MetricName, "counted", "job", "counts"), nil)
	trace := symbols.SymbolizeLabels(labels.FromStrings("trace_id", "abc"), nil)
	series := writev2.TimeSeries{
		LabelsRefs: refs,
		Samples:    []writev2.Sample{{Value: 1, Timestamp: now}},
		Exemplars:  []writev2.Exemplar{{LabelsRefs: trace, Value: 0.5, Timestamp: now}},
		Metadata:   writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER, HelpRef: symbols.Symbolize("Counted.")},
	}
	written, err := store(t, symbols, series)
	if want := (remote.WriteResponseStats{Samples: 1, Exemplars: 1, Confirmed: true}); err != nil || written != want {
		t.Fatalf("%v, %+v", err, written)
	}
	// Another value for the same time is refused, and the rest stored: this sender must not come again with it.
	series.Samples = []writev2.Sample{{Value: 2, Timestamp: now}, {Value: 3, Timestamp: now + 1}}
	series.Exemplars = nil
	written, err = store(t, symbols, series)
	if want := (remote.WriteResponseStats{Samples: 1, Confirmed: true}); err == nil || written != want {
		t.Fatalf("%v, %+v", err, written)
	}
	if again := (remote.RecoverableError{}); errors.As(err, &again) || !strings.Contains(err.Error(), "400 Bad Request") {
		t.Error(err)
	}
}
