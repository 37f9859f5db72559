// Package export_tidegate_plugin_enrich writes the fields of a batch.
package export_tidegate_plugin_enrich

import (
	"net/netip"
	"strings"

	"wit_component/columns"
	data "wit_component/tidegate_plugin_data"
	interfaces "wit_component/tidegate_plugin_enrich"

	types "go.bytecodealliance.org/pkg/wit/types"
)

// What is known of a network: the bits that providers give away together.
const bits4, bits6 = 24, 48

func Enrich(batch data.Batch) interfaces.Output {
	defer columns.LastWords()
	from, request := columns.Texts(batch.Columns[0]), columns.Texts(batch.Columns[1])
	var networks, methods []string
	var versions []int64
	var written []uint8
	var rejected []data.Rejection
	for row := range int(batch.Rows) {
		text, _ := from.At(row)
		network, version, err := networkOf(text)
		if err != nil {
			rejected = append(rejected, data.Rejection{Row: uint32(row), Reason: err.Error()})
		}
		method, is := "", uint8(0)
		if line, given := request.At(row); given {
			method, is = line[:strings.Index(line, " ")], 1
		}
		networks, versions = append(networks, network), append(versions, version)
		methods, written = append(methods, method), append(written, is)
	}
	method := columns.OfTexts(methods)
	method.Present = written
	return interfaces.Output{
		Rows:     types.None[[]uint32](), // each row once
		Columns:  []data.Column{columns.OfTexts(networks), {Values: data.MakeValuesIntegers(versions)}, method},
		Rejected: rejected,
	}
}

func networkOf(text string) (string, int64, error) {
	from, err := netip.ParseAddrPort(text)
	if err != nil {
		return "", 0, err
	}
	bits, version := bits4, int64(4)
	if address := from.Addr(); address.Is6() && !address.Is4In6() {
		bits, version = bits6, 6
	}
	network, err := from.Addr().Unmap().Prefix(bits)
	return network.String(), version, err
}
