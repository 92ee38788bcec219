package config

import (
	"fmt"
	"strings"
)

// Recipe is settings under a name. What a recipe leaves out is as in [Default].
type Recipe struct {
	Name     string
	About    string // in a few words
	Settings string // YAML, the keys as in a settings file
}

// Recipes lists them, the default first.
func Recipes() []Recipe { return recipes }

var recipes = []Recipe{
	{Name: "article", About: "as the article trained, which tells of 90% after 85 epochs", Settings: ""},
	{Name: "fast", About: "the most in a few epochs, or in a --budget", Settings: `
epochs: 16
small_epochs: 0.35
small_size: 16
batch: 256
preprocess: standard
dropout: 0
smoothing: 0.1
fill: reflect
flips: alternate
optimizer: muon
lr: 0.04
momentum: 0.8
weight_decay: 0.05
dense_lr: 0.05
dense_momentum: 0.9
dense_decay: 0.005
bias_lr: 0.05
schedule: triangle
warmup: 0.2
patience: 0
`},
}

// OfRecipe returns the settings of a recipe.
func OfRecipe(name string) (Config, error) {
	var names []string
	for _, r := range recipes {
		if r.Name == name {
			c, err := Parse([]byte(r.Settings), Default())
			c.Recipe = name
			return c, err
		}
		names = append(names, r.Name)
	}
	return Config{}, fmt.Errorf("recipe: there is no %q: want %s", name, strings.Join(names, " or "))
}
