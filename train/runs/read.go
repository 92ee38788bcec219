package runs

import (
	"fmt"

	"cifartui/train/config"
	"cifartui/train/record"
)

// Read reads the runs that folders stand for, comparisons included.
func Read(folders ...string) ([]*record.Run, error) {
	var runs []*record.Run
	for _, folder := range folders {
		list, err := config.RunFolders(folder)
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			h, err := record.Read(f)
			if err != nil {
				return nil, fmt.Errorf("run %s: %w", f, err)
			}
			runs = append(runs, h)
		}
	}
	return runs, nil
}
