package main

import "strings"

// meant asks whether a person meant the nearest of some words by one that is none of
// them, or is "" if none is near: two letters away or less, or begun as it is. The
// prefix stands before the word.
func meant(prefix, typed string, words []string) string {
	nearest, least := "", 0
	for _, w := range words {
		n := edits(typed, w)
		near := n <= min(2, len(typed)/2) || len(typed) > 1 && strings.HasPrefix(w, typed)
		if near && (nearest == "" || n < least) {
			nearest, least = w, n
		}
	}
	if nearest == "" {
		return ""
	}
	return ": did you mean " + prefix + nearest + "?"
}

// edits is the Levenshtein distance of two words, in bytes.
func edits(a, b string) int {
	row := make([]int, len(b)+1) // of the part of a so far to each beginning of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
