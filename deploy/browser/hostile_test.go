package browser

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

// hostile is text that would run if it became markup, an attribute, a link or a script anywhere.
const hostile = `"'></pre></code><img src=x onerror="window.__xss=1;alert(1)"><script>window.__xss=1;alert(1)</script><svg onload="window.__xss=1"></svg><a href="javascript:window.__xss=1">x</a>`

// kept are fields that must be what they are, so that the rest is shown where it belongs.
var kept = map[string]bool{"stage": true, "stages": true, "status": true, "sha256": true, "deadline": true, "url": true}

// spoil puts the hostile text in the place of every string, or of all but those kept.
func spoil(v any, all bool) any {
	switch v := v.(type) {
	case string:
		return hostile
	case []any:
		for i := range v {
			v[i] = spoil(v[i], all)
		}
	case map[string]any:
		for key, value := range v {
			switch {
			case key == "url" && !all:
				v[key] = "javascript:window.__xss=1//" + hostile
			case all || !kept[key]:
				v[key] = spoil(value, all)
			}
		}
		if all {
			v[hostile] = hostile
		}
	}
	return v
}

// hostileEvents are one of each type, twice: with every string hostile, and with those kept that make
// the rest look like an event of its type.
func hostileEvents(t *testing.T, id string) (list []events.Event) {
	t.Helper()
	for _, all := range []bool{true, false} {
		for _, spec := range events.Catalogue() {
			e := newEvent(t, spec.Type, id, spec.Example)
			var data map[string]any
			if err := json.Unmarshal(e.Data, &data); err != nil {
				t.Fatal(err)
			}
			var err error
			if e.Data, err = json.Marshal(spoil(data, all)); err != nil {
				t.Fatal(err)
			}
			e.Metadata = map[string]string{"traceparent": hostile, "note": hostile}
			e.Extra = map[string]json.RawMessage{hostile: json.RawMessage(quote(hostile))}
			list = append(list, e)
		}
	}
	return list
}

// reports gives the page hostile reports for what it asks of the store.
const reports = `
	const text = %s, real = window.fetch;
	const sarif = JSON.stringify({ runs: [{ tool: { driver: { name: text, rules: [{ id: text, shortDescription: { text } }] } }, results: [{ ruleId: text, level: text,
		message: { text }, properties: { severity: text }, locations: [{ physicalLocation: { artifactLocation: { uri: text }, region: { startLine: text } } }] }] }] });
	const safe = new Option(text).innerHTML.replaceAll('"', '&quot;');
	const junit = '<testsuites><testsuite name="' + safe + '"><testcase name="' + safe + '" classname="' + safe + '" time="1"><failure message="' + safe + '">' + safe +
		'</failure></testcase><testcase name="markup"><failure><img xmlns="http://www.w3.org/1999/xhtml" src="x" onerror="window.__xss=1"/><script xmlns="http://www.w3.org/1999/xhtml">window.__xss=1</script></failure></testcase></testsuite></testsuites>';
	window.__report = { Findings: sarif, Tests: junit, Read: text };
	window.fetch = (url, init) => String(url).includes('/artifacts/') ? Promise.resolve(new Response(window.__report[window.__kind])) : real(url, init);`

// harmless fails when anything of the hostile text became more than text.
func (b *tab) harmless(where string) {
	b.Helper()
	found := eval[[]string](b, `(() => {
		const out = [];
		if (window.__xss !== undefined) out.push('a script ran');
		if (document.scripts.length !== 1) out.push(document.scripts.length + ' scripts');
		for (const e of document.querySelectorAll('*')) {
			for (const a of e.attributes) {
				if (a.name.startsWith('on') || a.name === 'style' || a.name === 'srcdoc') out.push(e.tagName + ' has ' + a.name);
				if (/^(href|src|action|formaction|xlink:href)$/.test(a.name) && /^\s*(javascript|data|vbscript):/i.test(a.value)) out.push(e.tagName + ' leads to ' + a.value);
			}
			if (/^(IFRAME|OBJECT|EMBED|BASE)$/.test(e.tagName) || (e.tagName === 'IMG' && e.getAttribute('src') !== 'favicon.svg')) out.push(e.tagName);
		}
		return out.slice(0, 5);
	})()`)
	if len(found) > 0 {
		b.Errorf("%s: %q", where, found)
	}
	b.holds("document.body.textContent.includes("+quote(hostile)+") || document.body.textContent.includes(JSON.stringify("+quote(hostile)+"))",
		quote(where+": the text is not shown as it is, so nothing was tested"))
}

