package browser

import (
	"fmt"
	"net/http"
	"testing"

	"agentbus/deploy/localstack"
	"agentbus/pkg/devserver/servertest"
)

// TestRecovers: the websocket-manager ends in mid-run and is started again. The page says that it is
// gone, comes back by itself, and shows each number once.
func TestRecovers(t *testing.T) {
	for name, end := range map[string]func(p *localstack.Process) error{
		"kill -9": func(p *localstack.Process) error { p.Kill(); return nil },
		"SIGTERM": func(p *localstack.Process) error { return p.Stop(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			workflow := newName("recovers")
			id := create(t, shared, "", workflow, greeter(workflow, slowTest(3)))
			b := openTab(t, pageOf(shared), "#/workflows/"+id)
			b.holdsFor(endTimeout, `document.querySelector('.pipeline li:nth-child(3)').dataset.stage === 'running'`, `document.querySelector('main').innerText`)

			p := shared.Process("websocket-manager-1")
			if err := end(p); err != nil {
				t.Fatal(err)
			}
			b.holds(`document.getElementById('connection').dataset.state === 'reconnecting'`, `document.getElementById('connection').outerHTML`)
			b.shows("h1", workflow)                             // what is there stays
			servertest.Eventually(t, endTimeout, func() error { // it goes on behind the page's back
				var w struct{ Stage, State string }
				ask(t, http.MethodGet, shared.URL("coordinator-agent", "HTTP_ADDR")+"/v1/workflows/"+id, "", nil, &w)
				if w.Stage != "deployment" && w.State != "completed" {
					return fmt.Errorf("it is %s at %s", w.State, w.Stage)
				}
				return nil
			})
			if err := p.Start(t.Context()); err != nil {
				t.Fatal(err)
			}

			b.holds(`document.getElementById('connection').dataset.state === 'live'`, `document.getElementById('connection').outerHTML`)
			b.holdsFor(endTimeout, `document.querySelector('.top-of-workflow .chip').textContent === 'completed'`, `document.querySelector('main').innerText`)
			var past struct{ Last int }
			ask(t, http.MethodGet, pageOf(shared)+"/v1/workflows/"+id+"/history", "", nil, &past)
			b.holds(fmt.Sprintf(`document.querySelectorAll('.timeline li').length === %d`, past.Last), `document.querySelector('.events .count').textContent`)
			b.numbersAreWhole()
		})
	}
}

// TestCoordinatorDown: the page says so, the list stays live, and it says when the coordinator is back.
func TestCoordinatorDown(t *testing.T) {
	b := openTab(t, pageOf(shared), "#/health")
	b.do(visible(".group"))
	p := shared.Process("coordinator-agent-1")
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if !p.Running() {
			t.Error(p.Start(t.Context()))
		}
	}()
	b.do(visible("#coordinator"))
	b.shows(".health .note", "not known")
	b.visit("#/new")
	b.do(visible("#start"))
	b.click("#start")
	b.shows(".start .note", "Sending it again is safe")

	b.visit("#/")
	name := newName("alive")
	publish(t, openBus(t, shared), created(t, name))
	b.shows("#rows", name)
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.holds(`document.getElementById('coordinator').hidden`, `document.getElementById('coordinator').outerHTML`)
}
