// Preloaded into a process: makes LanceDB look as if it were not installed.
const Module = require('node:module');

const load = Module._load;
Module._load = (name, ...rest) => {
  if (name === '@lancedb/lancedb') throw new Error(`Cannot find module '${name}'`);
  return load(name, ...rest);
};
