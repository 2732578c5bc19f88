// For `node --import`: makes loading sharp fail, as if its binary were missing.
import Module from 'node:module';

const load = Module._load;
Module._load = (name, ...rest) => {
  if (name === 'sharp') throw new Error('Could not load the "sharp" module');
  return load(name, ...rest);
};
