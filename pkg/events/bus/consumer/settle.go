package consumer

// settler sees to it that the outcome of a delivery comes about.
type settler interface{ settle(d *delivery, o outcome) }

// settlement is the settler of a delivery that has its entry for itself.
type settlement struct {
	acks     *acknowledger
	retries  *retryTimer
	letters  *deadLetterWriter
	inflight *inflight
}

func (s settlement) settle(d *delivery, o outcome) {
	switch o.fate {
	case handled:
		s.acks.add(d.key())
	case again:
		s.retries.after(o.wait, d)
	case dead:
		s.letters.write(letter{delivery: d, outcome: o})
	case uncounted, left:
		s.inflight.remove(d.key())
	}
}
