package browser

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"agentbus/deploy/localstack"
)

// guarded is a stack that asks for tokens, and keeps so few events for the live view that it has gaps.
func guarded(t *testing.T, tokens map[string]string) *localstack.Stack {
	t.Helper()
	dir, err := os.MkdirTemp("", "agentbus-browser-")
	if err != nil {
		t.Fatal(err)
	}
	lines := ""
	for who, token := range tokens {
		lines += fmt.Sprintf("sha256:%x %s\n", sha256.Sum256([]byte(token)), who)
	}
	file := filepath.Join(dir, "tokens")
	if err := os.WriteFile(file, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { // PostgreSQL's user must be able to enter
		t.Fatal(err)
	}
	s, err := start(t.Context(), filepath.Join(dir, "stack"), map[string]string{"AUTH_TOKENS_FILE": file, "LIVE_ENTRIES": "12"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
		if err := localstack.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

// TestSignIn: the page asks for a token, shows what belongs to its tenant and nothing else, and forgets
// all of it when one signs out.
func TestSignIn(t *testing.T) {
	ada, bob, root := uuid.NewString(), uuid.NewString(), uuid.NewString()
	s := guarded(t, map[string]string{"ada red": ada, "bob blue": bob, "root ops operator": root})
	mine, others := newName("mine"), newName("others")
	id := create(t, s, ada, mine, greeter(mine, nil))
	other := create(t, s, bob, others, greeter(others, nil))

	b := openTab(t, pageOf(s), "#/workflows/"+id)
	b.shows("h1", "Sign in")
	b.holds(`location.hash === '#/sign-in' && document.getElementById('connection').dataset.state === 'off'`, `location.href`)
	b.looks("sign-in")
	b.signIn("not a token")
	b.shows("#token-wrong", "no spaces")
	b.signIn("wrong-" + uuid.NewString())
	b.shows("#token-wrong", "not accepted")
	b.signIn(ada)
	b.shows("h1", mine) // where one wanted to go
	b.shows("#who", "ada · red")
	b.holds(`document.getElementById('connection').dataset.state === 'live'`, `document.getElementById('connection').outerHTML`)

	// Few events are kept for the live view: the record has some of the others, and what is nowhere is told.
	b.holdsFor(endTimeout, `document.querySelector('.top-of-workflow .chip').textContent === 'completed'`, `document.querySelector('main').innerText`)
	b.do(reload())
	b.shows("h1", mine) // the tab still knows the token
	b.holds(`document.querySelector('.timeline .gap')?.innerText.includes('no longer kept')`, `document.querySelector('.timeline').innerText`)
	b.holds(`(() => {
		let next = null;
		for (const li of document.querySelectorAll('.timeline li')) {
			const from = Number(li.dataset.seq ?? li.dataset.from), to = Number(li.dataset.seq ?? li.dataset.to);
			if (next !== null && to !== next) return false;
			next = from - 1;
		}
		return next === 0 && [...document.querySelectorAll('.timeline .type')].some((n) => n.textContent === 'workflow.created');
	})()`, `document.querySelector('.timeline').innerText`)

	b.visit("#/")
	b.shows("#rows", mine)
	b.holds(`document.querySelectorAll('#rows li').length === 1`, `document.querySelector('#rows').innerText`)
	b.visit("#/workflows/" + other)
	b.shows("main", "There is no such workflow")
	b.visit("#/health")
	b.shows("main", "only operators see them")
	if text := eval[string](b, `document.documentElement.outerHTML + JSON.stringify([localStorage, performance.getEntriesByType('resource').map((e) => e.name), location.href])`); strings.Contains(text, ada) || strings.Contains(text, others) {
		t.Error("the token, or another tenant's workflow, stands where it must not")
	}

	b.click("#sign-out")
	b.shows("h1", "Sign in")
	b.holds(`sessionStorage.length === 0 && document.getElementById('account').hidden && !document.body.textContent.includes(`+quote(mine)+`)`, `document.body.innerText`)
	b.do(reload())
	b.shows("h1", "Sign in")

	b.signIn(root)
	b.shows("#who", "operator")
	b.shows("#rows", mine)
	b.shows("#rows", others)
	b.visit("#/health")
	b.shows("main", "No dead letters")
}

func (b *tab) signIn(token string) {
	b.Helper()
	b.write("#token", token)
	b.click(".signin button")
}
