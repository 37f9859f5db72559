// Package columns turns columns into values and values into columns, and sends the last words of a panic to the log.
package columns

import (
	"fmt"
	"path"
	"runtime"
	"strings"

	data "wit_component/tidegate_plugin_data"
	log "wit_component/tidegate_plugin_log"
)

// Text is a column of texts.
type Text struct {
	present []uint8
	slices  data.Slices
}

// Texts is the column that was asked for as text.
func Texts(column data.Column) Text {
	return Text{column.Present, column.Values.Slices()}
}

// At is the row's text; false where the field is absent or null.
func (text Text) At(row int) (string, bool) {
	is := len(text.present) == 0 || text.present[row] != 0
	return string(text.slices.Bytes[text.slices.Offsets[row]:text.slices.Offsets[row+1]]), is
}

// OfTexts is a column of texts that are all there.
func OfTexts(texts []string) data.Column {
	slices := data.Slices{Offsets: make([]uint32, 1, len(texts)+1)}
	for _, text := range texts {
		slices.Bytes = append(slices.Bytes, text...)
		slices.Offsets = append(slices.Offsets, uint32(len(slices.Bytes)))
	}
	return data.Column{Values: data.MakeValuesSlices(slices)}
}

// LastWords is deferred in what the runtime calls. To the runtime a panic is a bare trap: its message goes to the log first.
func LastWords() {
	if panicked := recover(); panicked != nil {
		log.Write(log.LevelError, fmt.Sprint(panicked)+place())
		panic(panicked)
	}
}

// The line of the plugin that panicked: the first that is not Go's own.
func place() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(4, callers)])
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, "runtime.") && frame.File != "" {
			return fmt.Sprintf(" (%s line %d)", path.Base(frame.File), frame.Line)
		}
		if !more {
			return ""
		}
	}
}
