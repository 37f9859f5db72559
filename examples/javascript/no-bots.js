// A filter: drops visits of programs, by what they call themselves.

import { field, makeFilter } from "./tidegate.js";

export const { plugin, filter } = makeFilter({
    name: "no-bots",
    version: "0.1.0",
    // A regular expression.
    settings: { agents: "bot|crawl|spider" },
    make({ agents }) {
        const bots = new RegExp(agents, "iu");
        return {
            reads: { agent: field("user_agent", "text") },
            filter: ({ agent }) => agent !== null && !bots.test(agent),
        };
    },
});
