// Package export_tidegate_plugin_filter compares a text.
package export_tidegate_plugin_filter

import (
	"wit_component/columns"
	"wit_component/export_tidegate_plugin_plugin"
	data "wit_component/tidegate_plugin_data"
	interfaces "wit_component/tidegate_plugin_filter"
)

func Filter(batch data.Batch) interfaces.Verdicts {
	defer columns.LastWords()
	texts := columns.Texts(batch.Columns[0])
	keep := make([]uint8, batch.Rows)
	for row := range keep {
		if text, is := texts.At(row); is && text == export_tidegate_plugin_plugin.Settings.Equals {
			keep[row] = 1
		}
	}
	return interfaces.Verdicts{Keep: keep}
}
