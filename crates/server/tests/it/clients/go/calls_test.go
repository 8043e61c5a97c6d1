package clients

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

func TestSeriesAndLabelsAreListed(t *testing.T) {
	ctx := patience(t)
	sets := quiet[[]model.LabelSet](t)(prometheus.Series(ctx, []string{"up", "nothing"}, start, end))
	same(t, sets, []model.LabelSet{model.LabelSet(up("a")), model.LabelSet(up("b"))})
	early := quiet[[]model.LabelSet](t)(prometheus.Series(ctx, []string{"up"}, start.Add(-time.Hour), start.Add(-time.Minute)))
	same(t, early, []model.LabelSet{})
	names := quiet[model.LabelNames](t)(prometheus.LabelNames(ctx, nil, start, end))
	same(t, names, model.LabelNames{"__name__", "instance", "job", "ort.größe"})
	names = quiet[model.LabelNames](t)(prometheus.LabelNames(ctx, []string{"requests_total"}, time.Time{}, time.Time{}))
	same(t, names, model.LabelNames{"__name__", "job"})
	values := quiet[model.LabelValues](t)(prometheus.LabelValues(ctx, "instance", nil, start, end))
	same(t, values, model.LabelValues{"a", "b"})
	values = quiet[model.LabelValues](t)(prometheus.LabelValues(ctx, "instance", []string{`up{instance!="a"}`}, start, end))
	same(t, values, model.LabelValues{"b"})
	for _, name := range []string{"ort.größe", "U__ort_2e_gr_f6__df_e"} {
		values = quiet[model.LabelValues](t)(prometheus.LabelValues(ctx, name, nil, start, end))
		same(t, values, model.LabelValues{"m/l"})
	}
}

func TestListsEndAtTheirLimitAndSaySo(t *testing.T) {
	ctx, one, cut := patience(t), v1.WithLimit(1), v1.Warnings{"results truncated due to limit"}
	sets, warnings, err := prometheus.Series(ctx, []string{"up"}, start, end, one)
	same(t, warnings, cut)
	same(t, ok[[]model.LabelSet](t)(sets, err), []model.LabelSet{model.LabelSet(up("a"))})
	names, warnings, err := prometheus.LabelNames(ctx, nil, start, end, one)
	same(t, warnings, cut)
	same(t, ok[model.LabelNames](t)(names, err), model.LabelNames{"__name__"})
	values, warnings, err := prometheus.LabelValues(ctx, "instance", nil, start, end, one)
	same(t, warnings, cut)
	same(t, ok[model.LabelValues](t)(values, err), model.LabelValues{"a"})
}

func TestExemplarsAndMetadataAreFound(t *testing.T) {
	ctx := patience(t)
	exemplars := ok[[]v1.ExemplarQueryResult](t)(prometheus.QueryExemplars(ctx, "rate(requests_total[1m])", start, end))
	same(t, exemplars, []v1.ExemplarQueryResult{{
		SeriesLabels: model.LabelSet{"__name__": "requests_total", "job": "node"},
		Exemplars: []v1.Exemplar{{
			Labels: model.LabelSet{"trace_id": "abc"}, Value: 0.25, Timestamp: model.TimeFromUnixNano(end.UnixNano()) - 479,
		}},
	}})
	counter := []v1.Metadata{{Type: v1.MetricTypeCounter, Help: "How many.", Unit: "requests"}}
	families := ok[map[string][]v1.Metadata](t)(prometheus.Metadata(ctx, "requests_total", ""))
	same(t, families, map[string][]v1.Metadata{"requests_total": counter})
	families = ok[map[string][]v1.Metadata](t)(prometheus.Metadata(ctx, "", ""))
	same(t, len(families), 2)
	same(t, families["latency_seconds"], []v1.Metadata{{Type: v1.MetricTypeHistogram, Help: "How long."}})
	families = ok[map[string][]v1.Metadata](t)(prometheus.Metadata(ctx, "", "1"))
	same(t, len(families), 1)
}

