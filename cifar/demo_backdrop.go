package cifar

// texture returns smooth noise, -128 to 127: random values a few pixels apart
// and straight lines between them.
func (p *canvas) texture(cell int) *[plane]int {
	var grid [Size + 2][Size + 2]int
	for y := range Size/cell + 2 {
		for x := range Size/cell + 2 {
			grid[y][x] = p.between(-128, 127)
		}
	}
	out := new([plane]int)
	for i := range out {
		x, y := i%Size, i/Size
		gx, gy, fx, fy := x/cell, y/cell, x%cell, y%cell
		top := grid[gy][gx]*(cell-fx) + grid[gy][gx+1]*fx
		bottom := grid[gy+1][gx]*(cell-fx) + grid[gy+1][gx+1]*fx
		out[i] = (top*(cell-fy) + bottom*fy) / (cell * cell)
	}
	return out
}

// band paints rows from to to with a gradient, uneven by a texture of some
// strength in percent.
func (p *canvas) band(from, to int, top, bottom colour, cell, strength int) {
	noise := p.texture(cell)
	for y := max(0, from); y < min(Size, to); y++ {
		c := mix(top, bottom, 100*(y-from)/max(1, to-from))
		for x := range Size {
			i := y*Size + x
			for k := range c {
				p.pixels[i][k] = c[k] + noise[i]*strength/100
			}
		}
	}
}

// air paints a sky down to the horizon.
func (p *canvas) air(horizon int) {
	top := p.pick(colour{70, 120, 200}, colour{85, 140, 215}, colour{110, 160, 220}, colour{140, 180, 225}, colour{170, 185, 200}, colour{205, 210, 215}, colour{60, 80, 130})
	top = p.near(top, 22)
	low := mix(top, colour{235, 235, 230}, p.between(20, 80))
	if p.chance(12) { // dusk
		low = p.near(colour{240, 160, 90}, 25)
	}
	p.band(0, horizon, top, low, 16, 4)
	if p.chance(55) {
		cloud := p.near(colour{235, 235, 238}, 20)
		noise, fine := p.texture(8), p.texture(4)
		least := p.between(-20, 60)
		for i := range horizon * Size {
			if n := noise[i]*2/3 + fine[i]/3 - least; n > 0 {
				p.blend(i, cloud, min(solid, n*solid/60))
			}
		}
	}
}

// sky is air alone.
func (p *canvas) sky() { p.air(Size) }

// ground returns the colour of grass, hay, earth, sand or snow.
func (p *canvas) ground() colour {
	c := p.pick(colour{90, 135, 50}, colour{70, 110, 45}, colour{105, 145, 60}, colour{120, 150, 70}, colour{160, 145, 85}, colour{130, 105, 75}, colour{200, 180, 135}, colour{225, 228, 235})
	return p.near(c, 22)
}

// field is ground under a sky, with a line of trees or hills sometimes.
func (p *canvas) field() {
	horizon := p.between(2, 20)
	p.air(horizon)
	if p.chance(60) {
		p.far(horizon)
	}
	c := p.ground()
	p.band(horizon, Size, c, c.bright(p.between(70, 110)), p.pickInt(2, 3, 4, 6), p.between(8, 28))
}

func (p *canvas) pickInt(of ...int) int { return of[p.below(len(of))] }

// far paints trees, hills or houses that stand on the horizon.
func (p *canvas) far(horizon int) {
	c := p.near(p.pick(colour{50, 75, 45}, colour{70, 90, 80}, colour{110, 125, 140}, colour{95, 80, 70}), 20)
	height := p.texture(p.pickInt(3, 5, 8))
	most := p.between(2, 9)
	for x := range Size {
		h := most + height[x]*most/200
		for y := max(0, horizon-h); y < min(Size, horizon); y++ {
			i := y*Size + x
			p.blend(i, c.bright(100+height[i]/6), solid*9/10)
		}
	}
}

// forest is trunks and leaves.
func (p *canvas) forest() {
	c := p.near(p.pick(colour{55, 80, 40}, colour{80, 95, 60}, colour{90, 75, 50}, colour{40, 55, 40}, colour{150, 120, 60}), 20)
	p.band(0, Size, c.bright(115), c.bright(80), p.pickInt(3, 4, 6), p.between(25, 50))
	p.at = byPixel
	for range p.between(0, 5) {
		x, w := p.between(0, Size), p.between(1, 3)
		p.limb(p.near(colour{75, 60, 48}, 25), x, -3, w, x+p.between(-3, 3), p.between(20, 34), w)
	}
	if p.chance(60) {
		floor := p.between(20, 29)
		p.band(floor, Size, p.ground(), p.ground(), 3, 25)
	}
}

