package cifar

// All drawing is done in whole numbers. Floating point would be easier to read
// but not the same on every machine: a compiler may fuse a multiplication and
// an addition where the processor can, and a pixel then differs by one. Nothing
// here exceeds 32 bits.
const (
	px       = 256  // steps of a canvas coordinate in a pixel
	one      = 4096 // the number 1 in a scale or a sine
	subrows  = 4    // lines that a row of pixels is sampled on
	solid    = subrows * px
	maxCross = 64 // edges that may cross one line
)

// A colour is red, green and blue, 0 to 255.
type colour [Channels]int

// mix returns a with percent of b in it.
func mix(a, b colour, percent int) colour {
	for c := range a {
		a[c] += (b[c] - a[c]) * percent / 100
	}
	return a
}

// bright returns c with its brightness at percent.
func (c colour) bright(percent int) colour {
	for i := range c {
		c[i] = min(255, max(0, c[i]*percent/100))
	}
	return c
}

// near returns a colour close to c: up to d brighter or darker, and a third of
// that in each channel by itself.
func (r *rng) near(c colour, d int) colour {
	all := r.between(-d, d)
	for i := range c {
		c[i] = min(255, max(0, c[i]+all+r.between(-d/3, d/3)))
	}
	return c
}

// pick returns one of the colours.
func (r *rng) pick(colours ...colour) colour { return colours[r.below(len(colours))] }

// sine returns the sine of an angle in degrees, times one, by Bhaskara I's
// approximation (7th century), right within 0.2% of the radius.
func sine(degrees int) int {
	degrees = (degrees%360 + 360) % 360
	sign := one
	if degrees >= 180 {
		degrees, sign = degrees-180, -sign
	}
	q := degrees * (180 - degrees)
	return sign * 4 * q / (40500 - q)
}

func cosine(degrees int) int { return sine(degrees + 90) }

// An affine map takes a figure's coordinates, in sixteenths of its units, to
// the canvas: x' = (a*x + b*y)/one + dx, y' = (c*x + d*y)/one + dy.
type affine struct{ a, b, c, d, dx, dy int }

// place returns the map that scales by sx and sy (one is 1), turns by an
// angle clockwise and moves to (x, y), which are in the coordinates of m.
func (m affine) place(x, y, degrees, sx, sy int) affine {
	s, c := sine(degrees), cosine(degrees)
	n := affine{a: c * sx / one, b: -s * sy / one, c: s * sx / one, d: c * sy / one}
	at := m.apply(x*16, y*16)
	return affine{
		a: (m.a*n.a + m.b*n.c) / one, b: (m.a*n.b + m.b*n.d) / one,
		c: (m.c*n.a + m.d*n.c) / one, d: (m.c*n.b + m.d*n.d) / one,
		dx: at.x, dy: at.y,
	}
}

func (m affine) apply(x, y int) point {
	return point{(m.a*x+m.b*y)/one + m.dx, (m.c*x+m.d*y)/one + m.dy}
}

// byPixel is the map of a figure whose unit is a pixel.
var byPixel = affine{a: px * one / 16, d: px * one / 16}

// A point lies on the canvas if it is in a path, in steps of 1/px pixel, or
// in a figure's own units if it is given to a drawing method.
type point struct{ x, y int }

// A mask is how much of each pixel a path covers: 0 to solid.
type mask [plane]int

// A crossing is where a path crosses a line of samples.
type crossing struct {
	x    int
	turn int // 1 for an edge that goes down, -1 for one that goes up
}

// A canvas is the picture being drawn, and what a drawing method needs.
type canvas struct {
	rng
	pixels [plane]colour
	at     affine // from the current figure's units
	light  point  // where light comes from: a direction of length 256
	relief int    // how much light and shadow show, in percent

	path  [][]point // contours, which fill takes together
	store []point   // their memory
	cover mask      // of the last filled path
	clip  *mask     // if not nil, nothing is drawn outside it
	lines [Size * subrows][maxCross]crossing
	count [Size * subrows]int
}

