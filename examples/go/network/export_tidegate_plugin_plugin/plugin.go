// Package export_tidegate_plugin_plugin says what the enricher `network` is, reads and writes: the network of a connection, and its host.
package export_tidegate_plugin_plugin

import (
	data "wit_component/tidegate_plugin_data"
	interfaces "wit_component/tidegate_plugin_plugin"

	types "go.bytecodealliance.org/pkg/wit/types"
)

func Describe() interfaces.Identity {
	return interfaces.Identity{Name: "network", Version: "0.1.0"}
}

func Configure(settings string) types.Result[interfaces.Ports, string] {
	if settings != "" && settings != "{}" {
		return types.Err[interfaces.Ports, string]("this plugin has no settings")
	}
	return types.Ok[interfaces.Ports, string](interfaces.Ports{
		Reads: []data.Field{
			{Path: "from", Kind: data.KindText, Required: true},
			{Path: "request", Kind: data.KindText},
		},
		Writes: []data.Field{
			{Path: "network", Kind: data.KindText},
			{Path: "version", Kind: data.KindInteger},
			{Path: "method", Kind: data.KindText},
		},
	})
}
