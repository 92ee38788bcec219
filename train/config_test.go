package train

import (
	"slices"
	"testing"

	"cifartui/nn"
	"cifartui/train/config"
)

// The settings know no network, so they have names of their own for what it
// offers: they must be the same.
func TestSettingsNameWhatTheNetworkOffers(t *testing.T) {
	if got, want := config.Optimizers(), nn.SolverNames(); !slices.Equal(got, want) {
		t.Errorf("optimizers %v, the network has %v", got, want)
	}
	if got, want := config.Schedules(), nn.ScheduleNames(); !slices.Equal(got, want) {
		t.Errorf("schedules %v, the network has %v", got, want)
	}
	if got, want := config.Initializers(), nn.Initializers(); !slices.Equal(got, want) {
		t.Errorf("initializers %v, the network has %v", got, want)
	}
}
