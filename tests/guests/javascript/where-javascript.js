// What the reference plugin `where` does with `field` and `equals`, to be timed beside it.

import { field, makeFilter } from "../../../examples/javascript/tidegate.js";

export const { plugin, filter } = makeFilter({
    name: "where-javascript",
    version: "0.0.0",
    settings: { field: "", equals: "" },
    make: ({ field: path, equals }) => ({
        reads: { text: field(path, "text") },
        filter: ({ text }) => text === equals,
    }),
});
