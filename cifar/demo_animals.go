package cifar

// coat returns the colour of fur, for cats and dogs alike.
func (p *canvas) coat() colour {
	return p.near(p.pick(
		colour{60, 52, 48}, colour{35, 33, 34}, colour{150, 105, 65}, colour{195, 150, 100}, colour{225, 215, 200},
		colour{130, 125, 122}, colour{175, 110, 60}, colour{110, 85, 65}), 18)
}

// A beast is what the four-legged ones have in common: one build, drawn by
// four, whose ranges meet.
type beast struct {
	coat, points, belly colour // body; mane, tail, lower legs; underneath
	length, depth       int    // of the trunk: from hip to shoulder, half its height
	leg, thick          int    // length and half the width of a leg
	neck, rise          int    // length of the neck, degrees above the horizontal
	head, muzzle        int    // half the height of the skull, length of the nose from its middle
	nod                 int    // degrees that the nose points down
	tail                func(x, y int)
	ears                func() // in units of the head: origin in its middle, nose to the right
	marks               func() // on the trunk, kept inside it
	crest               func(x0, y0, x1, y1 int)
	eye                 colour
}

// stand draws a beast on its legs, looking to the right.
func (p *canvas) stand(b beast) {
	hip, shoulder := -b.length/2, b.length/2
	top := -10
	foot := top + b.depth/2 + b.leg
	p.shadow(0, foot, b.length*3/4, 7)
	legs := func(c, sock colour) {
		for _, x := range []int{hip + b.depth/3, shoulder - b.depth/3} {
			knee := x + p.between(-9, 9)
			end := knee + p.between(-10, 10)
			half := top + b.depth/2 + b.leg/2
			p.addLimb(x, top+b.depth/3, b.thick*3/2, knee, half, b.thick)
			p.fill(c, 100)
			p.addLimb(knee, half, b.thick, end, foot, b.thick*3/4)
			p.fill(sock, 100)
		}
	}
	legs(b.coat.bright(68), b.points.bright(68))
	b.tail(hip-b.depth/2, top)
	nx := shoulder + b.neck*cosine(b.rise)/one
	ny := top - b.depth/3 - b.neck*sine(b.rise)/one
	legs(b.coat, b.points)
	p.addLimb(hip, top, b.depth*9/10, 0, top+1, b.depth*85/100)
	p.addLimb(0, top+1, b.depth*85/100, shoulder, top, b.depth)
	p.fill(b.coat, 100)
	p.inside(func() {
		p.oval(b.belly, 0, top+b.depth, b.length/2, b.depth/3)
		b.marks()
	})
	p.addLimb(shoulder-b.depth/4, top-b.depth/4, b.depth*3/4, nx, ny, b.head*3/4)
	p.fill(b.coat, 100)
	if b.crest != nil {
		b.crest(shoulder-b.depth/3, top-b.depth, nx, ny)
	}
	p.within(nx, ny, b.nod, 100, func() { p.skull(b) })
}

// skull draws a head from the side: the origin is its middle.
func (p *canvas) skull(b beast) {
	b.ears()
	p.addOval(0, 0, b.head*11/10, b.head)
	p.addLimb(0, b.head/6, b.head*2/3, b.muzzle, b.head/4, b.head*45/100)
	p.fill(b.coat, 100)
	p.oval(b.points, b.muzzle, b.head/3, b.head*2/5, b.head*2/5)
	p.oval(colour{25, 22, 22}, b.muzzle+b.head/3, b.head/8, 3, 3)
	p.oval(b.eye, b.head/3, -b.head/4, 4, 4)
}

// curve draws a tail of three pieces that begins at (x, y) and bends by the
// same angle twice.
func (p *canvas) curve(c colour, x, y, degrees, bend, length, r int) {
	for range 3 {
		nx, ny := x+length*cosine(degrees)/one, y+length*sine(degrees)/one
		p.addLimb(x, y, r, nx, ny, r)
		x, y, degrees = nx, ny, degrees+bend
	}
	p.fill(c, 100)
}

// patches draws spots of some colour.
func (p *canvas) patches(c colour, n, r int) {
	for range n {
		p.oval(c, p.between(-60, 60), p.between(-36, 20), p.between(r/2, r), p.between(r/2, r))
	}
}

// stripes draws a tabby's.
func (p *canvas) stripes(c colour) {
	for x := -60; x < 60; x += p.between(11, 18) {
		p.limb(c, x, -50, 3, x+p.between(-6, 6), p.between(-16, 8), 2)
	}
}

