// Package export_tidegate_plugin_plugin says what the filter `outside` is and reads: it drops connections from networks of your own.
package export_tidegate_plugin_plugin

import (
	"encoding/json"
	"net/netip"
	"strings"

	data "wit_component/tidegate_plugin_data"
	interfaces "wit_component/tidegate_plugin_plugin"

	types "go.bytecodealliance.org/pkg/wit/types"
)

// Inside are the networks whose connections are dropped.
var Inside []netip.Prefix

func Describe() interfaces.Identity {
	return interfaces.Identity{Name: "outside", Version: "0.1.0"}
}

func Configure(text string) types.Result[interfaces.Ports, string] {
	settings := struct{ Networks []netip.Prefix }{}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&settings); err != nil {
		return types.Err[interfaces.Ports, string](err.Error())
	}
	Inside = settings.Networks
	return types.Ok[interfaces.Ports, string](interfaces.Ports{Reads: []data.Field{{Path: "from", Kind: data.KindText, Required: true}}})
}
