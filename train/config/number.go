package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// Numbers as people write them: decimal digits, a point, an exponent. Other
// forms that Go or YAML take, such as 1_000, 0x10, 010 or inf, mean something
// else to another reader, or nothing.
var (
	wholeForm  = regexp.MustCompile(`^[+-]?(0|[1-9][0-9]*)$`)
	numberForm = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
)

// IsWhole reports whether text is a whole number as people write it.
func IsWhole(text string) bool { return wholeForm.MatchString(text) }

// IsNumber reports whether text is a number as people write it.
func IsNumber(text string) bool { return numberForm.MatchString(text) }

// ParseNumber reads a number as people write it.
func ParseNumber(text string) (float64, error) {
	if !IsNumber(text) {
		return 0, fmt.Errorf("%q is no number such as 0.1 or 1e-3", text)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(v, 0) {
		return 0, fmt.Errorf("%s is too large a number", text)
	}
	return v, nil
}

// ParseLearnRate reads a learning rate that a person gives to a run while it trains:
// a number above 0, up to [MaxLearnRate].
func ParseLearnRate(text string) (float64, error) {
	v, err := ParseNumber(text)
	switch {
	case err != nil:
		return 0, err
	case v <= 0:
		return 0, errors.New("a learning rate is a number above 0")
	case v > MaxLearnRate:
		return 0, fmt.Errorf("a learning rate is at most %g", float64(MaxLearnRate))
	}
	return v, nil
}
