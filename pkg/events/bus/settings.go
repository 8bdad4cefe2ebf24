package bus

import (
	"fmt"
	"strings"
	"time"

	"agentbus/pkg/events"
)

// byType reads a setting that has a value for all types and others for some:
// "1h,workflow.*=24h". Later ones win. The map has every type that is named.
func byType[T any](variable, setting string, parse func(string) (T, error)) (map[events.Type]T, error) {
	values := make(map[events.Type]T)
	for part := range strings.SplitSeq(setting, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		pattern, text, ok := strings.Cut(part, "=")
		if !ok {
			pattern, text = "*", part
		}
		value, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", variable, err)
		}
		types, err := events.Match(pattern)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", variable, err)
		}
		for _, t := range types {
			values[t] = value
		}
	}
	return values, nil
}

// retentions reads BUS_RETENTION. A type that nothing is said of is kept for an hour.
func retentions(setting string) (func(events.Type) time.Duration, error) {
	byType, err := byType("BUS_RETENTION", setting, func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("%q is no time such as 1h or 30m; write e.g. 1h,workflow.*=24h", text)
		}
		return d, nil
	})
	return func(t events.Type) time.Duration {
		if d, ok := byType[t]; ok {
			return d
		}
		return time.Hour
	}, err
}