// contour adds a closed line to the path. All contours turn the same way, so
// that overlapping ones add up to one shape.
func (p *canvas) contour(points []point) {
	area := 0
	for i, a := range points {
		b := points[(i+1)%len(points)]
		area += a.x*b.y - b.x*a.y
	}
	if area < 0 {
		for i, j := 0, len(points)-1; i < j; i, j = i+1, j-1 {
			points[i], points[j] = points[j], points[i]
		}
	}
	p.path = append(p.path, points)
}

// points returns n points of memory for a contour.
func (p *canvas) points(n int) []point {
	if len(p.store)+n > cap(p.store) {
		p.store = make([]point, 0, max(4096, n)) // contours keep the old one
	}
	p.store = p.store[:len(p.store)+n]
	return p.store[len(p.store)-n : len(p.store) : len(p.store)]
}

// scan computes how much of each pixel the path covers, and forgets the path.
func (p *canvas) scan() {
	clear(p.count[:])
	for _, points := range p.path {
		for i, a := range points {
			b, turn := points[(i+1)%len(points)], 1
			if a.y > b.y {
				a, b, turn = b, a, -1
			}
			const step = px / subrows
			first := max(0, floorDiv(a.y+step/2-1, step)) // the first line at or below a
			for line := first; line < len(p.lines); line++ {
				y := line*step + step/2
				if y >= b.y {
					break
				}
				if n := p.count[line]; y >= a.y && n < maxCross {
					p.lines[line][n] = crossing{a.x + (b.x-a.x)*(y-a.y)/(b.y-a.y), turn}
					p.count[line]++
				}
			}
		}
	}
	p.path, p.store = p.path[:0], p.store[:0]
	clear(p.cover[:])
	for line, n := range p.count {
		cross := p.lines[line][:n]
		for i := 1; i < n; i++ { // insertion sort: there are few
			for j := i; j > 0 && cross[j].x < cross[j-1].x; j-- {
				cross[j], cross[j-1] = cross[j-1], cross[j]
			}
		}
		winding := 0
		for i, c := range cross {
			if winding != 0 {
				p.span(line/subrows, cross[i-1].x, c.x)
			}
			winding += c.turn
		}
	}
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// span covers a row of pixels from x0 to x1.
func (p *canvas) span(row, x0, x1 int) {
	x0, x1 = max(x0, 0), min(x1, Size*px)
	for x0 < x1 {
		i := x0 / px
		end := min(x1, (i+1)*px)
		p.cover[row*Size+i] += end - x0
		x0 = end
	}
}

// fill paints the path with a colour, percent opaque, lit from p.light: bright
// on one side of the shape and dark on the other.
func (p *canvas) fill(c colour, percent int) {
	lo, hi := point{1 << 30, 1 << 30}, point{-1 << 30, -1 << 30}
	for _, points := range p.path {
		for _, q := range points {
			lo, hi = point{min(lo.x, q.x), min(lo.y, q.y)}, point{max(hi.x, q.x), max(hi.y, q.y)}
		}
	}
	if len(p.path) == 0 {
		return
	}
	p.scan()
	middle := point{(lo.x + hi.x) / 2, (lo.y + hi.y) / 2}
	reach := max(px, (hi.x-lo.x+hi.y-lo.y)/4) // from the middle to the edge, about
	for y := max(0, lo.y/px); y <= min(Size-1, hi.y/px); y++ {
		for x := max(0, lo.x/px); x <= min(Size-1, hi.x/px); x++ {
			i := y*Size + x
			cover := p.cover[i]
			if p.clip != nil {
				cover = cover * p.clip[i] / solid
			}
			if cover == 0 {
				continue
			}
			dx, dy := x*px+px/2-middle.x, y*px+px/2-middle.y
			lit := (dx*p.light.x + dy*p.light.y) / reach // -256 to 256, about
			p.blend(i, c.bright(100+lit*p.relief/256), cover*percent/100)
		}
	}
}

// blend mixes a colour into pixel i; amount is 0 to solid.
func (p *canvas) blend(i int, c colour, amount int) {
	for k := range c {
		p.pixels[i][k] += (c[k] - p.pixels[i][k]) * amount / solid
	}
}

// poly draws a shape with corners, given in the figure's units.
func (p *canvas) poly(c colour, corners ...point) {
	p.addPoly(corners...)
	p.fill(c, 100)
}

func (p *canvas) addPoly(corners ...point) {
	points := p.points(len(corners))
	for i, q := range corners {
		points[i] = p.at.apply(q.x*16, q.y*16)
	}
	p.contour(points)
}

// blob draws a shape without corners: a Catmull-Rom spline through the points.
func (p *canvas) blob(c colour, through ...point) {
	p.addBlob(through...)
	p.fill(c, 100)
}

func (p *canvas) addBlob(through ...point) {
	const pieces = 6 // of straight line between two points
	n := len(through)
	points := p.points(n * pieces)
	for i := range n {
		a, b, c, d := through[(i+n-1)%n], through[i], through[(i+1)%n], through[(i+2)%n]
		for k := range pieces {
			points[i*pieces+k] = p.at.apply(
				spline(a.x, b.x, c.x, d.x, k, pieces),
				spline(a.y, b.y, c.y, d.y, k, pieces))
		}
	}
	p.contour(points)
}

// spline returns sixteen times the Catmull-Rom value between b and c at k/n.
func spline(a, b, c, d, k, n int) int {
	return 8 * (2*b*n*n*n +
		(c-a)*k*n*n +
		(2*a-5*b+4*c-d)*k*k*n +
		(3*b-a-3*c+d)*k*k*k) / (n * n * n)
}

// oval draws an ellipse, given by its middle and its half axes.
func (p *canvas) oval(c colour, x, y, rx, ry int) {
	p.addOval(x, y, rx, ry)
	p.fill(c, 100)
}

func (p *canvas) addOval(x, y, rx, ry int) {
	const corners = 20
	points := p.points(corners)
	for i := range points {
		degrees := i * 360 / corners
		points[i] = p.at.apply(x*16+16*rx*cosine(degrees)/one, y*16+16*ry*sine(degrees)/one)
	}
	p.contour(points)
}

// limb draws what a leg, a tail or a mast looks like: from one point to
// another, round at both ends, r0 and r1 wide to each side.
func (p *canvas) limb(c colour, x0, y0, r0, x1, y1, r1 int) {
	p.addLimb(x0, y0, r0, x1, y1, r1)
	p.fill(c, 100)
}

func (p *canvas) addLimb(x0, y0, r0, x1, y1, r1 int) {
	p.addOval(x0, y0, r0, r0)
	p.addOval(x1, y1, r1, r1)
	dx, dy := x1-x0, y1-y0
	length := isqrt((dx*dx + dy*dy) * 256)
	if length == 0 {
		return
	}
	points := p.points(4)
	for i, q := range [4]struct{ x, y, r int }{{x0, y0, r0}, {x1, y1, r1}, {x1, y1, -r1}, {x0, y0, -r0}} {
		points[i] = p.at.apply(q.x*16-q.r*dy*256/length, q.y*16+q.r*dx*256/length)
	}
	p.contour(points)
}

// isqrt returns the whole part of a square root, by Newton's method.
func isqrt(n int) int {
	if n < 2 {
		return max(n, 0)
	}
	x := n
	for y := (x + 1) / 2; y < x; y = (x + n/x) / 2 {
		x = y
	}
	return x
}

// within runs draw with a figure's units mapped anew: the origin at (x, y),
// turned clockwise, scaled to percent.
func (p *canvas) within(x, y, degrees, percent int, draw func()) {
	before := p.at
	scale := percent * one / 100
	p.at = p.at.place(x, y, degrees, scale, scale)
	draw()
	p.at = before
}

// inside runs draw with all that it draws kept inside the last filled shape.
func (p *canvas) inside(draw func()) {
	shape := p.cover
	before := p.clip
	p.clip = &shape
	draw()
	p.clip = before
}