func (p *canvas) catStanding() {
	coat := p.coat()
	b := beast{
		coat: coat, points: coat.bright(p.between(75, 120)), belly: mix(coat, colour{230, 225, 215}, p.between(0, 60)),
		length: p.between(72, 96), depth: p.between(19, 26), leg: p.between(34, 48), thick: p.between(6, 9),
		neck: p.between(8, 22), rise: p.between(0, 60), head: p.between(19, 25), muzzle: p.between(11, 16), nod: p.between(-10, 25),
		eye: p.pick(colour{170, 190, 70}, colour{210, 170, 60}, colour{30, 30, 30}),
	}
	b.tail = func(x, y int) { p.curve(coat, x+4, y, p.between(170, 280), p.between(-35, 35), p.between(18, 27), 5) }
	b.ears = func() {
		for _, dx := range []int{-4, 10} {
			p.poly(coat.bright(85), point{dx - 12, -b.head / 2}, point{dx - 6, -b.head - p.between(14, 22)}, point{dx + 6, -b.head * 2 / 3})
		}
	}
	b.marks = func() { p.fur(coat) }
	p.stand(b)
}

// fur marks a trunk as cats and dogs have it: stripes, patches or nothing.
func (p *canvas) fur(coat colour) {
	switch p.below(4) {
	case 0:
		p.stripes(coat.bright(60))
	case 1:
		p.patches(p.coat(), p.between(2, 4), 22)
	}
}

func (p *canvas) dogStanding() {
	coat := p.coat()
	b := beast{
		coat: coat, points: coat.bright(p.between(75, 120)), belly: mix(coat, colour{230, 225, 215}, p.between(0, 60)),
		length: p.between(70, 96), depth: p.between(22, 30), leg: p.between(44, 64), thick: p.between(6, 10),
		neck: p.between(16, 32), rise: p.between(20, 65), head: p.between(16, 23), muzzle: p.between(20, 32), nod: p.between(-10, 30),
		eye: colour{25, 22, 22},
	}
	b.tail = func(x, y int) {
		p.curve(coat, x+4, y-4, p.between(170, 270), p.between(0, 40), p.between(10, 22), p.between(4, 7))
	}
	pricked := p.chance(12)
	b.ears = func() {
		if pricked {
			p.poly(coat.bright(80), point{-12, -b.head / 2}, point{-8, -b.head - p.between(8, 16)}, point{4, -b.head * 2 / 3})
		}
	}
	b.marks = func() { p.fur(coat) }
	p.stand(b)
	if !pricked { // hanging ears lie over the head
		x := b.length/2 + b.neck*cosine(b.rise)/one
		y := -10 - b.depth/3 - b.neck*sine(b.rise)/one
		p.limb(coat.bright(70), x-6, y-b.head/2, 7, x-12, y+p.between(8, 20), 6)
	}
}

func (p *canvas) deerStanding() {
	coat := p.near(p.pick(colour{150, 105, 65}, colour{125, 95, 70}, colour{175, 125, 80}, colour{110, 95, 85}), 16)
	b := beast{
		coat: coat, points: coat.bright(p.between(70, 100)), belly: mix(coat, colour{230, 220, 205}, p.between(10, 70)),
		length: p.between(66, 88), depth: p.between(19, 25), leg: p.between(58, 74), thick: p.between(4, 7),
		neck: p.between(34, 52), rise: p.between(30, 80), head: p.between(12, 16), muzzle: p.between(20, 28), nod: p.between(5, 45),
		eye: colour{20, 18, 18},
	}
	if p.chance(12) { // grazing
		b.rise, b.nod = -p.between(20, 45), p.between(40, 70)
	}
	b.tail = func(x, y int) { p.limb(mix(coat, colour{235, 230, 220}, 70), x+6, y-4, 6, x-4, y+10, 5) }
	antlers := p.chance(65)
	b.ears = func() {
		if antlers {
			p.antlers(-4, -b.head)
		}
		p.limb(coat.bright(80), -6, -b.head/2, 6, -22, -b.head-8, 3)
		p.limb(coat.bright(90), 2, -b.head/2, 6, 4, -b.head-12, 3)
	}
	b.marks = func() {
		if p.chance(25) { // a fawn's or a fallow deer's
			p.patches(colour{235, 225, 205}, 12, 6)
		}
	}
	p.stand(b)
}

// antlers draws both, from the head up.
func (p *canvas) antlers(x, y int) {
	c := p.near(colour{150, 125, 95}, 35)
	h := p.between(34, 56)
	for _, side := range []int{-1, 1} {
		tip := x + side*p.between(18, 34)
		p.addLimb(x+side*4, y, 4, x+side*16, y-h/2, 3)
		p.addLimb(x+side*16, y-h/2, 3, tip, y-h, 2)
		p.addLimb(x+side*12, y-h/3, 3, x+side*34, y-h/2, 2)
		p.addLimb(x+side*17, y-h*2/3, 3, x+side*4, y-h-4, 2)
	}
	p.fill(c, 100)
}

