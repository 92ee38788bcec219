package cifar

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// The demo set is for machines without CIFAR-10. It is drawn, not stored:
// little scenes with an airplane, a cat or a truck in them, no two alike. They
// are made to be looked at, and to be learned about as slowly as photographs
// that are thirteen times fewer: a class has several views, cat and dog, deer
// and horse, car and truck, bird and airplane share a build, colours and
// surroundings, and whatever is drawn is turned, cut off, covered, blurred and
// badly lit.
//
// In one run (seed 1, Adadelta, batch 64, augmentation and dropout on) the
// article's network was right about 40% of the test images after the first
// epoch, 53% after 3, 68% after 5, 80% after 9, 86% after 13 and 91% after 18.
// To see them: CIFARTUI_SHEET=sheet.png go test -run Sheet ./cifar
//
//	demo.go           a picture, from a seed to its bytes
//	demo_canvas.go    filled shapes, in whole numbers
//	demo_backdrop.go  what is behind the figure, before it, and the camera
//	demo_animals.go   what stands on four legs; heads of deer and horse
//	demo_faces.go     cats and dogs that sit, or look at you
//	demo_birds.go     birds and frogs
//	demo_vehicles.go  airplane, automobile, ship, truck
const (
	demoTrain = 4000
	demoTest  = demoTrain / testShare
	// testShare training images come to one test image.
	testShare = 4
	// maxDemo bounds what a person may ask for: 123 MB of training images.
	maxDemo = 40_000
)

// demoSize reads "demo" and "demo:N", N training images. ok is false for
// anything else, such as a path.
func demoSize(data string) (n int, ok bool, err error) {
	if data == DemoName {
		return demoTrain, true, nil
	}
	text, ok := strings.CutPrefix(data, DemoName+":")
	if !ok {
		return 0, false, nil
	}
	n, err = strconv.Atoi(text)
	if err != nil || n < Classes*testShare || n > maxDemo || n%(Classes*testShare) != 0 {
		return 0, true, fmt.Errorf("cifar: %q: a demo set has %d to %d training images, in steps of %d, such as demo:400",
			data, Classes*testShare, maxDemo, Classes*testShare)
	}
	return n, true, nil
}

// IsDemo reports whether data means the demo set, "demo" or "demo:N", and not a
// path.
func IsDemo(data string) bool {
	_, ok, _ := demoSize(data)
	return ok
}

// Called is the name that a data set is found by again: Name or, for a demo set of
// another size than the usual, what [Options.Data] calls it.
func (d *Dataset) Called() string {
	if n := d.Train.Len(); d.Demo && n != demoTrain {
		return fmt.Sprintf("%s:%d", DemoName, n)
	}
	return d.Name
}

// DemoTrainsOnTests reports whether two data sets are demo sets of which the
// training images of one have test images of the other among them: image n of all
// of them is the same, and tests follow the training images.
func DemoTrainsOnTests(trained, tested string) bool {
	a, one, err := demoSize(trained)
	b, other, errOther := demoSize(tested)
	return one && other && err == nil && errOther == nil && a > b
}

// drawDemo draws train training images and a quarter of that of test images, as many
// of each class, on all processors. The same seed gives the same bytes on every
// machine: each image has its own random stream, so that it doesn't matter who draws
// it. It fails only with its context.
func drawDemo(ctx context.Context, seed uint64, train int, m *meter) (*Dataset, error) {
	ds := &Dataset{
		Name:    "demo",
		Demo:    true,
		Source:  fmt.Sprintf("drawn from seed %d", seed),
		Train:   newSet(train),
		Test:    newSet(train / testShare),
		Classes: ClassNames(),
	}
	all := train + train/testShare
	m.start(StageDraw, 0, int64(all))
	var next, done atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			p := new(canvas)
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= all {
					return
				}
				set, i := ds.Train, n
				if n >= train {
					set, i = ds.Test, n-train
				}
				label := i % Classes
				set.Labels[i] = byte(label)
				p.picture(newRNG(seed, forDemo, uint64(n)), label)
				p.develop(set.Image(i))
				done.Add(1)
			}
		})
	}
	m.follow(&done, &wg)
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("cifar: draw the demo set: %w", err)
	}
	return ds, nil
}

// A subject is what is drawn for one class.
type subject struct {
	views  []func(*canvas) // equally likely
	places []place         // where it is seen, with their weights
	turn   int             // degrees that it may be turned either way
}

// A place is a backdrop and how often it is taken.
type place struct {
	weight int
	draw   func(*canvas)
}

