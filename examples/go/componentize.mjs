// Makes a component of a core module that Go has linked: componentize.mjs CORE WIT WORLD OUT

import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [core, wit, world, out] = process.argv.slice(2);
const installed = createRequire(`${process.env.TIDEGATE_NODE_MODULES ?? process.cwd()}/`);
const { componentEmbed, componentNew, parse } = await import(
    pathToFileURL(installed.resolve("@bytecodealliance/jco-transpile/wasm-tools"))
);

const adapter = await parse(await readFile(new URL("adapter.wat", import.meta.url), "utf8"));
const typed = await componentEmbed({ binary: await readFile(core), witSource: await readFile(wit, "utf8"), world });
await writeFile(out, await componentNew(typed, [["wasi_snapshot_preview1", adapter]]));
