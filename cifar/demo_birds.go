package cifar

// plumage returns a bird's colour.
func (p *canvas) plumage() colour {
	return p.near(p.pick(
		colour{110, 85, 65}, colour{60, 60, 65}, colour{225, 222, 215}, colour{60, 105, 165}, colour{190, 70, 50},
		colour{215, 185, 70}, colour{120, 130, 90}, colour{150, 145, 140}), 20)
}

// beak returns a beak's or a leg's colour.
func (p *canvas) beak() colour {
	return p.near(p.pick(colour{220, 160, 50}, colour{70, 60, 55}, colour{190, 110, 70}), 20)
}

func (p *canvas) birdPerched() {
	body := p.plumage()
	wing := p.pick(body.bright(70), body.bright(120), p.plumage())
	beak := p.beak()
	if p.chance(70) { // a branch or the ground
		y := p.between(62, 72)
		p.limb(p.near(colour{95, 75, 55}, 30), -110, y+p.between(-14, 14), 6, 110, y, 5)
	}
	fat := p.between(28, 40)
	p.limb(beak.bright(80), -2, 30, 3, 0, 66, 3)
	p.limb(beak.bright(80), 12, 30, 3, 16, 66, 3)
	p.poly(wing.bright(85), point{-36, 0}, point{-98, p.between(18, 46)}, point{-90, 56}, point{-20, 28})
	p.addLimb(-22, 14, fat*4/5, 14, -2, fat)
	p.addLimb(14, -2, fat, 36, -36, fat*2/3)
	p.fill(body, 100)
	p.inside(func() {
		p.oval(mix(body, p.pick(colour{235, 230, 215}, colour{200, 110, 70}), p.between(0, 80)), 34, 12, 26, 34)
	})
	p.blob(wing, point{14, -14}, point{-20, -18}, point{-72, 26}, point{-24, 28}, point{10, 10})
	head := p.pick(body, body, wing)
	r := p.between(20, 26)
	p.oval(head, 40, -46, r, r)
	p.poly(beak, point{40 + r - 4, -54}, point{40 + r + p.between(12, 34), -44}, point{40 + r - 4, -38})
	p.oval(colour{20, 18, 18}, 48, -50, 4, 4)
}

func (p *canvas) birdFlying() {
	body := p.plumage()
	wing := p.pick(body.bright(75), body.bright(110))
	tip := wing.bright(p.between(50, 100))
	lift := -p.between(56, 92) // where the wings' tips are
	if p.chance(35) {
		lift = p.between(34, 64)
	}
	p.within(0, 0, p.between(-20, 20), 100, func() {
		p.addBlob(point{26, -6}, point{-4, lift * 2 / 3}, point{-50, lift * 9 / 10}, point{-44, lift / 2}, point{-30, 4})
		p.fill(wing.bright(82), 100)
		p.poly(wing, point{-46, -4}, point{-98, -14}, point{-94, 14}, point{-44, 8})
		p.addLimb(-48, 2, 9, 10, 0, 16)
		p.addLimb(10, 0, 16, 46, -6, 12)
		p.fill(body, 100)
		p.oval(body, 54, -10, 15, 14)
		p.poly(p.beak(), point{66, -15}, point{88, -8}, point{66, -4})
		p.oval(colour{20, 18, 18}, 58, -13, 3, 3)
		p.addBlob(point{32, -4}, point{32, lift / 2}, point{18, lift}, point{-16, lift * 3 / 4}, point{-28, 4})
		p.fill(wing, 100)
		p.inside(func() { p.oval(tip, 16, lift, 28, 28) })
	})
}

// birdWading is a heron, an ostrich, a goose: a neck.
func (p *canvas) birdWading() {
	body := p.plumage()
	neck := p.pick(body, colour{225, 222, 215}, body.bright(60))
	beak := p.beak()
	leg := p.between(28, 62)
	p.shadow(-6, 22+leg, 50, 6)
	p.limb(beak.bright(70), -14, 20, 3, -18, 22+leg, 3)
	p.limb(beak.bright(70), 2, 20, 3, 6, 22+leg, 3)
	p.addLimb(-52, 6, 12, 4, 4, 28)
	p.fill(body, 100)
	p.blob(body.bright(p.between(65, 90)), point{8, -10}, point{-20, -20}, point{-84, 16}, point{-20, 20})
	hx, hy := p.between(30, 54), -p.between(50, 84)
	bend := p.between(22, 46)
	p.addLimb(18, -2, 13, bend, hy/2, 8)
	p.addLimb(bend, hy/2, 8, hx, hy, 8)
	p.addOval(hx, hy, 12, 11)
	p.fill(neck, 100)
	p.poly(beak, point{hx + 8, hy - 5}, point{hx + p.between(26, 48), hy + 5}, point{hx + 8, hy + 6})
	p.oval(colour{20, 18, 18}, hx+3, hy-3, 3, 3)
}

