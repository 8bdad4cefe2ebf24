package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

// TestEveryViewFits looks at every view on a wide and a narrow screen, light and dark: nothing is wider
// than the screen, all text stands out from what is behind it, and with SCREENSHOTS=<folder> a picture is
// left of each.
func TestEveryViewFits(t *testing.T) {
	ids := scenery(t)
	b := openTab(t, pageOf(shared), "#/")
	for _, view := range []struct{ name, address, ready string }{
		{"list", "#/", ".rows li:nth-child(4)"},
		{"list-nothing", "#/?find=zzzz", ".list .empty"},
		{"workflow", "#/workflows/" + ids["completed"], ".timeline li:nth-child(20)"},
		{"workflow-failed", "#/workflows/" + ids["failed"], ".reason:not([hidden])"},
		{"workflow-running", "#/workflows/" + ids["running"], ".pipeline [data-stage=running]"},
		{"workflow-tests", "#/workflows/" + ids["tests"], ".reason:not([hidden])"},
		{"workflow-unknown", "#/workflows/wf-none", "article .empty a"},
		{"new", "#/new", "#start"},
		{"health", "#/health", ".letter"},
		{"nowhere", "#/nowhere", "main > .empty"},
	} {
		b.visit(view.address)
		b.js(`scrollTo(0, 0)`)
		b.do(visible(view.ready))
		b.unfold(view.name)
		b.looks(view.name)
	}
}

// looks checks the view on each screen in each scheme, and takes its pictures.
func (b *tab) looks(view string) {
	b.Helper()
	for _, scheme := range []string{"light", "dark"} {
		for name, width := range map[string]int64{"wide": 1280, "narrow": 390} {
			b.screen(width, 844, scheme)
			b.fits(view + " " + scheme + " " + name)
			b.readable(view + " " + scheme + " " + name)
			if dir := os.Getenv("SCREENSHOTS"); dir != "" {
				b.picture(filepath.Join(dir, fmt.Sprintf("%s-%s-%s.png", view, scheme, name)))
			}
		}
	}
	b.screen(1280, 844, "light")
}

// unfold shows what hides behind a click, so that it is looked at too.
func (b *tab) unfold(view string) {
	b.Helper()
	switch view {
	case "workflow":
		b.js(`[...document.querySelectorAll('.artifacts button')].find((x) => x.textContent === 'Tests').click()`)
		b.do(visible(".panel .report"))
	case "workflow-running":
		b.click(".timeline summary")
	case "workflow-tests":
		b.click(".reason button")
		b.do(visible(".panel .report"))
	case "workflow-failed":
		b.click(".reason button")
		b.do(visible(".findings summary"))
		b.click(".findings summary")
	case "health":
		b.js(`document.querySelector('.letter summary').click()`)
		b.do(visible(".letter .body"))
		samples := 3
		if os.Getenv("SCREENSHOTS") != "" {
			samples = 9 // a line that is worth a picture
		}
		b.holds(fmt.Sprintf(`document.querySelector('.chart .curve').getAttribute('points').split(' ').length >= %d`, samples), `document.querySelector('.chart').outerHTML`)
	}
}

// fits checks that nothing reaches out of the screen, nor out of the box that it stands in: a list's item,
// a table, a set of buttons. What has a scrollbar of its own, or is cut with an ellipsis, may.
func (b *tab) fits(what string) {
	b.Helper()
	wide := eval[[]string](b, `(() => {
		const out = [], screen = document.documentElement.clientWidth;
		if (document.scrollingElement.scrollWidth > screen) out.push('the document: ' + document.scrollingElement.scrollWidth);
		for (const e of document.querySelectorAll('body *')) {
			const r = e.getBoundingClientRect();
			if (!r.width || e.closest('.skip, .hidden')) continue;
			const box = e.parentElement.closest('li, fieldset, .panel, .filters, .table, .heading, header, main, dialog');
			const most = Math.min(screen, box?.getBoundingClientRect().right ?? screen);
			let cut = false;
			for (let p = e.parentElement; p && p !== box; p = p.parentElement) cut ||= getComputedStyle(p).overflowX !== 'visible';
			if (!cut && r.right > most + 1) out.push(e.tagName + '.' + e.className + ' to ' + Math.round(r.right) + ' in ' + box?.className + ' to ' + Math.round(most));
		}
		return out.slice(0, 5);
	})()`)
	if len(wide) > 0 {
		b.Errorf("%s: does not fit: %q", what, wide)
	}
}

// scenery makes workflows of each kind, and dead letters.
func scenery(t *testing.T) map[string]string {
	t.Helper()
	made := func(name string, generation map[string]any) string { return create(t, shared, "", name, generation) }
	ids := map[string]string{
		"completed": made("checkout-api", greeter("checkout-api", nil)),
		"failed":    made("billing-worker", greeter("billing-worker", plantedKey)),
		"tests":     made("notes", map[string]any{"name": "notes", "expected_message": "Bye"}),
	}
	awaitState(t, shared, ids["completed"], "completed")
	awaitState(t, shared, ids["failed"], "failed")
	awaitState(t, shared, ids["tests"], "failed")
	ids["running"] = made("search-index", greeter("search-index", slowTest(120)))
	t.Cleanup(func() { cancel(t, ids["running"]) }) // the stack's stop would wait for it
	b := openBus(t, shared)
	past(t, b)
	for range 2 {
		stream := b.Names().Stream(events.WorkflowProgressed, 0)
		if err := b.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: []any{"data", `{"id":"no uuid","type":"workflow.progressed","percent":"<b>40</b>"}`}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}