// subjects has an entry for each label.
var subjects = [Classes]subject{
	{ // airplane
		views:  []func(*canvas){(*canvas).jetSide, (*canvas).jetSide, (*canvas).jetAbove, (*canvas).propeller},
		places: []place{{88, (*canvas).sky}, {4, (*canvas).field}, {4, (*canvas).road}, {4, (*canvas).studio}},
		turn:   18,
	},
	{ // automobile
		views:  []func(*canvas){(*canvas).carSide, (*canvas).carSide, (*canvas).carFront},
		places: []place{{75, (*canvas).road}, {10, (*canvas).field}, {15, (*canvas).studio}},
		turn:   5,
	},
	{ // bird
		views:  []func(*canvas){(*canvas).birdPerched, (*canvas).birdPerched, (*canvas).birdFlying, (*canvas).birdWading},
		places: []place{{20, (*canvas).sky}, {50, (*canvas).forest}, {5, (*canvas).field}, {20, (*canvas).thicket}, {5, (*canvas).sea}},
		turn:   12,
	},
	{ // cat
		views:  []func(*canvas){(*canvas).catFace, (*canvas).catFace, (*canvas).catSitting, (*canvas).catStanding},
		places: []place{{87, (*canvas).room}, {6, (*canvas).field}, {7, (*canvas).studio}},
		turn:   9,
	},
	{ // deer
		views:  []func(*canvas){(*canvas).deerStanding, (*canvas).deerStanding, (*canvas).deerHead},
		places: []place{{25, (*canvas).field}, {75, (*canvas).forest}},
		turn:   6,
	},
	{ // dog
		views:  []func(*canvas){(*canvas).dogFace, (*canvas).dogSitting, (*canvas).dogStanding, (*canvas).dogStanding},
		places: []place{{14, (*canvas).room}, {78, (*canvas).field}, {8, (*canvas).studio}},
		turn:   9,
	},
	{ // frog
		views:  []func(*canvas){(*canvas).frogSide, (*canvas).frogFront, (*canvas).frogAbove},
		places: []place{{85, (*canvas).thicket}, {8, (*canvas).sea}, {7, (*canvas).studio}},
		turn:   16,
	},
	{ // horse
		views:  []func(*canvas){(*canvas).horseStanding, (*canvas).horseStanding, (*canvas).horseHead},
		places: []place{{88, (*canvas).field}, {6, (*canvas).road}, {6, (*canvas).studio}},
		turn:   6,
	},
	{ // ship
		views:  []func(*canvas){(*canvas).freighter, (*canvas).liner, (*canvas).sailboat},
		places: []place{{94, (*canvas).sea}, {6, (*canvas).studio}},
		turn:   5,
	},
	{ // truck
		views:  []func(*canvas){(*canvas).truckSide, (*canvas).pickup, (*canvas).truckFront},
		places: []place{{65, (*canvas).road}, {17, (*canvas).field}, {18, (*canvas).studio}},
		turn:   5,
	},
}

// fullSize maps a figure's 100 units to 15 pixels: a figure is about 200 wide.
const fullSize = 15 * px * one / (16 * 100)

// picture draws one image of a class.
func (p *canvas) picture(r rng, label int) {
	p.rng = r
	p.clip = nil
	p.at = affine{}
	toLight := p.between(-150, -30) // upwards
	p.light = point{cosine(toLight) / 16, sine(toLight) / 16}
	p.relief = p.between(12, 45)

	s := &subjects[label]
	p.backdrop(s.places)
	p.at = affine{a: fullSize, d: fullSize, dx: Size / 2 * px, dy: Size / 2 * px}
	sx := one * p.between(86, 114) / 100
	sy := sx * p.between(92, 108) / 100
	if p.chance(50) {
		sx = -sx
	}
	p.at = p.at.place(p.between(-10, 10), p.between(-8, 8), p.between(-s.turn, s.turn), sx, sy)
	p.at.b += p.at.a * p.between(-9, 9) / 100 // seen a little from one side
	s.views[p.below(len(s.views))](p)
	p.foreground()
	p.camera()
}

// backdrop draws one of the places.
func (p *canvas) backdrop(places []place) {
	sum := 0
	for _, q := range places {
		sum += q.weight
	}
	n := p.below(sum)
	for _, q := range places {
		if n -= q.weight; n < 0 {
			q.draw(p)
			return
		}
	}
}

// develop writes the picture as bytes in planes.
func (p *canvas) develop(image []byte) {
	for i, c := range p.pixels {
		for k, v := range c {
			image[k*plane+i] = byte(min(255, max(0, v)))
		}
	}
}
