// Package train trains. The packages beside it hold what it speaks and keeps:
// event the events and commands, config the settings, record what is written
// down, checkpoint what is kept, rundir the folder on disk, runs what is done
// with many runs. Those know no network and no Gorgonia; this one does.
//
// A [Trainer] owns one run and its folder. Its loop takes batches from package
// cifar, gives them to the network of package nn, and tells what happens as
// events; it takes commands between two batches. It knows no screen and waits
// for no reader: a bus stands between it and whoever wants to watch, and a
// goroutine of its own writes events.jsonl, the one record that the live screen,
// an attached screen, a replay and every export read.
//
//	NewTrainer ── makes or opens the run folder, takes its lock
//	Run        ── epochs of batches ──> event.Event ──> event.Bus ──> event.Source
//	                                              └──> events.jsonl ──> record.Reader
//	Send       <── event.Command
//
// A run can end at any instant, by SIGKILL too, and goes on from
// checkpoints/last.ckpt to the same bits as if it had never ended. That needs
// little more than the weights and the optimiser's state, because everything
// random (order, augmentation, dropout) is drawn from the seed and the position
// and not from a generator that moves on.
//
// The files, in the order to read them: trainer.go (a run and its folder),
// loop.go (the algorithm: epochs, batches, saves), and the parts that it is made
// of: learner.go (what learns), validate.go (what it has learnt), standing.go
// (where the run stands), steer.go (what was asked for), save.go (what is kept),
// tensor.go (between the network and a checkpoint), announcer.go (what is told),
// budget.go (the epochs that fit a time), resumed.go (what a resume changes).
// For several runs turns.go, places.go, comparison.go and memory.go.
package train
