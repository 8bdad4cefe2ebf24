// Validates API documents as their readers' tools do: OpenAPI and AsyncAPI by redocly's rules, AsyncAPI by the
// AsyncAPI initiative's parser too. Arguments are the documents.
'use strict';
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { DiagnosticSeverity, Parser } = require('@asyncapi/parser');
const redocly = require('@redocly/openapi-core');

async function main(files) {
  const config = await redocly.loadConfig({ configPath: join(__dirname, 'redocly.yaml') });
  let failed = false;
  for (const file of files) {
    const problems = await redocly.lint({ ref: file, config });
    redocly.formatProblems(problems, { totals: redocly.getTotals(problems), format: 'stylish' });
    const diagnostics = file.endsWith('asyncapi.json') ? await parse(file) : [];
    for (const d of diagnostics) console.error(`${file}: ${d.path.join('.')}: ${d.message} (${d.code})`);
    const good = problems.length + diagnostics.length === 0;
    failed ||= !good;
    console.log(`${file}: ${good ? 'valid' : 'NOT VALID'}`);
  }
  if (failed || files.length === 0) process.exitCode = 1;
}

// parse returns errors and warnings. Information is left out: it says that AsyncAPI 3.1 is there, and readers of 3.0
// are more.
async function parse(file) {
  const diagnostics = await new Parser().validate(readFileSync(file, 'utf8'), { source: file });
  return diagnostics.filter((d) => d.severity <= DiagnosticSeverity.Warning);
}

main(process.argv.slice(2));
