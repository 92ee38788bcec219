package cifar

// Figures look to the right and lie between about -100 and 100 both ways, x to
// the right and y down.

// paint returns a car's colour.
func (p *canvas) paint() colour {
	return p.near(p.pick(
		colour{185, 35, 35}, colour{40, 75, 160}, colour{225, 225, 225}, colour{45, 45, 50}, colour{150, 155, 160},
		colour{215, 180, 50}, colour{45, 110, 75}, colour{195, 95, 40}, colour{120, 160, 195}, colour{110, 40, 60}), 22)
}

// glass returns a window's colour.
func (p *canvas) glass() colour {
	return p.near(p.pick(colour{45, 55, 65}, colour{80, 100, 115}, colour{150, 170, 185}), 18)
}

// wheel draws a wheel from the side.
func (p *canvas) wheel(x, y, r int) {
	p.oval(colour{28, 28, 30}, x, y, r, r)
	p.oval(colour{125, 125, 130}, x, y, r/2, r/2)
}

// jetSide is an airliner seen from the side.
func (p *canvas) jetSide() {
	body := p.near(p.pick(colour{235, 235, 240}, colour{205, 208, 212}, colour{150, 160, 170}, colour{225, 220, 200}), 15)
	trim := p.paint()
	wing := body.bright(p.between(62, 90))
	fat := p.between(10, 16)
	p.poly(wing.bright(85), point{5, -4}, point{-22, -p.between(16, 30)}, point{-8, -26}, point{28, -4}) // the far wing
	p.addLimb(-88, -3, 5, -40, 0, fat)
	p.addLimb(-45, 0, fat, 68, 0, fat)
	p.addOval(72, 2, 22, fat-2)
	p.fill(body, 100)
	p.inside(func() {
		if p.chance(50) {
			p.poly(trim, point{-100, 2}, point{100, 2}, point{100, 6}, point{-100, 6})
		}
		if p.chance(60) {
			for x := -50; x < 66; x += 11 {
				p.oval(colour{50, 60, 75}, x, -3, 3, 3)
			}
		}
		p.oval(colour{40, 50, 65}, 86, -4, 9, 4) // cockpit
	})
	fin := body
	if p.chance(70) {
		fin = trim
	}
	h := p.between(38, 54)
	p.poly(fin, point{-62, -6}, point{-84, -h}, point{-99, -h}, point{-90, -3})
	p.poly(wing, point{-70, 0}, point{-98, p.between(6, 16)}, point{-84, 12}, point{-56, 3})
	span := p.between(26, 52)
	p.poly(wing, point{-8, 4}, point{-48, span}, point{-32, span + 2}, point{34, 6})
	if p.chance(75) {
		p.limb(wing.bright(80), -10, 20, 7, 14, 20, 8)
	}
	if p.chance(25) {
		p.limb(colour{60, 60, 60}, 62, fat, 2, 62, fat+14, 2)
		p.wheel(62, fat+15, 6)
		p.limb(colour{60, 60, 60}, -8, fat, 2, -8, fat+14, 2)
		p.wheel(-8, fat+15, 7)
	}
}

// jetAbove is a jet that banks: one sees its plan.
func (p *canvas) jetAbove() {
	body := p.near(p.pick(colour{225, 228, 232}, colour{140, 150, 160}, colour{95, 105, 110}, colour{180, 180, 170}), 20)
	wing := body.bright(p.between(75, 105))
	sweep, fat := p.between(10, 60), p.between(8, 14)
	p.within(0, 0, p.between(-75, 75), 100, func() {
		p.addPoly(point{20, 0}, point{-8 - sweep, -88}, point{-24 - sweep, -88}, point{-26, 0})
		p.addPoly(point{20, 0}, point{-8 - sweep, 88}, point{-24 - sweep, 88}, point{-26, 0})
		p.addPoly(point{-62, 0}, point{-90, -36}, point{-100, -36}, point{-88, 0})
		p.addPoly(point{-62, 0}, point{-90, 36}, point{-100, 36}, point{-88, 0})
		p.fill(wing, 100)
		p.addLimb(-92, 0, 4, -20, 0, fat)
		p.addLimb(-20, 0, fat, 66, 0, fat-1)
		p.addOval(72, 0, 24, fat-3)
		p.fill(body, 100)
		if p.chance(60) {
			for _, side := range []int{-1, 1} {
				p.limb(wing.bright(70), -10-sweep/3, side*34, 6, 10-sweep/3, side*34, 6)
			}
		}
		p.oval(colour{45, 55, 70}, 74, 0, 8, fat/2)
	})
}

