// Prints what the official parser says of the documents that are named, one JSON list per line.
const { readFileSync } = require("node:fs");
const { Parser } = require("@asyncapi/parser");

async function main(files) {
  for (const file of files) {
    const { diagnostics } = await new Parser().parse(readFileSync(file, "utf-8"));
    console.log(JSON.stringify(diagnostics.map(({ code, path, message }) => ({ code, path: path.join("."), message }))));
  }
}

main(process.argv.slice(2));