// thicket is leaves, stones, mud or still water from close by.
func (p *canvas) thicket() {
	c := p.near(p.pick(colour{75, 115, 45}, colour{50, 85, 40}, colour{115, 105, 70}, colour{85, 70, 55}, colour{120, 125, 120}, colour{70, 95, 95}), 25)
	p.band(0, Size, c, c.bright(p.between(70, 130)), p.pickInt(4, 6, 8, 12), p.between(20, 55))
	p.at = byPixel
	for range p.between(0, 6) {
		x, y, n := p.between(-4, 36), p.between(-4, 36), p.between(4, 10)
		leaf := p.near(mix(c, colour{120, 170, 70}, p.between(0, 50)), 30)
		p.within(x, y, p.between(0, 359), 100, func() {
			p.blob(leaf, point{-n, 0}, point{0, -n / 3}, point{n, 0}, point{0, n / 3})
		})
	}
}

// sea is water up to a horizon, with a coast sometimes.
func (p *canvas) sea() {
	horizon := p.between(5, 20)
	p.air(horizon)
	if p.chance(35) {
		p.far(horizon)
	}
	c := p.near(p.pick(colour{40, 85, 130}, colour{60, 120, 140}, colour{90, 110, 125}, colour{35, 55, 80}, colour{120, 150, 165}), 22)
	p.band(horizon, Size, mix(c, colour{200, 210, 220}, p.between(0, 40)), c, 8, 12)
	wave, length := p.between(10, 50), p.between(3, 7)
	for y := horizon; y < Size; y++ {
		noise := p.between(-128, 127)
		for x := range Size {
			if x%length == 0 {
				noise = (noise + p.between(-128, 127)) / 2
			}
			for k := range Channels {
				p.pixels[y*Size+x][k] += noise * wave / 300
			}
		}
	}
}

// road is asphalt with what stands beside it.
func (p *canvas) road() {
	horizon := p.between(6, 20)
	p.air(horizon)
	p.far(horizon)
	if p.chance(50) { // houses
		p.at = byPixel
		for range p.between(1, 4) {
			x, w, h := p.between(-4, 32), p.between(3, 9), p.between(3, 14)
			c := p.near(p.pick(colour{150, 110, 90}, colour{190, 180, 165}, colour{120, 125, 135}, colour{210, 205, 200}), 25)
			p.poly(c, point{x - w, horizon - h}, point{x + w, horizon - h}, point{x + w, horizon + 1}, point{x - w, horizon + 1})
			for wy := horizon - h + 2; wy < horizon-1; wy += 3 {
				p.poly(c.bright(55), point{x - w + 1, wy}, point{x + w - 1, wy}, point{x + w - 1, wy + 1}, point{x - w + 1, wy + 1})
			}
		}
	}
	verge := horizon + p.between(0, 5)
	p.band(horizon, verge, p.ground(), p.ground(), 3, 15)
	c := p.near(p.pick(colour{105, 105, 110}, colour{80, 80, 85}, colour{150, 148, 145}, colour{165, 150, 130}), 20)
	p.band(verge, Size, c, c.bright(p.between(75, 110)), 4, 10)
	if p.chance(40) {
		y := p.between(24, 30)
		p.at = byPixel
		p.poly(colour{215, 215, 200}, point{-2, y}, point{34, y + p.between(-3, 3)}, point{34, y + 2}, point{-2, y + 1})
	}
}

// room is a wall and a floor, or a blanket, and something that stands there.
func (p *canvas) room() {
	wall := p.near(p.pick(colour{200, 190, 170}, colour{150, 130, 115}, colour{120, 135, 155}, colour{175, 120, 100}, colour{90, 85, 85}, colour{215, 215, 215}), 30)
	floor := p.near(p.pick(colour{150, 110, 75}, colour{110, 95, 85}, colour{180, 170, 160}, colour{130, 60, 60}, colour{80, 95, 125}, colour{200, 190, 190}), 30)
	edge := p.between(8, 30)
	p.band(0, edge, wall, wall.bright(p.between(75, 105)), 12, 10)
	p.at = byPixel
	for range p.between(0, 2) {
		x, w, h := p.between(0, 32), p.between(3, 10), p.between(6, 20)
		p.poly(p.near(mix(wall, floor, 50), 50), point{x - w, edge - h}, point{x + w, edge - h}, point{x + w, edge + 2}, point{x - w, edge + 2})
	}
	p.band(edge, Size, floor, floor.bright(p.between(70, 115)), p.pickInt(2, 4, 8), p.between(4, 25))
}

