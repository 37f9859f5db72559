// What stands between a plugin's functions and the columns of wit/tidegate.wit: rows are made of columns, and columns of rows.

import log from "tidegate:plugin/log@0.1.0";

/** Thrown: the record goes to the dead letters with this reason. */
export class Reject extends Error {}

const NONE = [];

/** A field by its path; its kind is a word of wit/tidegate.wit. */
export const field = (path, kind, required = false) => ({ path, kind, required });

/**
 * What a module of a filter exports. `settings` are the defaults; `make(settings)` is called once and gives back `reads`, a field for each
 * name, and `filter`, which is given an object of these names, with null for what is absent, and says whether the record stays.
 */
export function makeFilter(about) {
    const made = maker(about);
    const filter = (batch) => {
        const { reads, filter } = made.plugin;
        const keep = new Uint8Array(batch.rows);
        const rejected = eachRow(reads, batch, (values, row) => {
            keep[row] = filter(values) ? 1 : 0;
        });
        return { keep, rejected };
    };
    return { plugin: made.exports, filter: { filter } };
}

/**
 * Likewise for an enricher: `writes` has the fields that it owns, and `enrich(row)` gives back an object of these names: null removes a field.
 * Instead of an object, null drops the record, and an array splits it.
 */
export function makeEnricher(about) {
    const made = maker(about);
    const enrich = (batch) => {
        const { reads, writes, enrich } = made.plugin;
        const [rows, written] = [[], []];
        const rejected = eachRow(reads, batch, (values, row) => {
            const answer = enrich(values);
            for (const one of Array.isArray(answer) ? answer : answer === null ? NONE : [answer]) {
                rows.push(row);
                written.push(one);
            }
        });
        const column = ([name, { kind }]) => columnOf(kind, written.map((row) => row[name] ?? null));
        return { rows, columns: Object.entries(writes).map(column), rejected };
    };
    return { plugin: made.exports, enrich: { enrich } };
}

/** The interface `plugin`, and what `make` has made as soon as it is configured. */
function maker({ name, version, settings = {}, make }) {
    const made = { plugin: null };
    const describe = () => ({ name, version, settingsSchema: "" });
    const configure = (text) => {
        const given = text === "" ? {} : JSON.parse(text);
        const unknown = Object.keys(given).find((key) => !Object.hasOwn(settings, key));
        if (unknown !== undefined) {
            throw new Error(`unknown setting \`${unknown}\`; there are: ${Object.keys(settings).join(", ") || "none"}`);
        }
        made.plugin = make({ ...settings, ...given });
        const { reads, writes = {} } = made.plugin;
        return { reads: Object.values(reads), writes: Object.values(writes) };
    };
    made.exports = { describe, configure };
    return made;
}

/** Plain loops: each call costs an interpreter a tenth of a microsecond, and this is done for every row. */
function eachRow(reads, { rows, columns }, call) {
    const names = Object.keys(reads);
    const cells = names.map((name, index) => cellsOf(reads[name].kind, columns[index], rows));
    const rejected = [];
    for (let row = 0; row < rows; row++) {
        const values = {};
        for (let index = 0; index < names.length; index++) {
            values[names[index]] = cells[index][row];
        }
        try {
            call(values, row);
        } catch (error) {
            rejected.push({ row, reason: reasonOf(error) });
        }
    }
    return rejected;
}

/** To the runtime any other exception is a bare trap: its message goes to the log first, which is the trap's last words. */
function reasonOf(error) {
    if (error instanceof Reject) {
        return error.message;
    }
    const frames = (error?.stack ?? "").trim().split("\n").map((frame) => frame.trim().replace(/^at /, ""));
    log.write("error", `${error} (${frames.slice(0, 2).join(", called by ")})`);
    throw error;
}

/** The column's values, null where there is none. */
function cellsOf(kind, { values, present }, rows) {
    if (kind === "presence") {
        return Array.from({ length: rows }, (_, row) => present.length === 0 || present[row] !== 0);
    }
    const cells = cellsOfAll(kind, values);
    present.forEach((is, row) => {
        if (is === 0) {
            cells[row] = null;
        }
    });
    return cells;
}

function cellsOfAll(kind, { tag, val }) {
    switch (tag) {
        case "booleans":
            return Array.from(val, (one) => one !== 0);
        case "slices":
            return kind === "bytes" ? pieces(val.bytes, val.offsets, "subarray") : textsOf(val, kind);
        default:
            return val;
    }
}

const pieces = (whole, offsets, cut) => offsets.slice(1).map((end, index) => whole[cut](offsets[index], end));

/** Base64 is the way that has no loop in it: there is no TextDecoder, but a text of characters below 256 is made by `atob`. */
function textsOf({ offsets, bytes }, kind) {
    const whole = atob(bytes.toBase64());
    const latin = pieces(whole, offsets, "slice");
    const texts = isAscii(whole) ? latin : latin.map((piece) => decodeURIComponent(escape(piece)));
    return kind === "json" ? texts.map((text) => (text === "" ? null : JSON.parse(text))) : texts;
}

const isAscii = (text) => /^[\x00-\x7f]*$/.test(text);

function columnOf(kind, values) {
    if (!values.includes(null)) {
        return { values: valuesOf(kind, values, () => values), present: new Uint8Array(0) };
    }
    const present = Uint8Array.from(values, (value) => (value === null ? 0 : 1));
    return { values: valuesOf(kind, values, (none) => values.map((value) => value ?? none)), present };
}

/** `or` gives the values, with something in the place of null. */
function valuesOf(kind, values, or) {
    switch (kind) {
        case "boolean":
            return { tag: "booleans", val: Uint8Array.from(values, Boolean) };
        case "integer":
        case "timestamp":
            return { tag: "integers", val: or(0) };
        case "float":
            return { tag: "floats", val: or(0) };
        case "text":
            return { tag: "slices", val: slicesOf(or("")) };
        case "json":
            return { tag: "slices", val: slicesOf(values.map((value) => JSON.stringify(value))) };
        default:
            throw new Error(`a field of kind \`${kind}\` cannot be written`);
    }
}

/** In UTF-8, whose bytes are characters below 256 on the way. */
function slicesOf(texts) {
    let whole = texts.join("");
    if (!isAscii(whole)) {
        texts = texts.map((text) => unescape(encodeURIComponent(text)));
        whole = texts.join("");
    }
    const offsets = [0];
    let end = 0;
    for (const text of texts) {
        offsets.push((end += text.length));
    }
    return { offsets, bytes: Uint8Array.fromBase64(btoa(whole)) };
}
