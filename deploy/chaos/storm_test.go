package chaos

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// effort is how often clients came in vain, up to a moment: commands that Redis
// refused, and connections. A read that is not refused brings entries or blocks.
type effort struct {
	tries int64
	at    time.Time
}

func effortOf(t testing.TB, r *redis.Client) effort {
	t.Helper()
	e := effort{at: time.Now()}
	info, err := r.Info(t.Context(), "stats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"total_error_replies", "total_connections_received"} {
		_, value, _ := strings.Cut(info, name+":")
		var n int64
		if _, err := fmt.Sscan(value, &n); err != nil {
			t.Fatalf("%s of the server: %v", name, err)
		}
		e.tries += n
	}
	return e
}

// noStorm wants so many buses to have come back with growing pauses between two
// moments. A member has six duties, each of which pauses for 20 ms first and up to
// 1 s in the end, half of it by chance.
func noStorm(t testing.TB, buses int, from, to effort) {
	t.Helper()
	tries, over := to.tries-from.tries, to.at.Sub(from.at)
	most := float64(buses) * (20 + 10*over.Seconds())
	t.Logf("%d buses tried %d times in vain in %v", buses, tries, over.Round(time.Millisecond))
	if float64(tries) > most {
		t.Errorf("%d buses tried %d times in vain in %v; want at most %.0f", buses, tries, over, most)
	}
}
