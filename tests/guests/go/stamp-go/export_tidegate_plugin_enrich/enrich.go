// Package export_tidegate_plugin_enrich writes a time and a text.
package export_tidegate_plugin_enrich

import (
	"strconv"

	"wit_component/columns"
	data "wit_component/tidegate_plugin_data"
	interfaces "wit_component/tidegate_plugin_enrich"

	types "go.bytecodealliance.org/pkg/wit/types"
)

func Enrich(batch data.Batch) interfaces.Output {
	defer columns.LastWords()
	received, topics := batch.Columns[0].Values, columns.Texts(batch.Columns[1])
	partitions, offsets := batch.Columns[2].Values.Integers(), batch.Columns[3].Values.Integers()
	ids := make([]string, batch.Rows)
	for row := range ids {
		topic, _ := topics.At(row)
		ids[row] = topic + "-" + strconv.FormatInt(partitions[row], 10) + "-" + strconv.FormatInt(offsets[row], 10)
	}
	return interfaces.Output{
		Rows:    types.None[[]uint32](),
		Columns: []data.Column{{Values: received}, columns.OfTexts(ids)},
	}
}
