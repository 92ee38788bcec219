//go:build linux && (amd64 || arm64) && !static

package driver

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/ebitengine/purego"
)

// Why a library cannot be opened is kept by the thread that tried: it is not lost
// where other goroutines want the threads meanwhile.
func TestWhyTheLibraryCannotBeOpenedIsNotLost(t *testing.T) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				_, err := openLibrary([]string{"libnone.so.1"})
				runtime.Gosched()
				var why purego.Dlerror
				if err == nil || errors.As(err, &why) && !strings.Contains(why.Error(), "libnone") {
					t.Errorf("it says %q", err)
					return
				}
			}
		})
	}
	all.Wait()
}
