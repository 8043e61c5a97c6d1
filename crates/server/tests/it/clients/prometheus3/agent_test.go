package prometheus3

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/agent"
)

const patience = time.Minute

// A Prometheus in agent mode but for its scraping: what is appended goes through its log and its queue to the server.
func startAgent(t *testing.T) (*agent.DB, *remote.Storage, *prometheus.Registry) {
	t.Helper()
	directory, metrics, logger := t.TempDir(), prometheus.NewRegistry(), slog.New(slog.DiscardHandler)
	sending := remote.NewStorage(logger, metrics, func() (int64, error) { return 0, nil }, directory, patience, nil, false)
	write := config.DefaultRemoteWriteConfig
	write.URL, write.ProtobufMessage = at("api/v1/write"), remoteapi.WriteV2MessageType
	write.SendExemplars, write.SendNativeHistograms = true, true
	write.QueueConfig.BatchSendDeadline, write.QueueConfig.MaxSamplesPerSend = model.Duration(100*time.Millisecond), 100
	write.QueueConfig.MinShards, write.MetadataConfig.Send = 2, false
	database, err := agent.Open(logger, metrics, sending, directory, agent.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	if err := sending.ApplyConfig(&config.Config{RemoteWriteConfigs: []*config.RemoteWriteConfig{&write}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := database.Close(); err != nil {
			t.Error(err)
		}
		if err := sending.Close(); err != nil {
			t.Error(err)
		}
	})
	return database, sending, metrics
}

func TestAnAgentSendsItsLogAndLosesNothing(t *testing.T) {
	database, sending, metrics := startAgent(t)
	// A queue sends what is younger than itself, and begins in its own time.
	start := time.Now().Add(time.Minute).UnixMilli()
	want := everything(start)
	total := map[string]float64{}
	for name, samples := range want {
		appender := database.Appender(context.Background())
		var ref storage.SeriesRef
		var err error
		set := labels.FromStrings(labels.MetricName, name, "job", "agent")
		for _, one := range samples {
			if one.integers == nil && one.fractions == nil {
				total["samples"]++
				ref, err = appender.Append(ref, set, one.at, one.float)
			} else {
				total["histograms"]++
				ref, err = appender.AppendHistogram(ref, set, one.at, one.integers, one.fractions)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		total["exemplars"]++
		trace := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", name), Value: 0.5, Ts: start, HasTs: true}
		if _, err := appender.AppendExemplar(ref, set, trace); err != nil {
			t.Fatal(err)
		}
		if err := appender.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		sending.Notify()
		done := true
		for kind, count := range total {
			done = done && sum(t, metrics, "prometheus_remote_storage_"+kind+"_total") >= count &&
				sum(t, metrics, "prometheus_remote_storage_"+kind+"_pending") == 0
		}
		if done {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the queue is not empty")
		}
	}
	for kind, count := range total {
		if sent := sum(t, metrics, "prometheus_remote_storage_"+kind+"_total"); sent != count {
			t.Errorf("%v %s were sent, not %v", sent, kind, count)
		}
		for _, bad := range []string{"failed", "retried", "dropped"} {
			if lost := sum(t, metrics, "prometheus_remote_storage_"+kind+"_"+bad+"_total"); lost != 0 {
				t.Errorf("%v %s %s", lost, kind, bad)
			}
		}
	}
	for _, form := range []prompb.ReadRequest_ResponseType{streamed, samples} {
		same(t, read(t, form, "agent", start, start+3_600_000), want)
	}
}

// The sum of a metric's series; 0 when there is none.
func sum(t *testing.T, metrics *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	total := 0.0
	for _, family := range families {
		if strings.TrimSpace(family.GetName()) == name {
			for _, series := range family.GetMetric() {
				total += series.GetCounter().GetValue() + series.GetGauge().GetValue()
			}
		}
	}
	return total
}
