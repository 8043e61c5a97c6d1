// Package clients holds the official Go client of Prometheus against a server: every call of its interface, with what comes back.
//
// The server's URL and the times of its samples come from the environment. clients.rs, which starts it, says what it holds.
package clients

import (
	"context"
	"log"
	"os"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// How many samples each float series has, and the time between two.
const (
	samples = 20
	apart   = 15 * time.Second
)

var (
	prometheus v1.API
	start, end time.Time
)

func TestMain(m *testing.M) {
	client, err := api.NewClient(api.Config{Address: os.Getenv("DURAMEN_TEST_URL")})
	if err != nil {
		log.Fatal(err)
	}
	prometheus = v1.NewAPI(client)
	seconds, err := strconv.ParseInt(os.Getenv("DURAMEN_TEST_START"), 10, 64)
	if err != nil {
		log.Fatalf("DURAMEN_TEST_START: %v", err)
	}
	start = time.Unix(seconds, 0)
	end = start.Add((samples - 1) * apart)
	os.Exit(m.Run())
}

// Fails when a call failed.
func ok[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// Fails when a call failed or warned.
func quiet[T any](t *testing.T) func(T, v1.Warnings, error) T {
	return func(value T, warnings v1.Warnings, err error) T {
		t.Helper()
		same(t, warnings, nil)
		return ok[T](t)(value, err)
	}
}

func same[T any](t *testing.T, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\ngot:  %+v\nwant: %+v", got, want)
	}
}

func up(instance string) model.Metric {
	return model.Metric{"__name__": "up", "instance": model.LabelValue(instance), "job": "node"}
}

func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
