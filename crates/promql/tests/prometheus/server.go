package main

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/teststorage"
)

type query struct {
	Text string `json:"text"`
	// Milliseconds since the epoch; without a step only the start counts.
	Start int64 `json:"start"`
	End   int64 `json:"end"`
	Step  int64 `json:"step"`
	features
}

// What is behind feature flags of the engine.
type features struct {
	DelayedNameRemoval bool `json:"delayed_name_removal"`
	StartTimestamps    bool `json:"start_timestamps"`
	TypeAndUnitLabels  bool `json:"type_and_unit_labels"`
}

type server struct {
	parser  parser.Parser
	engines map[features]*promql.Engine
	storage *teststorage.TestStorage
}

func newServer() *server {
	return &server{parser: parser.NewParser(asServed()), engines: map[features]*promql.Engine{}}
}

func (s *server) answer(asked request) any {
	switch {
	case asked.Load != nil:
		return s.load(*asked.Load)
	case asked.Parse != nil:
		return s.parse(*asked.Parse)
	default:
		return s.query(*asked.Query)
	}
}

func (s *server) close() {
	if s.storage != nil {
		_ = s.storage.Close()
		s.storage = nil
	}
}

// The runner of scripts closes what it opened, and the queries come after it.
type kept struct{ *teststorage.TestStorage }

func (kept) Close() error { return nil }

// A test that fails is a panic.
type failing struct{ testing.TB }

func (failing) Helper()                        {}
func (failing) Name() string                   { return "load" }
func (failing) Errorf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
func (failing) FailNow()                       { panic("failed") }

// The language as the runner of scripts has it, but for names that a running Prometheus reads only when it is told to.
func asServed() parser.Options {
	options := promqltest.TestParserOpts
	options.EnableUnquotedUTF8Names = false
	return options
}

func (s *server) load(script string) (loaded answer) {
	s.close()
	opened, err := teststorage.NewWithError(func(options *tsdb.Options) {
		options.EnableSTStorage = true
		options.FloatChunkEncoding = chunkenc.EncXOR2
		options.EnableHistogramSTEncoding = true
		options.StripeSize = 64
		options.WALSegmentSize = -1
	})
	if err != nil {
		return answer{Error: err.Error()}
	}
	s.storage = opened
	defer func() {
		if failure := recover(); failure != nil {
			loaded = answer{Error: fmt.Sprint(failure)}
		}
	}()
	promqltest.RunTestWithStorage(failing{}, script, nil, func(testing.TB) storage.Storage { return kept{opened} })
	return answer{}
}

func (s *server) parse(text string) answer {
	expr, err := s.parser.ParseExpr(text)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Printed: expr.String(), Pretty: parser.Prettify(expr)}
}

func (s *server) query(asked query) answer {
	ctx := context.Background()
	at := func(ms int64) time.Time { return time.UnixMilli(ms) }
	var prepared promql.Query
	var err error
	if asked.Step == 0 {
		prepared, err = s.engine(asked.features).NewInstantQuery(ctx, ordered{s.storage}, nil, asked.Text, at(asked.Start))
	} else {
		step := time.Duration(asked.Step) * time.Millisecond
		prepared, err = s.engine(asked.features).NewRangeQuery(ctx, ordered{s.storage}, nil, asked.Text, at(asked.Start), at(asked.End), step)
	}
	if err != nil {
		return answer{Error: err.Error()}
	}
	defer prepared.Close()
	return told(prepared.Exec(ctx), asked.Text)
}

// Series in the order of their labels. In that of the storage, which is that of their creation, answers would differ from load to load: what
// loads is a Go map.
type ordered struct{ storage.Queryable }

func (o ordered) Querier(mint, maxt int64) (storage.Querier, error) {
	querier, err := o.Queryable.Querier(mint, maxt)
	return orderedQuerier{querier}, err
}

type orderedQuerier struct{ storage.Querier }

func (q orderedQuerier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	return q.Querier.Select(ctx, true, hints, matchers...)
}

func (s *server) engine(features features) *promql.Engine {
	if engine, ok := s.engines[features]; ok {
		return engine
	}
	engine := promql.NewEngine(promql.EngineOpts{
		Logger:                   slog.New(slog.DiscardHandler),
		MaxSamples:               50_000_000,
		Timeout:                  time.Minute,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		EnableDelayedNameRemoval: features.DelayedNameRemoval,
		EnableTypeAndUnitLabels:  features.TypeAndUnitLabels,
		UseStartTimestamps:       features.StartTimestamps,
		Parser:                   s.parser,
	})
	s.engines[features] = engine
	return engine
}