// TestHostileText: markup and scripts in every field of an event, and in reports, stay text in every view.
func TestHostileText(t *testing.T) {
	bus, id := openBus(t, shared), "wf-"+uuid.NewString()
	list := hostileEvents(t, id)
	// An end that puts an address of what was deployed into the head of the page.
	list = append(list,
		newEvent(t, events.DeploymentConfirmed, id, &events.StageDoneData{CorrelationID: uuid.NewString(), Attempt: 1, Summary: json.RawMessage(`{"url":` + quote("javascript:window.__xss=1//"+hostile) + `}`)}),
		newEvent(t, events.WorkflowCompleted, id, &events.WorkflowCompletedData{DurationMS: 1}))
	publish(t, bus, list...)

	b := openTab(t, pageOf(shared), "#/")
	b.holds("[...document.querySelectorAll('#rows .name')].some((n) => n.textContent === "+quote(hostile)+")", "document.querySelector('#rows').innerText")
	b.harmless("the list")

	b.visit("#/workflows/" + id)
	b.holds(fmt.Sprintf("document.querySelectorAll('.timeline li').length === %d", len(list)), "document.querySelectorAll('.timeline li').length")
	b.js(`for (const s of document.querySelectorAll('.timeline summary')) s.click()`)
	b.holds(fmt.Sprintf("document.querySelectorAll('.timeline pre').length === %d", len(list)), "document.querySelectorAll('.timeline pre').length")
	b.holds("document.querySelector('.result').textContent.startsWith('Live at javascript:')", "document.querySelector('.top-of-workflow').innerText")
	b.harmless("the workflow")

	b.reads()
	b.visit("#/health")
	for _, stream := range []events.Type{events.WorkflowCreated, events.AuditFailed} {
		wire := strings.NewReplacer("TEXT", quote(hostile)).Replace(`{"id":TEXT,"type":TEXT,"workflow_id":TEXT,"source_agent":TEXT,"timestamp":TEXT,"data":{}}`)
		if err := bus.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: bus.Names().Stream(stream, 0), Values: []any{"data", wire}}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	b.when(openedLetter("<svg onload="), "")
	b.harmless("the dead letters")
}

// reads opens hostile reports of each kind.
func (b *tab) reads() {
	b.Helper()
	b.js(fmt.Sprintf(reports, quote(hostile)))
	// Names of artifacts are hostile, so their kinds follow from what the events below say.
	for i, kind := range []string{"Findings", "Tests", "Read"} {
		media := []string{"application/sarif+json", "application/junit+xml", "text/plain"}[i]
		id := "wf-" + uuid.NewString()
		sum := strings.Repeat(fmt.Sprint(i), 64)
		e := newEvent(b.TB.(*testing.T), events.TestingCompleted, id, &events.StageDoneData{CorrelationID: uuid.NewString(), Attempt: 1,
			Artifacts: []events.Artifact{{Name: hostile, URL: hostile, SHA256: sum, Size: 1, MediaType: media}}})
		publish(b.TB, openBus(b.TB, shared), e)
		b.visit("#/workflows/" + id)
		b.js("window.__kind = " + quote(kind))
		b.openReport(kind)
		b.js(`for (const d of document.querySelectorAll('.panel details')) d.open = true`)
		b.holds("document.querySelector('.panel').textContent.includes("+quote(hostile)+") && !document.querySelector('.panel .note')", "document.querySelector('.panel').innerText")
		b.harmless("a report, " + kind)
	}
}