// propeller is a small high-winged airplane.
func (p *canvas) propeller() {
	body, trim := p.paint(), p.paint()
	p.poly(trim, point{-66, -8}, point{-88, -42}, point{-100, -42}, point{-94, -2})
	p.addLimb(-92, -2, 5, 0, 2, 18)
	p.addLimb(0, 2, 18, 52, 6, 15)
	p.fill(body, 100)
	p.poly(p.glass(), point{-4, -20}, point{30, -18}, point{40, -4}, point{-8, -4})
	y := p.between(-24, -14)
	if p.chance(40) {
		y = p.between(8, 18) // low-winged
	}
	p.limb(trim, -34, y+4, 5, 44, y, 7)
	p.limb(trim.bright(80), -94, -2, 3, -70, -2, 4)
	p.addOval(70, 6, 4, p.between(26, 40))
	p.fill(colour{60, 60, 60}, 55)
	p.oval(trim, 66, 6, 7, 7)
	if p.chance(70) {
		p.limb(colour{50, 50, 50}, 20, 18, 2, 26, 38, 2)
		p.wheel(26, 40, 9)
	}
}

// carSide is a saloon, a hatchback or a van, by its proportions.
func (p *canvas) carSide() {
	body, glass := p.paint(), p.glass()
	roof := p.between(-48, -30)
	back, front := p.between(-86, -48), p.between(20, 44) // ends of the roof line
	p.shadow(0, 48, 100, 9)
	p.addBlob(point{-96, 30}, point{-97, 4}, point{-70, -8}, point{0, -9}, point{60, -7}, point{94, 6}, point{97, 30}, point{0, 36})
	p.addPoly(point{back - 14, 0}, point{back, roof}, point{front - 14, roof}, point{front + 16, 0})
	p.fill(body, 100)
	pillar := (back + front) / 2
	p.poly(glass, point{back - 2, -6}, point{back + 5, roof + 7}, point{pillar - 4, roof + 7}, point{pillar - 4, -6})
	p.poly(glass, point{pillar + 2, -6}, point{pillar + 2, roof + 7}, point{front - 17, roof + 7}, point{front + 2, -6})
	p.poly(body.bright(60), point{-92, 22}, point{92, 22}, point{88, 32}, point{-90, 32})
	p.oval(colour{245, 235, 190}, 88, 8, 7, 5)
	p.oval(colour{180, 30, 30}, -92, 8, 4, 6)
	r := p.between(16, 22)
	p.wheel(-56, 33, r)
	p.wheel(56, 33, r)
}

// carFront is a car that comes towards us, or drives away.
func (p *canvas) carFront() {
	body, glass := p.paint(), p.glass()
	w, roof := p.between(62, 84), p.between(-56, -38)
	p.shadow(0, 58, w+10, 9)
	p.poly(colour{25, 25, 25}, point{-w + 2, 30}, point{-w + 24, 30}, point{-w + 24, 60}, point{-w + 2, 60})
	p.poly(colour{25, 25, 25}, point{w - 2, 30}, point{w - 24, 30}, point{w - 24, 60}, point{w - 2, 60})
	p.addPoly(point{-w + 12, -4}, point{-w + 28, roof}, point{w - 28, roof}, point{w - 12, -4})
	p.addBlob(point{-w, 44}, point{-w - 1, 8}, point{-w + 12, -6}, point{w - 12, -6}, point{w + 1, 8}, point{w, 44}, point{0, 50})
	p.fill(body, 100)
	p.poly(glass, point{-w + 20, -6}, point{-w + 33, roof + 7}, point{w - 33, roof + 7}, point{w - 20, -6})
	lamp := p.pick(colour{250, 245, 215}, colour{250, 245, 215}, colour{195, 35, 35})
	p.oval(lamp, -w+17, 12, 13, 8)
	p.oval(lamp, w-17, 12, 13, 8)
	p.poly(colour{40, 40, 42}, point{-w + 36, 8}, point{w - 36, 8}, point{w - 40, 24}, point{-w + 40, 24})
	p.poly(colour{230, 230, 225}, point{-14, 30}, point{14, 30}, point{14, 39}, point{-14, 39})
}

