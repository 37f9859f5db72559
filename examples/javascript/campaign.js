// An enricher: the page of a visit, and the campaign that brought it, from its address.

import { Reject, field, makeEnricher } from "./tidegate.js";

const ADDRESS = /^https?:\/\/[^/?#]+(?<page>[^?#]*)(\?(?<query>[^#]*))?/u;

function parameters(query) {
    const pairs = query.split("&").map((pair) => pair.split("=", 2));
    return new Map(pairs.map(([name, value = ""]) => [name, decodeURIComponent(value.replaceAll("+", " "))]));
}

export const { plugin, enrich } = makeEnricher({
    name: "campaign",
    version: "0.1.0",
    // What the parameters of a campaign begin with.
    settings: { prefix: "utm_" },
    make({ prefix }) {
        return {
            reads: { url: field("url", "text", true) },
            writes: {
                page: field("page", "text"),
                source: field("campaign.source", "text"),
                name: field("campaign.name", "text"),
                parameters: field("parameters", "integer"),
            },
            enrich({ url }) {
                const { page, query } = ADDRESS.exec(url)?.groups ?? {};
                if (page === undefined) {
                    throw new Reject(`this is no address of a page: ${url}`);
                }
                if (page === "/health") {
                    return null;
                }
                const found = query ? parameters(query) : new Map();
                return {
                    page: page || "/",
                    source: found.get(`${prefix}source`),
                    name: found.get(`${prefix}campaign`),
                    parameters: found.size,
                };
            },
        };
    },
});
