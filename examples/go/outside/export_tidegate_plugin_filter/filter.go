// Package export_tidegate_plugin_filter judges the rows of a batch.
package export_tidegate_plugin_filter

import (
	"net/netip"

	"wit_component/columns"
	"wit_component/export_tidegate_plugin_plugin"
	data "wit_component/tidegate_plugin_data"
	interfaces "wit_component/tidegate_plugin_filter"
)

func Filter(batch data.Batch) interfaces.Verdicts {
	defer columns.LastWords()
	from := columns.Texts(batch.Columns[0])
	verdicts := interfaces.Verdicts{Keep: make([]uint8, batch.Rows)}
	for row := range verdicts.Keep {
		text, _ := from.At(row)
		address, err := netip.ParseAddrPort(text)
		if err != nil {
			verdicts.Rejected = append(verdicts.Rejected, data.Rejection{Row: uint32(row), Reason: err.Error()})
		} else if !isInside(address.Addr()) {
			verdicts.Keep[row] = 1
		}
	}
	return verdicts
}

func isInside(address netip.Addr) bool {
	for _, network := range export_tidegate_plugin_plugin.Inside {
		if network.Contains(address) {
			return true
		}
	}
	return false
}