func (p *canvas) horseStanding() {
	coat := p.horseCoat()
	hair := p.pick(coat.bright(45), coat.bright(60), colour{225, 210, 180}, colour{40, 35, 32})
	b := beast{
		coat: coat, points: coat.bright(p.between(60, 105)), belly: coat.bright(85),
		length: p.between(74, 94), depth: p.between(25, 31), leg: p.between(54, 68), thick: p.between(6, 9),
		neck: p.between(34, 50), rise: p.between(25, 65), head: p.between(14, 18), muzzle: p.between(28, 38), nod: p.between(15, 55),
		eye: colour{20, 18, 18},
	}
	if p.chance(12) { // grazing
		b.rise, b.nod = -p.between(20, 45), p.between(40, 70)
	}
	b.tail = func(x, y int) { p.curve(hair, x+6, y-4, p.between(110, 165), -p.between(5, 30), p.between(17, 24), 7) }
	b.ears = func() {
		p.poly(coat.bright(80), point{-12, -b.head / 2}, point{-8, -b.head - 12}, point{0, -b.head * 2 / 3})
	}
	b.crest = func(x0, y0, x1, y1 int) { p.limb(hair, x0, y0+6, 8, x1-10, y1-6, 7) }
	b.marks = func() {
		switch p.below(6) {
		case 0: // piebald
			p.patches(colour{235, 230, 222}, 4, 26)
		case 1: // a saddle
			p.oval(p.paint(), 2, -10-b.depth, 18, 14)
		}
	}
	p.stand(b)
	if p.chance(15) { // a rider
		c := p.paint()
		p.limb(c, 0, -20-b.depth, 9, 4, -58-b.depth, 8)
		p.oval(colour{190, 150, 120}, 6, -72-b.depth, 9, 10)
		p.limb(c.bright(60), 0, -20-b.depth, 7, 10, 6, 5)
	}
}

func (p *canvas) horseCoat() colour {
	return p.near(p.pick(colour{120, 72, 45}, colour{85, 55, 42}, colour{45, 40, 40}, colour{215, 210, 205}, colour{165, 115, 70}, colour{140, 135, 132}), 16)
}

// longHead draws the head and neck of a deer or a horse from close by.
func (p *canvas) longHead(coat, nose colour, wide int, behind, before func()) {
	p.addLimb(-70, 110, wide+16, -26, -16, wide)
	p.fill(coat, 100)
	behind()
	p.addLimb(-20, -30, wide, 12, -4, wide*4/5)
	p.addLimb(12, -4, wide*4/5, 56, 40, wide/2+2)
	p.fill(coat, 100)
	p.oval(nose, 60, 44, wide/2+2, wide/2)
	p.oval(colour{25, 20, 20}, 66, 40, 4, 3)
	p.oval(colour{20, 18, 18}, -2, -24, 6, 6)
	before()
}

func (p *canvas) horseHead() {
	coat := p.horseCoat()
	hair := p.pick(coat.bright(45), coat.bright(60), colour{225, 210, 180}, colour{40, 35, 32})
	wide := p.between(26, 34)
	p.longHead(coat, coat.bright(p.between(55, 100)), wide,
		func() { p.limb(hair, -34-wide/2, -30, 10, -78-wide/2, 70, 16) },
		func() {
			p.poly(coat.bright(80), point{-40, -44}, point{-34, -78}, point{-18, -52})
			if p.chance(45) { // a blaze
				p.limb(colour{235, 230, 225}, 12, -32, 5, 56, 18, 4)
			}
			if p.chance(30) { // a bridle
				p.limb(p.paint(), 26, -14, 3, 16, 34, 3)
			}
		})
}

func (p *canvas) deerHead() {
	coat := p.near(p.pick(colour{150, 105, 65}, colour{125, 95, 70}, colour{175, 125, 80}), 16)
	wide := p.between(20, 27)
	p.longHead(coat, colour{50, 42, 40}, wide,
		func() {
			if p.chance(65) {
				p.antlers(-26, -50)
			}
		},
		func() {
			p.blob(coat.bright(75), point{-36, -40}, point{-70, -66}, point{-78, -52}, point{-52, -32})
			p.blob(coat.bright(90), point{-16, -50}, point{2, -78}, point{12, -66}, point{0, -46})
		})
}
