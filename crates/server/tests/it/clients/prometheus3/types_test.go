package prometheus3

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/golang/snappy"
	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
)

type appender = storage.Appender

// Takes down the labels under which the receiver of a Prometheus would store what it gets; its storage keeps no empty ones.
type notebook struct {
	appender
	labels []string
}

func (n *notebook) Appender(context.Context) storage.Appender { return n }
func (n *notebook) Commit() error                             { return nil }
func (n *notebook) Append(_ storage.SeriesRef, set labels.Labels, _ int64, _ float64) (storage.SeriesRef, error) {
	n.labels = append(n.labels, set.WithoutEmpty().String())
	return 0, nil
}

// Series of every type with and without a unit and labels of their own, by the number in their label `n`.
func typed(at int64) (writev2.SymbolsTable, []writev2.TimeSeries) {
	symbols := writev2.NewSymbolTable()
	var all []writev2.TimeSeries
	for _, sent := range [][]string{{}, {"__type__", "x"}, {"__unit__", "y"}, {"__type__", "x", "__unit__", "y"}, {"a", "b", "__type__", ""}} {
		for kind := writev2.Metadata_METRIC_TYPE_UNSPECIFIED; kind <= writev2.Metadata_METRIC_TYPE_STATESET; kind++ {
			for _, unit := range []string{"", "bytes"} {
				set := labels.FromStrings(append(sent, labels.MetricName, "m", "job", "typed", "n", string(rune('a'+len(all))))...)
				all = append(all, writev2.TimeSeries{
					LabelsRefs: symbols.SymbolizeLabels(set, nil),
					Samples:    []writev2.Sample{{Value: float64(len(all)), Timestamp: at}},
					Metadata:   writev2.Metadata{Type: kind, UnitRef: symbols.Symbolize(unit)},
				})
			}
		}
	}
	return symbols, all
}

func TestTypesAndUnitsBecomeTheLabelsThatAPrometheusMakesOfThem(t *testing.T) {
	symbols, all := typed(time.Now().UnixMilli())
	if written, err := store(t, symbols, all...); err != nil || written.Samples != len(all) {
		t.Fatalf("%v, %+v", err, written)
	}
	request := writev2.Request{Symbols: symbols.Symbols(), Timeseries: all}
	body, err := request.OptimizedMarshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	post := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(snappy.Encode(nil, body)))
	post.Header.Set("Content-Type", "application/x-protobuf;proto="+string(remoteapi.WriteV2MessageType))
	post.Header.Set("Content-Encoding", "snappy")
	notes, answer := &notebook{}, httptest.NewRecorder()
	accepted := remoteapi.MessageTypes{remoteapi.WriteV2MessageType}
	remote.NewWriteHandler(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), notes, accepted, false, true, false).ServeHTTP(answer, post)
	if answer.Code != http.StatusNoContent || len(notes.labels) != len(all) {
		t.Fatalf("%d %s: %d series", answer.Code, answer.Body, len(notes.labels))
	}
	want := map[string]bool{}
	for _, set := range notes.labels {
		want[set] = true
	}
	for _, set := range stored(t, `{job="typed"}`) {
		if !want[set] {
			t.Errorf("%s is not what a Prometheus makes of it", set)
		}
		delete(want, set)
	}
	for set := range want {
		t.Errorf("%s is not there", set)
	}
}

// The label sets that a selector finds.
func stored(t *testing.T, selector string) []string {
	t.Helper()
	answer, err := http.Get(at("api/v1/series").String() + "?" + url.Values{"match[]": {selector}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var found struct{ Data []map[string]string }
	if err := json.NewDecoder(answer.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	var sets []string
	for _, set := range found.Data {
		sets = append(sets, labels.FromMap(set).String())
	}
	return sets
}