func TestTheServerTellsOfItself(t *testing.T) {
	ctx := patience(t)
	build := ok[v1.BuildinfoResult](t)(prometheus.Buildinfo(ctx))
	if !strings.HasPrefix(build.Version, "3.") || !strings.HasPrefix(build.Revision, "duramen-") {
		t.Error(build)
	}
	runtime := ok[v1.RuntimeinfoResult](t)(prometheus.Runtimeinfo(ctx))
	if runtime.CWD == "" || runtime.GOMAXPROCS < 1 || !runtime.ReloadConfigSuccess || time.Since(runtime.StartTime) > time.Hour {
		t.Error(runtime)
	}
	config := ok[v1.ConfigResult](t)(prometheus.Config(ctx))
	if !strings.Contains(config.YAML, "http:") {
		t.Error(config)
	}
	flags := ok[v1.FlagsResult](t)(prometheus.Flags(ctx))
	if !strings.HasSuffix(os.Getenv("DURAMEN_TEST_URL"), flags["http-listen"]) || flags["http-listen"] == "" {
		t.Error(flags)
	}
	// The client looks for a second envelope in the answer, which no server sends, and finds no blocks in it.
	same(t, ok[v1.TSDBBlocksResult](t)(prometheus.TSDBBlocks(ctx)), v1.TSDBBlocksResult{})
	same(t, ok[v1.WalReplayStatus](t)(prometheus.WalReplay(ctx)), v1.WalReplayStatus{})
	statistics := ok[v1.TSDBResult](t)(prometheus.TSDB(ctx))
	same(t, statistics.HeadStats.NumSeries, 6)
	same(t, statistics.SeriesCountByMetricName[0], v1.Stat{Name: "up", Value: 2})
	statistics = ok[v1.TSDBResult](t)(prometheus.TSDB(ctx, v1.WithLimit(1)))
	same(t, len(statistics.SeriesCountByMetricName), 1)
	same(t, ok[string](t)(prometheus.FormatQuery(ctx, "sum( up )by(job)")), `"sum by (job) (up)"`)
}

func TestWhatAStoreDoesNotDoIsEmpty(t *testing.T) {
	ctx := patience(t)
	same(t, ok[v1.RulesResult](t)(prometheus.Rules(ctx, nil)), v1.RulesResult{Groups: []v1.RuleGroup{}})
	same(t, ok[v1.RulesResult](t)(prometheus.Rules(ctx, []string{"up"})), v1.RulesResult{Groups: []v1.RuleGroup{}})
	same(t, ok[v1.AlertsResult](t)(prometheus.Alerts(ctx)), v1.AlertsResult{Alerts: []v1.Alert{}})
	targets := v1.TargetsResult{Active: []v1.ActiveTarget{}, Dropped: []v1.DroppedTarget{}}
	same(t, ok[v1.TargetsResult](t)(prometheus.Targets(ctx)), targets)
	metadata := ok[[]v1.MetricMetadata](t)(prometheus.TargetsMetadata(ctx, `{job="node"}`, "up", "1"))
	same(t, metadata, []v1.MetricMetadata{})
	managers := v1.AlertManagersResult{Active: []v1.AlertManager{}, Dropped: []v1.AlertManager{}}
	same(t, ok[v1.AlertManagersResult](t)(prometheus.AlertManagers(ctx)), managers)
}

func TestSeriesAreDeleted(t *testing.T) {
	ctx := patience(t)
	for _, err := range []error{
		prometheus.DeleteSeries(ctx, []string{"nothing"}, start, end),
		prometheus.CleanTombstones(ctx),
	} {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsNotServedIsAnErrorOfTheClient(t *testing.T) {
	ctx := patience(t)
	_, err := prometheus.Snapshot(ctx, true)
	var told *v1.Error
	if !errors.As(err, &told) || told.Type != v1.ErrClient || told.Msg != "client error: 404" {
		t.Errorf("%#v", err)
	}
}
