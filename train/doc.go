// Package train trains: it holds a run's settings, its loop, its events and
// commands, and what it leaves on disk.
//
// A [Trainer] owns one run and its folder. Its loop takes batches from package
// cifar, gives them to the network of package nn, and tells what happens as a
// closed set of [Event] types; it takes a closed set of [Command] types between
// two batches. It knows no screen and waits for no reader: a [Bus] stands
// between it and whoever wants to watch, and a goroutine of its own writes
// events.jsonl, the one record that the live screen, an attached screen, a
// replay and every export read.
//
//	NewTrainer ── makes or opens the run folder, takes its lock
//	Run        ── epochs of batches ──> Event ──> Bus ──> Subscription (Source)
//	                                        └───> events.jsonl ──> EventReader (Source)
//	Send       <── Command
//
// A run can end at any instant, by SIGKILL too, and goes on from
// checkpoints/last.ckpt to the same bits as if it had never ended. That needs
// little more than the weights and the optimiser's state, because everything
// random (order, augmentation, dropout) is drawn from the seed and the position
// and not from a generator that moves on.
//
// The files, in the order to read them: event.go and command.go (what is said),
// config.go (the settings), trainer.go (a run and its folder), loop.go (epochs
// and batches), steer.go (commands), judge.go (validation), early.go (what is
// better, and when to give up), save.go (when to save), checkpoint.go,
// safetensors.go and store.go (what is kept), disk.go and runfolder.go (where,
// and the lock), log.go, reader.go and stepline.go (the record), bus.go (live
// readers), history.go (events reduced to what tables and screens show),
// report.go (the headless output). On these stand the comparison of several
// runs (sweep.go, turns.go, comparison.go, findings.go, table.go), the list of
// runs (runs.go) and the other formats (sink.go, csv.go, and the folders).
package train
