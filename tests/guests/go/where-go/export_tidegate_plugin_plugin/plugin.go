// Package export_tidegate_plugin_plugin describes what the reference plugin `where` does with `field` and `equals`, to be timed beside it.
package export_tidegate_plugin_plugin

import (
	"encoding/json"

	data "wit_component/tidegate_plugin_data"
	interfaces "wit_component/tidegate_plugin_plugin"

	types "go.bytecodealliance.org/pkg/wit/types"
)

var Settings struct{ Field, Equals string }

func Describe() interfaces.Identity {
	return interfaces.Identity{Name: "where-go", Version: "0.0.0"}
}

func Configure(settings string) types.Result[interfaces.Ports, string] {
	if err := json.Unmarshal([]byte(settings), &Settings); err != nil {
		return types.Err[interfaces.Ports, string](err.Error())
	}
	return types.Ok[interfaces.Ports, string](interfaces.Ports{Reads: []data.Field{{Path: Settings.Field, Kind: data.KindText}}})
}
