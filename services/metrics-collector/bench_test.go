package main

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentbus/pkg/events"
	"agentbus/pkg/events/bus/consumer"
)

// BenchmarkHandle counts batches of 500 and 1,000 events of all types, with the catalogue's payloads. An
// operation is one batch.
func BenchmarkHandle(b *testing.B) {
	for _, size := range []int{500, 1000} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			c := newCollector(prometheus.NewRegistry(), time.Now)
			all := events.Catalogue()
			batch := make([]consumer.Message, size)
			for i := range batch {
				spec := all[i%len(all)]
				raw, err := json.Marshal(spec.Example)
				if err != nil {
					b.Fatal(err)
				}
				batch[i] = message(spec.Type, time.Duration(i)*time.Millisecond, string(raw))
			}
			b.ReportAllocs()
			for b.Loop() {
				c.handle(b.Context(), batch)
			}
			b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N*size), "ns/event")
		})
	}
}
