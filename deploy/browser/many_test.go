package browser

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
	"github.com/google/uuid"

	"agentbus/pkg/events"
)

// meter notes how long tasks take that keep the page from painting, and how far frames are apart.
const meter = `
	window.__tasks = []; window.__gaps = [];
	new PerformanceObserver((list) => window.__tasks.push(...list.getEntries().map((e) => e.duration))).observe({ entryTypes: ['longtask'] });
	let before = performance.now();
	const tick = (now) => { window.__gaps.push(now - before); before = now; window.__frame = requestAnimationFrame(tick); };
	requestAnimationFrame((now) => { before = now; tick(now); });`

// worked is how much processor time the page's own thread has used.
func (b *tab) worked() time.Duration {
	b.Helper()
	metrics := run(b, func(ctx context.Context, t *chromedp.Target) (performance.GetMetricsResult, error) {
		if _, err := cdp.Call(ctx, t, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks}); err != nil {
			return performance.GetMetricsResult{}, err
		}
		return cdp.Call(ctx, t, performance.GetMetrics, cdp.Empty{})
	})
	for _, m := range metrics.Metrics {
		if m.Name == "TaskDuration" {
			return time.Duration(m.Value * float64(time.Second))
		}
	}
	b.Fatalf("Chromium tells no TaskDuration: %v", metrics.Metrics)
	return 0
}

// TestManyEvents: 1,000 events arrive while the timeline is looked at. It stays smooth, and each is there
// when the reader goes down to it.
func TestManyEvents(t *testing.T) {
	const many, batch = 1000, 20
	bus := openBus(t, shared)
	id := "wf-" + uuid.NewString()
	b := openTab(t, pageOf(shared), "#/workflows/"+id)
	b.shows("main", "There is no such workflow") // yet
	b.js(meter)
	before := b.worked()
	pace := time.NewTicker(batch * 3 * time.Millisecond) // about 330 events a second
	defer pace.Stop()
	began := time.Now()
	for n := 0; n < many; n += batch {
		list := make([]events.Event, batch)
		for i := range list {
			list[i] = newEvent(t, events.WorkflowProgressed, id, &events.WorkflowProgressedData{
				Percent: (n + i) * 100 / many, Stage: events.Testing, StagePercent: (n + i) * 100 / many, Message: fmt.Sprintf("test %d of %d passed", n+i, many)})
		}
		publish(t, bus, list...)
		<-pace.C
	}
	b.holds(`document.querySelector('.events .count').textContent === '1,000'`, `document.querySelector('.events').innerText.slice(0, 200)`)
	arrived := time.Since(began)

	worked := b.worked() - before
	longest := eval[float64](b, `Math.max(0, ...window.__tasks)`)
	gap := eval[float64](b, `window.__gaps.toSorted((a, b) => a - b).at(Math.floor(window.__gaps.length * 0.99))`)
	frames := eval[int](b, `window.__gaps.length`)
	lines := eval[int](b, `document.querySelectorAll('.timeline li').length`)
	t.Logf("%d events in %s: the page worked for %s; %d frames, p99 %.0f ms apart; longest task %.0f ms; %d lines in the document",
		many, arrived.Round(time.Millisecond), worked.Round(time.Millisecond), frames, gap, longest, lines)
	// Work is in processor time, so it is the same on a busy machine; frames and tasks are not, and are
	// bounded for one that runs other tests beside the services, on two cores and without a graphics card.
	if worked > 3*time.Second || longest > 500 || gap > 400 {
		t.Error("the page did not stay smooth")
	}
	if lines > 450 {
		t.Errorf("%d lines are in the document, though nobody went down to them", lines)
	}

	b.holds(`(() => { scrollTo(0, document.body.scrollHeight); return document.querySelectorAll('.timeline li').length === 1000; })()`, `document.querySelectorAll('.timeline li').length`)
	b.numbersAreWhole()
	b.js(`scrollTo(0, 0)`)

	// All of it at once, as one sees it who comes later.
	late := openTab(t, pageOf(shared), "#/workflows/"+id)
	late.holds(`document.querySelector('.events .count')?.textContent === '1,000'`, `document.body.innerText.slice(0, 200)`)
	late.write(".events input[type=search]", "test 777 of")
	late.holds(`document.querySelectorAll('.timeline li').length === 1`, `document.querySelectorAll('.timeline li').length`)
	late.click(".timeline summary")
	late.shows(".timeline pre", `"test 777 of 1000 passed"`)
}
