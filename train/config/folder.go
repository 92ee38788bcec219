package config

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"cifartui/train/rundir"
)

// Write writes config.json.
func Write(d rundir.Disk, folder string, c Config, about About) error {
	b, err := json.MarshalIndent(file{Config: c, About: about}, "", "  ")
	if err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	_, err = rundir.WriteAtomic(d, filepath.Join(folder, rundir.ConfigFile), func(w io.Writer) error {
		_, err := w.Write(append(b, '\n'))
		return err
	})
	if err != nil {
		return fmt.Errorf("run folder: %w", err)
	}
	return nil
}

// Read reads a run folder's settings and what its config.json says beside
// them.
func Read(folder string) (Config, About, error) {
	path := filepath.Join(folder, rundir.ConfigFile)
	c, err := load(path, Config{})
	if err != nil {
		return Config{}, About{}, err
	}
	var about struct{ About About }
	b, err := rundir.ReadFile(path, MaxFile)
	if err == nil {
		err = json.Unmarshal(b, &about)
	}
	if err != nil {
		return Config{}, About{}, fmt.Errorf("settings: %s: %w", path, err)
	}
	return c, about.About, nil
}

// Machine fills in the part of About that does not depend on the run.
func Machine(version string, now time.Time) About {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return About{
		Version:  version,
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPUs:     runtime.GOMAXPROCS(0),
		Host:     host,
		Created:  now.Format(time.RFC3339),
	}
}

// ReadQuick is Read in a hurry: it leaves the checks, and what is wrong
// with a file, to that.
func ReadQuick(folder string) (Config, About, error) {
	b, err := rundir.ReadFile(filepath.Join(folder, rundir.ConfigFile), MaxFile)
	var c file
	if err != nil || json.Unmarshal(b, &c) != nil || c.Batch == 0 {
		return Read(folder)
	}
	return c.Config, c.About, nil
}
