package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"cifartui/train/config"
	"cifartui/train/rundir"
)

// resolve layers flags over the file over the recipe and checks the result.
// It is called once, after the flags are parsed into s.
func (s *settings) resolve(cmd *cobra.Command) error {
	// As of a script's variable that is not set: training would begin anew.
	for _, name := range []string{"config", "resume"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed && f.Value.String() == "" {
			return usage("--%s: it names nothing: give a name, or leave the flag out", name)
		}
	}
	s.Given = map[string]bool{}
	type changed struct {
		flag *pflag.Flag
		text []string
	}
	var flags []changed
	cmd.Flags().Visit(func(f *pflag.Flag) {
		c := changed{flag: f, text: []string{f.Value.String()}}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			c.text = list.GetSlice()
		}
		flags = append(flags, c)
	})
	file, recipe := s.file, s.Recipe
	if cmd.Flags().Changed("recipe") || file != "" {
		if err := s.begin(file, recipe, cmd.Flags().Changed("recipe")); err != nil {
			return err
		}
		for _, c := range flags { // the flags again, over what was set
			list, ok := c.flag.Value.(pflag.SliceValue)
			if ok {
				if err := list.Replace(c.text); err != nil {
					return usage("--%s: %w", c.flag.Name, err)
				}
				continue
			}
			if err := c.flag.Value.Set(c.text[0]); err != nil {
				return usage("--%s: %w", c.flag.Name, err)
			}
		}
	}
	for _, c := range flags {
		s.Given[strings.ReplaceAll(c.flag.Name, "-", "_")] = true
	}
	return s.check()
}

// begin sets what is below the flags: a recipe, and a settings file over it. The
// recipe is the one given by a flag, else the file's, else the default.
func (s *settings) begin(file, recipe string, given bool) error {
	var text []byte
	if file != "" {
		var err error
		if text, err = rundir.ReadFile(file, config.MaxFile); err != nil {
			return usage("settings file: %w", err)
		}
		var head struct {
			Recipe string `yaml:"recipe"`
		}
		if given && isRunConfig(text) {
			return usage("--recipe: %s is of a run and holds all of its settings: leave out the one or the other", file)
		}
		// What is wrong with the file is found when all of it is read.
		if err := yaml.Unmarshal(text, &head); err == nil && !given && head.Recipe != "" && !isRunConfig(text) {
			recipe = head.Recipe
		}
	}
	fresh := defaultSettings()
	fresh.file, fresh.Given = file, s.Given
	var err error
	if fresh.Config, err = config.OfRecipe(recipe); err != nil {
		return usage("--%w", err)
	}
	if file != "" {
		if err := fresh.readFile(file, text); err != nil {
			return err
		}
	}
	*s = fresh
	if len(s.batches) == 0 {
		s.batches = []string{strconv.Itoa(s.Batch)}
	}
	return nil
}

// readFile reads a settings file over s. A key that is no setting is refused by
// name.
func (s *settings) readFile(path string, text []byte) (err error) {
	if isRunConfig(text) {
		// It holds all settings, and leaves out those that are off.
		if s.Config, err = config.Parse(text, config.Default()); err != nil {
			return usage("settings file %s: %w", path, err)
		}
		s.Name = "" // a run's settings are taken over, not its name
		for _, key := range config.Keys() {
			s.Given[key] = true
		}
		return nil
	}
	batches, text, err := readYAML(text)
	if err != nil {
		return usage("settings file %s: %w", path, err)
	}
	var keys map[string]any
	if err := yaml.Unmarshal(text, &keys); err != nil {
		return usage("settings file %s: %w", path, err)
	}
	if err := config.CheckKeys(slices.Collect(maps.Keys(keys)), settingKeys()); err != nil {
		return usage("settings file %s: %w", path, err)
	}
	s.batches = batches
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(s); err != nil && !errors.Is(err, io.EOF) {
		return usage("settings file %s: %w", path, err)
	}
	for key := range keys {
		s.Given[key] = true
	}
	return nil
}

// readYAML checks the numbers of a settings file, and reads a list of batch sizes,
// for which the text that it returns has the first.
func readYAML(text []byte) (batches []string, one []byte, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil || len(doc.Content) == 0 {
		return nil, text, err
	}
	if err := checkNumbers(&doc); err != nil {
		return nil, nil, err
	}
	root := doc.Content[0]
	for i := 0; root.Kind == yaml.MappingNode && i+1 < len(root.Content); i += 2 {
		list := root.Content[i+1]
		if root.Content[i].Value != "batch" || list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
			continue
		}
		for _, v := range list.Content {
			batches = append(batches, v.Value)
		}
		root.Content[i+1] = list.Content[0]
		text, err = yaml.Marshal(&doc)
	}
	return batches, text, err
}

// checkNumbers refuses a number that is not written as people do.
func checkNumbers(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		switch tag := n.ShortTag(); {
		case tag == "!!int" && !config.IsWhole(n.Value), tag == "!!float" && !config.IsNumber(n.Value):
			return fmt.Errorf("line %d: %q is no number such as 20, 0.1 or 1e-3", n.Line, n.Value)
		}
	}
	for _, c := range n.Content {
		if err := checkNumbers(c); err != nil {
			return err
		}
	}
	return nil
}

// isRunConfig tells a run's config.json from a settings file: JSON starts with
// a brace, which no YAML file of settings does.
func isRunConfig(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(text), []byte("{"))
}

// settingKeys are the keys of a settings file.
func settingKeys() []string {
	keys := config.Keys()
	t := reflect.TypeFor[settings]()
	for i := range t.NumField() {
		if key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); key != "" && key != "-" {
			keys = append(keys, key)
		}
	}
	return keys
}
