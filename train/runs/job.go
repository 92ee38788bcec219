package runs

// Job is what a cluster's scheduler knows of a run.
type Job struct {
	ID     string // the job's number, and behind _ the task of an array: "1234_2"
	State  string // the scheduler's word in small letters: pending, running, preempted
	Reason string // why it is pending; "" else
	Node   string // where it runs; "" while it does not
}
