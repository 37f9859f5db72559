// What the reference plugin `stamp` does, to be timed beside it.

import { field, makeEnricher } from "../../../examples/javascript/tidegate.js";

export const { plugin, enrich } = makeEnricher({
    name: "stamp-javascript",
    version: "0.0.0",
    make: () => ({
        reads: {
            received: field("$received", "timestamp", true),
            topic: field("$topic", "text", true),
            partition: field("$partition", "integer", true),
            offset: field("$offset", "integer", true),
        },
        writes: { processed_time: field("processed_time", "timestamp"), event_id: field("event_id", "text") },
        enrich: ({ received, topic, partition, offset }) => ({
            processed_time: received,
            event_id: `${topic}-${partition}-${offset}`,
        }),
    }),
});
