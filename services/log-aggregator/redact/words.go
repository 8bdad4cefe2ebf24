package redact

import "unicode/utf8"

// words finds which of many words stand in a text, in one pass over it whatever their number: the
// automaton of Aho and Corasick. A state is the longest beginning of a word that ends at this byte.
type words struct {
	next [][256]uint32       // by state and byte; 0 is the state of no beginning
	ends []lists             // by state: the lists of the words that end here
	fold func(string) string // brings a text into the words' form
}

// lists is a set of lists of words, a bit for each.
type lists uint32

// newWords makes an automaton for words that are folded already. A text's letters count as fold makes
// them, what it drops counts as not there. Of ASCII it must make one byte of ASCII or none.
func newWords(fold func(string) string, of ...[]string) *words {
	w := &words{next: [][256]uint32{{}}, ends: []lists{0}, fold: fold}
	for i, list := range of {
		for _, word := range list {
			w.ends[w.spell(word)] |= 1 << i
		}
	}
	w.link()
	for state := range w.next {
		row := &w.next[state]
		for c := range byte(utf8.RuneSelf) {
			if folded := fold(string(rune(c))); folded == "" {
				row[c] = uint32(state)
			} else {
				row[c] = row[folded[0]]
			}
		}
	}
	return w
}

// spell returns the state in which word has been read, and makes those on the way.
func (w *words) spell(word string) (state uint32) {
	for _, c := range []byte(word) {
		if w.next[state][c] == 0 {
			w.next[state][c] = uint32(len(w.next))
			w.next, w.ends = append(w.next, [256]uint32{}), append(w.ends, 0)
		}
		state = w.next[state][c]
	}
	return state
}

// link gives the states their ways out of a word that does not go on: to the longest beginning of
// another that ends at the same byte. Shorter beginnings come first, so that theirs are known.
func (w *words) link() {
	shorter := make([]uint32, len(w.next)) // by state: the next shorter beginning that ends at the same byte
	for queue := []uint32{0}; len(queue) > 0; queue = queue[1:] {
		state := queue[0]
		for c := range w.next[state] {
			var other uint32
			if state != 0 {
				other = w.next[shorter[state]][c]
			}
			to := w.next[state][c]
			if to == 0 {
				w.next[state][c] = other
				continue
			}
			shorter[to] = other
			w.ends[to] |= w.ends[other]
			queue = append(queue, to)
		}
	}
}

// find returns the lists of which a word stands in text, and those of which one ends it.
func find[T string | []byte](w *words, text T) (found, last lists) {
	found, last, ascii := pass(w, text)
	if !ascii { // folding may make ASCII of it: U+212A is a k
		found, last, _ = pass(w, w.fold(string(text)))
	}
	return found, last
}

func pass[T string | []byte](w *words, text T) (found, last lists, ascii bool) {
	var state uint32
	var all byte
	for i := range len(text) {
		c := text[i]
		state = w.next[state][c]
		found |= w.ends[state]
		all |= c
	}
	return found, w.ends[state], all < utf8.RuneSelf
}
