package event

// queueLimit is how many events a queue holds before it merges steps that it
// was asked to keep apart.
const queueLimit = 1 << 16

// Queue holds events that a reader has not yet taken. A step event is merged
// into the one before it of the same run, unless another event of that run
// stands between them. The order of each run's events is kept. Not safe for
// use by several goroutines.
type Queue struct {
	events []Event
	every  int64 // see SubscribeSteps
	// steps has, for each run, the place of the step event that the next one
	// is merged into.
	steps map[string]stepPlace
}

type stepPlace struct {
	index int
	// own is set when the event there is the queue's own copy, which it may
	// change.
	own bool
}

// Push adds an event behind those that are in the queue.
func (q *Queue) Push(e Event) {
	run := e.Head().Run
	step, ok := e.(*StepDone)
	if !ok {
		delete(q.steps, run)
		q.events = append(q.events, e)
		return
	}
	if place, ok := q.steps[run]; ok {
		into := q.events[place.index].(*StepDone)
		if q.together(into, step) {
			if !place.own {
				c := *into
				into = &c
				q.events[place.index] = into
				q.steps[run] = stepPlace{index: place.index, own: true}
			}
			into.Merge(step)
			return
		}
	}
	if q.steps == nil {
		q.steps = make(map[string]stepPlace)
	}
	q.steps[run] = stepPlace{index: len(q.events)}
	q.events = append(q.events, e)
}

// together reports whether two steps may be merged: always when no grouping was
// asked for, else when no multiple of every lies between them.
func (q *Queue) together(a, b *StepDone) bool {
	if q.every == 0 || len(q.events) >= queueLimit {
		return true
	}
	return (a.Total-1)/q.every == (b.Total-1)/q.every
}

// Len counts the events in the queue.
func (q *Queue) Len() int { return len(q.events) }

// OnlySteps reports whether a queue holds nothing but step events.
func (q *Queue) OnlySteps() bool {
	return len(q.events) > 0 && len(q.events) == len(q.steps)
}

// Take removes and returns at most max events.
func (q *Queue) Take(max int) []Event {
	n := min(max, len(q.events))
	if n <= 0 {
		return nil
	}
	events := q.events[:n:n]
	q.events = q.events[n:]
	if len(q.events) == 0 {
		q.events = nil
	}
	for run, place := range q.steps {
		if place.index < n {
			delete(q.steps, run)
		} else {
			q.steps[run] = stepPlace{index: place.index - n, own: place.own}
		}
	}
	return events
}
