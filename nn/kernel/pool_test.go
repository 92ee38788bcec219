package kernel

// spreadPool is a max pool's backward pass as it is defined, for the passes that
// take a pooled gradient to be compared with: dy, of geometry img, gets dp, the
// gradient at the pool's output, at the positions that arg recorded (see
// Conv.Forward) and 0 elsewhere, in the first rows images.
func spreadPool(dy []float32, img Image, dp []float32, arg []uint8, rows int) {
	small := img.pooled()
	for n := range rows {
		for y := range img.H {
			clear(dy[img.At(n, y, 0):][:img.W*img.C])
		}
		for y := range small.H {
			for x := range small.W {
				for c := range small.C {
					if pos := int(arg[((n*small.H+y)*small.W+x)*small.C+c]); pos < dead {
						dy[img.At(n, 2*y+pos/2, 2*x+pos%2)+c] = dp[small.At(n, y, x)+c]
					}
				}
			}
		}
	}
}