// truckSide is a lorry: a box, a tank or a heap, and the cab before it.
func (p *canvas) truckSide() {
	cab, glass := p.paint(), p.glass()
	load := p.pick(cab, colour{230, 230, 230}, p.paint(), colour{150, 150, 155})
	p.shadow(0, 52, 100, 9)
	p.poly(colour{45, 45, 48}, point{-96, 22}, point{92, 22}, point{92, 34}, point{-96, 34})
	top, end := p.between(-66, -34), p.between(18, 34)
	switch p.below(5) {
	case 0: // tank
		p.limb(load, -76, -8, 24, end-26, -8, 24)
	case 1: // open, with a heap
		p.blob(p.near(colour{120, 95, 70}, 25), point{-90, -14}, point{-50, -38}, point{0, -34}, point{end - 4, -12}, point{-30, 0})
		p.poly(load, point{-98, -18}, point{end, -18}, point{end - 6, 24}, point{-92, 24})
	default:
		p.poly(load, point{-98, top}, point{end, top}, point{end, 24}, point{-98, 24})
		p.inside(func() {
			if p.chance(50) {
				y := p.between(top+8, 10)
				p.poly(p.paint(), point{-100, y}, point{50, y}, point{50, y + 9}, point{-100, y + 9})
			}
		})
	}
	cabTop := p.between(-40, -22)
	p.poly(cab, point{end + 5, 30}, point{end + 5, cabTop}, point{72, cabTop}, point{88, 0}, point{96, 4}, point{97, 30})
	p.poly(glass, point{end + 18, cabTop + 7}, point{70, cabTop + 7}, point{80, -2}, point{end + 18, -2})
	p.oval(colour{245, 235, 190}, 92, 16, 5, 5)
	r := p.between(15, 19)
	p.wheel(-74, 37, r)
	if p.chance(70) {
		p.wheel(-38, 37, r)
	}
	p.wheel(66, 37, r)
}

// pickup is a truck that is nearly a car.
func (p *canvas) pickup() {
	body, glass := p.paint(), p.glass()
	roof := p.between(-54, -42)
	p.shadow(0, 50, 100, 9)
	p.addPoly(point{-98, 32}, point{-98, -10}, point{-14, -10}, point{-10, roof}, point{30, roof}, point{50, -8}, point{92, -4}, point{97, 12}, point{97, 32})
	p.fill(body, 100)
	p.poly(glass, point{-2, -10}, point{-1, roof + 7}, point{27, roof + 7}, point{40, -10})
	if p.chance(40) { // something on the bed
		p.poly(p.near(colour{130, 110, 90}, 50), point{-90, -10}, point{-84, -p.between(18, 34)}, point{-30, -28}, point{-26, -10})
	}
	p.poly(body.bright(60), point{-96, 22}, point{94, 22}, point{92, 34}, point{-94, 34})
	p.poly(body.bright(75), point{-96, -12}, point{-14, -12}, point{-14, -6}, point{-96, -6})
	p.oval(colour{245, 235, 190}, 91, 6, 6, 6)
	r := p.between(19, 24)
	p.wheel(-58, 34, r)
	p.wheel(60, 34, r)
}

// truckFront is a truck that comes towards us: taller than a car.
func (p *canvas) truckFront() {
	body, glass := p.paint(), p.glass()
	w, top := p.between(48, 66), p.between(-84, -62)
	p.shadow(0, 62, w+12, 9)
	p.poly(colour{25, 25, 25}, point{-w + 2, 34}, point{-w + 22, 34}, point{-w + 22, 66}, point{-w + 2, 66})
	p.poly(colour{25, 25, 25}, point{w - 2, 34}, point{w - 22, 34}, point{w - 22, 66}, point{w - 2, 66})
	if p.chance(50) { // the load behind
		p.poly(p.paint(), point{-w - 6, top - 12}, point{w + 6, top - 12}, point{w + 6, 20}, point{-w - 6, 20})
	}
	p.poly(body, point{-w, 50}, point{-w, -20}, point{-w + 6, top}, point{w - 6, top}, point{w, -20}, point{w, 50})
	p.poly(glass, point{-w + 6, -22}, point{-w + 11, top + 9}, point{w - 11, top + 9}, point{w - 6, -22})
	p.poly(colour{55, 55, 58}, point{-w + 20, -8}, point{w - 20, -8}, point{w - 20, 26}, point{-w + 20, 26})
	p.poly(body.bright(50), point{-w - 2, 34}, point{w + 2, 34}, point{w + 2, 48}, point{-w - 2, 48})
	p.oval(colour{250, 245, 215}, -w+10, 22, 9, 8)
	p.oval(colour{250, 245, 215}, w-10, 22, 9, 8)
}