// skin returns a frog's colour.
func (p *canvas) skin() colour {
	return p.near(p.pick(colour{85, 145, 50}, colour{110, 165, 60}, colour{70, 130, 45}, colour{130, 180, 75}, colour{95, 105, 55}, colour{120, 95, 65}, colour{60, 120, 110}), 20)
}

// warts draws a frog's spots.
func (p *canvas) warts(c colour) {
	spot := p.pick(c.bright(55), c.bright(70), c.bright(130))
	for range p.between(0, 12) {
		p.oval(spot, p.between(-70, 60), p.between(-44, 40), p.between(4, 11), p.between(4, 9))
	}
}

// bulge draws one of a frog's eyes.
func (p *canvas) bulge(skin colour, x, y, r int) {
	p.oval(skin, x, y, r, r)
	p.oval(p.near(colour{200, 170, 80}, 30), x+1, y-1, r*2/3, r*2/3)
	p.oval(colour{18, 16, 14}, x+2, y-1, r/3+1, r/3+1)
}

func (p *canvas) frogSide() {
	skin := p.skin()
	belly := mix(skin, colour{230, 225, 190}, p.between(30, 85))
	p.shadow(0, 56, 90, 9)
	p.limb(skin.bright(70), 40, 20, 9, 58, 52, 7)
	p.blob(skin, point{-82, 46}, point{-66, 4}, point{-20, -30}, point{32, -42}, point{72, -30}, point{92, -6}, point{74, 18}, point{30, 44}, point{-30, 52})
	p.inside(func() {
		p.oval(belly, 48, 34, 46, 22)
		p.warts(skin)
	})
	p.limb(skin.bright(45), 58, 2, 2, 90, -4, 2) // the mouth
	p.addLimb(-30, 52, 8, 18, 54, 6)             // the long foot
	p.fill(skin.bright(80), 100)
	p.addBlob(point{-84, 44}, point{-72, 6}, point{-36, 0}, point{-14, 24}, point{-26, 54})
	p.fill(skin.bright(92), 100)
	p.limb(skin, 30, 20, 10, 40, 50, 7)
	p.limb(skin, 40, 52, 5, 58, 54, 5)
	p.bulge(skin, 50, -40, p.between(13, 18))
}

func (p *canvas) frogFront() {
	skin := p.skin()
	belly := mix(skin, colour{230, 225, 190}, p.between(30, 85))
	p.shadow(0, 62, 92, 9)
	for _, side := range []int{-1, 1} {
		p.addBlob(point{side * 40, 60}, point{side * 92, 62}, point{side * 90, 14}, point{side * 52, 6})
		p.fill(skin.bright(78), 100)
	}
	p.blob(skin, point{-62, 58}, point{-66, 0}, point{-40, -30}, point{40, -30}, point{66, 0}, point{62, 58})
	p.inside(func() {
		p.oval(belly, 0, 52, 46, 36)
		p.warts(skin)
	})
	p.addBlob(point{-60, 2}, point{0, 12}, point{60, 2}, point{0, 18})
	p.fill(skin.bright(45), 100)
	for _, side := range []int{-1, 1} {
		p.limb(skin, side*34, 30, 10, side*42, 62, 8)
		p.limb(skin, side*34, 64, 5, side*56, 64, 5)
		p.bulge(skin, side*38, -32, p.between(14, 20))
	}
}

func (p *canvas) frogAbove() {
	skin := p.skin()
	p.within(0, 0, p.between(0, 359), p.between(85, 105), func() {
		for _, side := range []int{-1, 1} {
			knee := p.between(44, 70)
			p.addLimb(-40, side*20, 13, -16, side*knee, 10)
			p.addLimb(-16, side*knee, 9, -70, side*(knee+4), 6)
			p.addLimb(-70, side*(knee+4), 6, -50, side*(knee+24), 5)
			p.addLimb(34, side*24, 9, 44, side*54, 6)
			p.addLimb(44, side*54, 6, 68, side*58, 5)
			p.fill(skin.bright(80), 100)
		}
		p.blob(skin, point{-64, 0}, point{-40, -32}, point{10, -40}, point{58, -30}, point{80, 0}, point{58, 30}, point{10, 40}, point{-40, 32})
		p.inside(func() {
			p.warts(skin)
			if p.chance(35) { // stripes along the back
				c := skin.bright(140)
				p.limb(c, -60, -14, 3, 60, -18, 3)
				p.limb(c, -60, 14, 3, 60, 18, 3)
			}
		})
		p.bulge(skin, 52, -26, 13)
		p.bulge(skin, 52, 26, 13)
	})
}
