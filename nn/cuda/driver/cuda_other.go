//go:build !linux || !(amd64 || arm64) || static

package driver

import "errors"

// Load fails: on this system, or in this build, there is no binding.
func Load() (Driver, error) {
	return nil, errors.New(`this build of cifartui has no GPU support: it needs Linux on amd64 or arm64, built without the tag "static"`)
}
