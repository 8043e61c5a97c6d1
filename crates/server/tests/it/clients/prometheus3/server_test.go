// Package prometheus3 holds the parts of a Prometheus 3 that write to others and read from them against a server: its client of
// remote write 2.0, its agent with queue and log, and its client of remote read. What is read is held against what was written, bit for bit.
//
// The server's URL comes from the environment.
package prometheus3

import (
	"context"
	"log"
	"math"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	config_util "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

var server *url.URL

func TestMain(m *testing.M) {
	var err error
	if server, err = url.Parse(os.Getenv("DURAMEN_TEST_URL")); err != nil || server.Host == "" {
		log.Fatalf("DURAMEN_TEST_URL: %v", err)
	}
	os.Exit(m.Run())
}

func at(path string) *config_util.URL { return &config_util.URL{URL: server.JoinPath(path)} }

func flush(t *testing.T) {
	t.Helper()
	answer, err := http.Post(at("api/v1/admin/tsdb/flush").String(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		t.Fatal(answer.Status)
	}
}

// The two forms of an answer to a remote read. A Prometheus 3 asks for the first that the server knows.
var (
	streamed = prompb.ReadRequest_STREAMED_XOR_CHUNKS
	samples  = prompb.ReadRequest_SAMPLES
)

// Reads what a job has, as a Prometheus reads it for its own queries. Both times are inside.
func read(t *testing.T, form prompb.ReadRequest_ResponseType, job string, first, last int64) held {
	t.Helper()
	client, err := remote.NewReadClient("test", &remote.ClientConfig{
		URL: at("api/v1/read"), Timeout: model.Duration(time.Minute), ChunkedReadLimit: config.DefaultChunkedReadLimit,
		AcceptedResponseTypes: []prompb.ReadRequest_ResponseType{form},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The job is the label that this Prometheus has outside: its matcher is added, and it is taken out of the answer.
	outside := labels.FromStrings("job", job)
	querier, err := remote.NewSampleAndChunkQueryableClient(client, outside, nil, true, nil).Querier(first, last)
	if err != nil {
		t.Fatal(err)
	}
	all := labels.MustNewMatcher(labels.MatchRegexp, labels.MetricName, ".+")
	set := querier.Select(context.Background(), true, nil, all)
	found := held{}
	for set.Next() {
		series := set.At()
		name := series.Labels().Get(labels.MetricName)
		if series.Labels().Len() != 1 || found[name] != nil {
			t.Errorf("%s comes twice or has labels too many", series.Labels())
		}
		found[name] = collect(t, series)
	}
	if err := set.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

func collect(t *testing.T, series storage.Series) []sample {
	t.Helper()
	var all []sample
	iterator := series.Iterator(nil)
	for kind := iterator.Next(); kind != chunkenc.ValNone; kind = iterator.Next() {
		var one sample
		switch kind {
		case chunkenc.ValFloat:
			one.at, one.float = iterator.At()
		case chunkenc.ValHistogram:
			one.at, one.integers = iterator.AtHistogram(nil)
		case chunkenc.ValFloatHistogram:
			one.at, one.fractions = iterator.AtFloatHistogram(nil)
		}
		all = append(all, one)
	}
	if err := iterator.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// Fails where the bits differ.
func same(t *testing.T, got, want held) {
	t.Helper()
	for name := range got {
		if want[name] == nil {
			t.Errorf("%s was never written", name)
		}
	}
	for name, samples := range want {
		if len(got[name]) != len(samples) {
			t.Errorf("%s has %d samples, not %d", name, len(got[name]), len(samples))
			continue
		}
		for number, one := range samples {
			if !one.is(got[name][number]) {
				t.Errorf("%s, %d:\ngot:  %v\nwant: %v", name, number, got[name][number], one)
				break
			}
		}
	}
}

// Whether both have the same time, kind and bits. Whether a counter started anew is a matter of what came before, so of that only gauges are
// compared.
func (s sample) is(other sample) bool {
	gauge := func(hint histogram.CounterResetHint) bool { return hint == histogram.GaugeType }
	switch {
	case s.at != other.at || (s.integers == nil) != (other.integers == nil) || (s.fractions == nil) != (other.fractions == nil):
		return false
	case s.integers != nil:
		return s.integers.Equals(other.integers) && gauge(s.integers.CounterResetHint) == gauge(other.integers.CounterResetHint)
	case s.fractions != nil:
		return s.fractions.Equals(other.fractions) && gauge(s.fractions.CounterResetHint) == gauge(other.fractions.CounterResetHint)
	}
	return math.Float64bits(s.float) == math.Float64bits(other.float)
}

// What lies in a range that has both its ends.
func (h held) within(first, last int64) held {
	cut := held{}
	for name, samples := range h {
		for _, one := range samples {
			if first <= one.at && one.at <= last {
				cut[name] = append(cut[name], one)
			}
		}
	}
	return cut
}