// studio is next to nothing: a wall, paper, fog.
func (p *canvas) studio() {
	c := p.near(p.pick(colour{235, 235, 235}, colour{215, 210, 200}, colour{150, 150, 155}, colour{60, 60, 65}, colour{190, 200, 215}, colour{200, 170, 140}), 18)
	p.band(0, Size, c, c.bright(p.between(75, 108)), 16, p.between(2, 15))
}

// shadow darkens the ground under a figure, in the figure's units.
func (p *canvas) shadow(x, y, rx, ry int) {
	p.addOval(x, y, rx, ry)
	p.fill(colour{25, 25, 30}, p.between(25, 60))
}

// foreground covers a part of some pictures: grass, twigs, a post, a wire
// fence, something out of focus at the edge.
func (p *canvas) foreground() {
	p.at = byPixel
	switch p.below(28) {
	case 0: // grass
		c := p.ground()
		for range p.between(6, 22) {
			x := p.between(-2, 34)
			p.addLimb(x, 33, 1, x+p.between(-4, 4), p.between(16, 30), 0)
			p.fill(p.near(c, 25), 90)
		}
	case 1: // twigs
		c := p.near(colour{70, 60, 45}, 25)
		for range p.between(1, 3) {
			y := p.between(0, 32)
			p.addLimb(-2, y, 1, 34, y+p.between(-16, 16), 1)
			p.fill(c, 85)
		}
	case 2: // a post
		x, w := p.between(0, 32), p.between(1, 3)
		p.limb(p.near(colour{110, 100, 90}, 45), x, -4, w, x+p.between(-2, 2), 36, w)
	case 3: // a blur at the edge
		x, y := p.pickInt(0, 0, 32, 32, p.between(0, 32)), p.pickInt(0, 32, p.between(0, 32))
		p.addOval(x, y, p.between(5, 13), p.between(5, 13))
		p.fill(p.near(colour{110, 110, 100}, 80), p.between(50, 95))
	case 4: // wires
		c := p.near(colour{130, 130, 130}, 60)
		gap := p.between(7, 12)
		for x := p.below(gap); x < Size; x += gap {
			p.addPoly(point{x, -1}, point{x + 1, -1}, point{x + 1, 33}, point{x, 33})
		}
		p.fill(c, p.between(30, 70))
	}
}

// camera is what happens to the light on its way: exposure, contrast, a tint,
// focus, and a sensor's noise.
func (p *canvas) camera() {
	for range p.pickInt(0, 0, 0, 0, 0, 0, 0, 1) {
		p.soften()
	}
	contrast, exposure := p.between(86, 114), p.between(-13, 13)
	var tint colour
	for k := range tint {
		tint[k] = 100 + p.between(-4, 4)
	}
	grey := max(0, p.between(-140, 30)) // percent
	noise := p.between(1, 5)
	for i := range p.pixels {
		c := &p.pixels[i]
		mean := (c[0]*30 + c[1]*59 + c[2]*11) / 100
		for k := range c {
			v := c[k] + (mean-c[k])*grey/100
			v = (v-118)*contrast/100 + 118 + exposure
			v = v * tint[k] / 100
			c[k] = v + p.between(-noise, noise) + p.between(-noise, noise)
		}
	}
}

// nearest is the row or column of the picture that is nearest to i.
func nearest(i int) int { return max(0, min(Size-1, i)) }

// soften blurs the picture: each pixel gets half of its light from its
// neighbours above, below, left and right.
func (p *canvas) soften() {
	was := p.pixels
	for y := range Size {
		for x := range Size {
			for k := range Channels {
				sum := was[nearest(y-1)*Size+x][k] + was[nearest(y+1)*Size+x][k] +
					was[y*Size+nearest(x-1)][k] + was[y*Size+nearest(x+1)][k]
				p.pixels[y*Size+x][k] = (was[y*Size+x][k]*4 + sum) / 8
			}
		}
	}
}
