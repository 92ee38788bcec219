package cifar

// A face is a cat's or a dog's: ears, eyes and muzzle tell them apart.
type face struct {
	coat, patch colour
	wide, high  int    // half the size of the head
	ears        func() // behind the head
	flaps       func() // before it
	eye         colour
	eyeSize     int
	snout       int // half the width of the muzzle
	nose        int // half the width of the nose
	noseColour  colour
}

// face draws a head from the front, and the shoulders below it.
func (p *canvas) face(f face) {
	p.addBlob(point{-f.wide, 104}, point{-f.wide * 3 / 4, 40}, point{f.wide * 3 / 4, 40}, point{f.wide, 104})
	p.fill(f.coat.bright(88), 100)
	p.within(0, 0, p.between(-18, 18), 100, func() {
		f.ears()
		p.addOval(0, 0, f.wide, f.high)
		p.fill(f.coat, 100)
		p.inside(func() {
			switch p.below(4) {
			case 0: // a blaze
				p.poly(f.patch, point{-6, -80}, point{6, -80}, point{18, 20}, point{-18, 20})
			case 1: // a patch over an eye
				p.oval(f.patch, 28, -12, 26, 30)
			case 2:
				for _, x := range []int{-22, -8, 8, 22} {
					p.limb(f.coat.bright(62), x, -70, 3, x*3/4, -34, 2)
				}
			}
		})
		look := p.between(-4, 4)
		for _, side := range []int{-1, 1} {
			x := side*f.wide*43/100 + look
			p.oval(f.eye, x, -12, f.eyeSize, f.eyeSize*9/10)
			p.oval(colour{18, 16, 16}, x+look/2, -12, f.eyeSize/2+1, f.eyeSize*3/4)
		}
		p.oval(mix(f.coat, f.patch, 50), look, 28, f.snout, f.snout*4/5)
		p.oval(f.noseColour, look, 16, f.nose, f.nose*3/4)
		p.limb(f.coat.bright(40), look, 24, 2, look, 38, 2)
		f.flaps()
	})
}

func (p *canvas) catFace() {
	coat := p.coat()
	f := face{
		coat: coat, patch: p.pick(colour{235, 230, 222}, p.coat()),
		wide: p.between(56, 68), high: p.between(48, 58), flaps: func() {},
		eye: p.pick(colour{165, 190, 75}, colour{215, 170, 60}, colour{120, 165, 195}), eyeSize: p.between(10, 15),
		snout: p.between(18, 26), nose: p.between(5, 9), noseColour: p.pick(colour{200, 130, 125}, colour{60, 45, 45}),
	}
	h := p.between(26, 46)
	f.ears = func() {
		for _, side := range []int{-1, 1} {
			p.poly(coat.bright(85), point{side * (f.wide - 2), -14}, point{side * (f.wide - 8), -f.high - h/2}, point{side * 12, -f.high + 6})
			p.poly(colour{190, 140, 130}, point{side * (f.wide - 10), -24}, point{side * (f.wide - 13), -f.high - h/4}, point{side * 24, -f.high + 8})
		}
	}
	p.face(f)
}

func (p *canvas) dogFace() {
	coat := p.coat()
	f := face{
		coat: coat, patch: p.pick(colour{235, 230, 222}, p.coat()),
		wide: p.between(48, 62), high: p.between(50, 62), ears: func() {}, flaps: func() {},
		eye: p.pick(colour{70, 45, 30}, colour{40, 30, 25}, colour{120, 85, 50}), eyeSize: p.between(8, 11),
		snout: p.between(27, 36), nose: p.between(10, 15), noseColour: p.pick(colour{28, 26, 26}, colour{28, 26, 26}, colour{110, 75, 65}),
	}
	ear := coat.bright(p.between(60, 90))
	if p.chance(12) { // pricked
		h := p.between(20, 40)
		f.ears = func() {
			for _, side := range []int{-1, 1} {
				p.poly(ear, point{side * (f.wide - 2), -18}, point{side * (f.wide - 12), -f.high - h/2}, point{side * 16, -f.high + 6})
			}
		}
	} else {
		drop := p.between(10, 52)
		f.flaps = func() {
			for _, side := range []int{-1, 1} {
				p.addLimb(side*(f.wide-10), -f.high+18, 14, side*(f.wide+8), drop, 15)
				p.fill(ear, 100)
			}
		}
	}
	tongue := p.chance(30)
	if tongue {
		flaps := f.flaps
		f.flaps = func() {
			flaps()
			p.limb(colour{215, 110, 115}, 0, 44, 9, 0, 62, 9)
		}
	}
	p.face(f)
}

// sit draws a cat or a dog on its haunches, seen from the side.
func (p *canvas) sit(coat, chest colour, slim int, tail, head func()) {
	p.shadow(-8, 84, 66, 9)
	tail()
	p.blob(coat, point{-60, 82}, point{-64, 40}, point{-36, 2}, point{2, -30}, point{30, -22}, point{38, 20}, point{32, 80})
	p.inside(func() {
		p.oval(chest, 40, 26, 18, 44)
		p.fur(coat)
	})
	p.addBlob(point{-54, 84}, point{-52, 46}, point{-20, 40}, point{-2, 62}, point{2, 84})
	p.fill(coat.bright(90), 100)
	p.limb(coat, 22, 20, slim+2, 28, 82, slim)
	p.limb(coat.bright(92), 32, 20, slim, 40, 82, slim)
	head()
}

func (p *canvas) catSitting() {
	coat := p.coat()
	b := beast{coat: coat, points: coat.bright(p.between(75, 120)), head: p.between(25, 31), muzzle: p.between(14, 20),
		eye: p.pick(colour{170, 190, 70}, colour{210, 170, 60}, colour{30, 30, 30})}
	b.ears = func() {
		for _, dx := range []int{-8, 12} {
			p.poly(coat.bright(85), point{dx - 14, -b.head / 2}, point{dx - 6, -b.head - p.between(14, 22)}, point{dx + 9, -b.head * 2 / 3})
		}
	}
	p.sit(coat, mix(coat, colour{230, 225, 215}, p.between(0, 80)), p.between(7, 10),
		func() { p.curve(coat, -54, 76, p.between(150, 230), p.between(10, 60), p.between(18, 26), 6) },
		func() {
			p.within(22, -50, p.between(-20, 25), 100, func() { p.skull(b) })
		})
}

func (p *canvas) dogSitting() {
	coat := p.coat()
	b := beast{coat: coat, points: coat.bright(p.between(60, 120)), head: p.between(22, 28), muzzle: p.between(26, 38), eye: colour{25, 22, 22}}
	pricked := p.chance(12)
	b.ears = func() {
		if pricked {
			p.poly(coat.bright(80), point{-16, -b.head / 2}, point{-10, -b.head - p.between(10, 20)}, point{6, -b.head * 2 / 3})
		}
	}
	p.sit(coat, mix(coat, colour{230, 225, 215}, p.between(0, 80)), p.between(8, 12),
		func() { p.curve(coat, -54, 76, p.between(170, 220), p.between(0, 40), p.between(12, 20), 6) },
		func() {
			p.within(24, -50, p.between(-20, 25), 100, func() {
				p.skull(b)
				if !pricked {
					p.limb(coat.bright(68), -10, -b.head/2, 9, -16, p.between(10, 26), 9)
				}
			})
		})
}