// hull draws a ship's side from stern to bow and the water before it.
func (p *canvas) hull(c colour, deck, depth int) {
	p.poly(c, point{-96, deck}, point{98, deck - 6}, point{80, deck + depth}, point{-84, deck + depth})
	p.inside(func() {
		y := deck + depth*2/3
		p.poly(p.pick(colour{130, 45, 40}, c.bright(65), colour{235, 235, 235}), point{-100, y}, point{100, y}, point{100, 99}, point{-100, 99})
	})
	foam := p.near(colour{215, 222, 228}, 20)
	p.addBlob(point{-104, deck + depth}, point{0, deck + depth - 4}, point{104, deck + depth - 1}, point{0, deck + depth + 6})
	p.fill(foam, p.between(20, 80))
}

// freighter carries containers or a crane.
func (p *canvas) freighter() {
	deck := p.between(2, 14)
	cabin := p.near(colour{230, 230, 225}, 18)
	for x := -34; x < 72; x += 19 {
		stack := p.between(0, 3)
		for k := range stack {
			y := deck - 13*(k+1)
			p.poly(p.paint(), point{x, y}, point{x + 18, y}, point{x + 18, y + 13}, point{x, y + 13})
		}
	}
	if p.chance(50) {
		x := p.between(-10, 60)
		p.limb(colour{80, 75, 70}, x, deck, 3, x, deck-60, 2)
		p.limb(colour{80, 75, 70}, x, deck-24, 2, x+24, deck-52, 2)
	}
	h := p.between(34, 58)
	p.poly(cabin, point{-84, deck}, point{-84, deck - h}, point{-46, deck - h}, point{-44, deck})
	p.inside(func() {
		for y := deck - h + 6; y < deck-6; y += 12 {
			p.poly(colour{60, 70, 85}, point{-82, y}, point{-48, y}, point{-48, y + 4}, point{-82, y + 4})
		}
	})
	p.poly(p.paint(), point{-78, deck - h}, point{-77, deck - h - 20}, point{-62, deck - h - 20}, point{-61, deck - h})
	p.hull(p.paint(), deck, p.between(26, 40))
}

// liner is white and has many decks.
func (p *canvas) liner() {
	white := p.near(colour{232, 234, 236}, 14)
	deck := p.between(6, 18)
	for k := range p.between(2, 4) {
		y := deck - 13*k
		from, to := -88+8*k+p.between(0, 8), 72-14*k-p.between(0, 10)
		p.poly(white, point{from, y}, point{from + 3, y - 13}, point{to - 8, y - 13}, point{to, y})
		p.poly(colour{70, 90, 110}, point{from + 6, y - 4}, point{from + 6, y - 8}, point{to - 12, y - 8}, point{to - 10, y - 4})
	}
	x := p.between(-50, -10)
	p.poly(p.paint(), point{x, deck - 30}, point{x + 3, deck - 66}, point{x + 20, deck - 66}, point{x + 21, deck - 30})
	hull := white
	if p.chance(55) {
		hull = p.paint()
	}
	p.hull(hull, deck, p.between(22, 34))
}

// sailboat has one mast, two sails or bare poles.
func (p *canvas) sailboat() {
	deck := p.between(30, 44)
	top := p.between(-98, -70)
	mast := p.near(colour{120, 100, 80}, 40)
	p.limb(mast, 0, deck, 2, 0, top, 2)
	sail := p.near(p.pick(colour{240, 240, 235}, colour{240, 240, 235}, colour{220, 200, 170}, p.paint()), 12)
	if p.chance(85) {
		p.poly(sail, point{-6, top + 6}, point{-6, deck - 10}, point{-p.between(40, 72), deck - 12})
		p.poly(sail.bright(p.between(80, 112)), point{7, top + 14}, point{7, deck - 8}, point{p.between(36, 70), deck - 8})
	} else {
		p.limb(mast, -40, deck, 2, -40, top+30, 2)
		p.limb(mast, 0, top+8, 1, 80, deck, 1)
		p.limb(mast, 0, top+8, 1, -90, deck, 1)
	}
	p.within(0, deck, 0, p.between(70, 96), func() { p.hull(p.paint(), 0, p.between(22, 30)) })
}
