// Package export_tidegate_plugin_plugin describes what the reference plugin `stamp` does, to be timed beside it.
package export_tidegate_plugin_plugin

import (
	data "wit_component/tidegate_plugin_data"
	interfaces "wit_component/tidegate_plugin_plugin"

	types "go.bytecodealliance.org/pkg/wit/types"
)

func Describe() interfaces.Identity {
	return interfaces.Identity{Name: "stamp-go", Version: "0.0.0"}
}

func Configure(string) types.Result[interfaces.Ports, string] {
	return types.Ok[interfaces.Ports, string](interfaces.Ports{
		Reads: []data.Field{
			{Path: "$received", Kind: data.KindTimestamp, Required: true},
			{Path: "$topic", Kind: data.KindText, Required: true},
			{Path: "$partition", Kind: data.KindInteger, Required: true},
			{Path: "$offset", Kind: data.KindInteger, Required: true},
		},
		Writes: []data.Field{
			{Path: "processed_time", Kind: data.KindTimestamp},
			{Path: "event_id", Kind: data.KindText},
		},
	})
}
