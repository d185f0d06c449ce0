//go:build tools

// Package tools names what is built from the pins of this folder.
package tools

import _ "github.com/google/go-containerregistry/cmd/crane"
