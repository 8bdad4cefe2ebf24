package browser

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"agentbus/pkg/events"
)

// openedLetter is an expression that finds the dead letter with the text in it. What a letter holds is
// shown when it is opened, a moment later; and it is there a moment after its event was added.
func openedLetter(text string) string {
	return `(() => {
		const found = [...document.querySelectorAll('.letter')].find((l) => { l.querySelector('details').open = true; return l.textContent.includes(` + quote(text) + `); });
		if (!found) [...document.querySelectorAll('button')].find((x) => x.textContent === 'Look again').click();
		return found;
	})()`
}

// TestDeadLetters: an operator inspects them, gives them back and drops them.
func TestDeadLetters(t *testing.T) {
	bus := openBus(t, shared)
	mark := newName("broken")
	if err := bus.Client().XAdd(t.Context(), &redis.XAddArgs{Stream: bus.Names().Stream(events.TestingStarted, 0), Values: []any{"data", "{" + mark}}).Err(); err != nil {
		t.Fatal(err)
	}
	b := openTab(t, pageOf(shared), "#/health")
	b.do(visible(".group"))
	b.when(`[...document.querySelectorAll('.group')].find((g) => g.innerText.includes('log_aggregators'))`, `found.querySelector('button').click()`)
	b.holds(`document.querySelector('.choices select').value === 'log_aggregators'`, `document.querySelector('.choices').innerText`)
	letter := openedLetter(mark)
	// Given back, it fails as it did before, and is there again.
	b.when(letter, `found.querySelector('.buttons button').click()`)
	b.shows("main", "1 dead letter given back")
	b.when(letter, `found.querySelector('input').click()`)
	b.holds(`[...document.querySelectorAll('.bulk button')].map((x) => x.textContent).join() === 'Replay 1,Drop 1'`, `document.querySelector('.bulk').innerText`)
	b.js(`document.querySelector('.bulk button:last-of-type').click()`)
	b.shows("dialog", "Drop 1 dead letter?")
	b.click("#dialog-yes")
	b.shows("main", "1 dead letter dropped")
	b.holds(`!document.querySelector('.letters').textContent.includes(`+quote(mark)+`)`, `document.querySelector('.letters').innerText`)
}

// TestKeyboard: what the mouse can do, keys can.
func TestKeyboard(t *testing.T) {
	publish(t, openBus(t, shared), created(t, newName("first")), created(t, newName("second")))
	b := openTab(t, pageOf(shared), "#/")
	b.do(visible("#rows li:nth-child(2)"))
	b.key("?")
	b.shows("dialog", "All workflows")
	b.key("Escape")
	b.holds(`!document.querySelector('dialog')`, `document.body.innerText`)
	b.key("j")
	b.key("j")
	b.holds(`document.activeElement === document.querySelector('#rows li:nth-child(2) a') && getComputedStyle(document.activeElement).outlineStyle !== 'none'`, `document.activeElement.outerHTML`)
	b.key("k")
	b.key("Enter")
	b.holds(`location.hash.startsWith('#/workflows/')`, `location.hash`)
	b.shows("h1", "second")
	b.key("Escape")
	b.do(visible("#search")) // the address changes before the view does
	b.key("/")
	b.holds(`document.activeElement.id === 'search'`, `document.activeElement.outerHTML`)
	b.key("n") // is written, and goes nowhere
	b.holds(`document.getElementById('search').value === 'n' && location.hash.startsWith('#/?find=n')`, `location.hash`)
	b.key("Escape")
	b.key("h")
	b.holds(`location.hash === '#/health'`, `location.hash`)
	b.key("n")
	b.holds(`document.activeElement.name === 'body.name'`, `document.activeElement.outerHTML`)
}
